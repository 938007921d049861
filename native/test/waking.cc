// Who is rung after what, and who passes a wake on: the steps of WakeProtocol beside peers that only write down who was
// rung. That nobody is forgotten is the model's business; here nobody is woken for nothing, either.
#include "handles.h"

using namespace sage;

TEST(an_item_rings_one_of_those_that_sleep_and_leaves_the_others_to_a_follow_up) {
  Handles handles;
  for (const uint32_t index : {1, 2, 3}) handles.sleep(index, kGetters);
  CHECK(handles.put(4) == Outcome::kOk);
  CHECK(handles.process.since() == Rung({{1, kGetters}}));
  CHECK(handles.process.follow_ups == std::vector<Direction>({kGetters}));
  CHECK(handles.bell(1, kGetters) == Bell::kRung && handles.bell(2, kGetters) == Bell::kInLoop);
}

TEST(free_space_rings_one_of_those_that_sleep) {
  Handles handles;
  CHECK(handles.put(4) == Outcome::kOk && handles.put(4) == Outcome::kOk);
  for (const uint32_t index : {1, 2}) handles.sleep(index, kPutters);
  CHECK(handles.get(4) == Outcome::kOk);
  CHECK(handles.process.since() == Rung({{1, kPutters}}));
}

TEST(a_ring_that_may_still_be_answered_serves_what_comes_next) {
  Handles handles;
  for (const uint32_t index : {1, 2}) handles.sleep(index, kGetters);
  CHECK(handles.put(4) == Outcome::kOk);
  CHECK(handles.process.since() == Rung({{1, kGetters}}));
  handles.process.now_ms += kFollowUpMs - 1;
  handles.waking(4).item_appeared();
  CHECK(handles.process.since().empty());
  handles.process.now_ms += 1;
  handles.waking(4).item_appeared();
  CHECK(handles.process.since() == Rung({{2, kGetters}}));
}

TEST(a_ring_serves_what_comes_next_wherever_its_entry_lies) {
  Handles handles;
  handles.sleep(3, kGetters);
  CHECK(handles.put(4) == Outcome::kOk);
  CHECK(handles.process.since() == Rung({{3, kGetters}}));
  handles.shared.participants[1].bell[kGetters].store(Bell::kInLoop);  // it looked before the item was there
  handles.waking(1).waiters().raise(kGetters);
  handles.waking(4).item_appeared();
  CHECK(handles.process.since().empty());
  CHECK(handles.process.follow_ups == std::vector<Direction>({kGetters}));
  handles.shared.participants[3].identity.store(0);  // whoever was rung has left, and its bell says so for ever
  handles.waking(4).item_appeared();
  CHECK(handles.process.since() == Rung({{1, kGetters}}));
}

TEST(as_many_items_as_waiters_that_come_at_once_wake_all_of_them_without_a_follow_up) {
  Handles handles(4);
  for (const uint32_t index : {1, 2, 3}) handles.sleep(index, kGetters);
  for (int item = 0; item < 3; ++item) CHECK(handles.put(4) == Outcome::kOk);
  CHECK(handles.process.since() == Rung({{1, kGetters}}));
  for (const uint32_t index : {1, 2, 3}) {
    CHECK(handles.waking(index).rung(kGetters) == Step::kTry && handles.get(index) == Outcome::kOk);
    CHECK(handles.waking(index).tried(kGetters, Bell::kInLoop, true) == Step::kDone);
    CHECK(handles.process.since() == (index < 3 ? Rung({{index + 1, kGetters}}) : Rung()));
  }
}

TEST(who_cannot_be_rung_serves_nobody) {
  Handles handles;
  for (const uint32_t index : {1, 2}) handles.sleep(index, kGetters);
  handles.process.can_ring = false;
  CHECK(handles.put(4) == Outcome::kOk);
  CHECK(handles.process.since() == Rung({{1, kGetters}, {2, kGetters}}));
  CHECK(handles.process.follow_ups == std::vector<Direction>({kGetters}));
}

TEST(nobody_is_rung_where_nobody_sleeps) {
  Handles handles;
  CHECK(handles.put(4) == Outcome::kOk && handles.get(4) == Outcome::kOk);
  handles.waking(4).follow_up(kGetters);
  CHECK(handles.process.rung.empty() && handles.process.follow_ups.empty());
}

TEST(an_entry_that_is_free_is_not_rung) {
  Handles handles;
  handles.sleep(1, kGetters);
  handles.shared.participants[1].identity.store(0);  // its owner died asleep
  CHECK(handles.put(4) == Outcome::kOk);
  CHECK(handles.process.rung.empty());
  CHECK(!handles.waking(4).waiters().anybody(kGetters));
}

TEST(shutdown_rings_all_and_so_does_the_last_item_of_a_queue_that_is_shut_down) {
  Handles handles;
  CHECK(handles.put(4) == Outcome::kOk && handles.put(4) == Outcome::kOk);
  for (const uint32_t index : {1, 2}) handles.sleep(index, kGetters);
  for (const uint32_t index : {2, 3}) handles.sleep(index, kPutters);
  handles.path(4).shut_down(false);
  CHECK(handles.process.since() == Rung({{1, kGetters}, {2, kGetters}, {2, kPutters}, {3, kPutters}}));
  CHECK(handles.bell(1, kGetters) == Bell::kRungWithAll);
  for (const uint32_t index : {1, 2}) handles.sleep_again(index, kGetters);
  CHECK(handles.get(4) == Outcome::kOk);
  CHECK(handles.process.since().empty());
  CHECK(handles.get(4) == Outcome::kOk);
  CHECK(handles.process.since() == Rung({{1, kGetters}, {2, kGetters}}));
}

TEST(who_was_rung_alone_and_is_served_passes_the_rest_on_to_one) {
  Handles handles;
  for (const uint32_t index : {1, 2, 3}) handles.sleep(index, kGetters);
  CHECK(handles.put(4) == Outcome::kOk && handles.put(4) == Outcome::kOk);
  CHECK(handles.process.since() == Rung({{1, kGetters}}));
  CHECK(handles.waking(1).rung(kGetters) == Step::kTry && handles.get(1) == Outcome::kOk);
  CHECK(handles.waking(1).tried(kGetters, Bell::kInLoop, true) == Step::kDone);
  CHECK(handles.process.since() == Rung({{2, kGetters}}));
  CHECK(handles.bell(1, kGetters) == Bell::kAwake && handles.bell(3, kGetters) == Bell::kInLoop);
}

TEST(who_was_rung_alone_and_leaves_passes_it_on_once) {
  Handles handles;
  for (const uint32_t index : {1, 2, 3}) handles.sleep(index, kGetters);
  CHECK(handles.put(4) == Outcome::kOk);
  handles.process.rung.clear();
  handles.waking(1).stop(kGetters);
  CHECK(handles.process.since() == Rung({{2, kGetters}}));
  handles.sleep(1, kGetters);
  handles.waking(1).stop(kGetters);
  CHECK(handles.process.since().empty());
}

TEST(nothing_is_passed_on_where_nothing_is_left) {
  Handles handles;
  for (const uint32_t index : {1, 2}) handles.sleep(index, kGetters);
  CHECK(handles.put(4) == Outcome::kOk);
  handles.process.rung.clear();
  CHECK(handles.waking(1).rung(kGetters) == Step::kTry && handles.get(1) == Outcome::kOk);
  CHECK(handles.waking(1).tried(kGetters, Bell::kInLoop, true) == Step::kDone);
  CHECK(handles.process.rung.empty());

  for (const uint32_t index : {1, 3}) handles.sleep(index, kPutters);
  CHECK(handles.put(4) == Outcome::kOk && handles.put(4) == Outcome::kOk && handles.get(4) == Outcome::kOk);
  handles.process.rung.clear();
  CHECK(handles.waking(1).rung(kPutters) == Step::kTry && handles.put(1) == Outcome::kOk);
  handles.process.rung.clear();  // the item's
  CHECK(handles.waking(1).tried(kPutters, Bell::kInLoop, true) == Step::kDone);
  CHECK(handles.process.rung.empty());
}

TEST(free_space_that_the_bytes_of_one_item_fill_is_passed_on_to_nobody) {
  Handles handles;
  CHECK(handles.put(4, 64 * kUnitBytes) == Outcome::kOk);
  for (const uint32_t index : {1, 2}) handles.sleep(index, kPutters);
  CHECK(handles.get(4) == Outcome::kOk);
  CHECK(handles.process.since() == Rung({{1, kPutters}}));
  CHECK(handles.waking(1).rung(kPutters) == Step::kTry && handles.put(1, 64 * kUnitBytes) == Outcome::kOk);
  CHECK(handles.waking(1).tried(kPutters, Bell::kInLoop, true) == Step::kDone);
  CHECK(handles.process.rung.empty());
}

TEST(who_cannot_use_its_wake_passes_it_on_to_all_others_and_they_pass_it_on_to_nobody) {
  Handles handles;
  CHECK(handles.put(4) == Outcome::kOk && handles.put(4) == Outcome::kOk);
  for (const uint32_t index : {1, 2, 3}) handles.sleep(index, kPutters);
  CHECK(handles.get(4) == Outcome::kOk);
  CHECK(handles.process.since() == Rung({{1, kPutters}}));
  handles.sleep_again(1, kPutters);
  CHECK(handles.process.since() == Rung({{2, kPutters}, {3, kPutters}}));  // and not to itself
  for (const uint32_t index : {2, 3}) handles.sleep_again(index, kPutters);
  handles.waking(3).stop(kPutters);
  CHECK(handles.process.rung.empty());
}

TEST(a_wake_that_came_before_the_bell_was_put_up_anew_is_still_owed) {
  Handles handles;
  for (const uint32_t index : {1, 2}) handles.sleep(index, kGetters);
  CHECK(handles.put(4) == Outcome::kOk);
  handles.process.rung.clear();
  CHECK(handles.waking(1).begin(kGetters, Bell::kOnFutex) == Step::kTry);  // a call that blocks, beside one that awaits
  handles.waking(1).stop(kGetters);
  CHECK(handles.process.rung == Rung({{2, kGetters}}));
}

TEST(a_follow_up_rings_all_where_there_is_something_to_wake_for) {
  Handles handles;
  handles.sleep(1, kGetters);
  handles.waking(4).follow_up(kGetters);
  CHECK(handles.process.since().empty());
  handles.waking(1).stop(kGetters);
  CHECK(handles.put(4) == Outcome::kOk);
  for (const uint32_t index : {1, 2}) handles.sleep(index, kGetters);
  handles.waking(4).follow_up(kGetters);
  CHECK(handles.process.since() == Rung({{1, kGetters}, {2, kGetters}}));
  for (const uint32_t index : {1, 2}) handles.sleep(index, kPutters);
  handles.waking(4).follow_up(kPutters);
  CHECK(handles.process.since() == Rung({{1, kPutters}, {2, kPutters}}));
  CHECK(handles.get(4) == Outcome::kOk);
  handles.process.rung.clear();
  handles.waking(4).follow_up(kPutters);  // nothing to get, but room
  CHECK(handles.process.since() == Rung({{1, kPutters}, {2, kPutters}}));
  handles.path(4).shut_down(false);
  handles.process.rung.clear();
  handles.sleep(3, kGetters);
  handles.waking(4).follow_up(kGetters);  // it may have been overtaken by the wake of the shutdown
  CHECK(!handles.process.rung.empty());
}

TEST(who_leaves_wakes_all_for_what_is_there) {
  Handles handles;
  for (const uint32_t index : {1, 3}) handles.sleep(index, kGetters);
  handles.path(3).leave();
  CHECK(handles.process.since().empty() && handles.bell(3, kGetters) == Bell::kAwake);
  CHECK(handles.shared.participants[3].identity.load() == 0);
  handles.waking(1).stop(kGetters);
  handles.sleep(1, kPutters);
  handles.path(2).leave();  // nothing to get, but room
  CHECK(handles.process.since() == Rung({{1, kPutters}}));
  handles.waking(1).stop(kPutters);
  handles.shared.participants[2].identity.store(Identity::make(2, 2, Identity::kLive));
  handles.path(2).join_at(2);
  CHECK(handles.put(4) == Outcome::kOk);
  for (const uint32_t index : {1, 2}) handles.sleep(index, kGetters);
  handles.process.rung.clear();
  handles.path(4).leave();
  CHECK(handles.process.since() == Rung({{1, kGetters}, {2, kGetters}}));
}

TEST(a_participant_at_a_new_entry_owes_nothing_of_the_old_one) {
  Handles handles;
  for (const uint32_t index : {1, 2}) handles.sleep(index, kGetters);
  CHECK(handles.put(4) == Outcome::kOk);
  handles.process.rung.clear();
  handles.waking(1).begin(kGetters, Bell::kInLoop);
  handles.path(1).join_at(3);
  handles.waking(1).stop(kGetters);
  CHECK(handles.process.rung.empty() && handles.bell(1, kGetters) == Bell::kInLoop);
  handles.waking(2).begin(kGetters, Bell::kInLoop);
  handles.path(2).join_at(4);
  CHECK(handles.waking(2).tried(kGetters, Bell::kInLoop, false) == Step::kTry);  // its bell is not up there
  CHECK(handles.bell(4, kGetters) == Bell::kInLoop);

  Item item;
  uint32_t taken = 0;
  CHECK(handles.path(1).take(1, &item, &taken, ~uint64_t{0}) == Outcome::kOk);  // the old entry's for ever
  handles.path(1).join_at(3);
  handles.process.rung.clear();
  handles.path(1).leave();  // with nothing in its hand
  CHECK(handles.process.rung.empty());
}

TEST(who_waits_sleeps_only_after_a_look_with_its_bell_up) {
  Handles handles;
  int tries = 0;
  std::vector<uint32_t> bells;
  const auto attempt = [&] {
    bells.push_back(handles.bell(1, kGetters));
    return ++tries == 4;
  };
  int sleeps = 0;
  const auto sleep = [&] {
    CHECK(handles.bell(1, kGetters) == Bell::kOnFutex);
    return ++sleeps < 10;
  };
  WakeProtocol<StdMemory, Process>& waking = handles.waking(1);
  CHECK(waking.run(kGetters, Bell::kOnFutex, waking.begin(kGetters, Bell::kOnFutex), attempt, sleep));
  CHECK(bells == std::vector<uint32_t>({Bell::kOnFutex, Bell::kAwake, Bell::kOnFutex, Bell::kAwake}));
  CHECK(sleeps == 2 && handles.bell(1, kGetters) == Bell::kAwake);
}

TEST(an_open_claim_takes_no_more_space_than_its_own) {
  Handles handles(4);
  for (int item = 0; item < 8; ++item) {  // a lap of slots, and several of the bytes
    CHECK(handles.put(4, 30 * kUnitBytes) == Outcome::kOk && handles.get(4) == Outcome::kOk);
  }
  Item claim;
  CHECK(handles.path(1).claim(kUnitBytes, 1, &claim) == Outcome::kOk);
  CHECK(handles.put(2, kUnitBytes) == Outcome::kOk);
  handles.path(1).abort(claim);
  CHECK(handles.get(3) == Outcome::kOk);
}

TEST(an_open_claim_ends_where_it_says_once_its_owner_announces_another) {
  Handles handles(4);
  Item first;
  Item second;
  CHECK(handles.path(1).claim(3 * kUnitBytes, 1, &first) == Outcome::kOk);
  handles.shared.participants[1].intent.store(0);  // as its next put does before it wins, or loses
  CHECK(handles.path(2).claim(kUnitBytes, 1, &second) == Outcome::kOk);
  CHECK(second.position == first.position + 3);
}

TEST(who_leaves_with_an_open_claim_aborts_it_and_who_holds_an_item_requeues_it) {
  Handles handles(4);
  Item claim;
  CHECK(handles.path(1).claim(kUnitBytes, 1, &claim) == Outcome::kOk);
  CHECK(handles.put(2) == Outcome::kOk);
  CHECK(handles.get(3) == Outcome::kEmpty);
  handles.sleep(3, kGetters);
  handles.path(1).leave();
  CHECK(!handles.process.since().empty());
  handles.waking(3).rung(kGetters);
  Item item;
  uint32_t taken = 0;
  CHECK(handles.path(3).take(1, &item, &taken, ~uint64_t{0}) == Outcome::kOk);
  handles.sleep(2, kGetters);
  handles.path(3).leave();
  CHECK(handles.process.since() == Rung({{2, kGetters}}));
  CHECK(handles.path(4).take(1, &item, &taken, ~uint64_t{0}) == Outcome::kOk && item.deliveries == 1);
}

TEST(who_finds_nothing_asks_after_the_dead_and_has_what_they_held) {
  Handles handles;
  int times = 0;
  handles.process.dead = [&] { return ++times == 1 && handles.put(4) == Outcome::kOk; };
  CHECK(handles.get(1) == Outcome::kOk && times == 1);
  CHECK(handles.get(1) == Outcome::kEmpty && times == 2);
  CHECK(handles.put(4) == Outcome::kOk && handles.put(4) == Outcome::kOk);
  CHECK(times == 2);  // where there is room nobody is asked for
  times = 0;
  handles.process.dead = [&] { return ++times == 1 && handles.get(4) == Outcome::kOk; };
  CHECK(handles.put(1) == Outcome::kOk && times == 1);
  CHECK(handles.put(1) == Outcome::kFull && times == 2);
  handles.process.asked = 0;
  CHECK(handles.get(1) == Outcome::kOk && handles.process.asked == 1);  // and who finds something, now and then
}

TEST(what_went_through_is_counted) {
  Handles handles;
  CHECK(handles.put(1, 20) == Outcome::kOk && handles.put(1, 30) == Outcome::kOk);
  Item items[2];
  uint32_t taken = 0;
  CHECK(handles.path(2).take(2, items, &taken, ~uint64_t{0}) == Outcome::kOk && taken == 2);
  handles.path(2).ack_first(items, 2);
  CHECK(handles.path(2).self().get_total.load() == 1);
  handles.path(2).ack_first(items + 1, 1);
  CHECK(handles.path(2).self().get_total.load() == 2);
  CHECK(handles.path(1).self().put_total.load() == 2 && handles.path(1).self().put_bytes.load() == 50);
  handles.sleep(3, kGetters);
  handles.path(2).leave();  // with nothing in its hand, so that nobody has to look again
  CHECK(handles.process.rung.empty());
}

TEST(where_no_lease_is_free_the_item_stays) {
  Handles handles(4);
  for (int item = 0; item < 3; ++item) CHECK(handles.put(4) == Outcome::kOk);
  Item lease;
  CHECK(handles.lease(1, &lease) == Outcome::kOk && handles.lease(1, &lease) == Outcome::kOk);
  CHECK(handles.lease(1, &lease) == Outcome::kEmpty);
  CHECK(handles.get(2) == Outcome::kOk && handles.get(2) == Outcome::kEmpty);
}

TEST(only_the_dead_are_recovered_and_only_once) {
  Handles handles;
  handles.sleep(1, kGetters);
  auto& identity = handles.shared.participants[3].identity;
  const uint64_t live = identity.load();
  const auto alive = [](uint64_t) { return false; };
  const auto dead = [](uint64_t) { return true; };
  CHECK(!handles.path(4).recover_if_dead(3, alive) && identity.load() == live);
  const auto leaves = [&](uint64_t) {  // having died a moment later than it left
    identity.store(0);
    return true;
  };
  CHECK(!handles.path(4).recover_if_dead(3, leaves) && identity.load() == 0 && handles.process.rung.empty());
  CHECK(!handles.path(4).recover_if_dead(3, dead) && handles.process.rung.empty());
  identity.store(live);
  CHECK(handles.put(3) == Outcome::kOk);
  handles.process.rung.clear();
  CHECK(handles.path(4).recover_if_dead(3, dead) && Identity::state(identity.load()) == Identity::kRecovered);
  CHECK(handles.process.since() == Rung({{1, kGetters}}));
  CHECK(!handles.path(4).recover_if_dead(3, dead) && handles.process.rung.empty());  // tail names it still
  CHECK(Identity::state(identity.load()) == Identity::kRecovered);
  CHECK(handles.put(4) == Outcome::kOk);
  CHECK(!handles.path(4).recover_if_dead(3, dead) && identity.load() == 0);
  CHECK(handles.shared.control->recovered.load() == 1);
  CHECK(handles.path(4).recover_if_dead(2, dead));  // nothing names this one: it is free at once
  CHECK(handles.shared.participants[2].identity.load() == 0);
}

TEST(who_is_recovered_by_two_is_counted_once) {
  Handles handles;
  handles.sleep(1, kGetters);
  handles.process.on_ring = [&] { handles.shared.participants[2].identity.store(0); };  // by the faster one
  CHECK(handles.path(4).recover_if_dead(2, [](uint64_t) { return true; }));
  CHECK(handles.shared.control->recovered.load() == 0 && handles.shared.participants[2].identity.load() == 0);
}

TEST(a_wait_whose_try_throws_leaves_no_bell_up) {
  auto queue = make(__func__);
  bool thrown = false;
  try {
    queue->wait(kGetters, 1000, [&]() -> bool {
      if (queue->bell(kGetters) == Bell::kOnFutex) throw 1;
      return false;
    });
  } catch (int) {
    thrown = true;
  }
  CHECK(thrown && queue->bell(kGetters) == Bell::kAwake);
}
