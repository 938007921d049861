// Items that were taken and not acked: requeued by their holder, or by recovery when it died. They are taken again
// before everything that was never taken.
#pragma once

#include <algorithm>

#include "core/algorithm/shared_state.h"

namespace sage {

template <class Memory>
class RequeuedItems {
 public:
  using Word = uint64_t;
  explicit RequeuedItems(const SharedState<Memory>& state) : state_(state) {}

  /// Whether there may be any: one load on the path of every take.
  bool may_be_any() const { return Mark::is_up(state_.control->requeued_hint.load(std::memory_order_acquire)); }

  void raise_hint() const {
    // SYNC POINT: after the items were requeued, pairs with the hint load in take(); and ordered before the look for
    // waiters, pairs with the fence in put_up().
    auto& hint = state_.control->requeued_hint;
    Word seen = hint.load(std::memory_order_relaxed);
    while (!hint.compare_exchange_weak(seen, Mark::raised(seen),
                                       state_.order(Site::kHintBump, std::memory_order_seq_cst),
                                       std::memory_order_relaxed)) {
    }
  }

  /// Requeues the items of a batch. `deliveries` as below.
  void requeue(const Item* items, uint32_t count, uint32_t deliveries) {
    for (uint32_t index = count; index-- > 0;) {
      const Item& item = items[index];
      state_.slot(item.number)
          .word.store(SlotWord::again(item.number, SlotWord::kRequeued, 0, item.deliveries + deliveries, item.crashes),
                      state_.order(Site::kRequeue, std::memory_order_release));
      Memory::point(Point::kRequeueHalf);
    }
    raise_hint();
  }

  /// Requeues an item on lease. `deliveries`: 1, or 0 for one that nobody has seen, as nobody has what is aside.
  void requeue_lease(const Item& item, uint32_t deliveries = 1) {
    LeaseEntry<Memory>& entry = state_.leases[item.lease];
    const Word codec = entry.codec.load(std::memory_order_relaxed);
    if (LeaseCodec::is_aside(codec)) {
      entry.codec.store(LeaseCodec::with(codec, false), std::memory_order_relaxed);
      deliveries = 0;
    }
    const Word word = entry.word.load(std::memory_order_relaxed);
    entry.word.store(LeaseWord::make(LeaseWord::kRequeued, 0, LeaseWord::deliveries(word) + deliveries,
                                     LeaseWord::crashes(word), LeaseWord::serial(word)),
                     state_.order(Site::kRequeue, std::memory_order_release));
    Memory::point(Point::kRequeueHalf);
    raise_hint();
  }

  /// Takes the oldest one. Its payload stays where it is. kEmpty when there is none.
  Outcome take(const Handle& handle, Item* item) {
    for (;;) {
      // SYNC POINT: pairs with raise_hint(); what was requeued before it is seen by the search below.
      const Word hint = state_.control->requeued_hint.load(state_.order(Site::kHintLoad, std::memory_order_acquire));
      if (!Mark::is_up(hint)) return Outcome::kEmpty;
      Word found = 0;
      if (!oldest(item, &found)) {
        // Nobody raised it since we looked: what we did not find is not there.
        Word expected = hint;
        if (state_.control->requeued_hint.compare_exchange_strong(expected, Mark::lowered(hint),
                                                                  std::memory_order_acq_rel)) {
          return Outcome::kEmpty;
        }
        continue;
      }
      if (item->lease >= 0) {
        LeaseEntry<Memory>& entry = state_.leases[item->lease];
        const Word mine = LeaseWord::make(LeaseWord::kLeased, handle.index, item->deliveries, item->crashes,
                                          LeaseWord::serial(found));
        if (!entry.word.compare_exchange_strong(found, mine, std::memory_order_acq_rel)) continue;
        // Read anew, now that it is ours: between its lives an entry may come back to the word it was found with.
        describe(entry, item);
        discount(entry, item);
      } else {
        const Word mine =
            SlotWord::again(item->number, SlotWord::kTaken, handle.index, item->deliveries, item->crashes);
        if (!state_.slot(item->number).word.compare_exchange_strong(found, mine, std::memory_order_acq_rel)) continue;
      }
      state_.add(state_.self(handle).redelivered, 1);
      Memory::point(Point::kRetakeWon);
      return Outcome::kOk;
    }
  }

  /// Finds the oldest one; `found` is the word to take it by.
  bool oldest(Item* item, Word* found) const {
    bool any = false;
    const uint64_t head = Cursor::number(state_.control->head.load(std::memory_order_acquire));
    for (uint64_t number = state_.oldest_number(head); number < head; ++number) {
      Slot<Memory>& slot = state_.slot(number);
      // What stands in the slot was seen with the head, by which it was taken.
      const Word word = slot.word.load(std::memory_order_acquire);
      if (SlotWord::state(word) != SlotWord::kRequeued || !SlotWord::has_tag(word, number)) continue;
      const uint64_t record = slot.record.load(std::memory_order_relaxed);
      *item = {number,
               Record::position(record),
               Record::length(record),
               static_cast<uint32_t>(slot.codec.load(std::memory_order_relaxed)),
               SlotWord::deliveries(word),
               -1,
               SlotWord::crashes(word)};
      *found = word;
      any = true;
      break;
    }
    const uint32_t high = state_.lease_high();
    for (uint32_t index = 0; index < high; ++index) {
      const LeaseEntry<Memory>& entry = state_.leases[index];
      // take() reads the entry anew once it is its own.
      const Word word = entry.word.load(std::memory_order_acquire);
      if (LeaseWord::state(word) != LeaseWord::kRequeued) continue;
      const uint64_t number = entry.number.load(std::memory_order_relaxed);
      if (any && number >= item->number) continue;
      describe(entry, item);
      item->deliveries = LeaseWord::deliveries(word);
      item->crashes = LeaseWord::crashes(word);
      item->lease = static_cast<int32_t>(index);
      *found = word;
      any = true;
    }
    return any;
  }

  uint64_t count() const {
    if (!may_be_any()) return 0;
    uint64_t count = 0;
    const uint64_t head = Cursor::number(state_.control->head.load(std::memory_order_acquire));
    for (uint64_t number = state_.oldest_number(head); number < head; ++number) {
      const Word word = state_.slot(number).word.load(std::memory_order_acquire);
      count += SlotWord::state(word) == SlotWord::kRequeued && SlotWord::has_tag(word, number);
    }
    const uint32_t high = state_.lease_high();
    for (uint32_t index = 0; index < high; ++index) {
      count += LeaseWord::state(state_.leases[index].word.load(std::memory_order_acquire)) == LeaseWord::kRequeued;
    }
    return count;
  }

 private:
  /// Of an item that is ours now: what it was aside for when it came back counts for nothing.
  static void discount(LeaseEntry<Memory>& entry, Item* item) {
    Word codec = entry.codec.load(std::memory_order_relaxed);
    if (LeaseCodec::is_aside(codec)) {
      codec = LeaseCodec::uncounted(codec);
      entry.codec.store(codec, std::memory_order_release);
    }
    item->deliveries -= std::min(item->deliveries, LeaseCodec::deliveries(codec));
  }

  static void describe(const LeaseEntry<Memory>& entry, Item* item) {
    const uint64_t record = entry.record.load(std::memory_order_relaxed);
    item->number = entry.number.load(std::memory_order_relaxed);
    item->position = Record::position(record);
    item->length = Record::length(record);
    item->codec = static_cast<uint32_t>(entry.codec.load(std::memory_order_relaxed));
  }

  const SharedState<Memory>& state_;
};

}  // namespace sage
