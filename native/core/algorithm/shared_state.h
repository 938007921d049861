// The shared words of one queue, and the small steps on them that every part of the algorithm takes: owner tags, the
// end of a claim, the bytes of leases. The parts (Reclaimer, RequeuedItems, Recovery, and SageQueue, which has the
// overview) stand over one of these and keep nothing of their own.
#pragma once

#include <algorithm>
#include <vector>

#include "core/algorithm/lease_map.h"
#include "core/segment/layout.h"

namespace sage {

/// Who is asking, and what it remembers from its last call: private to one handle, never shared.
struct Handle {
  uint32_t index = 0;
  uint64_t last_tail = 0;  // the tail as this handle last claimed it, 0 when that claim may still need a tag
  uint32_t last_end = 0;   // where that claim ends
  uint64_t last_head = 0;
  uint64_t number_limit = 0;    // up to here items may be claimed …
  uint32_t position_limit = 0;  // … and up to here bytes, as long as both hold
  bool aborted_claim = false;   // a claim kept others out for a moment, and nothing of it is left
  LeaseMap leases;
  std::vector<uint32_t> free_leases;  // entries that were free when this handle last saw them, the latest one last …
  uint32_t next_lease = 0;            // … and from where on it looks for others
};

/// Where one item lies. Without initialisers: arrays of them stand on the stack of every put.
struct Item {
  uint64_t number;
  uint32_t position;
  uint32_t length;
  uint32_t codec;
  uint32_t deliveries;  // before this one
  int32_t lease;        // index of the lease entry that holds it; -1: its slot does
  uint32_t crashes;     // how many of its deliveries ended with the death of the holder
};

enum class Outcome {
  kOk,
  kEmpty,
  kFull,
  kRetry,  // the words moved while they were looked at
  kSkip,   // nothing is in the queue, and what is to go in fits further on
  kShut,
  kLost,     // shut, because the last producer has gone, and one of them died
  kCorrupt,  // the words contradict each other for good
};

template <class Memory>
struct SharedState {
  using Word = uint64_t;

  Control<Memory>* control = nullptr;
  Participant<Memory>* participants = nullptr;
  Slot<Memory>* slots = nullptr;
  LeaseEntry<Memory>* leases = nullptr;
  uint64_t slot_count = 0;
  uint64_t item_limit = 0;
  uint64_t lease_count = 0;
  uint32_t capacity_units = 0;  // of payload that may be in use
  uint32_t area_units = 0;      // that the payload area has, power of two, at least as many

  static constexpr int kLooks = 8;  // of a question at words that move on meanwhile

  static constexpr std::memory_order order(Site site, std::memory_order asked) { return Memory::order(site, asked); }

  /// Numbers that follow each other lie kStripes apart, so that a producer and the consumer close behind it do not
  /// write one cache line.
  static constexpr uint64_t kStripes = 8;
  Slot<Memory>& slot(uint64_t number) const {
    const uint64_t index = number & (slot_count - 1);
    if (slot_count < 2 * kStripes) return slots[index];
    return slots[(index % kStripes) * (slot_count / kStripes) + index / kStripes];
  }
  Participant<Memory>& self(const Handle& handle) const { return participants[handle.index]; }

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

  // ── counters ───────────────────────────────────────────────────────────

  template <class Counter>
  static void add(Counter& counter, uint64_t amount) {
    counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  template <class High>
  static void raise(High& mark, uint32_t at_least) {
    uint32_t seen = mark.load(std::memory_order_relaxed);
    while (seen < at_least && !mark.compare_exchange_weak(seen, at_least, std::memory_order_acq_rel)) {
    }
  }

  // ── claims and takes ───────────────────────────────────────────────────

  bool still_at(Word tail) const { return control->tail.load(std::memory_order_acquire) == tail; }

  /// Whether tail or head still name the participant, so that its entry must not be used again.
  bool named(uint32_t index) const {
    return Cursor::owner(control->tail.load(std::memory_order_acquire)) == index ||
           Cursor::owner(control->head.load(std::memory_order_acquire)) == index;
  }

  /// Where the claim that `tail` names ends. Its owner announced it before it won; once the owner announces another
  /// one, the records of this one are written.
  uint32_t claim_end(Word tail) const {
    const uint32_t owner = Cursor::owner(tail);
    if (owner == 0) return 0;
    // SYNC POINT: pairs with the intent store in claim().
    const uint64_t intent = participants[owner].intent.load(order(Site::kIntentLoad, std::memory_order_acquire));
    const uint64_t number = Cursor::number(tail);
    if (static_cast<uint32_t>(intent >> 32) == static_cast<uint32_t>(number)) return static_cast<uint32_t>(intent);
    return end_of(number - 1);
  }

  uint32_t end_of(uint64_t number) const {
    const uint64_t record = slot(number).record.load(std::memory_order_relaxed);
    return Record::position(record) + Record::units(Record::length(record));
  }

  /// Writes into the first slot of the claim that `tail` names whose it is, unless that slot already says so or more.
  /// Relaxed: a late recoverer that meets the tag of a newcomer in the dead one's entry came to it by way of a tail
  /// (or head) that is no older, and loaded that with acquire; so it sees the newcomer, too.
  void tag_claim(Word tail) const {
    const uint32_t batch = Cursor::batch(tail);
    if (batch == 0) return;
    const uint64_t first = Cursor::number(tail) - batch;
    Slot<Memory>& tagged = slot(first);
    Word word = tagged.word.load(std::memory_order_relaxed);
    if (SlotWord::is_done(word, first - slot_count)) {
      tagged.word.compare_exchange_strong(word, SlotWord::make(first, SlotWord::kClaimed, Cursor::owner(tail), batch),
                                          std::memory_order_relaxed);
    }
  }

  void tag_take(Word head) const {
    const uint32_t batch = Cursor::batch(head);
    if (batch == 0) return;
    const uint64_t first = Cursor::number(head) - batch;
    Slot<Memory>& tagged = slot(first);
    Word word = tagged.word.load(std::memory_order_relaxed);
    if (word == SlotWord::make(first, SlotWord::kCommitted)) {
      tagged.word.compare_exchange_strong(word, SlotWord::make(first, SlotWord::kTaken, Cursor::owner(head), batch),
                                          std::memory_order_relaxed);
    }
  }

  /// Passes over the number of an aborted claim.
  void skip_aborted(Handle& handle, Word head) const {
    tag_take(head);
    Word expected = head;
    control->head.compare_exchange_strong(expected, Cursor::make(Cursor::number(head) + 1, handle.index, 0),
                                          std::memory_order_acq_rel, std::memory_order_relaxed);
  }

  /// Where a search that ends before `end` begins. Never more than one lap, whatever the words say.
  uint64_t oldest_number(uint64_t end) const {
    const uint64_t reclaimed = std::min(control->reclaim.load(std::memory_order_acquire), end);
    return std::max(reclaimed, end - std::min(end, slot_count));
  }

  void finish_shutdown() const {
    uint32_t expected = 0;
    control->shut.compare_exchange_strong(expected, 1);
  }

  // ── leases ─────────────────────────────────────────────────────────────

  uint32_t lease_high() const {
    return static_cast<uint32_t>(std::min<uint64_t>(control->lease_high.load(std::memory_order_acquire), lease_count));
  }

  uint64_t leases_in_use() const {
    uint64_t count = 0;
    const uint32_t high = lease_high();
    for (uint32_t index = 0; index < high; ++index) {
      const Word word = leases[index].word.load(order(Site::kLeaseLoad, std::memory_order_acquire));
      count += LeaseWord::state(word) != LeaseWord::kFree;
    }
    return count;
  }

  /// Items that somebody has on lease now.
  uint64_t leased() const {
    uint64_t count = 0;
    const uint32_t high = lease_high();
    for (uint32_t index = 0; index < high; ++index) {
      count += LeaseWord::state(leases[index].word.load(std::memory_order_acquire)) == LeaseWord::kLeased;
    }
    return count;
  }

  bool leased_bytes(uint32_t index, uint32_t* from, uint32_t* size) const {
    const LeaseEntry<Memory>& entry = leases[index];
    // SYNC POINT: pairs with the end of the lease, whose bytes may be used after it.
    const Word word = entry.word.load(order(Site::kLeaseLoad, std::memory_order_acquire));
    const uint32_t state = LeaseWord::state(word);
    if (state != LeaseWord::kLeased && state != LeaseWord::kRequeued) return false;
    // SYNC POINT: may be of a later life than the word; pairs with the filling in lease().
    const uint64_t record = entry.record.load(order(Site::kLeaseFieldLoad, std::memory_order_acquire));
    *from = Record::position(record);
    *size = Record::units(Record::length(record));
    return *size > 0;
  }
};

}  // namespace sage
