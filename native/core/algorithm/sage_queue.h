// The lock-free queue: claim, commit, take, release, lease and recovery over one segment's shared words.
//
// The algorithm, its invariants, why no word can be mistaken for an older one, and what every instant of death leaves
// behind are argued in docs/sage-queue.md. In short:
//
//   tail names the last claim: up to which number, by whom, how many. A claim is won by one compare-and-swap of it. The
//   next claimant first writes the loser-proof fact "owner, batch", the owner tag, into the claim's first slot, then
//   overwrites tail. head does the same for takes. So at every instant the memory itself says who holds what, and
//   recovery needs no witness: it turns a dead owner's claims into aborted slots and its takes into requeued items.
//
// Past 400 lines: one algorithm, whose steps are argued together.
#pragma once

#include <algorithm>

#include "core/algorithm/lease_table.h"
#include "core/algorithm/reclaimer.h"
#include "core/algorithm/recovery.h"

namespace sage {

template <class Memory>
class SageQueue {
 public:
  using Word = uint64_t;
  explicit SageQueue(const SharedState<Memory>& state) : state_(state) {}
  SageQueue(const SageQueue&) = delete;
  SageQueue& operator=(const SageQueue&) = delete;

  // ── producers ──────────────────────────────────────────────────────────

  /// Claims space for up to `count` items of `lengths` bytes; `items` gets number, position and length of those that
  /// fitted, `claimed` how many. Between claim and commit their bytes belong to the caller.
  Outcome claim(Handle& handle, const uint32_t* lengths, const uint32_t* codecs, uint32_t count, Item* items,
                uint32_t* claimed) {
    count = std::min(count, kMaxBatch);
    Word still[2] = {0, 0};
    for (uint32_t patience = Memory::kPatience; patience-- > 0;) {
      // SYNC POINT: pairs with the claiming exchange of whoever wrote this tail.
      const Word tail = state_.control->tail.load(state_.order(Site::kTailLoad, std::memory_order_acquire));
      if (tail & Cursor::kShut) return Outcome::kShut;
      const uint64_t number = Cursor::number(tail);
      const uint32_t start = tail == handle.last_tail ? handle.last_end : state_.claim_end(tail);
      uint32_t fitted = count;
      uint32_t end = start;
      for (uint32_t index = 0; index < count; ++index) {
        items[index].number = number + index;
        items[index].position = end;
        items[index].length = lengths[index];
        items[index].codec = codecs[index];
        items[index].deliveries = 0;
        items[index].lease = -1;
        items[index].crashes = 0;
        end += Record::units(lengths[index]);
      }
      if (number + count > handle.number_limit || static_cast<int32_t>(end - handle.position_limit) > 0) {
        const Outcome space = reclaimer_.find_space(handle, tail, start, items, count, &fitted, &end);
        if (space != Outcome::kOk) {
          if (space == Outcome::kSkip) {
            skip_space(handle, tail, start, end);
          } else if (space != Outcome::kRetry) {
            return space;
          } else if (stands_still(still)) {
            return Outcome::kCorrupt;
          }
          continue;
        }
      }
      if (!win_claim(handle, tail, fitted, end)) continue;
      *claimed = fitted;
      return Outcome::kOk;
    }
    return Outcome::kCorrupt;
  }

  /// Whether something of the free space that this handle found is left, without a look at every item. What is left is
  /// there to be claimed; false says nothing.
  bool knows_space(const Handle& handle) const {
    // SYNC POINT: as in claim().
    const Word tail = state_.control->tail.load(state_.order(Site::kTailLoad, std::memory_order_acquire));
    if (Cursor::number(tail) >= handle.number_limit) return false;
    const uint32_t start = tail == handle.last_tail ? handle.last_end : state_.claim_end(tail);
    return static_cast<int32_t>(handle.position_limit - start) > 0;
  }

  /// Whether space was kept from others for a moment that no commit will tell them of.
  bool aborted_claim(Handle& handle) const {
    const bool aborted = handle.aborted_claim;
    handle.aborted_claim = false;
    return aborted;
  }

  /// Writes down where a claim's items lie. Before anything else is claimed through this handle, since until then only
  /// its announced intent says where the claim ends; commit() and abort() do it for a claim they follow directly.
  void describe(const Item* items, uint32_t count) {
    for (uint32_t index = 0; index < count; ++index) describe_one(items[index]);
  }

  /// Makes a claim's items visible, in order. What a dying producer had committed of a batch stays, the rest is
  /// aborted.
  void commit(Handle& handle, const Item* items, uint32_t count) {
    Memory::point(Point::kCommitBefore);
    for (uint32_t index = 0; index < count; ++index) {
      const uint64_t number = items[index].number;
      const bool last = index + 1 == count;
      describe_one(items[index]);
      if (!last) {
        // What is left of the batch must name its owner before the word that does so now is overwritten.
        state_.slot(number + 1)
            .word.store(SlotWord::make(number + 1, SlotWord::kClaimed, handle.index, count - index - 1),
                        std::memory_order_release);
        // SYNC POINT: publishes payload and record; pairs with the slot load in take().
        state_.slot(number).word.store(SlotWord::make(number, SlotWord::kCommitted),
                                       state_.order(Site::kCommit, std::memory_order_release));
        Memory::point(Point::kCommitHalf);
      } else {
        // SYNC POINT: also ordered before the look for waiters; pairs with the fence in put_up().
        state_.slot(number).word.exchange(SlotWord::make(number, SlotWord::kCommitted),
                                          state_.order(Site::kCommitLast, std::memory_order_seq_cst));
      }
    }
    remember_claim(handle, items, count);
    Memory::point(Point::kCommitAfter);
  }

  /// Whether a commit may have shown where it lies to those who, not knowing it, found the queue full: bytes left free
  /// in front of it or within it, where it stepped past a lease.
  bool may_reveal_space() const { return state_.lease_high() > 0; }

  /// Aborts a claim: its numbers hold nothing and are passed over.
  void abort(Handle& handle, const Item* items, uint32_t count) {
    state_.control->aborted.store(1, std::memory_order_seq_cst);
    describe(items, count);
    for (uint32_t index = count; index-- > 0;) {
      state_.slot(items[index].number)
          .word.exchange(SlotWord::make(items[index].number, SlotWord::kReleased), std::memory_order_seq_cst);
    }
    remember_claim(handle, items, count);
  }

  // ── consumers ──────────────────────────────────────────────────────────

  /// Takes up to `max` committed items that follow each other, of together at most `max_bytes` unless it is only one.
  /// Their bytes stay put until release().
  Outcome take(Handle& handle, uint32_t max, Item* items, uint32_t* taken, uint64_t max_bytes = ~uint64_t{0}) {
    max = std::min(max, kMaxBatch);
    for (uint32_t patience = Memory::kPatience; patience-- > 0;) {
      // SYNC POINT: pairs with the taking exchange of whoever wrote this head.
      const Word head = state_.control->head.load(state_.order(Site::kHeadLoad, std::memory_order_acquire));
      const uint64_t number = Cursor::number(head);
      uint32_t batch = 0;
      uint64_t bytes = 0;
      while (batch < max) {
        Slot<Memory>& slot = state_.slot(number + batch);
        // SYNC POINT: pairs with the commit.
        const Word word = slot.word.load(state_.order(Site::kSlotLoad, std::memory_order_acquire));
        if (word != SlotWord::make(number + batch, SlotWord::kCommitted)) break;
        const uint64_t record = slot.record.load(std::memory_order_relaxed);
        bytes += Record::length(record);
        if (batch > 0 && bytes > max_bytes) break;
        items[batch] = {number + batch,
                        Record::position(record),
                        Record::length(record),
                        static_cast<uint32_t>(slot.codec.load(std::memory_order_relaxed)),
                        0,
                        -1,
                        0};
        ++batch;
      }
      if (batch == 0) {
        const Outcome why = nothing_to_take(handle, head);
        if (why == Outcome::kOk) continue;
        return why;
      }
      if (head != handle.last_head) state_.tag_take(head);
      Memory::point(Point::kTakeTagged);
      Word expected = head;
      const Word take_word = Cursor::make(number + batch, handle.index, batch);
      // SYNC POINT: publishes the owner tag; pairs with the load above.
      if (!state_.control->head.compare_exchange_strong(expected, take_word,
                                                        state_.order(Site::kHeadTake, std::memory_order_release),
                                                        std::memory_order_relaxed)) {
        continue;
      }
      handle.last_head = 0;
      *taken = batch;
      Memory::point(Point::kTakeWon);
      return Outcome::kOk;
    }
    return Outcome::kCorrupt;
  }

  /// Done with a whole batch from take(): the slots and their bytes may be used again. The first slot goes last,
  /// because it is the one that says whose the batch is.
  void release(Handle& handle, const Item* items, uint32_t count) {
    Memory::point(Point::kReleaseBefore);
    for (uint32_t index = count; index-- > 1;) {
      state_.slot(items[index].number)
          .word.store(SlotWord::make(items[index].number, SlotWord::kReleased), std::memory_order_relaxed);
      Memory::point(Point::kReleaseHalf);
    }
    // SYNC POINT: the payload of the whole batch is no longer read, pairs with the slot loads in advance_reclaim(),
    // which come to this slot before the others of the batch; and ordered before the look for sleeping producers, pairs
    // with the fence in put_up().
    state_.slot(items[0].number)
        .word.exchange(SlotWord::make(items[0].number, SlotWord::kReleased),
                       state_.order(Site::kReleaseLast, std::memory_order_seq_cst));
    const uint64_t end = items[count - 1].number + 1;
    const Word mine = Cursor::make(end, handle.index, count);
    handle.last_head = mine;
    Memory::point(Point::kReleaseAfter);
  }

  /// Done with the first of the `left` items that remain of a batch: the next one then says whose the rest is.
  void release_first(Handle& handle, const Item& item, uint32_t left) {
    if (left > 1) {
      state_.slot(item.number + 1)
          .word.store(SlotWord::make(item.number + 1, SlotWord::kTaken, handle.index, left - 1, item.deliveries),
                      std::memory_order_release);
    }
    state_.slot(item.number)
        .word.exchange(SlotWord::make(item.number, SlotWord::kReleased),
                       state_.order(Site::kReleaseLast, std::memory_order_seq_cst));
    Memory::point(Point::kReleaseAfter);
  }

  /// Requeues the items of a batch: they are taken again before everything that was never taken.
  void requeue(Handle& handle, const Item* items, uint32_t count, uint32_t deliveries = 1) {
    handle.last_head = 0;
    requeued_.requeue(items, count, deliveries);
  }
  void requeue_lease(const Item& item, uint32_t deliveries = 1) { requeued_.requeue_lease(item, deliveries); }

  bool may_be_requeued() const { return requeued_.may_be_any(); }
  /// Takes one requeued item, the oldest there is. kEmpty when there is none.
  Outcome take_requeued(Handle& handle, Item* item) { return requeued_.take(handle, item); }

  // ── leases ─────────────────────────────────────────────────────────────

  /// Moves the items of a batch from take(), or one of take_requeued(), into leases. Returns how many of the first ones
  /// are still as they were, because no lease entry was free.
  uint32_t lease(Handle& handle, Item* items, uint32_t count) {
    const uint32_t left = leases_.lease(handle, items, count);
    handle.last_head = 0;
    return left;
  }
  /// Items on lease that the holder has not begun with, or begins with now: when it dies, or lets go, those that are
  /// aside come again as if they had not been delivered.
  void set_aside(const Item* items, uint32_t count, bool aside) const { leases_.set_aside(items, count, aside); }
  /// Acks items on lease.
  void ack(Handle& handle, const Item* items, uint32_t count) { leases_.ack(handle, items, count); }

  // ── the end ────────────────────────────────────────────────────────────

  /// No more claims from here on; gets end once nothing is left. Who dies between the steps is finished by recover().
  void shut_down() {
    state_.control->tail.fetch_or(Cursor::kShut, std::memory_order_seq_cst);
    Memory::point(Point::kShutHalf);
    state_.finish_shutdown();
  }

  // ── death ──────────────────────────────────────────────────────────────

  bool named(uint32_t index) const { return state_.named(index); }
  bool recover(uint32_t index, Word identity) { return recovery_.recover(index, identity); }

  // ── questions ──────────────────────────────────────────────────────────

  /// Items committed and not taken, requeued ones included. Where head does not stand still for long enough to count
  /// them, those claimed and not taken.
  uint64_t size() const {
    uint64_t between = 0;
    for (int attempt = 0; attempt < SharedState<Memory>::kLooks; ++attempt) {
      const Word head = state_.control->head.load(std::memory_order_seq_cst);
      const uint64_t tail = std::min(Cursor::number(state_.control->tail.load(std::memory_order_seq_cst)),
                                     Cursor::number(head) + state_.slot_count);
      between = tail - Cursor::number(head);
      uint64_t count = 0;
      for (uint64_t number = Cursor::number(head); number < tail; ++number) {
        if (state_.slot(number).word.load(std::memory_order_acquire) == SlotWord::make(number, SlotWord::kCommitted)) {
          ++count;
        }
      }
      if (state_.control->head.load(std::memory_order_seq_cst) == head) return count + requeued_.count();
    }
    return std::min(between, state_.item_limit) + requeued_.count();
  }

  /// The next item without taking it, kEmpty when there is none. Its bytes are right as long as unchanged() holds.
  Outcome peek(Item* item, Word* seen) const {
    Word head = 0;
    uint64_t number = 0;
    for (;;) {
      if (requeued_.may_be_any() && requeued_.oldest(item, seen)) return Outcome::kOk;
      head = state_.control->head.load(std::memory_order_acquire);
      number = Cursor::number(head);
      Word word = state_.slot(number).word.load(std::memory_order_acquire);
      // What was aborted in front of it is passed over by the next to take.
      for (uint64_t left = state_.slot_count; left > 0 && SlotWord::is_done(word, number); --left) {
        word = state_.slot(++number).word.load(std::memory_order_acquire);
      }
      if (word == SlotWord::make(number, SlotWord::kCommitted)) break;
      if (state_.control->head.load(std::memory_order_acquire) == head) return Outcome::kEmpty;
    }
    Slot<Memory>& slot = state_.slot(number);
    const uint64_t record = slot.record.load(std::memory_order_relaxed);
    *item = {number,
             Record::position(record),
             Record::length(record),
             static_cast<uint32_t>(slot.codec.load(std::memory_order_relaxed)),
             0,
             -1,
             0};
    *seen = head;
    return Outcome::kOk;
  }

  bool unchanged(const Item& item, Word seen) const {
    Memory::copy_fence();
    if (item.lease >= 0) return state_.leases[item.lease].word.load(std::memory_order_acquire) == seen;
    if (SlotWord::state(seen) == SlotWord::kRequeued && SlotWord::has_tag(seen, item.number)) {
      return state_.slot(item.number).word.load(std::memory_order_acquire) == seen;
    }
    return state_.control->head.load(std::memory_order_acquire) == seen;
  }

  uint64_t used() const { return reclaimer_.used(); }
  uint64_t used_bytes() const { return reclaimer_.used_bytes(); }
  /// As they were counted, so that it can be seen whether a limit was exceeded.
  uint64_t counted() const { return reclaimer_.counted(); }
  uint64_t counted_bytes() const { return reclaimer_.counted_bytes(); }
  uint64_t leased() const { return state_.leased(); }
  bool drained() const { return reclaimer_.drained(); }

 private:
  void describe_one(const Item& item) {
    Slot<Memory>& slot = state_.slot(item.number);
    slot.codec.store(item.codec, std::memory_order_relaxed);
    // Published by the commit, or by the next intent. Who reads it a lap late loses: number_limit ends with this lap.
    slot.record.store(Record::make(item.position, item.length), std::memory_order_relaxed);
  }

  /// The claim of `batch` numbers behind `tail`, up to the position `end`. False: another one was faster.
  bool win_claim(Handle& handle, Word tail, uint32_t batch, uint32_t end) {
    const uint64_t number = Cursor::number(tail) + batch;
    if (tail != handle.last_tail) state_.tag_claim(tail);
    Memory::point(Point::kClaimTagged);
    // SYNC POINT: pairs with the intent load in claim_end(); our earlier claim's records lie before it.
    state_.self(handle).intent.store(number << 32 | end, state_.order(Site::kIntentStore, std::memory_order_release));
    Memory::point(Point::kClaimIntent);
    Word expected = tail;
    // SYNC POINT: publishes the intent and the owner tag; pairs with the load of tail in claim().
    if (!state_.control->tail.compare_exchange_strong(expected, Cursor::make(number, handle.index, batch),
                                                      state_.order(Site::kTailClaim, std::memory_order_release),
                                                      std::memory_order_relaxed)) {
      return false;
    }
    Memory::point(Point::kClaimWon);
    handle.last_tail = 0;  // until it is committed others may have to tag it, and so may we
    handle.last_end = end;
    return true;
  }

  /// Claims what lies up to `end` and aborts it at once, so that the next claim begins there.
  SAGE_COLD void skip_space(Handle& handle, Word tail, uint32_t start, uint32_t end) {
    if (!win_claim(handle, tail, 1, end)) return;
    const Item skipped{Cursor::number(tail), start, (end - start) * kUnitBytes, 0, 0, -1, 0};
    abort(handle, &skipped, 1);
    handle.aborted_claim = true;
  }

  /// Words seem to be out of date. Whether neither tail nor reclaim has moved since they last did: then nobody else is
  /// why they contradict each other. Read by exchanges, which see the latest there is.
  SAGE_COLD bool stands_still(Word* seen) {
    const Word tail = state_.control->tail.fetch_or(0, std::memory_order_acq_rel);
    const Word reclaim = state_.control->reclaim.fetch_or(0, std::memory_order_acq_rel);
    const bool same = tail == seen[0] && reclaim == seen[1];
    seen[0] = tail;
    seen[1] = reclaim;
    return same;
  }

  void remember_claim(Handle& handle, const Item* items, uint32_t count) {
    handle.last_tail = Cursor::make(items[0].number + count, handle.index, count);
  }

  /// take() found nothing at `head`. kOk: look again.
  SAGE_COLD Outcome nothing_to_take(Handle& handle, Word head) {
    const uint64_t number = Cursor::number(head);
    const Word word = state_.slot(number).word.load(std::memory_order_acquire);
    if (SlotWord::is_done(word, number)) {
      state_.skip_aborted(handle, head);
      return Outcome::kOk;
    }
    if (word == SlotWord::make(number, SlotWord::kCommitted)) return Outcome::kOk;
    if (state_.control->head.load(std::memory_order_relaxed) != head) return Outcome::kOk;
    return state_.control->shut.load(std::memory_order_acquire) != 0 ? Outcome::kShut : Outcome::kEmpty;
  }

  const SharedState<Memory> state_;
  Reclaimer<Memory> reclaimer_{state_};
  LeaseTable<Memory> leases_{state_};
  RequeuedItems<Memory> requeued_{state_};
  Recovery<Memory> recovery_{state_, requeued_};
};

}  // namespace sage
