#include "model/exhaustive.h"

#include <chrono>

#include "model/small.h"
#include "model/small_deaths.h"
#include "model/small_ends.h"
#include "model/small_follow_ups.h"
#include "model/small_leases.h"
#include "model/small_waiting.h"

namespace model {
namespace {

struct Result {
  rl::test_result_e code = rl::test_result_success;
  rl::iteration_t schedules = 0;
  bool ended = false;    // there is no schedule that was not explored
  bool bounded = false;  // but for those with more preemptions
  std::string history;
};

/// A search that takes longer than this many schedules is not waited for, and is a failure.
constexpr rl::iteration_t kLimit = 400'000'000;

template <class Suite>
Result run_once(rl::iteration_t limit, bool with_history) {
  rl::ostringstream out;  // allocates outside of the checked heap
  rl::test_params params;
  params.output_stream = &out;
  params.progress_stream = &out;
  params.execution_depth_limit = 30000;
  params.iteration_count = limit;
  params.collect_history = with_history;
  rl::ostringstream state;
  Result result;
  result.code = rl::run_test<Suite, DepthFirst<Suite::params::thread_count>>(params, state, false);
  result.schedules = params.stop_iteration;
  result.history = out.str().c_str();
  return result;
}

/// Explores every schedule with at most `bound` preemptions. `known`: the words that the last search found to be shared
/// are shared in this one.
template <class Suite>
Result explore(unsigned bound, bool known) {
  search.on = true;
  search.bound = bound;
  if (!known) search.reset();
  Result result;
  do {
    search.again();
    result = run_once<Suite>(kLimit, false);
  } while (result.code == rl::test_result_success && search.grown);
  result.ended = search.ended();
  result.bounded = search.cut;
  if (result.code != rl::test_result_success) {
    search.replay = true;
    result.history = run_once<Suite>(1, true).history;
  }
  search.on = false;
  return result;
}

constexpr unsigned kAll = 1000;  // more preemptions than there are steps

struct Entry {
  const char* name;
  unsigned bound;       // preemptions in the ordinary test run
  unsigned long_bound;  // and in the long one
  Result (*explore)(unsigned bound, bool known);
};

template <class Suite>
constexpr Entry entry(unsigned bound, unsigned long_bound) {
  return {Suite::kName, bound, long_bound, &explore<Suite>};
}

constexpr Entry kHistories[] = {
    entry<small::PutGet>(kAll, kAll),
    entry<small::Laps>(3, kAll),
    entry<small::PutPutGet>(2, 3),
    entry<small::PutPut>(3, kAll),
    entry<small::PutTwicePut>(2, 3),
    entry<small::GetGet>(2, 3),
    entry<small::Batch>(2, 3),
    entry<small::Abort>(2, 3),
    entry<small::LeasePut>(2, 3),
    entry<small::TwoAroundALease>(3, 4),
    entry<small::LeaseTwice>(2, 3),
    entry<small::LeaseRequeue>(3, 4),
    entry<small::RequeueTwice>(2, 3),
    entry<small::WaitPut>(3, 5),
    entry<small::WaitPutShut>(2, 3),
    entry<small::WaitWaitPut>(1, 2),
    entry<small::PutWaitGet>(3, 4),
    entry<small::PutWaitLease>(2, 3),
    entry<small::PutWaitMove>(2, 3),
    entry<small::PutWaitPut>(2, 3),
    entry<small::WaitBusy>(3, kAll),
    entry<small::WaitRequeue>(3, 4),
    entry<small::Drained>(2, 3),
    entry<small::PutDies>(1, 2),
    entry<small::BatchDies>(2, 3),
    entry<small::GetDies>(2, 3),
    entry<small::TakerDies>(1, 2),
    entry<small::HolderDies>(2, 3),
    entry<small::RingerDies>(1, 2),
    entry<small::RecoverRecover>(1, 2),
    entry<small::LateRecoverer>(2, 3),
    entry<small::BatchPastALease>(1, 2),
    entry<small::CommitBehindAborted>(0, 0),
    entry<small::ShutDies>(1, 2),
    entry<small::LeaverDies>(1, 2),
    entry<small::UnfitPassesOn>(1, 2),
    entry<small::WaitRelease>(3, 4),
    entry<small::PutWaitFirst>(3, 4),
    entry<small::PutWaitAbort>(2, 3),
    entry<small::WaitAbort>(3, 4),
    entry<small::UnfitTwoPassOn>(0, 1),
    entry<small::JoinGetGet>(1, 2),
    entry<small::JoinJoinAck>(1, 2),
    entry<small::JoinRequeue>(1, 2),
    entry<small::JoinAbort>(2, 3),
    entry<small::JoinDies>(1, 2),
    entry<small::LastProducer>(1, 2),
    entry<small::WaitProducer>(1, 2),
    entry<small::ProducerDies>(1, 2),
    entry<small::DropRequeue>(1, 2),
    entry<small::DropPut>(2, 3),
    entry<small::DropBehind>(2, 3),
    entry<small::DropDies>(1, 2),
    entry<small::DropperDies>(2, 3),
    entry<small::SkipShut>(1, 2),
    entry<small::LeaseTwo>(2, 3),
    entry<small::LeaseOneOfTwo>(2, 3),
    entry<small::HolderOfTwoDies>(1, 2),
    entry<small::AbortedNote>(1, 2),
    entry<small::SkipWait>(0, 1),
    entry<small::PutWaitGathered>(4, kAll),
    entry<small::PutWaitLeaver>(3, kAll),
    entry<small::GathererDies>(1, 2),
    entry<small::LateProducer>(2, 3),
    entry<small::FollowUpPut>(3, kAll),
    entry<small::FollowUpGet>(1, 2),
    entry<small::WaitNewcomer>(3, kAll),
    entry<small::AsideDies>(2, 3),
};

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

bool named(const char* what, const char* name) { return std::strstr(what, name) != nullptr; }

}  // namespace

bool exhaust(const char* name, Form form, unsigned preemptions_asked) {
  bool good = true;
  for (const Entry& history : kHistories) {
    if (!named(history.name, name)) continue;
    const double start = seconds();
    const unsigned bound = form == Form::kAsked  ? std::min(preemptions_asked, kAll)
                           : form == Form::kLong ? history.long_bound
                                                 : history.bound;
    Result result;
    // From none up: what fails is shown with as few preemptions as it takes.
    for (unsigned preemptions = 0; preemptions <= bound; ++preemptions) {
      if (bound == kAll && preemptions == 2) preemptions = kAll;
      result = history.explore(preemptions, preemptions > 0);
      if (result.code != rl::test_result_success || !result.ended || !result.bounded) break;
    }
    const bool passed = result.code == rl::test_result_success;
    if (!passed) std::printf("%s\n", result.history.c_str());
    std::printf("  %-52s %10llu schedules: ", history.name, static_cast<unsigned long long>(result.schedules));
    if (!passed) {
      std::printf("%s", rl::test_result_str(result.code));
    } else if (!result.ended) {
      std::printf("THERE ARE MORE");
    } else if (result.bounded) {
      std::printf("all with up to %u preemptions", bound);
    } else {
      std::printf("all there are");
    }
    std::printf(", %.1f s\n", seconds() - start);
    std::fflush(stdout);
    good = good && passed && result.ended;
  }
  return good;
}

bool exhaust_until_noticed(const char* name) {
  for (unsigned preemptions = 0; preemptions <= 1; ++preemptions) {
    for (const Entry& history : kHistories) {
      if (!named(history.name, name) || preemptions > history.bound) continue;
      const Result result = history.explore(preemptions, false);
      if (result.code == rl::test_result_success) continue;
      std::printf("noticed by \"%s\": %s\n", history.name,
                  result.code == rl::test_result_user_assert_failed ? failure : rl::test_result_str(result.code));
      return false;
    }
  }
  return true;
}

bool exhaust_mutated(const char* name, unsigned bound) {
  bool good = true;
  const auto attempt = [&](const char* what) {
    if (!named(what, name)) return;
    const double start = seconds();
    for (unsigned preemptions = 0; preemptions <= bound; ++preemptions) {
      for (const Entry& history : kHistories) {
        const Result result = history.explore(preemptions, false);
        if (result.code == rl::test_result_success) continue;
        std::printf("  %-18s %s: %s in schedule %llu with up to %u preemptions, %.1f s\n", what, history.name,
                    rl::test_result_str(result.code), static_cast<unsigned long long>(result.schedules), preemptions,
                    seconds() - start);
        std::fflush(stdout);
        return;
      }
    }
    good = false;
    std::printf("  %-18s NOT NOTICED, %.1f s\n", what, seconds() - start);
    std::fflush(stdout);
  };
  for (int site = 0; site < static_cast<int>(Site::kCount); ++site) {
    mutation = {site};
    attempt(kSiteNames[site]);
  }
  mutation = Mutation();
  return good;
}

}  // namespace model
