// When a putter of a full queue is rung: for a quarter of what is there, taken in one go, or at once.
#include "handles.h"

using namespace sage;

/// Twelve items, and a putter that sleeps.
struct Full : Handles {
  Full() : Handles(12) { refill(); }
  /// The putter has filled the queue again and sleeps; what was due has come, or not yet.
  void refill(bool followed_up = true) {
    waking(1).stop(kPutters);
    if (followed_up) follow_up(4, kPutters);
    while (put(3) == Outcome::kOk) {
    }
    sleep(1, kPutters);
    process.since();
    process.follow_ups.clear();
  }
  size_t follow_ups() {
    const size_t count = process.follow_ups.size();
    process.follow_ups.clear();
    return count;
  }
};

TEST(a_putter_is_rung_for_a_quarter_of_what_is_there_in_one_go) {
  Full full;
  for (int round = 0; round < 8; ++round) {
    const bool due = round % 2 == 1;  // before the first is taken
    for (int item = 0; item < 2; ++item) {
      CHECK(full.get(4) == Outcome::kOk);
      CHECK(full.process.since().empty() && full.follow_ups() == (due || item > 0 ? 0 : 1));
    }
    CHECK(full.get(4) == Outcome::kOk);
    CHECK(full.process.since() == Rung({{1, kPutters}}) && full.follow_ups() == 0);
    full.refill(due);
  }
  Item items[3];
  uint32_t taken = 0;
  CHECK(full.path(4).take(3, items, &taken, ~uint64_t{0}) == Outcome::kOk && taken == 3);
  full.path(4).ack_first(items, taken);
  CHECK(full.process.since().empty() && full.follow_ups() == 1);
  full.path(4).ack(items + 1, taken - 1);
  CHECK(full.process.since() == Rung({{1, kPutters}}) && full.follow_ups() == 0);
}

TEST(a_putter_is_rung_at_once_where_nobody_can_follow_up) {
  Full full;
  full.process.can_follow_up = false;
  CHECK(full.get(4) == Outcome::kOk);
  CHECK(full.process.since() == Rung({{1, kPutters}}) && full.follow_ups() == 1);
  full.process.can_follow_up = true;  // whoever is next asks anew
  full.refill(false);
  CHECK(full.get(4) == Outcome::kOk);
  CHECK(full.process.since().empty() && full.follow_ups() == 1);
}

TEST(a_putter_is_rung_at_once_for_space_that_no_take_brought) {
  Full full;
  full.waking(4).space_appeared();
  CHECK(full.process.since() == Rung({{1, kPutters}}) && full.follow_ups() == 0);
}

TEST(what_comes_so_slowly_that_the_follow_up_is_first_is_told_of_at_once) {
  Full full;
  bool followed_up = true;  // before the next item is taken
  // One item; the putter then finds space and has filled the queue again.
  const auto is_rung_for_one = [&](size_t follow_ups) {
    CHECK(full.get(4) == Outcome::kOk);
    CHECK(full.follow_ups() == follow_ups);
    const bool rung = !full.process.since().empty();
    full.refill(followed_up);
    return rung;
  };
  for (int in_vain = 0; in_vain < 3; ++in_vain) CHECK(!is_rung_for_one(1) && is_rung_for_one(1));
  followed_up = false;
  CHECK(!is_rung_for_one(1));
  CHECK(!is_rung_for_one(0));
  followed_up = true;
  CHECK(is_rung_for_one(0));  // in the end it is a quarter
  for (int in_vain = 0; in_vain < 4; ++in_vain) CHECK(!is_rung_for_one(1) && is_rung_for_one(1));
  for (int time = 1; time < 32; ++time) CHECK(is_rung_for_one(0));
  followed_up = false;
  CHECK(!is_rung_for_one(1));
  CHECK(!is_rung_for_one(0));  // once tried, to its end
}

TEST(what_the_follow_up_puts_off_nobody_relies_on) {
  Full full;
  full.process.can_ring = false;
  full.follow_up(4, kPutters);
  CHECK(full.process.since() == Rung({{1, kPutters}}) && full.follow_ups() == 1);
  full.process.can_ring = true;
  full.refill(false);
  CHECK(full.get(4) == Outcome::kOk);
  CHECK(full.process.since().empty() && full.follow_ups() == 1);  // one that comes in time
}

TEST(who_joins_anew_relies_on_nothing_that_was_due_before) {
  Full full;
  CHECK(full.get(4) == Outcome::kOk);
  CHECK(full.process.since().empty() && full.follow_ups() == 1);
  full.path(4).join_at(4);
  CHECK(full.get(4) == Outcome::kOk);
  CHECK(full.process.since() == Rung({{1, kPutters}}) && full.follow_ups() == 1);  // the follow-up is new
}
