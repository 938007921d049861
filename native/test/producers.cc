// The end of a queue: by its last producer, as each word says it, and for those who wait for the end of all work.
#include "handles.h"

using namespace sage;

namespace {

struct Producing : Handles {
  bool ended() { return (shared.control->tail.load() & Cursor::kShut) != 0; }
  uint32_t ending() { return shared.control->ending.load(); }
};

}  // namespace

TEST(the_last_of_those_expected_ends_the_queue_and_says_so) {
  Producing handles;
  CHECK(handles.path(1).produce(2) && handles.path(1).producers() == 1);
  handles.path(1).leave();
  CHECK(handles.path(1).producers() == 0 && !handles.ended());
  CHECK(handles.path(2).produce(2) && handles.path(3).produce(1));
  handles.path(2).leave();
  CHECK(!handles.ended());
  handles.sleep(4, kGetters);
  handles.path(3).leave();
  CHECK(handles.ended() && handles.ending() == Ending::kEnded);
  const Rung rung = handles.process.since();
  CHECK(std::find(rung.begin(), rung.end(), Rung::value_type{4, kGetters}) != rung.end());
  CHECK(handles.get(4) == Outcome::kShut && handles.ending() == (Ending::kEnded | Ending::kSeen));
  CHECK(handles.get(4) == Outcome::kShut);
}

TEST(where_a_producer_died_the_end_says_that) {
  Producing handles;
  CHECK(handles.path(1).produce(2) && handles.path(2).produce(2));
  handles.path(2).leave();
  CHECK(handles.recover(4, 1));
  CHECK(handles.ended() && handles.ending() == (Ending::kEnded | Ending::kLost));
  CHECK(handles.get(4) == Outcome::kLost && handles.get(4) == Outcome::kLost);
}

TEST(who_ends_without_closing_is_lost_and_readers_are_rung) {
  Producing handles;
  CHECK(handles.path(1).produce(3) && handles.path(1).produce(1) && handles.path(2).produce(1));
  handles.path(2).leave();
  handles.sleep(4, kGetters);
  handles.path(1).abandon_producers();
  CHECK(handles.path(1).producers() == 0 && handles.ending() == (Ending::kEnded | Ending::kLost));
  const uint64_t word = handles.path(1).self().producers.load();
  CHECK(Producers::closed(word) == 0 && Producers::lost(word) == 2 && Producers::open(word) == 0);
  const Rung rung = handles.process.since();
  CHECK(std::find(rung.begin(), rung.end(), Rung::value_type{4, kGetters}) != rung.end());
  handles.path(1).leave();
  CHECK(handles.get(4) == Outcome::kLost);
}

TEST(who_comes_to_a_queue_that_has_ended_is_no_producer) {
  Producing handles;
  handles.path(4).shut_down(false);
  CHECK(!handles.path(1).produce(1) && handles.path(1).producers() == 0);
  CHECK(Producers::come(handles.path(1).self().producers.load()) == 1);
  CHECK(Producers::open(handles.path(1).self().producers.load()) == 0);
}

TEST(a_queue_that_was_shut_down_before_did_not_end_with_its_producers) {
  Producing handles;
  CHECK(handles.path(1).produce(1));
  handles.path(4).shut_down(false);
  handles.path(1).leave();
  CHECK(handles.ending() == 0 && handles.get(4) == Outcome::kShut && handles.ending() == 0);
}

TEST(who_expects_nobody_ends_nothing_and_who_is_none_counts_for_none) {
  Producing handles;
  CHECK(handles.path(1).produce(0));
  handles.path(1).leave();
  CHECK(!handles.ended());
  handles.shared.participants[2].bell_inode.store(7);
  handles.path(2).leave();
  CHECK(handles.shared.participants[2].producers.load() == 0 && handles.shared.participants[2].bell_inode.load() == 0);
  CHECK(handles.path(3).produce(1));
  handles.path(3).join_at(2);
  CHECK(handles.path(3).producers() == 0);
}

TEST(the_end_of_all_work_rings_all_joiners_and_no_getter) {
  Handles handles;
  Item item;
  uint32_t taken = 0;
  CHECK(handles.put(4) == Outcome::kOk);
  CHECK(handles.path(4).take(1, &item, &taken, ~uint64_t{0}) == Outcome::kOk);
  handles.sleep(1, kJoiners);
  handles.sleep(2, kJoiners);
  handles.sleep(3, kGetters);
  handles.waking(4).follow_up(kJoiners);
  CHECK(handles.process.rung.empty());
  handles.path(4).ack(&item, 1);
  CHECK(handles.process.since() == Rung({{1, kJoiners}, {2, kJoiners}}));
  handles.waking(4).follow_up(kJoiners);
  CHECK(handles.process.since() == Rung({{1, kJoiners}, {2, kJoiners}}));
}

TEST(who_leaves_wakes_putters_also_of_a_full_queue) {
  Handles handles;
  CHECK(handles.put(4) == Outcome::kOk && handles.put(4) == Outcome::kOk);
  handles.sleep(1, kPutters);
  handles.path(2).leave();
  CHECK(handles.process.since() == Rung({{1, kPutters}}));
}

TEST(what_ended_on_lease_is_in_nobodys_hand) {
  Handles handles;
  Item item;
  for (const bool acked : {true, false}) {
    CHECK(handles.put(4) == Outcome::kOk);
    handles.sleep(3, kGetters);
    CHECK(handles.lease(2, &item) == Outcome::kOk && handles.process.since().empty());
    handles.waking(3).stop(kGetters);
    if (acked) {
      handles.path(2).ack(&item, 1);
    } else {
      handles.path(2).requeue(&item, 1);
      CHECK(handles.get(4) == Outcome::kOk);
    }
  }
  handles.sleep(3, kGetters);
  handles.path(2).leave();
  CHECK(handles.process.rung.empty());
  handles.path(4).shut_down(false);
  CHECK(handles.lease(4, &item) == Outcome::kShut);
}
