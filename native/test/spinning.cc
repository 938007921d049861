// Who waits awake, for how long, and where that is given up.
#include "core/handle/hand.h"
#include "core/waiting/spin.h"
#include "simple.h"

using namespace sage;

TEST(a_wait_looks_again_where_items_come_one_by_one_and_soon) {
  Spin spin;
  uint64_t received = 0;
  bool there = true;
  const auto looks = [&] {
    int count = 0;
    spin.look_again(received, [&] { return ++count > 0 && there; });
    return count;
  };
  for (; received < 10; ++received) CHECK(looks() == 1);
  received += 5;
  CHECK(looks() == 0);  // a stream
  ++received;
  CHECK(looks() == 1);
  there = false;
  int tries = 0;
  for (int wait = 0; wait < 4 + 64; ++wait) tries += looks() > 0;
  CHECK(tries == 4 + 2);  // what has long to wait soon stops looking, and seldom tries
  there = true;
  int waits = 0;
  while (looks() == 0) CHECK(++waits <= 32);
  CHECK(looks() == 1);  // and goes on as soon as it was worth it
}

/// Memory that counts the pauses.
struct Paused {
  static inline int pauses = 0;
  static void pause() { ++pauses; }
};

TEST(a_consumer_that_keeps_pace_lets_items_gather_while_that_brings_many) {
  Gathering<Paused> gathering;
  // Whether a take that brings so many, or `gathered` where it waits, waits.
  const auto waits = [&](uint32_t taken, uint32_t max = kMaxBatch, uint32_t gathered = 0) {
    Paused::pauses = 0;
    const auto before = SpinClock::now();
    gathering.let_gather(max);
    const bool waited = Paused::pauses > 0;
    if (waited) CHECK(SpinClock::now() - before >= kGathering);
    gathering.took(waited && gathered > 0 ? gathered : taken, max);
    return waited;
  };
  CHECK(!waits(16));
  for (int take = 0; take < 10; ++take) CHECK(waits(17) && !waits(16));  // one that is far enough behind does not wait
  CHECK(!waits(1, 1) && !waits(16));                                     // nor one that may not take more
  CHECK(waits(2, 2) && !waits(16));                                      // that took all it might says nothing
  CHECK(waits(0) && !waits(16));                                         // there was nothing: the next one begins anew
  CHECK(waits(17) && !waits(16));
  int in_vain = 0;
  for (int take = 0; take < 4 + 64; ++take) in_vain += waits(16);
  CHECK(in_vain == 4 + 2);  // what comes slowly is soon taken at once, and it seldom tries
  int takes = 0;
  while (!waits(16, kMaxBatch, 17)) CHECK(++takes <= 32);
  CHECK(!waits(16) && waits(16));  // and goes on as soon as it was worth it
}

TEST(who_reads_on_lets_items_gather) {
  auto queue = make(__func__);
  Hand hand;
  const auto takes_at_once = [&] {
    const auto before = SpinClock::now();
    CHECK(hand.take_next(*queue, kMaxBatch) == Outcome::kOk && hand.left() == 1);
    return SpinClock::now() - before < kGathering;
  };
  const auto put_one = [&] { CHECK(put(*queue, "a") == Outcome::kOk); };
  put_one();
  CHECK(hand.take(*queue, kMaxBatch) == Outcome::kOk);
  put_one();
  takes_at_once();
  for (int take = 0; take < 4; ++take) {
    put_one();
    CHECK(!takes_at_once());
    CHECK(queue->received() == static_cast<uint64_t>(take) + 2);  // what it had in hand is done with
  }
  CHECK(hand.take_next(*queue, 0) == Outcome::kEmpty && hand.empty() && queue->size() == 0);
  put_one();
  CHECK(hand.take_next(*queue, 0) == Outcome::kEmpty && hand.empty() && queue->size() == 1);
  CHECK(get(*queue) == "a");
}
