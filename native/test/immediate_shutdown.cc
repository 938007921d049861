// An immediate shutdown: nobody takes any more, and nothing stays in the queue, also of what comes back to it later.
// Who waits for the end of all work learns of it.
#include "handles.h"

using namespace sage;

namespace {

/// The end, as everybody sees it: joined and empty, and who slept until then was rung.
void check_over(Handles& handles, uint32_t joiner) {
  const SageQueue<StdMemory>& queue = handles.path(4).algorithm();
  CHECK(queue.drained() && queue.used() == 0 && queue.used_bytes() == 0);
  const Rung rung = handles.process.since();
  CHECK(std::find(rung.begin(), rung.end(), Rung::value_type{joiner, kJoiners}) != rung.end());
  CHECK(handles.get(2) == Outcome::kShut && handles.put(2) == Outcome::kShut);
}

/// A joiner sleeps beside what is in somebody's hand when the queue is shut down.
void sleep_through_the_shutdown(Handles& handles, uint32_t joiner) {
  handles.path(4).shut_down(true);
  CHECK(!handles.path(4).algorithm().drained());
  handles.sleep(joiner, kJoiners);
  handles.process.rung.clear();
}

}  // namespace

TEST(an_immediate_shutdown_leaves_nothing_in_use_of_what_was_requeued_or_never_taken) {
  Handles handles(4);
  for (int item = 0; item < 3; ++item) CHECK(handles.put(4) == Outcome::kOk);
  Item leased;
  Item taken;
  uint32_t count = 0;
  CHECK(handles.lease(1, &leased) == Outcome::kOk);
  CHECK(handles.path(2).take(1, &taken, &count, ~uint64_t{0}) == Outcome::kOk);
  handles.path(1).requeue(&leased, 1);
  handles.path(2).requeue(&taken, 1);
  handles.path(4).shut_down(true);
  CHECK(handles.path(4).algorithm().used() == 0 && handles.path(4).algorithm().drained());
}

TEST(a_get_after_an_immediate_shutdown_is_told_so_while_somebody_holds_an_item) {
  Handles handles;
  Item leased;
  CHECK(handles.put(1) == Outcome::kOk && handles.lease(1, &leased) == Outcome::kOk);
  handles.path(4).shut_down(true);
  CHECK(!handles.path(4).algorithm().drained());
  CHECK(handles.get(2) == Outcome::kShut);
}

TEST(what_is_committed_after_an_immediate_shutdown_is_dropped) {
  Handles handles;
  Item claim;
  CHECK(handles.path(1).claim(16, 1, &claim) == Outcome::kOk);
  sleep_through_the_shutdown(handles, 3);
  handles.path(1).commit(claim);
  check_over(handles, 3);
}

TEST(an_aborted_claim_after_an_immediate_shutdown_shows_nothing_behind_it) {
  Handles handles;
  Item claim;
  CHECK(handles.path(1).claim(16, 1, &claim) == Outcome::kOk && handles.put(2) == Outcome::kOk);
  sleep_through_the_shutdown(handles, 3);
  handles.path(1).abort(claim);
  check_over(handles, 3);
}

TEST(what_is_requeued_after_an_immediate_shutdown_is_dropped) {
  for (const bool on_lease : {true, false}) {
    Handles handles(4);
    Item items[2];
    uint32_t count = 0;
    for (int item = 0; item < 2; ++item) CHECK(handles.put(4) == Outcome::kOk);
    if (on_lease) {
      CHECK(handles.path(1).lease(2, items, &count, ~uint64_t{0}) == Outcome::kOk && count == 2);
    } else {
      CHECK(handles.path(1).take(2, items, &count, ~uint64_t{0}) == Outcome::kOk && count == 2);
    }
    sleep_through_the_shutdown(handles, 3);
    handles.path(1).requeue(items, 2);
    check_over(handles, 3);
  }
}

TEST(what_is_acked_after_an_immediate_shutdown_ends_it_as_well) {
  Handles handles;
  Item item;
  CHECK(handles.put(4) == Outcome::kOk && handles.lease(1, &item) == Outcome::kOk);
  sleep_through_the_shutdown(handles, 3);
  handles.path(1).ack(&item, 1);
  check_over(handles, 3);
}

TEST(what_the_dead_held_after_an_immediate_shutdown_is_dropped) {
  Handles handles(4);
  Item item;
  CHECK(handles.put(4) == Outcome::kOk && handles.lease(1, &item) == Outcome::kOk);
  CHECK(handles.path(1).claim(16, 1, &item) == Outcome::kOk && handles.put(4) == Outcome::kOk);
  sleep_through_the_shutdown(handles, 3);
  CHECK(handles.recover(4, 1));
  check_over(handles, 3);
}

TEST(who_leaves_after_an_immediate_shutdown_leaves_nothing_in_it) {
  Handles handles(4);
  Item item;
  CHECK(handles.put(4) == Outcome::kOk && handles.lease(1, &item) == Outcome::kOk);
  sleep_through_the_shutdown(handles, 3);
  handles.path(1).leave();
  check_over(handles, 3);
}

TEST(an_onlooker_takes_nothing_and_leaves_the_drop_to_who_is_rung) {
  Handles handles;
  Item item;
  CHECK(handles.put(4) == Outcome::kOk && handles.lease(1, &item) == Outcome::kOk);
  sleep_through_the_shutdown(handles, 3);
  ItemPath<StdMemory, Process> onlooker(handles.shared, handles.process);
  CHECK(onlooker.recover_if_dead(1, [](uint64_t) { return true; }));
  CHECK(!handles.path(4).algorithm().drained() && handles.process.rung == Rung({{3, kJoiners}}));
  handles.path(3).drop_all();
  CHECK(handles.path(4).algorithm().drained());
}

TEST(a_drop_that_finds_nothing_rings_nobody) {
  Handles handles;
  Item item;
  CHECK(handles.put(4) == Outcome::kOk && handles.lease(1, &item) == Outcome::kOk);
  sleep_through_the_shutdown(handles, 3);
  handles.path(2).drop_all();  // else two that ask, each rung by the other, would ask for ever
  CHECK(handles.process.rung.empty());
  handles.path(1).requeue(&item, 1);
  check_over(handles, 3);
}

TEST(a_queue_shut_down_at_once_beside_a_lease_is_joined_when_that_is_released) {
  auto queue = make("shut-at-once", 1);
  Item item;
  CHECK(put(*queue, "x") == Outcome::kOk && queue->lease(&item) == Outcome::kOk);
  queue->shut_down(true);
  CHECK(!queue->joined() && queue->full());
  queue->release_lease(item);
  CHECK(queue->joined() && !queue->full());
}
