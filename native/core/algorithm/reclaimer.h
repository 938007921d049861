// How much may be claimed: slots that are released, bytes that nobody uses, and the way around the bytes of leases.
// docs/sage-queue.md, "Free space", has the argument.
#pragma once

#include <algorithm>

#include "core/algorithm/shared_state.h"

namespace sage {

template <class Memory>
class Reclaimer {
 public:
  using Word = uint64_t;
  explicit Reclaimer(const SharedState<Memory>& state) : state_(state) {}

  /// Items claimed, committed, taken or on lease: what maxsize bounds.
  uint64_t used() const {
    return std::min(at_one_tail([this](uint64_t first, uint64_t tail) { return occupied(first, tail); }),
                    state_.item_limit);
  }

  /// Bytes of payload in use, rounded up as they lie in the segment.
  uint64_t used_bytes() const {
    const uint64_t units = at_one_tail([this](uint64_t first, uint64_t tail) {
      uint64_t sum = 0;
      for (uint64_t number = first; number < tail; ++number) {
        const Word word = state_.slot(number).word.load(std::memory_order_acquire);
        if (SlotWord::is_done(word, number) || !SlotWord::has_tag(word, number)) continue;
        sum += Record::units(Record::length(state_.slot(number).record.load(std::memory_order_relaxed)));
      }
      const uint32_t high = state_.lease_high();
      for (uint32_t index = 0; index < high; ++index) {
        uint32_t from = 0;
        uint32_t size = 0;
        if (state_.leased_bytes(index, &from, &size)) sum += size;
      }
      return sum;
    });
    return std::min<uint64_t>(units, state_.capacity_units) * kUnitBytes;
  }

  /// Nothing is left that anybody could still get: no item, no claim, no lease.
  bool drained() const {
    // SYNC POINT: of two that finish the last two items, one sees the other's.
    Memory::fence(Site::kDrainedFence);
    const uint64_t tail = Cursor::number(state_.control->tail.load(std::memory_order_seq_cst));
    const uint64_t first = state_.oldest_number(tail);
    for (uint64_t number = first; number < tail; ++number) {
      if (!SlotWord::is_done(state_.slot(number).word.load(std::memory_order_acquire), number)) return false;
    }
    return state_.leases_in_use() == 0;
  }

  /// Finds out how much may be claimed behind `tail`, places the items around the bytes of leased ones, and remembers
  /// the answer for the next claims. kRetry: tail has moved on meanwhile, look again.
  Outcome find_space(Actor& actor, Word tail, uint32_t start, Item* items, uint32_t count, uint32_t* fitted,
                     uint32_t* end) {
    const uint64_t number = Cursor::number(tail);
    uint64_t reclaimed = 0;
    if (!advance_reclaim(actor, number, &reclaimed)) return Outcome::kRetry;
    if (number - reclaimed > state_.slot_count) return state_.still_at(tail) ? Outcome::kCorrupt : Outcome::kRetry;

    // Numbers first, then leases: an item moves from its slot to its lease, never back, so none is missed.
    int64_t free_items = static_cast<int64_t>(state_.item_limit) - static_cast<int64_t>(number - reclaimed) -
                         static_cast<int64_t>(state_.leases_in_use());
    if (free_items < static_cast<int64_t>(count)) {
      free_items = static_cast<int64_t>(state_.item_limit) - static_cast<int64_t>(occupied(reclaimed, number));
    }
    const int64_t free_slots = static_cast<int64_t>(reclaimed + state_.slot_count - 1 - number);
    const int64_t usable = std::min({free_items, free_slots, static_cast<int64_t>(count)});
    if (usable <= 0) return state_.still_at(tail) ? Outcome::kFull : Outcome::kRetry;

    uint32_t oldest = 0;
    if (!oldest_position(number, reclaimed, start, &oldest))
      return state_.still_at(tail) ? Outcome::kFull : Outcome::kRetry;
    const uint32_t limit = oldest + state_.capacity_units;
    uint32_t position = start;
    uint32_t placed = 0;
    while (placed < usable) {
      const uint32_t units = Record::units(items[placed].length);
      const uint32_t clear = past_leases(position, units, limit);
      if (static_cast<int32_t>(clear + units - limit) > 0) break;
      items[placed].position = clear;
      position = clear + units;
      ++placed;
    }
    if (placed == 0) return state_.still_at(tail) ? Outcome::kFull : Outcome::kRetry;
    // What was read behind this tail is only known to belong together while it is still the tail.
    const bool stepped = position - start != units_of(items, placed);
    // What was stepped over is not room: should another claim win, ours must look at it again. So only an unbroken
    // stretch, good from `start` on, is remembered.
    const uint32_t next = stepped ? start : next_lease(start, limit);
    if (!state_.still_at(tail)) return Outcome::kRetry;
    *fitted = placed;
    *end = position;
    // A position is 32 bits wide: the answer may be remembered only while less than half of that can go by.
    const uint64_t horizon = (uint64_t{1} << 30) / state_.area_units;
    actor.number_limit = number + std::min<uint64_t>(std::min(free_items, free_slots), horizon);
    actor.position_limit = next;
    return Outcome::kOk;
  }

 private:
  /// What `count` says of the numbers from the oldest in use up to tail, asked again while tail moves on: the most that
  /// it said, then, since a look from behind sees less than there is and none sees more than could be claimed.
  template <class Count>
  uint64_t at_one_tail(Count count) const {
    uint64_t most = 0;
    for (int attempt = 0; attempt < SharedState<Memory>::kLooks; ++attempt) {
      const Word tail = state_.control->tail.load(std::memory_order_seq_cst);
      const uint64_t number = Cursor::number(tail);
      const uint64_t counted = count(state_.oldest_number(number), number);
      if (state_.still_at(tail)) return counted;
      most = std::max(most, counted);
    }
    return most;
  }

  static uint32_t units_of(const Item* items, uint32_t count) {
    uint32_t units = 0;
    for (uint32_t index = 0; index < count; ++index) units += Record::units(items[index].length);
    return units;
  }

  /// Advances the reclaim mark over released slots. False: `number`, the caller's tail, is out of date.
  bool advance_reclaim(Actor& actor, uint64_t number, uint64_t* result) {
    // SYNC POINT: pairs with the exchange below; what another producer saw released is released for us.
    uint64_t reclaimed = state_.control->reclaim.load(state_.order(Site::kReclaimLoad, std::memory_order_acquire));
    const uint64_t before = reclaimed;
    // Where no claim was ever aborted, only what was taken is released, and head need not be looked at.
    bool any_aborted = state_.control->aborted.load(std::memory_order_acquire) != 0;
    for (;;) {
      const Word head = any_aborted ? state_.control->head.load(std::memory_order_acquire) : 0;
      const uint64_t bound = any_aborted ? std::min(number, Cursor::number(head)) : number;
      while (reclaimed < bound) {
        // SYNC POINT: pairs with release().
        const Word word =
            state_.slot(reclaimed).word.load(state_.order(Site::kReclaimSlotLoad, std::memory_order_acquire));
        if (!SlotWord::is_done(word, reclaimed)) {
          if (SlotWord::is_later(word, reclaimed)) return false;  // somebody reclaimed it and claimed it anew
          break;
        }
        ++reclaimed;
      }
      const uint64_t at = Cursor::number(head);
      if (any_aborted && reclaimed == at && at < number &&
          SlotWord::is_done(state_.slot(at).word.load(std::memory_order_acquire), at)) {
        state_.skip_aborted(actor, head);
        continue;
      }
      // An aborted slot was announced before it was one: then reclaim must not run past head.
      if (any_aborted || state_.control->aborted.load(std::memory_order_acquire) == 0) break;
      any_aborted = true;
      reclaimed = before;
    }
    uint64_t seen = before;
    while (seen < reclaimed && !state_.control->reclaim.compare_exchange_weak(
                                   seen, reclaimed, state_.order(Site::kReclaimAdvance, std::memory_order_release),
                                   std::memory_order_relaxed)) {
    }
    if (reclaimed > number) return false;
    *result = reclaimed;
    return true;
  }

  uint64_t occupied(uint64_t reclaimed, uint64_t number) const {
    uint64_t best = ~uint64_t{0};
    // An item on its way into a lease may be counted twice, but not twice in a row.
    for (int attempt = 0; attempt < 2; ++attempt) {
      uint64_t untaken = 0;
      uint64_t searched = number;
      if (state_.control->aborted.load(std::memory_order_acquire) == 0) {
        searched =
            std::min(std::max(Cursor::number(state_.control->head.load(std::memory_order_acquire)), reclaimed), number);
        untaken = number - searched;
      }
      uint64_t count = untaken;
      for (uint64_t at = reclaimed; at < searched; ++at) {
        const Word word = state_.slot(at).word.load(std::memory_order_acquire);
        count += !SlotWord::is_done(word, at) && !SlotWord::is_later(word, at);
      }
      best = std::min(best, count + state_.leases_in_use());
    }
    return best;
  }

  /// The first position still in use by anything behind `reclaimed`. False: its claimant has not written it yet.
  bool oldest_position(uint64_t number, uint64_t reclaimed, uint32_t start, uint32_t* oldest) const {
    if (reclaimed == number) {
      *oldest = start;
      return true;
    }
    const Word word = state_.slot(reclaimed).word.load(std::memory_order_acquire);
    if (SlotWord::has_tag(word, reclaimed) && SlotWord::state(word) != SlotWord::kClaimed &&
        SlotWord::state(word) != SlotWord::kAborted) {
      // Of this lap or a later one. If later, tail is past every number that the answer will be used for.
      *oldest = Record::position(state_.slot(reclaimed).record.load(std::memory_order_relaxed));
      return true;
    }
    const Word previous = state_.slot(reclaimed - 1).word.load(std::memory_order_acquire);
    if (previous != SlotWord::make(reclaimed - 1, SlotWord::kReleased)) return false;
    *oldest = reclaimed == state_.first_number() ? 0 : state_.end_of(reclaimed - 1);
    return true;
  }

  /// The first position from `position` on at which `units` overlap no leased bytes.
  uint32_t past_leases(uint32_t position, uint32_t units, uint32_t limit) const {
    const uint32_t high = state_.lease_high();
    const uint32_t begin = position;
    for (bool moved = high > 0 && units > 0; moved;) {
      moved = false;
      for (uint32_t index = 0; index < high; ++index) {
        uint32_t from = 0;
        uint32_t size = 0;
        if (!state_.leased_bytes(index, &from, &size)) continue;
        // Both as distances modulo the capacity: ours [0, units), the lease's [ahead, ahead + size).
        const uint32_t ahead = (from - position) & (state_.area_units - 1);
        const bool overlaps = ahead < units || ahead + size > state_.area_units;
        if (!overlaps) continue;
        // Not reduced modulo the area: a lease that ends exactly one area ahead has to move us by that whole way.
        position += ahead + size > state_.area_units ? ahead + size - state_.area_units : ahead + size;
        // Never more than once around the area, whatever the words say.
        if (size >= state_.area_units || position - begin >= state_.area_units ||
            static_cast<int32_t>(position + units - limit) > 0) {
          return limit;
        }
        moved = true;
      }
    }
    return position;
  }

  /// How far bytes may be claimed from `position` on without looking at leases again.
  uint32_t next_lease(uint32_t position, uint32_t limit) const {
    uint32_t room = limit - position;
    const uint32_t high = state_.lease_high();
    for (uint32_t index = 0; index < high; ++index) {
      uint32_t from = 0;
      uint32_t size = 0;
      if (!state_.leased_bytes(index, &from, &size)) continue;
      const uint32_t ahead = (from - position) & (state_.area_units - 1);
      room = ahead + size > state_.area_units ? 0 : std::min(room, ahead);
    }
    return position + room;
  }

  const SharedState<Memory>& state_;
};

}  // namespace sage
