// Bells: who is rung, by whom, and who follows up a ring that may not have been heard.
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "core/waiting/waiters.h"
#include "simple.h"

using namespace sage;

TEST(a_bell_that_is_up_is_rung) {
  auto getter = make(__func__);
  auto putter = make(__func__);
  getter->begin_waiting(kGetters);
  CHECK(putter->totals().waiting_getters == 1);
  CHECK(put(*putter, "a") == Outcome::kOk);
  CHECK(getter->bell(kGetters) == Bell::kRung);
  CHECK(getter->rung(kGetters) == Step::kTry && get(*getter) == "a");
  CHECK(getter->tried(kGetters, true) == Step::kDone && getter->bell(kGetters) == Bell::kAwake);
}

TEST(a_handle_that_owes_a_follow_up_can_be_closed) {
  auto first = make(__func__);
  auto second = make(__func__);
  auto putter = make(__func__);
  first->begin_waiting(kGetters);
  second->begin_waiting(kGetters);
  CHECK(put(*putter, "a") == Outcome::kOk);  // rings one of two, and leaves the other to the watcher
  putter->close();
  putter.reset();
  auto newcomer = make(__func__);  // makes the watcher look at its clients
  newcomer->begin_waiting(kGetters);
  for (const auto* getter : {first.get(), second.get()}) {  // leaving woke those it owed a wake
    CHECK(getter->bell(kGetters) == Bell::kRung || getter->bell(kGetters) == Bell::kRungWithAll);
  }
  newcomer->stop_waiting(kGetters);
  CHECK(get(*first) == "a");
}

/// System calls of this process that wrote something.
long writes() {
  std::ifstream file("/proc/self/io");
  std::string name;
  long count = 0;
  while (file >> name >> count) {
    if (name == "syscw:") return count;
  }
  return 0;
}

TEST(a_stream_beside_waiters_that_do_not_answer_is_followed_up_again_and_again_and_not_for_each_item) {
  auto first = make(__func__, 32);
  auto second = make(__func__, 32);
  auto putter = make(__func__, 32);
  for (int round = 0; round < 3; ++round) {
    // The first is rung and does not come to it.
    for (auto* getter : {first.get(), second.get()}) {
      getter->rung(kGetters);
      getter->begin_waiting(kGetters);
    }
    const long before = writes();
    const auto start = std::chrono::steady_clock::now();
    for (int item = 0; item < 20; ++item) CHECK(put(*putter, "a") == Outcome::kOk);
    const auto took = std::chrono::steady_clock::now() - start;
    if (took < std::chrono::milliseconds(kFollowUpMs)) CHECK(writes() - before < 10);
    while (second->bell(kGetters) == Bell::kInLoop &&
           std::chrono::steady_clock::now() - start < std::chrono::seconds(10)) {
      std::this_thread::yield();
    }
    CHECK(second->bell(kGetters) != Bell::kInLoop);  // rung alone where the puts took longer than a ring counts
    while (get(*putter) == "a") {
    }
  }
  for (auto* getter : {first.get(), second.get()}) getter->stop_waiting(kGetters);
}

/// Getters that sleep, and no more of a queue than says so.
struct Sleepers {
  struct Words {
    Control<StdMemory> control;
    Participant<StdMemory> participants[4];
  };
  const std::unique_ptr<Words> words = std::make_unique<Words>();

  explicit Sleepers(uint32_t count) {
    words->control.participant_high.store(count + 1);
    for (uint32_t index = 1; index <= count; ++index) {
      Handle waiter;
      waiter.index = index;
      words->participants[index].identity.store(Identity::make(index, 1, Identity::kLive));
      Waiters<StdMemory>(shared()).put_up(waiter, kGetters, Bell::kInLoop);
    }
  }
  SharedState<StdMemory> shared() const {
    SharedState<StdMemory> state;
    state.control = &words->control;
    state.participants = words->participants;
    return state;
  }
};

TEST(who_was_rung_by_one_that_died_before_it_rang_is_rung_again) {
  Sleepers sleepers(1);
  Waiters<StdMemory> waiters(sleepers.shared());
  Participant<StdMemory>& entry = sleepers.words->participants[1];
  entry.bell[kGetters].store(Bell::kRung);  // what a ringer leaves that dies at this instant
  entry.rung_ms[kGetters].store(1000);
  int rings = 0;
  const auto ring = [&](uint32_t index, uint32_t) {
    rings += index == 1;
    return true;
  };
  CHECK(waiters.wake(kGetters, false, 1001, ring) && rings == 0);  // somebody has to follow up
  CHECK(waiters.anybody(kGetters));
  CHECK(!waiters.wake(kGetters, true, 1003, ring) && rings == 1);
  CHECK(!waiters.anybody(kGetters));
}

TEST(who_cannot_be_rung_is_followed_up_and_the_next_one_is_rung_instead) {
  const Sleepers sleepers(2);
  Waiters<StdMemory> waiters(sleepers.shared());
  int rung[3] = {0, 0, 0};
  const auto ring = [&](uint32_t index, uint32_t) { return ++rung[index] > 0 && index == 2; };
  CHECK(waiters.wake(kGetters, false, 1000, ring) && rung[1] == 1 && rung[2] == 1);
  CHECK(waiters.wake(kGetters, true, 1003, ring) && rung[1] == 2 && waiters.anybody(kGetters));
}

TEST(who_wakes_all_others_and_sleeps_itself_is_seen_by_who_comes_next) {
  const Sleepers sleepers(2);
  Waiters<StdMemory> waiters(sleepers.shared());
  int rung[3] = {0, 0, 0};
  const auto ring = [&](uint32_t index, uint32_t) { return ++rung[index] > 0; };
  CHECK(!waiters.wake(kGetters, true, 1000, ring, 1) && rung[1] == 0 && rung[2] == 1);
  CHECK(waiters.anybody(kGetters));
  waiters.wake(kGetters, false, 1003, ring);
  CHECK(rung[1] == 1);
}

TEST(a_mark_lowered_late_lowers_nothing_that_was_raised_since) {
  const uint64_t seen = Mark::raised(0);
  const uint64_t since = Mark::raised(Mark::lowered(seen));
  CHECK(Mark::is_up(seen) && !Mark::is_up(Mark::lowered(seen)) && Mark::is_up(since) && since != seen);
}
