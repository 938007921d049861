// Leases: items that somebody holds for as long as it likes. They are moved out of the ring into entries of a table, so
// that the numbers and bytes behind them can be used again; their payload stays where it is, and claims go around it.
#pragma once

#include "core/algorithm/shared_state.h"

namespace sage {

template <class Memory>
class LeaseTable {
 public:
  using Word = uint64_t;
  explicit LeaseTable(const SharedState<Memory>& state) : state_(state) {}

  /// Moves items that were just taken together (or one that was requeued) from their slots into lease entries, from the
  /// last to the first, since the first slot is the one that says whose the batch is. Returns how many of the first
  /// ones are still as they were, because no entry was free.
  SAGE_COLD uint32_t lease(Handle& handle, Item* items, uint32_t count) {
    for (uint32_t index = count; index-- > 0;) {
      if (items[index].lease < 0 && !move(handle, items[index], index == 0)) return index + 1;
    }
    return 0;
  }

  /// Items that the holder has not begun with, or begins with now.
  SAGE_COLD void set_aside(const Item* items, uint32_t count, bool aside) const {
    for (uint32_t index = 0; index < count; ++index) {
      auto& codec = state_.leases[items[index].lease].codec;
      // SYNC POINT: before anything that the holder does with the item; pairs with recover_leases().
      codec.store(LeaseCodec::with(codec.load(std::memory_order_relaxed), aside), std::memory_order_release);
    }
  }

  /// Acks items on lease.
  SAGE_COLD void ack(Handle& handle, const Item* items, uint32_t count) {
    for (uint32_t index = 0; index < count; ++index) {
      Memory::point(Point::kLeaseAckBefore);
      LeaseEntry<Memory>& entry = state_.leases[items[index].lease];
      const Word word = entry.word.load(std::memory_order_relaxed);
      const Word free = LeaseWord::make(LeaseWord::kFree, 0, 0, 0, LeaseWord::serial(word));
      if (index + 1 < count) {
        entry.word.store(free, std::memory_order_release);
      } else {
        // SYNC POINT: the payload is no longer read; pairs with the lease loads of the reclaimer. And ordered before
        // the look for sleeping producers, pairs with the fence in put_up().
        entry.word.exchange(free, state_.order(Site::kLeaseFree, std::memory_order_seq_cst));
      }
      if (handle.free_leases.size() < kRemembered) {
        handle.free_leases.push_back(static_cast<uint32_t>(items[index].lease));
      }
    }
  }

 private:
  static constexpr size_t kRemembered = 1024;  // free entries, by one handle

  bool move(Handle& handle, Item& item, bool tagged) {
    int64_t index = -1;
    Word filling = 0;
    while (index < 0 && !handle.free_leases.empty()) {
      index = fill(handle, handle.free_leases.back(), &filling);
      handle.free_leases.pop_back();
    }
    for (uint64_t left = state_.lease_count; index < 0; --left) {
      if (left == 0) return false;
      if (handle.next_lease >= state_.lease_count) handle.next_lease = 0;
      index = fill(handle, handle.next_lease++, &filling);
    }
    const uint32_t serial = LeaseWord::serial(filling);
    Memory::point(Point::kLeaseFilling);
    LeaseEntry<Memory>& entry = state_.leases[index];
    // SYNC POINT: who reads these beside the word of the entry's last life sees that life's end, too; pairs with
    // leased_bytes(), add_lease() and recover_leases().
    entry.number.store(item.number, state_.order(Site::kLeaseFill, std::memory_order_release));
    entry.record.store(Record::make(item.position, item.length),
                       state_.order(Site::kLeaseFill, std::memory_order_release));
    entry.codec.store(item.codec, std::memory_order_relaxed);
    // Before its slot says so: no producer sees the bytes free, and none sees this life without the end of the last
    // one.
    entry.word.store(LeaseWord::make(LeaseWord::kLeased, handle.index, item.deliveries, item.crashes, serial),
                     std::memory_order_release);
    Memory::point(Point::kLeasePublished);
    item.lease = static_cast<int32_t>(index);

    Slot<Memory>& slot = state_.slot(item.number);
    // SYNC POINT: after the word of this lap, which was read before; pairs with learn_from_slots().
    slot.note.store(Note::moved(static_cast<uint32_t>(index), serial), std::memory_order_release);
    const Word moved = SlotWord::make(item.number, SlotWord::kMoved);
    if (!tagged) {
      slot.word.store(moved, std::memory_order_release);
    } else {
      // SYNC POINT: as the last step of release().
      slot.word.exchange(moved, state_.order(Site::kReleaseLast, std::memory_order_seq_cst));
      Memory::point(Point::kReleaseAfter);
    }
    return true;
  }

  /// Takes an entry. -1: it is not free.
  int64_t fill(const Handle& handle, uint32_t index, Word* filling) {
    LeaseEntry<Memory>& entry = state_.leases[index];
    Word word = entry.word.load(std::memory_order_relaxed);
    if (LeaseWord::state(word) != LeaseWord::kFree) return -1;
    state_.raise(state_.control->lease_high, index + 1);
    *filling = LeaseWord::make(LeaseWord::kFilling, handle.index, 0, 0, LeaseWord::serial(word) + 1);
    return entry.word.compare_exchange_strong(word, *filling, std::memory_order_acq_rel) ? int64_t{index} : -1;
  }

  const SharedState<Memory>& state_;
};

}  // namespace sage
