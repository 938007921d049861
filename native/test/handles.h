// Four handles over the words of one queue, whose process only writes down who was rung.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/handle/item_path.h"
#include "simple.h"

namespace sage {

using Rung = std::vector<std::pair<uint32_t, Direction>>;

/// The process around a handle: rings are written down, and the clock stands.
struct Process {
  Rung rung;
  std::vector<Direction> follow_ups;
  bool can_follow_up = true;
  bool is_follow_up = false;  // what happens now
  int looks = 0;              // at who has come
  uint32_t now_ms = 1000;
  bool can_ring = true;
  std::function<bool()> dead;  // whether somebody died, when asked
  int asked = 0;
  int dead_asked_for = 0;
  std::function<void()> on_ring;
  bool ring(uint32_t index, Direction direction, uint32_t) {
    rung.emplace_back(index, direction);
    if (on_ring) on_ring();
    return can_ring;
  }
  bool follow_up_later(Direction direction) {
    follow_ups.push_back(direction);
    return can_follow_up;
  }
  bool follows_up() const { return is_follow_up; }
  void newcomers() { ++looks; }
  uint32_t wake_ms() const { return now_ms; }
  bool found_dead() {
    CHECK(++dead_asked_for < 10000);  // in a call that has no end
    return dead && dead();
  }
  void ask_after_dead() { ++asked; }
  /// What was rung since the last question.
  Rung since() { return std::exchange(rung, {}); }
};

/// Four handles on a queue of two items, or more.
struct Handles {
  struct Words {
    Control<StdMemory> control;
    Participant<StdMemory> participants[5];
    Slot<StdMemory> slots[16];
    LeaseEntry<StdMemory> leases[2];
  };
  const std::unique_ptr<Words> words = std::make_unique<Words>();
  SharedState<StdMemory> shared;
  Process process;
  std::vector<std::unique_ptr<ItemPath<StdMemory, Process>>> paths;

  explicit Handles(uint64_t items = 2) {
    shared.control = &words->control;
    shared.participants = words->participants;
    shared.slots = words->slots;
    shared.leases = words->leases;
    shared.slot_count = items < 8 ? 8 : 16;
    shared.item_limit = items;
    shared.lease_count = 2;
    shared.capacity_units = shared.area_units = 64;
    shared.initialise();
    shared.control->participant_high.store(5);
    for (uint32_t index = 1; index < 5; ++index) {
      shared.participants[index].identity.store(Identity::make(index, 1, Identity::kLive));
      paths.push_back(std::make_unique<ItemPath<StdMemory, Process>>(shared, process));
      paths.back()->join_at(index);
    }
  }
  ItemPath<StdMemory, Process>& path(uint32_t index) { return *paths[index - 1]; }
  WakeProtocol<StdMemory, Process>& waking(uint32_t index) { return path(index).waking(); }
  void sleep(uint32_t index, Direction direction) {
    CHECK(waking(index).begin(direction, Bell::kInLoop) == Step::kTry);
    CHECK(waking(index).tried(direction, Bell::kInLoop, false) == Step::kSleep);
  }
  /// It was rung, finds nothing that it can use, and sleeps again.
  void sleep_again(uint32_t index, Direction direction) {
    CHECK(waking(index).rung(direction) == Step::kTry);
    CHECK(waking(index).tried(direction, Bell::kInLoop, false) == Step::kTry);
    CHECK(waking(index).tried(direction, Bell::kInLoop, false) == Step::kSleep);
  }
  /// As the host's thread for it does.
  void follow_up(uint32_t index, Direction direction) {
    process.is_follow_up = true;
    waking(index).follow_up(direction);
    process.is_follow_up = false;
  }
  Outcome put(uint32_t index, uint32_t length = 16) {
    const uint32_t codec = 1;
    uint32_t accepted = 0;
    return path(index).put(&length, &codec, 1, &accepted, [&](const Item*, uint32_t) { return uint64_t{length}; });
  }
  Outcome lease(uint32_t index, Item* item) {
    uint32_t leased = 0;
    return path(index).lease(1, item, &leased, ~uint64_t{0});
  }
  Outcome get(uint32_t index) {
    Item item;
    uint32_t taken = 0;
    const Outcome outcome = path(index).take(1, &item, &taken, ~uint64_t{0});
    if (outcome == Outcome::kOk) path(index).ack(&item, 1);
    return outcome;
  }
  /// Somebody finds that the process of `index` has ended.
  bool recover(uint32_t finder, uint32_t index) {
    return path(finder).recover_if_dead(index, [](uint64_t) { return true; });
  }
  uint32_t bell(uint32_t index, Direction direction) { return shared.participants[index].bell[direction].load(); }
};

}  // namespace sage
