// The lock-free queue: claim, commit, take, release, lease and recovery over one segment's shared words.
//
// The algorithm, its invariants, why no word can be mistaken for an older one, and what every instant of death leaves
// behind are argued in docs/sage-queue.md. In short:
//
//   tail names the last claim: up to which number, by whom, how many. A claim is won by one compare-and-swap of it. The
//   next claimant first stamps the loser-proof fact "owner, run" into the claim's first slot, then overwrites tail.
//   head does the same for takes. So at every instant the memory itself says who holds what, and recovery needs no
//   witness: it turns a dead owner's claims into voids and its takes into returned items.
#pragma once

#include <algorithm>

#include "core/shared.h"

namespace sage {

template <class Memory>
class SageQueue {
 public:
  using Word = uint64_t;
  explicit SageQueue(const Shared<Memory>& shared) : shared_(shared) {}

  // ── producers ──────────────────────────────────────────────────────────

  /// Claims room for up to `count` items of `lengths` bytes; `items` gets number, position and length of those that
  /// fitted, `claimed` how many. Between claim and commit their bytes belong to the caller.
  Outcome claim(Actor& actor, const uint32_t* lengths, const uint32_t* codecs, uint32_t count, Item* items,
                uint32_t* claimed) {
    count = std::min(count, kMaxRun);
    for (uint32_t patience = Memory::kPatience; patience-- > 0;) {
      // SYNC POINT: pairs with the claiming exchange of whoever wrote this tail.
      const Word tail = control().tail.load(order(Site::kTailLoad, std::memory_order_acquire));
      if (tail & Cursor::kShut) return Outcome::kShut;
      const uint64_t number = Cursor::number(tail);
      const uint32_t start = tail == actor.last_tail ? actor.last_end : boundary(tail);
      uint32_t fitted = count;
      uint32_t end = start;
      for (uint32_t index = 0; index < count; ++index) {
        items[index].number = number + index;
        items[index].position = end;
        items[index].length = lengths[index];
        items[index].codec = codecs[index];
        items[index].deliveries = 0;
        items[index].lease = -1;
        end += Extent::units(lengths[index]);
      }
      if (number + count > actor.number_limit || static_cast<int32_t>(end - actor.position_limit) > 0) {
        const Outcome room = make_room(actor, tail, start, items, count, &fitted, &end);
        if (room == Outcome::kRetry) continue;
        if (room != Outcome::kOk) return room;
      }
      if (tail != actor.last_tail) stamp_claim(tail);
      Memory::point(Point::kClaimStamped);
      // SYNC POINT: pairs with the intent load in boundary(); our earlier claim's extents lie before it.
      self(actor).intent.store((number + fitted) << 32 | end, order(Site::kIntentStore, std::memory_order_release));
      Memory::point(Point::kClaimIntent);
      Word expected = tail;
      const Word claim_word = Cursor::make(number + fitted, actor.index, fitted);
      // SYNC POINT: publishes the intent and the stamp; pairs with the load above.
      if (!control().tail.compare_exchange_strong(
              expected, claim_word, order(Site::kTailClaim, std::memory_order_release), std::memory_order_relaxed)) {
        continue;
      }
      Memory::point(Point::kClaimWon);
      actor.last_tail = 0;  // until it is committed others may have to stamp it, and so may we
      actor.last_end = end;
      *claimed = fitted;
      return Outcome::kOk;
    }
    return Outcome::kCorrupt;
  }

  /// Writes down where a claim's items lie. Before anything else is claimed through this actor, since until then only
  /// its announced intent says where the claim ends; commit() and abandon() do it for a claim they follow directly.
  void describe(const Item* items, uint32_t count) {
    for (uint32_t index = 0; index < count; ++index) describe_one(items[index]);
  }

  /// Makes a claim's items visible, in order. What a dying producer had committed of a batch stays, the rest is void.
  void commit(Actor& actor, const Item* items, uint32_t count) {
    Memory::point(Point::kCommitBefore);
    for (uint32_t index = 0; index < count; ++index) {
      const uint64_t number = items[index].number;
      const bool last = index + 1 == count;
      describe_one(items[index]);
      if (!last) {
        // What is left of the run must name its owner before the word that does so now is overwritten.
        shared_.slot(number + 1)
            .word.store(SlotWord::make(number + 1, SlotWord::kClaimed, actor.index, count - index - 1),
                        std::memory_order_release);
        // SYNC POINT: publishes payload and extent; pairs with the slot load in take().
        shared_.slot(number).word.store(SlotWord::make(number, SlotWord::kCommitted),
                                        order(Site::kCommit, std::memory_order_release));
        Memory::point(Point::kCommitHalf);
      } else {
        // SYNC POINT: also ordered before the look for sleepers; pairs with the fence in park().
        shared_.slot(number).word.exchange(SlotWord::make(number, SlotWord::kCommitted),
                                           order(Site::kCommitLast, std::memory_order_seq_cst));
      }
    }
    remember_claim(actor, items, count);
    Memory::point(Point::kCommitAfter);
  }

  /// Whether a commit may have shown where it lies to those who, not knowing it, found the queue full: bytes left free
  /// in front of it or within it, where it stepped past a lease, or those of a void whose extent nobody wrote.
  bool may_reveal_room() const {
    // SYNC POINT: after the commit; a putter that looked before it and saw the void has its bell up. Pairs with the
    // fence in park().
    return lease_high() > 0 || control().voids.load(std::memory_order_seq_cst) != 0;
  }

  /// Gives a claim up: its numbers become void and are passed over.
  void abandon(Actor& actor, const Item* items, uint32_t count) {
    control().voids.store(1, std::memory_order_seq_cst);
    describe(items, count);
    for (uint32_t index = count; index-- > 0;) {
      shared_.slot(items[index].number)
          .word.exchange(SlotWord::make(items[index].number, SlotWord::kReleased), std::memory_order_seq_cst);
    }
    remember_claim(actor, items, count);
  }

  // ── consumers ──────────────────────────────────────────────────────────

  /// Takes up to `max` committed items that follow each other, of together at most `max_bytes` unless it is only one.
  /// Their bytes stay put until release().
  Outcome take(Actor& actor, uint32_t max, Item* items, uint32_t* taken, uint64_t max_bytes = ~uint64_t{0}) {
    max = std::min(max, kMaxRun);
    for (uint32_t patience = Memory::kPatience; patience-- > 0;) {
      // SYNC POINT: pairs with the taking exchange of whoever wrote this head.
      const Word head = control().head.load(order(Site::kHeadLoad, std::memory_order_acquire));
      const uint64_t number = Cursor::number(head);
      uint32_t run = 0;
      uint64_t bytes = 0;
      while (run < max) {
        Slot<Memory>& slot = shared_.slot(number + run);
        // SYNC POINT: pairs with the commit.
        const Word word = slot.word.load(order(Site::kSlotLoad, std::memory_order_acquire));
        if (word != SlotWord::make(number + run, SlotWord::kCommitted)) break;
        const uint64_t extent = slot.extent.load(std::memory_order_relaxed);
        bytes += Extent::length(extent);
        if (run > 0 && bytes > max_bytes) break;
        items[run] = {number + run,
                      Extent::position(extent),
                      Extent::length(extent),
                      static_cast<uint32_t>(slot.codec.load(std::memory_order_relaxed)),
                      0,
                      -1};
        ++run;
      }
      if (run == 0) {
        const Outcome why = nothing_to_take(actor, head);
        if (why == Outcome::kOk) continue;
        return why;
      }
      if (head != actor.last_head) stamp_take(head);
      Memory::point(Point::kTakeStamped);
      Word expected = head;
      const Word take_word = Cursor::make(number + run, actor.index, run);
      // SYNC POINT: publishes the stamp; pairs with the load above.
      if (!control().head.compare_exchange_strong(
              expected, take_word, order(Site::kHeadTake, std::memory_order_release), std::memory_order_relaxed)) {
        continue;
      }
      actor.last_head = 0;
      *taken = run;
      Memory::point(Point::kTakeWon);
      return Outcome::kOk;
    }
    return Outcome::kCorrupt;
  }

  /// Done with a whole run from take(): the slots and their bytes may be used again. The first slot goes last, because
  /// it is the one that says whose the run is.
  void release(Actor& actor, const Item* items, uint32_t count) {
    Memory::point(Point::kReleaseBefore);
    for (uint32_t index = count; index-- > 1;) {
      shared_.slot(items[index].number)
          .word.store(SlotWord::make(items[index].number, SlotWord::kReleased), std::memory_order_relaxed);
      Memory::point(Point::kReleaseHalf);
    }
    // SYNC POINT: the payload of the whole run is no longer read, pairs with the slot loads in advance_reclaim(), which
    // come to this slot before the others of the run; and ordered before the look
    // for sleeping producers, pairs with the fence in park().
    shared_.slot(items[0].number)
        .word.exchange(SlotWord::make(items[0].number, SlotWord::kReleased),
                       order(Site::kReleaseLast, std::memory_order_seq_cst));
    const uint64_t end = items[count - 1].number + 1;
    const Word mine = Cursor::make(end, actor.index, count);
    actor.last_head = mine;
    Memory::point(Point::kReleaseAfter);
  }

  /// Done with the first of the `left` items that remain of a run: the next one then says whose the rest is.
  void release_first(Actor& actor, const Item& item, uint32_t left) {
    if (left > 1) {
      shared_.slot(item.number + 1)
          .word.store(SlotWord::make(item.number + 1, SlotWord::kTaken, actor.index, left - 1, item.deliveries),
                      std::memory_order_release);
    }
    shared_.slot(item.number)
        .word.exchange(SlotWord::make(item.number, SlotWord::kReleased),
                       order(Site::kReleaseLast, std::memory_order_seq_cst));
    Memory::point(Point::kReleaseAfter);
  }

  /// Gives the items of a run back: they are taken again before everything that was never taken.
  void give_back(Actor& actor, const Item* items, uint32_t count) {
    for (uint32_t index = count; index-- > 0;) {
      shared_.slot(items[index].number)
          .word.store(SlotWord::make(items[index].number, SlotWord::kReturned, 0, 0,
                                     std::min(items[index].deliveries + 1, SlotWord::kMaxDeliveries)),
                      order(Site::kReturn, std::memory_order_release));
      Memory::point(Point::kReturnHalf);
    }
    actor.last_head = 0;
    raise_hint();
  }

  /// Takes one item that was given back, the oldest there is. kEmpty when there is none.
  Outcome retake(Actor& actor, Item* item) {
    for (;;) {
      // SYNC POINT: pairs with raise_hint().
      Word hint = control().returned_hint.load(order(Site::kHintLoad, std::memory_order_acquire));
      if (!Mark::is_up(hint)) return Outcome::kEmpty;
      Word found = 0;
      if (!oldest_returned(item, &found)) {
        // Nobody raised it since we looked: what we did not find is not there.
        if (control().returned_hint.compare_exchange_strong(hint, Mark::lowered(hint), std::memory_order_acq_rel)) {
          return Outcome::kEmpty;
        }
        continue;
      }
      if (item->lease >= 0) {
        const Word mine =
            LeaseWord::make(LeaseWord::kLeased, actor.index, LeaseWord::deliveries(found), LeaseWord::serial(found));
        if (!shared_.leases[item->lease].word.compare_exchange_strong(found, mine, std::memory_order_acq_rel)) continue;
      } else {
        const Word mine = SlotWord::make(item->number, SlotWord::kTaken, actor.index, 1, SlotWord::deliveries(found));
        if (!shared_.slot(item->number).word.compare_exchange_strong(found, mine, std::memory_order_acq_rel)) continue;
      }
      add(self(actor).redelivered, 1);
      Memory::point(Point::kRetakeWon);
      return Outcome::kOk;
    }
  }

  // ── leases ─────────────────────────────────────────────────────────────

  /// Moves an item that was just taken alone (take of one, or retake) out of the ring into a lease entry, so that the
  /// numbers and bytes behind it can be used again. False: no entry is free, the item is as it was.
  bool lease(Actor& actor, Item* item) {
    if (item->lease >= 0) return true;
    for (uint64_t index = 0; index < shared_.lease_count; ++index) {
      LeaseEntry<Memory>& entry = shared_.leases[index];
      Word word = entry.word.load(std::memory_order_relaxed);
      if (LeaseWord::state(word) != LeaseWord::kFree) continue;
      raise(control().lease_high, static_cast<uint32_t>(index + 1));
      const uint32_t serial = LeaseWord::serial(word) + 1;
      if (!entry.word.compare_exchange_strong(word, LeaseWord::make(LeaseWord::kFilling, actor.index, 0, serial),
                                              std::memory_order_acq_rel)) {
        continue;
      }
      Memory::point(Point::kLeaseFilling);
      // SYNC POINT: who reads these beside the word of the entry's last life sees that life's end, too; pairs with
      // leased_bytes() and recover_leases().
      entry.number.store(item->number, order(Site::kLeaseFill, std::memory_order_release));
      entry.extent.store(Extent::make(item->position, item->length),
                         order(Site::kLeaseFill, std::memory_order_release));
      entry.codec.store(item->codec, std::memory_order_relaxed);
      // Published by the slot's release, so that no producer sees the bytes free.
      entry.word.store(LeaseWord::make(LeaseWord::kLeased, actor.index, item->deliveries, serial),
                       std::memory_order_relaxed);
      Memory::point(Point::kLeasePublished);
      item->lease = static_cast<int64_t>(index);
      Item slot_item = *item;
      release(actor, &slot_item, 1);
      return true;
    }
    return false;
  }

  /// Finishes an item on lease.
  void acknowledge(Actor&, const Item& item) {
    Memory::point(Point::kLeaseAckBefore);
    LeaseEntry<Memory>& entry = shared_.leases[item.lease];
    const Word word = entry.word.load(std::memory_order_relaxed);
    // SYNC POINT: the payload is no longer read; pairs with the lease loads in make_room().
    entry.word.exchange(LeaseWord::make(LeaseWord::kFree, 0, 0, LeaseWord::serial(word)),
                        order(Site::kLeaseFree, std::memory_order_seq_cst));
  }

  /// Gives an item on lease back.
  void give_back_lease(Actor&, const Item& item) {
    LeaseEntry<Memory>& entry = shared_.leases[item.lease];
    const Word word = entry.word.load(std::memory_order_relaxed);
    entry.word.store(
        LeaseWord::make(LeaseWord::kAvailable, 0, LeaseWord::deliveries(word) + 1, LeaseWord::serial(word)),
        order(Site::kReturn, std::memory_order_release));
    Memory::point(Point::kReturnHalf);
    raise_hint();
  }

  /// No more claims from here on; gets end once nothing is left. Who dies between the steps is finished by recover().
  void shut_down() {
    control().tail.fetch_or(Cursor::kShut, std::memory_order_seq_cst);
    Memory::point(Point::kShutHalf);
    finish_shutdown();
  }

  // ── the dead ───────────────────────────────────────────────────────────

  /// Undoes what the participant `index`, marked dead as `identity`, left unfinished. Any number of recoverers may run
  /// at once, and any of them may die: each step is one compare-and-swap from a word that never comes back. Returns
  /// whether its entry may be freed, which must wait while tail or head still name it.
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

  /// Whether there may be items given back: one load on the path of every take.
  bool may_be_returned() const { return Mark::is_up(control().returned_hint.load(std::memory_order_acquire)); }

  /// Whether tail or head still name the participant, so that its entry must not be used again.
  bool named(uint32_t index) const {
    return Cursor::owner(control().tail.load(std::memory_order_acquire)) == index ||
           Cursor::owner(control().head.load(std::memory_order_acquire)) == index;
  }

  // ── questions ──────────────────────────────────────────────────────────

  /// Items committed and not taken, those given back included.
  uint64_t size() const {
    uint64_t count = 0;
    for (int attempt = 0; attempt < 8; ++attempt) {
      const Word head = control().head.load(std::memory_order_seq_cst);
      const uint64_t tail = std::min(Cursor::number(control().tail.load(std::memory_order_seq_cst)),
                                     Cursor::number(head) + shared_.slot_count);
      count = 0;
      for (uint64_t number = Cursor::number(head); number < tail; ++number) {
        if (shared_.slot(number).word.load(std::memory_order_acquire) == SlotWord::make(number, SlotWord::kCommitted)) {
          ++count;
        }
      }
      if (control().head.load(std::memory_order_seq_cst) == head) break;
    }
    return count + returned_count();
  }

  /// Items claimed, committed, taken or on lease: what maxsize bounds.
  uint64_t used() const {
    const uint64_t tail = Cursor::number(control().tail.load(std::memory_order_seq_cst));
    return occupied(oldest_number(tail), tail);
  }

  /// Bytes of payload in use, rounded up as they lie in the segment.
  uint64_t used_bytes() const {
    const uint64_t tail = Cursor::number(control().tail.load(std::memory_order_seq_cst));
    uint64_t units = 0;
    for (uint64_t number = oldest_number(tail); number < tail; ++number) {
      const Word word = shared_.slot(number).word.load(std::memory_order_acquire);
      if (SlotWord::is_done(word, number) || !SlotWord::has_tag(word, number)) continue;
      units += Extent::units(Extent::length(shared_.slot(number).extent.load(std::memory_order_relaxed)));
    }
    const uint32_t high = lease_high();
    for (uint32_t index = 0; index < high; ++index) {
      uint32_t from = 0;
      uint32_t size = 0;
      if (leased_bytes(index, &from, &size)) units += size;
    }
    return units * kUnitBytes;
  }

  /// Nothing is left that anybody could still get: no item, no claim, no lease.
  bool drained() const {
    // SYNC POINT: of two that finish the last two items, one sees the other's.
    Memory::fence(Site::kDrainedFence);
    const uint64_t tail = Cursor::number(control().tail.load(std::memory_order_seq_cst));
    const uint64_t first = oldest_number(tail);
    for (uint64_t number = first; number < tail; ++number) {
      if (!SlotWord::is_done(shared_.slot(number).word.load(std::memory_order_acquire), number)) return false;
    }
    return leases_in_use() == 0;
  }

  /// The next item without taking it, kEmpty when there is none. Its bytes are right as long as unchanged() holds.
  Outcome peek(Item* item, Word* seen) const {
    if (may_be_returned() && oldest_returned(item, seen)) return Outcome::kOk;
    const Word head = control().head.load(std::memory_order_acquire);
    const uint64_t number = Cursor::number(head);
    Slot<Memory>& slot = shared_.slot(number);
    if (slot.word.load(std::memory_order_acquire) != SlotWord::make(number, SlotWord::kCommitted)) {
      return Outcome::kEmpty;
    }
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

  uint64_t leases_in_use() const {
    uint64_t count = 0;
    const uint32_t high = lease_high();
    for (uint32_t index = 0; index < high; ++index) {
      const Word word = shared_.leases[index].word.load(order(Site::kLeaseLoad, std::memory_order_acquire));
      count += LeaseWord::state(word) != LeaseWord::kFree;
    }
    return count;
  }

 private:
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

  void describe_one(const Item& item) {
    Slot<Memory>& slot = shared_.slot(item.number);
    slot.codec.store(item.codec, std::memory_order_relaxed);
    // Published by the commit, or by the next intent. Who reads it a lap late loses: number_limit ends with this lap.
    slot.extent.store(Extent::make(item.position, item.length), std::memory_order_relaxed);
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

  void remember_claim(Actor& actor, const Item* items, uint32_t count) {
    actor.last_tail = Cursor::make(items[0].number + count, actor.index, count);
  }

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

  /// take() found nothing at `head`. kOk: look again.
  Outcome nothing_to_take(Actor& actor, Word head) {
    const uint64_t number = Cursor::number(head);
    const Word word = shared_.slot(number).word.load(std::memory_order_acquire);
    if (SlotWord::is_done(word, number)) {
      skip_void(actor, head);
      return Outcome::kOk;
    }
    if (word == SlotWord::make(number, SlotWord::kCommitted)) return Outcome::kOk;
    if (control().head.load(std::memory_order_relaxed) != head) return Outcome::kOk;
    return control().shut.load(std::memory_order_acquire) != 0 ? Outcome::kShut : Outcome::kEmpty;
  }

  /// Passes over a number that was claimed and given up.
  void skip_void(Actor& actor, Word head) {
    stamp_take(head);
    Word expected = head;
    control().head.compare_exchange_strong(expected, Cursor::make(Cursor::number(head) + 1, actor.index, 0),
                                           std::memory_order_acq_rel, std::memory_order_relaxed);
  }

  /// Finds out how much may be claimed behind `tail`, places the items around the bytes of leased ones, and remembers
  /// the answer for the next claims. kRetry: tail has moved on meanwhile, look again.
  Outcome make_room(Actor& actor, Word tail, uint32_t start, Item* items, uint32_t count, uint32_t* fitted,
                    uint32_t* end) {
    const uint64_t number = Cursor::number(tail);
    uint64_t reclaimed = 0;
    if (!advance_reclaim(actor, number, &reclaimed)) return Outcome::kRetry;
    if (number - reclaimed > shared_.slot_count) return still_at(tail) ? Outcome::kCorrupt : Outcome::kRetry;

    // Numbers first, then leases: an item moves from its slot to its lease, never back, so none is missed.
    int64_t free_items = static_cast<int64_t>(shared_.item_limit) - static_cast<int64_t>(number - reclaimed) -
                         static_cast<int64_t>(leases_in_use());
    if (free_items < static_cast<int64_t>(count)) {
      free_items = static_cast<int64_t>(shared_.item_limit) - static_cast<int64_t>(occupied(reclaimed, number));
    }
    const int64_t free_slots = static_cast<int64_t>(reclaimed + shared_.slot_count - 1 - number);
    const int64_t usable = std::min({free_items, free_slots, static_cast<int64_t>(count)});
    if (usable <= 0) return still_at(tail) ? Outcome::kFull : Outcome::kRetry;

    uint32_t oldest = 0;
    if (!oldest_position(number, reclaimed, start, &oldest)) return still_at(tail) ? Outcome::kFull : Outcome::kRetry;
    const uint32_t limit = oldest + shared_.capacity_units;
    uint32_t position = start;
    uint32_t placed = 0;
    while (placed < usable) {
      const uint32_t units = Extent::units(items[placed].length);
      const uint32_t clear = past_leases(position, units, limit);
      if (static_cast<int32_t>(clear + units - limit) > 0) break;
      items[placed].position = clear;
      position = clear + units;
      ++placed;
    }
    if (placed == 0) return still_at(tail) ? Outcome::kFull : Outcome::kRetry;
    // What was read behind this tail is only known to belong together while it is still the tail.
    const bool stepped = position - start != units_of(items, placed);
    // What was stepped over is not room: should another claim win, ours must look at it again. So only an unbroken
    // stretch, good from `start` on, is remembered.
    const uint32_t next = stepped ? start : next_lease(start, limit);
    if (!still_at(tail)) return Outcome::kRetry;
    *fitted = placed;
    *end = position;
    // A position is 32 bits wide: the answer may be remembered only while less than half of that can go by.
    const uint64_t horizon = (uint64_t{1} << 30) / shared_.area_units;
    actor.number_limit = number + std::min<uint64_t>(std::min(free_items, free_slots), horizon);
    actor.position_limit = next;
    return Outcome::kOk;
  }

  static uint32_t units_of(const Item* items, uint32_t count) {
    uint32_t units = 0;
    for (uint32_t index = 0; index < count; ++index) units += Extent::units(items[index].length);
    return units;
  }

  bool still_at(Word tail) const { return control().tail.load(std::memory_order_acquire) == tail; }

  /// Advances the reclaim mark over released slots. False: `number`, the caller's tail, is out of date.
  bool advance_reclaim(Actor& actor, uint64_t number, uint64_t* result) {
    // SYNC POINT: pairs with the exchange below; what another producer saw released is released for us.
    uint64_t reclaimed = control().reclaim.load(order(Site::kReclaimLoad, std::memory_order_acquire));
    const uint64_t before = reclaimed;
    // Where no claim was ever given up, only what was taken is released, and head need not be looked at.
    bool voids = control().voids.load(std::memory_order_acquire) != 0;
    for (;;) {
      const Word head = voids ? control().head.load(std::memory_order_acquire) : 0;
      const uint64_t bound = voids ? std::min(number, Cursor::number(head)) : number;
      while (reclaimed < bound) {
        // SYNC POINT: pairs with release().
        const Word word = shared_.slot(reclaimed).word.load(order(Site::kReclaimSlotLoad, std::memory_order_acquire));
        if (!SlotWord::is_done(word, reclaimed)) {
          if (((SlotWord::tag(word) - reclaimed) & SlotWord::kTagMask) != 0 &&
              ((SlotWord::tag(word) - reclaimed) & SlotWord::kTagMask) < SlotWord::kTagMask / 2) {
            return false;  // a later lap: somebody reclaimed it and claimed it anew
          }
          break;
        }
        ++reclaimed;
      }
      const uint64_t at = Cursor::number(head);
      if (voids && reclaimed == at && at < number &&
          SlotWord::is_done(shared_.slot(at).word.load(std::memory_order_acquire), at)) {
        skip_void(actor, head);
        continue;
      }
      // A void seen as released was announced before it was: then reclaim must not run past head.
      if (voids || control().voids.load(std::memory_order_acquire) == 0) break;
      voids = true;
      reclaimed = before;
    }
    uint64_t seen = before;
    while (seen < reclaimed &&
           !control().reclaim.compare_exchange_weak(
               seen, reclaimed, order(Site::kReclaimAdvance, std::memory_order_release), std::memory_order_relaxed)) {
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
      if (control().voids.load(std::memory_order_acquire) == 0) {
        searched =
            std::min(std::max(Cursor::number(control().head.load(std::memory_order_acquire)), reclaimed), number);
        untaken = number - searched;
      }
      uint64_t count = untaken;
      for (uint64_t at = reclaimed; at < searched; ++at) {
        count += !SlotWord::is_done(shared_.slot(at).word.load(std::memory_order_acquire), at);
      }
      best = std::min(best, count + leases_in_use());
    }
    return best;
  }

  /// The first position still in use by anything behind `reclaimed`. False: its claimant has not written it yet.
  bool oldest_position(uint64_t number, uint64_t reclaimed, uint32_t start, uint32_t* oldest) const {
    if (reclaimed == number) {
      *oldest = start;
      return true;
    }
    const Word word = shared_.slot(reclaimed).word.load(std::memory_order_acquire);
    if (SlotWord::has_tag(word, reclaimed) && SlotWord::state(word) != SlotWord::kClaimed &&
        SlotWord::state(word) != SlotWord::kVoid) {
      // Of this lap or a later one. If later, tail is past every number that the answer will be used for.
      *oldest = Extent::position(shared_.slot(reclaimed).extent.load(std::memory_order_relaxed));
      return true;
    }
    const Word previous = shared_.slot(reclaimed - 1).word.load(std::memory_order_acquire);
    if (previous != SlotWord::make(reclaimed - 1, SlotWord::kReleased)) return false;
    *oldest = reclaimed == shared_.first_number() ? 0 : end_of(reclaimed - 1);
    return true;
  }

  /// The first position from `position` on at which `units` overlap no leased bytes.
  uint32_t past_leases(uint32_t position, uint32_t units, uint32_t limit) const {
    const uint32_t high = lease_high();
    const uint32_t begin = position;
    for (bool moved = high > 0 && units > 0; moved;) {
      moved = false;
      for (uint32_t index = 0; index < high; ++index) {
        uint32_t from = 0;
        uint32_t size = 0;
        if (!leased_bytes(index, &from, &size)) continue;
        // Both as distances modulo the capacity: ours [0, units), the lease's [ahead, ahead + size).
        const uint32_t ahead = (from - position) & (shared_.area_units - 1);
        const bool overlaps = ahead < units || ahead + size > shared_.area_units;
        if (!overlaps) continue;
        // Not reduced modulo the area: a lease that ends exactly one area ahead has to move us by that whole way.
        position += ahead + size > shared_.area_units ? ahead + size - shared_.area_units : ahead + size;
        // Never more than once around the area, whatever the words say.
        if (size >= shared_.area_units || position - begin >= shared_.area_units ||
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
    const uint32_t high = lease_high();
    for (uint32_t index = 0; index < high; ++index) {
      uint32_t from = 0;
      uint32_t size = 0;
      if (!leased_bytes(index, &from, &size)) continue;
      const uint32_t ahead = (from - position) & (shared_.area_units - 1);
      room = ahead + size > shared_.area_units ? 0 : std::min(room, ahead);
    }
    return position + room;
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

  /// Where a search that ends before `end` begins. Never more than one lap, whatever the words say.
  uint64_t oldest_number(uint64_t end) const {
    const uint64_t reclaimed = std::min(control().reclaim.load(std::memory_order_acquire), end);
    return std::max(reclaimed, end - std::min(end, shared_.slot_count));
  }

  // ── recovery, step by step ─────────────────────────────────────────────

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

  Shared<Memory> shared_;
};

}  // namespace sage
