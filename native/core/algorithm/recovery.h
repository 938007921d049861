// What the dead left unfinished is undone: their claims become voids, their takes and leases returned items. Any number
// of recoverers may run at once, and any of them may die: docs/sage-queue.md, "Death".
#pragma once

#include <algorithm>

#include "core/algorithm/contents.h"

namespace sage {

template <class Memory>
class Recovery : public Contents<Memory> {
 public:
  using typename Words<Memory>::Word;
  using Contents<Memory>::Contents;
  using Words<Memory>::named;

  /// Undoes what the participant `index`, whose entry says `identity` (dead; or alive, when it leaves), left
  /// unfinished. Any number of recoverers may run at once, and any of them may die: each step is one compare-and-swap
  /// from a word that never comes back. Returns whether its entry may be freed, which must wait while tail or head
  /// still name it.
  bool recover(uint32_t index, Word identity) {
    recover_leases(index, identity);
    Memory::point(Point::kRecoverLeases);
    const Word tail = control().tail.load(std::memory_order_acquire);
    if (tail & Cursor::kShut) finish_shutdown();
    if (Cursor::owner(tail) == index) stamp_claim(tail);
    for_each_slot(Cursor::number(tail), [&](uint64_t number, Word word) {
      if (SlotWord::state(word) == SlotWord::kClaimed && SlotWord::owner(word) == index && is_dead(index, identity)) {
        void_run(number, word);
      }
    });
    Memory::point(Point::kRecoverClaims);
    const Word head = control().head.load(std::memory_order_acquire);
    if (Cursor::owner(head) == index) stamp_take(head);
    for_each_slot(Cursor::number(head), [&](uint64_t number, Word word) {
      if (SlotWord::state(word) == SlotWord::kTaken && SlotWord::owner(word) == index && is_dead(index, identity)) {
        return_run(number, word);
      }
    });
    Memory::point(Point::kRecoverTakes);
    raise_hint();
    return !named(index);
  }

 protected:
  using Words<Memory>::lease_high;
  using Words<Memory>::raise_hint;
  using Words<Memory>::finish_shutdown;
  using Words<Memory>::stamp_claim;
  using Words<Memory>::stamp_take;
  using Words<Memory>::oldest_number;
  using Words<Memory>::order;
  using Words<Memory>::control;
  using Words<Memory>::shared_;

  /// Still the same dead participant. Asked after a word was read, it vouches that the word was that one's.
  bool is_dead(uint32_t index, Word identity) const {
    return shared_.participants[index].identity.load(std::memory_order_acquire) == identity;
  }

  template <class Visit>
  void for_each_slot(uint64_t end, Visit visit) {
    for (uint64_t number = oldest_number(end); number < end; ++number) {
      const Word word = shared_.slot(number).word.load(std::memory_order_acquire);
      if (SlotWord::has_tag(word, number)) visit(number, word);
    }
  }

  /// A dead producer's claim: what it had not committed becomes void. The stamped slot goes last.
  void void_run(uint64_t first, Word stamp) {
    const uint32_t run = SlotWord::run(stamp);
    for (uint32_t index = run; index-- > 1;) {
      const uint64_t number = first + index;
      Slot<Memory>& slot = shared_.slot(number);
      Word word = slot.word.load(std::memory_order_acquire);
      if (SlotWord::is_done(word, number - shared_.slot_count)) {
        control().voids.store(1, std::memory_order_seq_cst);
        slot.word.compare_exchange_strong(word, SlotWord::make(number, SlotWord::kVoid), std::memory_order_acq_rel);
      }
    }
    control().voids.store(1, std::memory_order_seq_cst);
    shared_.slot(first).word.compare_exchange_strong(stamp, SlotWord::make(first, SlotWord::kVoid),
                                                     std::memory_order_acq_rel);
  }

  /// A dead consumer's take: what it had not released is given back. The stamped slot goes last.
  void return_run(uint64_t first, Word stamp) {
    const uint32_t run = SlotWord::run(stamp);
    const uint32_t deliveries = std::min(SlotWord::deliveries(stamp) + 1, SlotWord::kMaxDeliveries);
    for (uint32_t index = run; index-- > 1;) {
      const uint64_t number = first + index;
      Word word = SlotWord::make(number, SlotWord::kCommitted);
      shared_.slot(number).word.compare_exchange_strong(word, SlotWord::make(number, SlotWord::kReturned, 0, 0, 1),
                                                        order(Site::kReturn, std::memory_order_acq_rel));
    }
    shared_.slot(first).word.compare_exchange_strong(stamp,
                                                     SlotWord::make(first, SlotWord::kReturned, 0, 0, deliveries),
                                                     order(Site::kReturn, std::memory_order_acq_rel));
  }

  /// A dead holder's leases are given back. First the move into the lease is finished, or its slot would be given back
  /// as well.
  void recover_leases(uint32_t index, Word identity) {
    const uint32_t high = lease_high();
    for (uint32_t at = 0; at < high; ++at) {
      LeaseEntry<Memory>& entry = shared_.leases[at];
      Word word = entry.word.load(std::memory_order_acquire);
      if (LeaseWord::owner(word) != index || !is_dead(index, identity)) continue;
      const uint32_t serial = LeaseWord::serial(word);
      if (LeaseWord::state(word) == LeaseWord::kFilling) {
        entry.word.compare_exchange_strong(word, LeaseWord::make(LeaseWord::kFree, 0, 0, serial),
                                           std::memory_order_acq_rel);
      } else if (LeaseWord::state(word) == LeaseWord::kLeased) {
        const uint64_t number = entry.number.load(order(Site::kLeaseFieldLoad, std::memory_order_acquire));
        Slot<Memory>& slot = shared_.slot(number);
        Word held = slot.word.load(std::memory_order_acquire);
        while (SlotWord::has_tag(held, number) && !SlotWord::is_done(held, number) &&
               entry.word.load(std::memory_order_acquire) == word) {
          slot.word.compare_exchange_strong(held, SlotWord::make(number, SlotWord::kReleased),
                                            std::memory_order_acq_rel, std::memory_order_acquire);
        }
        entry.word.compare_exchange_strong(
            word, LeaseWord::make(LeaseWord::kAvailable, 0, LeaseWord::deliveries(word) + 1, serial),
            order(Site::kReturn, std::memory_order_acq_rel));
      }
    }
  }
};

}  // namespace sage
