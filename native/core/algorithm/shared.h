// A view of one segment's shared words, and the small questions that both queue types ask of them.
#pragma once

#include "core/segment/layout.h"

namespace sage {

template <class Memory>
struct Shared {
  Control<Memory>* control = nullptr;
  Participant<Memory>* participants = nullptr;
  Slot<Memory>* slots = nullptr;
  LeaseEntry<Memory>* leases = nullptr;
  uint64_t slot_count = 0;
  uint64_t item_limit = 0;
  uint64_t lease_count = 0;
  uint32_t capacity_units = 0;  // of payload that may be in use
  uint32_t area_units = 0;      // that the payload area has, power of two, at least as many

  /// Numbers that follow each other lie kStripes apart, so that a producer and the consumer close behind it do not
  /// write one cache line.
  static constexpr uint64_t kStripes = 8;
  Slot<Memory>& slot(uint64_t number) const {
    const uint64_t index = number & (slot_count - 1);
    if (slot_count < 2 * kStripes) return slots[index];
    return slots[(index % kStripes) * (slot_count / kStripes) + index / kStripes];
  }

  /// First number ever claimed. Slots start out as released in the lap before it.
  uint64_t first_number() const { return slot_count; }

  void initialise() const {
    for (uint64_t index = 0; index < slot_count; ++index) {
      slot(index).word.store(SlotWord::make(index, SlotWord::kReleased), std::memory_order_relaxed);
    }
    control->tail.store(Cursor::make(first_number(), 0, 0), std::memory_order_relaxed);
    control->head.store(Cursor::make(first_number(), 0, 0), std::memory_order_relaxed);
    control->reclaim.store(first_number(), std::memory_order_relaxed);
    control->participant_high.store(1, std::memory_order_relaxed);
  }
};

/// Who is asking, and what it remembers from its last call: private to one handle, never shared.
struct Actor {
  uint32_t index = 0;
  uint64_t last_tail = 0;  // the tail as this handle last claimed it, 0 when that claim may still need a stamp
  uint32_t last_end = 0;   // where that claim ends
  uint64_t last_head = 0;
  uint64_t number_limit = 0;    // up to here items may be claimed …
  uint32_t position_limit = 0;  // … and up to here bytes, as long as both hold
};

/// Where one item lies. Without initialisers: arrays of them stand on the stack of every put.
struct Item {
  uint64_t number;
  uint32_t position;
  uint32_t length;
  uint32_t codec;
  uint32_t deliveries;  // before this one
  int64_t lease;        // index of the lease entry that holds it; -1: its slot does
};

enum class Outcome {
  kOk,
  kEmpty,
  kFull,
  kRetry,  // the words moved while they were looked at
  kShut,
  kCorrupt,  // the words contradict each other for good
};

}  // namespace sage
