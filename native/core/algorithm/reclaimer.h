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
  /// The same for those who look whether the limit was exceeded: never more than there were when it began, whatever
  /// the others do meanwhile. What was claimed before and is in use when it is read was so then. So leases first, and
  /// of an item on its way into one only its slot.
  uint64_t counted() const {
    const uint64_t tail = Cursor::number(state_.control->tail.load(std::memory_order_seq_cst));
    uint64_t count = 0;
    const uint32_t high = state_.lease_high();
    for (uint32_t index = 0; index < high; ++index) {
      const LeaseEntry<Memory>& entry = state_.leases[index];
      const Word word = entry.word.load(std::memory_order_acquire);
      const uint64_t number = entry.number.load(std::memory_order_acquire);
      if (LeaseWord::state(word) < LeaseWord::kLeased || number >= tail) continue;
      if (entry.word.load(std::memory_order_acquire) != word) continue;
      const Word slot = state_.slot(number).word.load(std::memory_order_acquire);
      count += !SlotWord::has_tag(slot, number) || SlotWord::is_done(slot, number);
    }
    for (uint64_t number = state_.oldest_number(tail); number < tail; ++number) {
      const Word word = state_.slot(number).word.load(std::memory_order_acquire);
      count += !SlotWord::is_done(word, number) && !SlotWord::is_later(word, number);
    }
    return count;
  }

  /// Bytes of payload in use, rounded up as they lie in the segment.
  uint64_t used_bytes() const {
    return std::min<uint64_t>(counted_bytes(), uint64_t{state_.capacity_units} * kUnitBytes);
  }
  /// The same as it was counted.
  uint64_t counted_bytes() const {
    return kUnitBytes * at_one_tail([this](uint64_t first, uint64_t tail) {
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
  }

  /// Nothing is left that anybody could still get: no item, no claim, no lease.
  bool drained() const {
    // SYNC POINT: of two that ack the last two items, one sees the other's.
    Memory::fence(Site::kDrainedFence);
    const uint64_t tail = Cursor::number(state_.control->tail.load(std::memory_order_seq_cst));
    const uint64_t head = Cursor::number(state_.control->head.load(std::memory_order_acquire));
    // What most often is in the way, before everything is looked through.
    if (head < tail && !SlotWord::is_done(state_.slot(head).word.load(std::memory_order_acquire), head) &&
        SlotWord::has_tag(state_.slot(head).word.load(std::memory_order_acquire), head)) {
      return false;
    }
    const uint64_t first = state_.oldest_number(tail);
    for (uint64_t number = first; number < tail; ++number) {
      if (!SlotWord::is_done(state_.slot(number).word.load(std::memory_order_acquire), number)) return false;
    }
    return state_.leases_in_use() == 0;
  }

  /// Finds out how much may be claimed behind `tail`, places the items around the bytes of leased ones, and remembers
  /// the answer for the next claims. kRetry: tail has moved on meanwhile, look again.
  SAGE_COLD Outcome find_space(Handle& handle, Word tail, uint32_t start, Item* items, uint32_t count, uint32_t* fitted,
                               uint32_t* end) {
    const uint64_t number = Cursor::number(tail);
    uint64_t reclaimed = 0;
    if (!advance_reclaim(handle, number, &reclaimed)) return Outcome::kRetry;
    if (number - reclaimed > state_.slot_count) return state_.still_at(tail) ? Outcome::kCorrupt : Outcome::kRetry;

    if (number >= Cursor::kEnd) return Outcome::kCorrupt;

    // Numbers first, then leases: an item moves from its slot to its lease, never back, so none is missed.
    learn_leases(handle.leases, reclaimed);
    const int64_t free_items = count_free(handle.leases, number, reclaimed, count);
    const int64_t free_slots = static_cast<int64_t>(reclaimed + state_.slot_count - 1 - number);
    const int64_t usable = std::min({free_items, free_slots, static_cast<int64_t>(count)});
    if (usable <= 0) return state_.still_at(tail) ? Outcome::kFull : Outcome::kRetry;

    uint32_t oldest = 0;
    if (!oldest_position(number, reclaimed, start, &oldest)) {
      return state_.still_at(tail) ? Outcome::kCorrupt : Outcome::kRetry;
    }
    const uint32_t limit = oldest + state_.capacity_units;
    uint32_t position = start;
    uint32_t placed = 0;
    while (placed < usable) {
      const uint32_t units = Record::units(items[placed].length);
      const uint32_t clear = past_leases(handle.leases, position, units, limit);
      if (static_cast<int32_t>(clear + units - limit) > 0) break;
      items[placed].position = clear;
      position = clear + units;
      ++placed;
    }
    if (placed == 0) return no_space(handle.leases, tail, reclaimed, start, Record::units(items[0].length), end);
    // What was read behind this tail is only known to belong together while it is still the tail.
    const bool stepped = position - start != units_of(items, placed);
    // What was stepped over is not free space: should another claim win, ours must look at it again. So only an
    // unbroken stretch, good from `start` on, is remembered.
    const uint32_t next = stepped ? start : next_lease(handle.leases, start, limit);
    if (!state_.still_at(tail)) return Outcome::kRetry;
    *fitted = placed;
    *end = position;
    // A position is 32 bits wide: the answer may be remembered only while less than half of that can go by.
    const uint64_t horizon = (uint64_t{1} << 30) / state_.area_units;
    const uint64_t most = std::min<uint64_t>(std::min(free_items, free_slots), horizon);
    handle.number_limit = std::min(number + most, Cursor::kEnd);
    handle.position_limit = next;
    return Outcome::kOk;
  }

 private:
  /// An item did not fit in front of `limit`. Where there is nothing else than leases, it may fit between two of them
  /// further on: what lies before it is given up first, so that it does not count. With k leases there is always such a
  /// place for an item of a k-th of what the area has beside them.
  Outcome no_space(LeaseMap& known, Word tail, uint64_t reclaimed, uint32_t start, uint32_t units,
                   uint32_t* end) const {
    const bool empty = reclaimed == Cursor::number(tail);
    const uint32_t around = start + 2 * state_.area_units;
    const uint32_t clear = empty && known.size() > 0 ? past_leases(known, start, units, around) : around;
    if (!state_.still_at(tail)) return Outcome::kRetry;
    if (clear == around || clear == start) return Outcome::kFull;
    *end = clear;
    return Outcome::kSkip;
  }

  /// How many items more there may be; exact where it is less than `count`.
  int64_t count_free(LeaseMap& known, uint64_t number, uint64_t reclaimed, uint32_t count) const {
    const auto limit = static_cast<int64_t>(state_.item_limit);
    const auto behind = static_cast<int64_t>(number - reclaimed);
    int64_t free = limit - behind - static_cast<int64_t>(known.size());
    if (free >= static_cast<int64_t>(count)) return free;
    known.forget([this](const LeaseMap::Place& place) { return has_ended(place); });
    free = limit - behind - static_cast<int64_t>(known.size());
    if (free >= static_cast<int64_t>(count)) return free;
    return limit - static_cast<int64_t>(occupied(reclaimed, number));
  }

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
  bool advance_reclaim(Handle& handle, uint64_t number, uint64_t* result) {
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
        state_.skip_aborted(handle, head);
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
    // SYNC POINT: pairs with recovery, which writes the note before the word.
    const Word previous = state_.slot(reclaimed - 1).word.load(std::memory_order_acquire);
    if (previous == SlotWord::make(reclaimed - 1, SlotWord::kAborted)) {
      const uint64_t note = state_.slot(reclaimed - 1).note.load(std::memory_order_acquire);
      *oldest = Note::claim_end(note);
      return Note::is_aborted(note, reclaimed - 1);
    }
    if (!SlotWord::is_done(previous, reclaimed - 1)) return false;
    *oldest = reclaimed == state_.first_number() ? 0 : state_.end_of(reclaimed - 1);
    return true;
  }

  // ── leases ─────────────────────────────────────────────────────────────

  bool has_ended(const LeaseMap::Place& place) const {
    // SYNC POINT: pairs with the end of the lease, whose bytes may be used after it.
    const Word word = state_.leases[place.index].word.load(state_.order(Site::kLeaseLoad, std::memory_order_acquire));
    return !LeaseWord::holds(word, place.serial);
  }

  void add_lease(LeaseMap& known, uint32_t index, uint32_t serial) const {
    const LeaseEntry<Memory>& entry = state_.leases[index];
    LeaseMap::Place place{0, 0, index, serial};
    if (has_ended(place)) return;
    // SYNC POINT: who reads the record of a later life sees the end of this one; pairs with the filling in lease().
    const uint64_t record = entry.record.load(state_.order(Site::kLeaseFieldLoad, std::memory_order_acquire));
    if (has_ended(place)) return;
    place.position = Record::position(record) & (state_.area_units - 1);
    place.units = std::min(Record::units(Record::length(record)), state_.area_units);
    known.add(place, state_.area_units, [this](const LeaseMap::Place& other) { (void)has_ended(other); });
  }

  /// Finds the leases whose items' numbers are below `reclaimed`: each of those slots says where its item went. Of
  /// slots used again in a later lap nothing is known; then all entries are looked at.
  void learn_leases(LeaseMap& known, uint64_t reclaimed) const {
    if (known.known_up_to >= reclaimed) return;
    if (state_.lease_high() > 0 && !learn_from_slots(known, reclaimed)) {
      known.clear();
      const uint32_t high = state_.lease_high();
      for (uint32_t index = 0; index < high; ++index) {
        const Word word = state_.leases[index].word.load(state_.order(Site::kLeaseLoad, std::memory_order_acquire));
        if (LeaseWord::state(word) >= LeaseWord::kLeased) add_lease(known, index, LeaseWord::serial(word));
      }
    }
    known.known_up_to = reclaimed;
  }

  /// False: some of them were used again.
  bool learn_from_slots(LeaseMap& known, uint64_t reclaimed) const {
    if (reclaimed - known.known_up_to > state_.slot_count) return false;
    for (uint64_t number = known.known_up_to; number < reclaimed; ++number) {
      const Slot<Memory>& slot = state_.slot(number);
      // SYNC POINT: pairs with the end of a move into a lease.
      const Word word = slot.word.load(state_.order(Site::kReclaimSlotLoad, std::memory_order_acquire));
      if (!SlotWord::is_done(word, number)) return false;
      if (word != SlotWord::make(number, SlotWord::kMoved)) continue;
      const uint64_t note = slot.note.load(std::memory_order_acquire);
      if (!Note::is_moved(note) || Note::lease(note) >= state_.lease_count) return false;
      if (slot.word.load(std::memory_order_acquire) != word) return false;  // the note may be of a later lap
      add_lease(known, Note::lease(note), Note::serial(note));
    }
    return true;
  }

  /// The first position from `position` on at which `units` overlap no leased bytes; `limit` when that is beyond it.
  uint32_t past_leases(LeaseMap& known, uint32_t position, uint32_t units, uint32_t limit) const {
    const uint32_t begin = position;
    LeaseMap::Place place{};
    while (units > 0 && known.overlapping(position, units, state_.area_units, &place)) {
      if (has_ended(place)) {
        known.remove(place);
        continue;
      }
      // As distances modulo the area: ours [0, units), the lease's [ahead, ahead + its units).
      const uint32_t ahead = (place.position - position) & (state_.area_units - 1);
      const uint32_t past = ahead + place.units;
      // Not reduced modulo the area: a lease that ends exactly one area ahead has to move us by that whole way.
      position += past > state_.area_units ? past - state_.area_units : past;
      // Never more than once around the area, whatever the words say.
      if (place.units >= state_.area_units || position - begin >= state_.area_units ||
          static_cast<int32_t>(position + units - limit) > 0) {
        return limit;
      }
    }
    return position;
  }

  /// How far bytes may be claimed from `position` on without looking at leases again.
  uint32_t next_lease(LeaseMap& known, uint32_t position, uint32_t limit) const {
    const uint32_t units = std::min(limit - position, state_.area_units);
    LeaseMap::Place place{};
    while (known.overlapping(position, units, state_.area_units, &place)) {
      if (has_ended(place)) {
        known.remove(place);
        continue;
      }
      const uint32_t ahead = (place.position - position) & (state_.area_units - 1);
      return position + (ahead + place.units > state_.area_units ? 0 : ahead);
    }
    return position + units;
  }

  const SharedState<Memory>& state_;
};

}  // namespace sage
