// What is in the queue for somebody to take: what was never taken, and what was given back.
#pragma once

#include <algorithm>

#include "core/algorithm/room.h"

namespace sage {

template <class Memory>
class Contents : public Room<Memory> {
 public:
  using typename Words<Memory>::Word;
  using Room<Memory>::Room;
  using Words<Memory>::may_be_returned;

  /// Items committed and not taken, those given back included. Where head does not stand still for long enough to count
  /// them, those claimed and not taken.
  uint64_t size() const {
    uint64_t between = 0;
    for (int attempt = 0; attempt < kLooks; ++attempt) {
      const Word head = control().head.load(std::memory_order_seq_cst);
      const uint64_t tail = std::min(Cursor::number(control().tail.load(std::memory_order_seq_cst)),
                                     Cursor::number(head) + shared_.slot_count);
      between = tail - Cursor::number(head);
      uint64_t count = 0;
      for (uint64_t number = Cursor::number(head); number < tail; ++number) {
        if (shared_.slot(number).word.load(std::memory_order_acquire) == SlotWord::make(number, SlotWord::kCommitted)) {
          ++count;
        }
      }
      if (control().head.load(std::memory_order_seq_cst) == head) return count + returned_count();
    }
    return std::min(between, shared_.item_limit) + returned_count();
  }

  /// The next item without taking it, kEmpty when there is none. Its bytes are right as long as unchanged() holds.
  Outcome peek(Item* item, Word* seen) const {
    Word head = 0;
    uint64_t number = 0;
    for (;;) {
      if (may_be_returned() && oldest_returned(item, seen)) return Outcome::kOk;
      head = control().head.load(std::memory_order_acquire);
      number = Cursor::number(head);
      Word word = shared_.slot(number).word.load(std::memory_order_acquire);
      // What was given up in front of it is passed over by the next to take.
      for (uint64_t left = shared_.slot_count; left > 0 && SlotWord::is_done(word, number); --left) {
        word = shared_.slot(++number).word.load(std::memory_order_acquire);
      }
      if (word == SlotWord::make(number, SlotWord::kCommitted)) break;
      if (control().head.load(std::memory_order_acquire) == head) return Outcome::kEmpty;
    }
    Slot<Memory>& slot = shared_.slot(number);
    const uint64_t extent = slot.extent.load(std::memory_order_relaxed);
    *item = {number,
             Extent::position(extent),
             Extent::length(extent),
             static_cast<uint32_t>(slot.codec.load(std::memory_order_relaxed)),
             0,
             -1};
    *seen = head;
    return Outcome::kOk;
  }

  bool unchanged(const Item& item, Word seen) const {
    Memory::copy_fence();
    if (item.lease >= 0) return shared_.leases[item.lease].word.load(std::memory_order_acquire) == seen;
    if (SlotWord::state(seen) == SlotWord::kReturned && SlotWord::has_tag(seen, item.number)) {
      return shared_.slot(item.number).word.load(std::memory_order_acquire) == seen;
    }
    return control().head.load(std::memory_order_acquire) == seen;
  }

 protected:
  using Words<Memory>::kLooks;
  using Words<Memory>::lease_high;
  using Words<Memory>::oldest_number;
  using Words<Memory>::order;
  using Words<Memory>::control;
  using Words<Memory>::shared_;

  /// Finds the oldest item that was given back; `found` is the word to take it by.
  bool oldest_returned(Item* item, Word* found) const {
    bool any = false;
    const uint64_t head = Cursor::number(control().head.load(std::memory_order_acquire));
    for (uint64_t number = oldest_number(head); number < head; ++number) {
      Slot<Memory>& slot = shared_.slot(number);
      // SYNC POINT: pairs with give_back() and recovery.
      const Word word = slot.word.load(order(Site::kReturnedLoad, std::memory_order_acquire));
      if (SlotWord::state(word) != SlotWord::kReturned || !SlotWord::has_tag(word, number)) continue;
      const uint64_t extent = slot.extent.load(std::memory_order_relaxed);
      *item = {number,
               Extent::position(extent),
               Extent::length(extent),
               static_cast<uint32_t>(slot.codec.load(std::memory_order_relaxed)),
               SlotWord::deliveries(word),
               -1};
      *found = word;
      any = true;
      break;
    }
    const uint32_t high = lease_high();
    for (uint32_t index = 0; index < high; ++index) {
      const LeaseEntry<Memory>& entry = shared_.leases[index];
      const Word word = entry.word.load(order(Site::kReturnedLoad, std::memory_order_acquire));
      if (LeaseWord::state(word) != LeaseWord::kAvailable) continue;
      const uint64_t number = entry.number.load(std::memory_order_relaxed);
      if (any && number >= item->number) continue;
      const uint64_t extent = entry.extent.load(std::memory_order_relaxed);
      *item = {number,
               Extent::position(extent),
               Extent::length(extent),
               static_cast<uint32_t>(entry.codec.load(std::memory_order_relaxed)),
               LeaseWord::deliveries(word),
               static_cast<int64_t>(index)};
      *found = word;
      any = true;
    }
    return any;
  }

  uint64_t returned_count() const {
    if (!may_be_returned()) return 0;
    uint64_t count = 0;
    const uint64_t head = Cursor::number(control().head.load(std::memory_order_acquire));
    for (uint64_t number = oldest_number(head); number < head; ++number) {
      const Word word = shared_.slot(number).word.load(std::memory_order_acquire);
      count += SlotWord::state(word) == SlotWord::kReturned && SlotWord::has_tag(word, number);
    }
    const uint32_t high = lease_high();
    for (uint32_t index = 0; index < high; ++index) {
      count += LeaseWord::state(shared_.leases[index].word.load(std::memory_order_acquire)) == LeaseWord::kAvailable;
    }
    return count;
  }
};

}  // namespace sage
