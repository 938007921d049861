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

/// Time that goes by in pauses, and where the test says so.
struct Paused {
  using time_point = SpinClock::time_point;
  static inline time_point time;
  static inline int pauses = 0;
  static time_point now() { return time; }
  static void pause() {
    ++pauses;
    time += std::chrono::nanoseconds(50);
  }
};

struct Gatherer {
  Gathering<Paused, Paused> gathering;
  int asked = 0;

  /// Whether a take that brings `taken` items, and leaves `left`, waits before.
  bool take(uint32_t taken, uint32_t left = 0, uint32_t max = kMaxBatch) {
    Paused::pauses = 0;
    gathering.let_gather();
    gathering.took(taken, max, [&] {
      ++asked;
      return left;
    });
    return Paused::pauses > 0;
  }
};

TEST(a_consumer_that_keeps_pace_lets_items_gather) {
  Gatherer consumer;
  CHECK(!consumer.take(16));
  const auto close_since = Paused::time;
  CHECK(consumer.take(17));
  CHECK(Paused::time - close_since >= kGathering && Paused::time - close_since < 2 * kGathering);
  CHECK(!consumer.take(10, 6));  // one that is far enough behind does not wait
  CHECK(consumer.take(10, 7));
  CHECK(!consumer.take(1));
  Paused::time += kGathering;
  CHECK(!consumer.take(17));  // nor one that had something else to do meanwhile
  for (int take = 0; take < 8; ++take) {
    CHECK(!consumer.take(1));
    Paused::time += kGathering;
  }
  CHECK(!consumer.take(1) && consumer.take(1));  // of which nothing is learned
}

TEST(takes_that_bring_all_they_ask_for_are_looked_at_now_and_then) {
  Gatherer consumer;
  for (int take = 0; take < 255; ++take) CHECK(!consumer.take(1, 0, 1));
  CHECK(consumer.asked == 0);
  CHECK(!consumer.take(1, 15, 1) && consumer.asked == 1);
  CHECK(consumer.take(1, 100, 1) && consumer.asked == 2);  // whether the wait was worth it shows at once
  for (int take = 0; take < 255; ++take) CHECK(!consumer.take(1, 0, 1));
  CHECK(consumer.asked == 2);
  CHECK(!consumer.take(1, 16, 1) && consumer.asked == 3);
  for (int take = 0; take < 4; ++take) CHECK(!consumer.take(64, 0) && consumer.asked == 3 + (take == 3));
}

TEST(items_that_come_too_slowly_to_gather_are_soon_taken_at_once) {
  Gatherer consumer;
  consumer.take(1);
  int in_vain = 0;
  for (int take = 0; take < 4 + 64; ++take) in_vain += consumer.take(1);
  CHECK(in_vain == 4 + 2);  // and it seldom tries
  int takes = 0;
  while (!consumer.take(17)) {
    CHECK(++takes <= 32);
    consumer.take(1);
  }
  // And goes on as soon as it was worth it.
  for (int take = 0; take < 4; ++take) CHECK(!consumer.take(1) && consumer.take(17));
  // What comes after a moment that brought nothing is no reason to wait again.
  for (int take = 0; take < 4; ++take) {
    CHECK(!consumer.take(1));
    consumer.gathering.let_gather();
    consumer.gathering.took_nothing();
    CHECK(!consumer.take(17));
  }
  CHECK(!consumer.take(1) && !consumer.take(1));
}

TEST(who_takes_several_again_and_again_lets_items_gather) {
  auto queue = make(__func__);
  Item items[kMaxBatch];
  uint32_t taken = 0;
  const auto take_one = [&](uint32_t max) {
    CHECK(put(*queue, "a") == Outcome::kOk);
    CHECK(queue->take(max, items, &taken) == Outcome::kOk && taken == 1);
    queue->ack(items, taken);
  };
  // Neither a take that asks for one nor one that finds nothing is a try in vain.
  for (int take = 0; take < 6 * 256; ++take) take_one(1);
  for (int take = 0; take < 6; ++take) CHECK(queue->take(kMaxBatch, items, &(taken = 0)) == Outcome::kEmpty);
  for (int times = 0; times < 2; ++times) {
    const auto before = SpinClock::now();
    take_one(kMaxBatch);
    take_one(kMaxBatch);
    CHECK(SpinClock::now() - before >= kGathering);
  }
}

TEST(what_was_waited_for_in_vain_is_given_up_whatever_comes_with_a_burst_later) {
  auto queue = make(__func__, 32);
  Item items[kMaxBatch];
  uint32_t taken = 0;
  const auto take_all = [&](uint32_t count) {
    for (uint32_t item = 0; item < count; ++item) CHECK(put(*queue, "a") == Outcome::kOk);
    CHECK(queue->take(kMaxBatch, items, &taken) == Outcome::kOk && taken == count);
    queue->ack(items, taken);
  };
  auto least = SpinClock::duration::max();
  for (int burst = 0; burst < 24; ++burst) {
    take_all(1);
    const auto before = SpinClock::now();
    CHECK(queue->take(kMaxBatch, items, &(taken = 0)) == Outcome::kEmpty);
    if (burst >= 4) least = std::min(least, SpinClock::now() - before);
    take_all(20);
  }
  CHECK(least < kGathering / 2);
}

TEST(a_hand_takes_on_when_what_it_had_is_done_with) {
  auto queue = make(__func__);
  Hand hand;
  const auto put_one = [&] { CHECK(put(*queue, "a") == Outcome::kOk); };
  put_one();
  CHECK(hand.take(*queue, kMaxBatch) == Outcome::kOk);
  put_one();
  CHECK(hand.take_next(*queue, kMaxBatch) == Outcome::kOk && hand.left() == 1 && queue->received() == 1);
  CHECK(hand.take_next(*queue, 0) == Outcome::kEmpty && hand.empty() && queue->size() == 0);
  put_one();
  CHECK(hand.take_next(*queue, 0) == Outcome::kEmpty && hand.empty() && queue->size() == 1);
  CHECK(get(*queue) == "a");
}
