// What the dead left unfinished is undone: their claims become aborted slots, their takes and leases requeued items.
// Any number of recoverers may run at once, and any of them may die: docs/sage-queue.md, "Death".
#pragma once

#include <algorithm>

#include "core/algorithm/requeued_items.h"

namespace sage {

template <class Memory>
class Recovery {
 public:
  using Word = uint64_t;
  Recovery(const SharedState<Memory>& state, const RequeuedItems<Memory>& requeued)
      : state_(state), requeued_(requeued) {}

  /// Undoes what the participant `index`, whose entry says `identity` (dead; or alive, when it leaves), left
  /// unfinished. Any number of recoverers may run at once, and any of them may die: each step is one compare-and-swap
  /// from a word that never comes back. Returns whether its entry may be freed, which must wait while tail or head
  /// still name it.
  bool recover(uint32_t index, Word identity) {
    // Who leaves alive takes what it held for no crash of those items.
    const uint32_t crash = Identity::state(identity) == Identity::kDead ? 1 : 0;
    recover_leases(index, identity, crash);
    Memory::point(Point::kRecoverLeases);
    const Word tail = state_.control->tail.load(std::memory_order_acquire);
    if (tail & Cursor::kShut) state_.finish_shutdown();
    if (Cursor::owner(tail) == index) state_.tag_claim(tail);
    for_each_slot(Cursor::number(tail), [&](uint64_t number, Word word) {
      if (SlotWord::state(word) == SlotWord::kClaimed && SlotWord::owner(word) == index && is_dead(index, identity)) {
        abort_batch(number, word);
      }
    });
    Memory::point(Point::kRecoverClaims);
    const Word head = state_.control->head.load(std::memory_order_acquire);
    if (Cursor::owner(head) == index) state_.tag_take(head);
    for_each_slot(Cursor::number(head), [&](uint64_t number, Word word) {
      if (SlotWord::state(word) == SlotWord::kTaken && SlotWord::owner(word) == index && is_dead(index, identity)) {
        requeue_batch(number, word, crash);
      }
    });
    Memory::point(Point::kRecoverTakes);
    requeued_.raise_hint();
    return !state_.named(index);
  }

 private:
  /// Still the same dead participant. Asked after a word was read, it vouches that the word was that one's.
  bool is_dead(uint32_t index, Word identity) const {
    return state_.participants[index].identity.load(std::memory_order_acquire) == identity;
  }

  template <class Visit>
  void for_each_slot(uint64_t end, Visit visit) {
    for (uint64_t number = state_.oldest_number(end); number < end; ++number) {
      const Word word = state_.slot(number).word.load(std::memory_order_acquire);
      if (SlotWord::has_tag(word, number)) visit(number, word);
    }
  }

  /// Writes beside the word of a slot what will be true of it once it is done with. `unfinished` says of the word that
  /// it is not yet: asked after the note was read, it vouches that the note is not of a later lap, where the slot would
  /// be somebody else's; and no note ever comes back. False: another recoverer has done all of it.
  template <class Unfinished>
  bool leave_note(Slot<Memory>& slot, uint64_t note, Word* word, Unfinished unfinished) const {
    uint64_t seen = slot.note.load(std::memory_order_acquire);
    *word = slot.word.load(std::memory_order_acquire);
    if (!unfinished(*word)) return false;
    slot.note.compare_exchange_strong(seen, note, std::memory_order_acq_rel);
    return true;
  }

  /// A dead producer's claim: what it had not committed becomes aborted. The tagged slot goes last. Nobody will write
  /// where the items of these slots lie, so each says where the claim ends: as its owner announced it, or wrote it down
  /// before it announced another.
  void abort_batch(uint64_t first, Word tag) {
    const uint64_t last = first + SlotWord::batch(tag) - 1;
    const uint64_t intent = state_.participants[SlotWord::owner(tag)].intent.load(std::memory_order_acquire);
    const bool announced = static_cast<uint32_t>(intent >> 32) == static_cast<uint32_t>(last + 1);
    const uint32_t end = announced ? static_cast<uint32_t>(intent) : state_.end_of(last);
    state_.control->aborted.store(1, std::memory_order_seq_cst);
    for (uint64_t number = last; number >= first; --number) {
      Slot<Memory>& slot = state_.slot(number);
      Word word = 0;
      const auto unfinished = [&](Word seen) {
        return number == first ? seen == tag : SlotWord::is_done(seen, number - state_.slot_count);
      };
      if (!leave_note(slot, Note::aborted(number, end), &word, unfinished)) continue;
      // SYNC POINT: after the note; pairs with oldest_position().
      slot.word.compare_exchange_strong(word, SlotWord::make(number, SlotWord::kAborted), std::memory_order_acq_rel);
    }
  }

  /// A dead consumer's take: what it had not released is requeued. The tagged slot goes last.
  void requeue_batch(uint64_t first, Word tag, uint32_t crash) {
    const uint32_t batch = SlotWord::batch(tag);
    for (uint32_t index = batch; index-- > 1;) {
      const uint64_t number = first + index;
      Word word = SlotWord::make(number, SlotWord::kCommitted);
      state_.slot(number).word.compare_exchange_strong(word, SlotWord::again(number, SlotWord::kRequeued, 0, 1, crash),
                                                       state_.order(Site::kRequeue, std::memory_order_acq_rel));
    }
    const Word requeued =
        SlotWord::again(first, SlotWord::kRequeued, 0, SlotWord::deliveries(tag) + 1, SlotWord::crashes(tag) + crash);
    state_.slot(first).word.compare_exchange_strong(tag, requeued,
                                                    state_.order(Site::kRequeue, std::memory_order_acq_rel));
  }

  /// A dead holder's leases are requeued. First the move into the lease is finished, or its slot would be requeued
  /// as well.
  void recover_leases(uint32_t index, Word identity, uint32_t crash) {
    const uint32_t high = state_.lease_high();
    for (uint32_t at = 0; at < high; ++at) {
      LeaseEntry<Memory>& entry = state_.leases[at];
      Word word = entry.word.load(std::memory_order_acquire);
      if (LeaseWord::owner(word) != index || !is_dead(index, identity)) continue;
      const uint32_t serial = LeaseWord::serial(word);
      if (LeaseWord::state(word) == LeaseWord::kFilling) {
        entry.word.compare_exchange_strong(word, LeaseWord::make(LeaseWord::kFree, 0, 0, 0, serial),
                                           std::memory_order_acq_rel);
      } else if (LeaseWord::state(word) == LeaseWord::kLeased) {
        const uint64_t number = entry.number.load(state_.order(Site::kLeaseFieldLoad, std::memory_order_acquire));
        finish_move(number, Note::moved(at, serial), entry, word);
        // SYNC POINT: of this life as long as the word stands; pairs with set_aside(). Who takes it next discounts the
        // delivery, without which the word would come back.
        const bool aside = LeaseCodec::is_aside(entry.codec.load(std::memory_order_acquire));
        const Word requeued = LeaseWord::make(LeaseWord::kRequeued, 0, LeaseWord::deliveries(word) + 1,
                                              LeaseWord::crashes(word) + (aside ? 0 : crash), serial);
        entry.word.compare_exchange_strong(word, requeued, state_.order(Site::kRequeue, std::memory_order_acq_rel));
      }
    }
  }

  void finish_move(uint64_t number, uint64_t note, const LeaseEntry<Memory>& entry, Word leased) {
    Slot<Memory>& slot = state_.slot(number);
    const auto unfinished = [&](Word seen) {
      return SlotWord::has_tag(seen, number) && !SlotWord::is_done(seen, number) &&
             entry.word.load(std::memory_order_acquire) == leased;
    };
    Word word = 0;
    while (leave_note(slot, note, &word, unfinished) &&
           !slot.word.compare_exchange_strong(word, SlotWord::make(number, SlotWord::kMoved), std::memory_order_acq_rel,
                                              std::memory_order_acquire)) {
    }
  }

  const SharedState<Memory>& state_;
  const RequeuedItems<Memory>& requeued_;
};

}  // namespace sage
