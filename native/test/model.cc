// The core's templates under Relacy: random schedules of small histories, in the C++ memory model rather than in that
// of the processor at hand.
//
//   model [all [N]]              every suite, and the number of schedules explored
//   model run NAME [N] [SEED]    one suite (part of its name)
//   model mutate [NAME]          weakens every order, one at a time
//   model exhaustive [NAME [PREEMPTIONS]]          small histories: every schedule with so many preemptions
//   model exhaustive-long [NAME]                   the same with more of them
//   model exhaustive-quick [NAME]                  one preemption at most, until something fails
//   model exhaustive-mutate [NAME [PREEMPTIONS]]   which history notices each mutation in that search
#include <chrono>

#include "model/exhaustive.h"
#include "model/suites.h"
#include "model/suites_deaths.h"

namespace {

using namespace model;

struct Result {
  rl::test_result_e code = rl::test_result_success;
  rl::iteration_t schedule = 0;
  std::string history;
};

template <class Suite>
Result explore(rl::iteration_t from, rl::iteration_t count, bool with_history) {
  using Test = Suite;
  rl::ostringstream out;  // allocates outside of the checked heap
  rl::test_params params;
  params.output_stream = &out;
  params.progress_stream = &out;
  params.execution_depth_limit = 30000;
  params.iteration_count = from + count - 1;
  params.initial_state = (std::to_string(from) + " ").c_str();
  params.collect_history = with_history;
  rl::ostringstream state;
  Result result;
  result.code = rl::run_test<Test, Scheduler<Test::params::thread_count>>(params, state, false);
  result.schedule = params.stop_iteration;
  result.history = out.str().c_str();
  return result;
}

struct Entry {
  const char* name;
  Result (*explore)(rl::iteration_t from, rl::iteration_t count, bool with_history);
};

template <class Suite>
constexpr Entry entry() {
  return {Suite::kName, &explore<Suite>};
}

constexpr Entry kSuites[] = {
    entry<PutPutGet>(),       entry<Laps>(),           entry<LapsOfTwo>(),
    entry<Batches>(),         entry<Leases>(),         entry<Requeue>(),
    entry<WaitingGetters>(),  entry<BusyWaiter>(),     entry<WaitingPutters>(),
    entry<LeaseMakesSpace>(), entry<RequeueWakes>(),   entry<Shutdown>(),
    entry<ProducerDies>(),    entry<ConsumerDies>(),   entry<HolderDies>(),
    entry<RecovererDies>(),   entry<RingerDies>(),     entry<HolderOfABatchDies>(),
    entry<LateRecoverer>(),   entry<PassedOn>(),       entry<TwoAroundALease>(),
    entry<Anything>(),        entry<ShutdownAtOnce>(),
};

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// False, and the history of the schedule that failed, when one did.
bool run(const Entry& suite, rl::iteration_t count, rl::iteration_t seed) {
  const double start = seconds();
  const Result result = suite.explore(seed, count, false);
  if (result.code == rl::test_result_success) {
    std::printf("  %-48s %9llu schedules from %llu, %.1f s\n", suite.name, static_cast<unsigned long long>(count),
                static_cast<unsigned long long>(seed), seconds() - start);
    std::fflush(stdout);
    return true;
  }
  const Result again = suite.explore(result.schedule, 1, true);
  std::printf("%s\n  %s: %s in schedule %llu\n", again.history.c_str(), suite.name, rl::test_result_str(result.code),
              static_cast<unsigned long long>(result.schedule));
  return false;
}

struct Caught {
  const char* suite = nullptr;
  const char* how = nullptr;
  unsigned long long schedules = 0;
};

/// Explores all suites in rounds of growing size until one of them fails.
Caught hunt(unsigned rounds) {
  Caught caught;
  rl::iteration_t from = 1;
  for (unsigned round = 0; round < rounds; ++round) {
    const rl::iteration_t count = rl::iteration_t{500} << (2 * round);
    for (const Entry& suite : kSuites) {
      const Result result = suite.explore(from, count, false);
      if (result.code != rl::test_result_success) {
        caught.suite = suite.name;
        caught.how = rl::test_result_str(result.code);
        caught.schedules += result.schedule - from + 1;
        return caught;
      }
      caught.schedules += count;
    }
    from += count;
  }
  return caught;
}

/// False when something was not caught that has to be.
bool mutate(const std::string& name, unsigned rounds) {
  bool good = true;
  const auto attempt = [&](const char* what) {
    if (!name.empty() && std::string(what).find(name) == std::string::npos) return;
    const Caught caught = hunt(rounds);
    good = good && caught.suite != nullptr;
    std::printf("  %-18s %s%s%s (%llu schedules)\n", what, caught.suite ? caught.suite : "NOT CAUGHT",
                caught.suite ? ": " : "", caught.suite ? caught.how : "", caught.schedules);
    std::fflush(stdout);
  };
  for (int site = 0; site < static_cast<int>(Site::kCount); ++site) {
    // Met by chance once in millions of schedules; the exhaustive search notices them at once.
    constexpr Site kNotByChance[] = {Site::kDrainedFence, Site::kDropLoad, Site::kFollowUpFence, Site::kFollowUpLoad,
                                     Site::kJoinFence};
    if (std::count(std::begin(kNotByChance), std::end(kNotByChance), static_cast<Site>(site)) > 0) continue;
    mutation = {site};
    attempt(kSiteNames[site]);
  }
  mutation = Mutation();
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "all";
  if (mode == "run") {
    bool good = true;
    for (const Entry& suite : kSuites) {
      if (argc > 2 && std::string(suite.name).find(argv[2]) == std::string::npos) continue;
      good = run(suite, argc > 3 ? std::atoll(argv[3]) : 20000, argc > 4 ? std::atoll(argv[4]) : 1) && good;
    }
    return good ? 0 : 1;
  }
  if (mode == "all") {
    bool good = true;
    const rl::iteration_t count = argc > 2 ? std::atoll(argv[2]) : 10000;
    for (const Entry& suite : kSuites) good = run(suite, count, 1) && good;
    return good ? 0 : 1;
  }
  if (mode == "mutate") return mutate(argc > 2 ? argv[2] : "", argc > 3 ? std::atoi(argv[3]) : 4) ? 0 : 1;
  const char* name = argc > 2 ? argv[2] : "";
  const unsigned preemptions = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 1;
  if (mode == "exhaustive-quick") return exhaust_until_noticed(name) ? 0 : 1;
  if (mode == "exhaustive") return exhaust(name, argc > 3 ? Form::kAsked : Form::kShort, preemptions) ? 0 : 1;
  if (mode == "exhaustive-long") return exhaust(name, Form::kLong) ? 0 : 1;
  if (mode == "exhaustive-mutate") return exhaust_mutated(name, preemptions) ? 0 : 1;
  return 1;
}
