// A queue for one test, and texts put into it and taken out of it.
#pragma once

#include <unistd.h>

#include <memory>
#include <string>

#include "check.h"
#include "core/handle/queue.h"

namespace sage {

/// The words of a queue, without a segment.
template <class Memory, uint64_t kSlots, uint64_t kLeases>
struct Block {
  Control<Memory> control;
  Participant<Memory> participants[4];
  Slot<Memory> slots[kSlots];
  LeaseEntry<Memory> leases[kLeases];

  SharedState<Memory> shared_state;

  /// All new; with room for `items` items and as many `units` of payload.
  SharedState<Memory> shared(uint64_t items, uint32_t units) {
    SharedState<Memory> words;
    words.control = &control;
    words.participants = participants;
    words.slots = slots;
    words.leases = leases;
    words.slot_count = kSlots;
    words.item_limit = items;
    words.lease_count = kLeases;
    words.capacity_units = words.area_units = units;
    words.initialise();
    shared_state = words;
    return words;
  }
};

inline SegmentOptions options_for(const char* test, uint64_t maxsize = 8, uint64_t capacity = 4096) {
  SegmentOptions options;
  options.name = std::string("test+") + test + "." + std::to_string(getpid());
  options.queue_id = test;
  options.maxsize = maxsize;
  options.capacity_bytes = capacity;
  return options;
}

inline std::unique_ptr<Queue> make(const char* test, uint64_t maxsize = 8, uint64_t capacity = 4096) {
  return Queue::open(options_for(test, maxsize, capacity), Create::kIfMissing);
}

inline Outcome put(Queue& queue, const std::string& text) {
  const Piece piece{reinterpret_cast<const uint8_t*>(text.data()), static_cast<uint32_t>(text.size()), 7};
  uint32_t accepted = 0;
  return queue.put(&piece, 1, &accepted);
}

inline std::string text_of(Queue& queue, const Item& item) {
  return {reinterpret_cast<char*>(queue.data(item)), item.length};
}

inline std::string get(Queue& queue) {
  Item item;
  uint32_t taken = 0;
  const Outcome outcome = queue.take(1, &item, &taken);
  if (outcome == Outcome::kShut) return "<shut>";
  if (outcome != Outcome::kOk) return "<none>";
  std::string text = text_of(queue, item);
  queue.ack(&item, 1);
  return text;
}

}  // namespace sage
