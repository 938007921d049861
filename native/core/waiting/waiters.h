// Sleeping and waking. Who sleeps puts up its own bell and then looks once more; who publishes looks whether any bell
// is up. Either the waiter sees what was published or the publisher sees the bell.
//
// One wake of one is under way at a time: from the ring until whoever was rung takes its bell down, or until
// kFollowUpMs have passed, nobody else is rung for what is published; who was rung passes on what it leaves
// (wake_protocol.h). What happens when that one is stopped, killed or busy is the follow-up's business: the watcher
// thread of everybody who relied on the ring looks again after kFollowUpMs and then wakes all (docs/sage-queue.md,
// "Waking").
#pragma once

#include <algorithm>

#include "core/algorithm/shared_state.h"

namespace sage {

/// Who waits for what: an item, free space, or the end of all work.
enum Direction : int { kGetters = 0, kPutters = 1, kJoiners = 2 };
constexpr Direction kDirections[] = {kGetters, kPutters, kJoiners};

constexpr uint32_t kFollowUpMs = 2;

template <class Memory>
class Waiters {
 public:
  explicit Waiters(const SharedState<Memory>& shared) : shared_(shared) {}

  /// Puts up the bell. The caller looks once more and then sleeps, or takes the bell down again.
  void put_up(const Handle& handle, Direction direction, uint32_t kind) {
    bell(handle.index, direction).store(kind, std::memory_order_relaxed);
    raise(direction);
    // SYNC POINT: the bell before the last look; pairs with the sequentially consistent publication of the waker.
    Memory::fence(Site::kBellFence);
    Memory::point(Point::kBellUp);
  }

  /// From here on it seems that somebody may be asleep.
  void raise(Direction direction) {
    // SYNC POINT: publishes the bell; pairs with the loads in wake().
    uint64_t seen = mark(direction).load(std::memory_order_relaxed);
    while (!mark(direction).compare_exchange_weak(seen, Mark::raised(seen),
                                                  Memory::order(Site::kMarkBump, std::memory_order_seq_cst),
                                                  std::memory_order_relaxed)) {
    }
  }

  /// Takes the bell down and returns what it said. kRung: the wake is this caller's, and must be used or passed on.
  uint32_t take_down(const Handle& handle, Direction direction) {
    // Who still sees it rung relies on the caller to look again: either now, or after the fence of its next put_up().
    return bell(handle.index, direction).exchange(Bell::kAwake, std::memory_order_acq_rel);
  }

  /// Whether anybody may be asleep: one load on the path of every put and get. It comes after a sequentially consistent
  /// publication.
  bool anybody(Direction direction) const {
    // SYNC POINT: pairs with the fence in put_up().
    return Mark::is_up(mark(direction).load(Memory::order(Site::kMarkLoad, std::memory_order_seq_cst)));
  }

  /// The same for waiters of any kind.
  bool anybody_at_all() const {
    // SYNC POINT: as in anybody().
    const std::memory_order order = Memory::order(Site::kMarkLoad, std::memory_order_seq_cst);
    return Mark::is_up(mark(kGetters).load(order) | mark(kPutters).load(order) | mark(kJoiners).load(order));
  }

  /// Wakes one waiter, or all but `except`, by `ring(index, bell)`, which says whether the ring could be sent. True
  /// when others are left asleep, or one could not be rung, so that somebody has to follow up. A wake that is under
  /// way, wherever its entry lies, serves this publication too, unless its ringer was stopped or died before it rang:
  /// so that one is followed up as well, and rung again when all are. Who is woken with all others has nobody to pass
  /// the wake on to: only a wake of one does it.
  template <class Ring>
  bool wake(Direction direction, bool all, uint32_t now_ms, Ring ring, uint32_t except = 0) {
    uint64_t seen = mark(direction).load(std::memory_order_seq_cst);
    const uint32_t high = participant_high();
    bool handed_out = !all && under_way(direction, high, now_ms);
    bool others = false;
    bool stays = false;
    for (uint32_t index = 1; index < high; ++index) {
      uint32_t state = bell(index, direction).load(std::memory_order_relaxed);  // as of the mark loaded above, or later
      if (state == Bell::kAwake) continue;
      if (index == except) {
        stays = true;
        continue;
      }
      const Participant<Memory>& entry = shared_.participants[index];
      if (entry.identity.load(std::memory_order_acquire) == 0) continue;  // its last owner died asleep
      auto& rung_ms = shared_.participants[index].rung_ms[direction];
      if (all && (state == Bell::kRung || state == Bell::kRungWithAll)) {
        others = !ring(index, state) || others;
        continue;
      }
      if (state == Bell::kRung || (handed_out && !all)) {
        others = true;
        continue;
      }
      rung_ms.store(now_ms, std::memory_order_relaxed);
      Memory::point(Point::kRingChosen);
      const uint32_t kind = state;
      if (bell(index, direction)
              .compare_exchange_strong(state, all ? Bell::kRungWithAll : Bell::kRung, std::memory_order_acq_rel)) {
        Memory::point(Point::kRingOwed);
        const bool sent = ring(index, kind);
        handed_out = handed_out || sent;
        others = others || !sent;
      } else if (state != Bell::kAwake) {
        others = true;  // rung by another, who may not come to the ring itself; or its bell put up anew
      }
    }
    // After an immediate shutdown the getters' mark stays up (ItemPath::drop_all). Where it was raised for that, `shut`
    // was seen with it.
    stays = stays || (direction == kGetters && shared_.control->shut.load(std::memory_order_relaxed) > 1);
    // Whoever put up a bell since raised the mark, and this exchange fails.
    if (!others && !stays)
      mark(direction).compare_exchange_strong(seen, Mark::lowered(seen), std::memory_order_acq_rel);
    return others;
  }

  uint32_t participant_high() const {
    return std::min<uint32_t>(shared_.control->participant_high.load(std::memory_order_acquire), kParticipants);
  }

 private:
  /// Whether a wake was handed out to one alone that may still come to it.
  bool under_way(Direction direction, uint32_t high, uint32_t now_ms) const {
    for (uint32_t index = 1; index < high; ++index) {
      const Participant<Memory>& entry = shared_.participants[index];
      if (entry.bell[direction].load(std::memory_order_relaxed) != Bell::kRung) continue;
      if (entry.identity.load(std::memory_order_relaxed) == 0) continue;  // its last owner died so
      if (now_ms - entry.rung_ms[direction].load(std::memory_order_relaxed) < kFollowUpMs) return true;
    }
    return false;
  }

  auto& bell(uint32_t index, Direction direction) const { return shared_.participants[index].bell[direction]; }
  auto& mark(Direction direction) const { return shared_.control->waiters[direction]; }

  SharedState<Memory> shared_;
};

}  // namespace sage
