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

#include "core/algorithm/recovery.h"

namespace sage {

template <class Memory>
class SageQueue : public Recovery<Memory> {
 public:
  using typename Words<Memory>::Word;
  using Recovery<Memory>::Recovery;

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

  // ── the end ────────────────────────────────────────────────────────────

  /// No more claims from here on; gets end once nothing is left. Who dies between the steps is finished by recover().
  void shut_down() {
    control().tail.fetch_or(Cursor::kShut, std::memory_order_seq_cst);
    Memory::point(Point::kShutHalf);
    finish_shutdown();
  }

 private:
  using Contents<Memory>::oldest_returned;
  using Room<Memory>::make_room;
  using Words<Memory>::lease_high;
  using Words<Memory>::add;
  using Words<Memory>::raise;
  using Words<Memory>::raise_hint;
  using Words<Memory>::finish_shutdown;
  using Words<Memory>::boundary;
  using Words<Memory>::stamp_claim;
  using Words<Memory>::stamp_take;
  using Words<Memory>::skip_void;
  using Words<Memory>::order;
  using Words<Memory>::control;
  using Words<Memory>::self;
  using Words<Memory>::shared_;

  void describe_one(const Item& item) {
    Slot<Memory>& slot = shared_.slot(item.number);
    slot.codec.store(item.codec, std::memory_order_relaxed);
    // Published by the commit, or by the next intent. Who reads it a lap late loses: number_limit ends with this lap.
    slot.extent.store(Extent::make(item.position, item.length), std::memory_order_relaxed);
  }

  void remember_claim(Actor& actor, const Item* items, uint32_t count) {
    actor.last_tail = Cursor::make(items[0].number + count, actor.index, count);
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
};

}  // namespace sage
