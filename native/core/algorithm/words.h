// The shared words of one queue, and the small steps on them that every part of the algorithm takes: stamps, the end of
// a claim, the bytes of leases. The parts build on each other: words, room, contents, recovery, and sage_queue.h, which
// has the overview.
#pragma once

#include <algorithm>

#include "core/algorithm/shared.h"

namespace sage {

template <class Memory>
class Words {
 public:
  using Word = uint64_t;
  explicit Words(const Shared<Memory>& shared) : shared_(shared) {}

  /// Whether there may be items given back: one load on the path of every take.
  bool may_be_returned() const { return Mark::is_up(control().returned_hint.load(std::memory_order_acquire)); }

  /// Whether tail or head still name the participant, so that its entry must not be used again.
  bool named(uint32_t index) const {
    return Cursor::owner(control().tail.load(std::memory_order_acquire)) == index ||
           Cursor::owner(control().head.load(std::memory_order_acquire)) == index;
  }

  uint64_t leases_in_use() const {
    uint64_t count = 0;
    const uint32_t high = lease_high();
    for (uint32_t index = 0; index < high; ++index) {
      const Word word = shared_.leases[index].word.load(order(Site::kLeaseLoad, std::memory_order_acquire));
      count += LeaseWord::state(word) != LeaseWord::kFree;
    }
    return count;
  }

 protected:
  static constexpr int kLooks = 8;  // of a question at words that move on meanwhile

  static constexpr std::memory_order order(Site site, std::memory_order asked) { return Memory::order(site, asked); }
  Control<Memory>& control() const { return *shared_.control; }
  Participant<Memory>& self(const Actor& actor) const { return shared_.participants[actor.index]; }

  uint32_t lease_high() const {
    return static_cast<uint32_t>(
        std::min<uint64_t>(control().lease_high.load(std::memory_order_acquire), shared_.lease_count));
  }

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

  void raise_hint() {
    // SYNC POINT: after the items were given back, pairs with the hint load in retake(); and ordered before the look
    // for sleepers, pairs with the fence in park().
    Word seen = control().returned_hint.load(std::memory_order_relaxed);
    while (!control().returned_hint.compare_exchange_weak(
        seen, Mark::raised(seen), order(Site::kHintBump, std::memory_order_seq_cst), std::memory_order_relaxed)) {
    }
  }

  void finish_shutdown() {
    uint32_t expected = 0;
    control().shut.compare_exchange_strong(expected, 1);
  }

  bool still_at(Word tail) const { return control().tail.load(std::memory_order_acquire) == tail; }

  /// Where the claim that `tail` names ends. Its owner announced it before it won; once the owner announces another
  /// one, the extents of this one are written.
  uint32_t boundary(Word tail) const {
    const uint32_t owner = Cursor::owner(tail);
    if (owner == 0) return 0;
    // SYNC POINT: pairs with the intent store in claim().
    const uint64_t intent =
        shared_.participants[owner].intent.load(order(Site::kIntentLoad, std::memory_order_acquire));
    const uint64_t number = Cursor::number(tail);
    if (static_cast<uint32_t>(intent >> 32) == static_cast<uint32_t>(number)) return static_cast<uint32_t>(intent);
    return end_of(number - 1);
  }

  uint32_t end_of(uint64_t number) const {
    const uint64_t extent = shared_.slot(number).extent.load(std::memory_order_relaxed);
    return Extent::position(extent) + Extent::units(Extent::length(extent));
  }

  /// Writes into the first slot of the claim that `tail` names whose it is, unless that slot already says so or more.
  /// Relaxed: a late recoverer that meets the stamp of a newcomer in the dead one's entry came to it by way of a tail
  /// (or head) that is no older, and loaded that with acquire; so it sees the newcomer, too.
  void stamp_claim(Word tail) {
    const uint32_t run = Cursor::run(tail);
    if (run == 0) return;
    const uint64_t first = Cursor::number(tail) - run;
    const uint64_t before = first - shared_.slot_count;
    Slot<Memory>& slot = shared_.slot(first);
    Word word = slot.word.load(std::memory_order_relaxed);
    if (SlotWord::is_done(word, before)) {
      slot.word.compare_exchange_strong(word, SlotWord::make(first, SlotWord::kClaimed, Cursor::owner(tail), run),
                                        std::memory_order_relaxed);
    }
  }

  void stamp_take(Word head) {
    const uint32_t run = Cursor::run(head);
    if (run == 0) return;
    const uint64_t first = Cursor::number(head) - run;
    Slot<Memory>& slot = shared_.slot(first);
    Word word = slot.word.load(std::memory_order_relaxed);
    if (word == SlotWord::make(first, SlotWord::kCommitted)) {
      slot.word.compare_exchange_strong(word, SlotWord::make(first, SlotWord::kTaken, Cursor::owner(head), run),
                                        std::memory_order_relaxed);
    }
  }

  /// Passes over a number that was claimed and given up.
  void skip_void(Actor& actor, Word head) {
    stamp_take(head);
    Word expected = head;
    control().head.compare_exchange_strong(expected, Cursor::make(Cursor::number(head) + 1, actor.index, 0),
                                           std::memory_order_acq_rel, std::memory_order_relaxed);
  }

  bool leased_bytes(uint32_t index, uint32_t* from, uint32_t* size) const {
    const LeaseEntry<Memory>& entry = shared_.leases[index];
    // SYNC POINT: pairs with the end of the lease, whose bytes may be used after it.
    const Word word = entry.word.load(order(Site::kLeaseLoad, std::memory_order_acquire));
    const uint32_t state = LeaseWord::state(word);
    if (state != LeaseWord::kLeased && state != LeaseWord::kAvailable) return false;
    // SYNC POINT: may be of a later life than the word; pairs with the filling in lease().
    const uint64_t extent = entry.extent.load(order(Site::kLeaseFieldLoad, std::memory_order_acquire));
    *from = Extent::position(extent);
    *size = Extent::units(Extent::length(extent));
    return *size > 0;
  }

  /// Where a search that ends before `end` begins. Never more than one lap, whatever the words say.
  uint64_t oldest_number(uint64_t end) const {
    const uint64_t reclaimed = std::min(control().reclaim.load(std::memory_order_acquire), end);
    return std::max(reclaimed, end - std::min(end, shared_.slot_count));
  }

  Shared<Memory> shared_;
};

}  // namespace sage
