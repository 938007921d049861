// What one handle does with items, from the first word to the last: the algorithm's step, what is counted, who is
// looked for afterwards, and how a participant leaves or is recovered. A template over its memory; the process around
// it is a `Host` (wake_protocol.h) that can also
//   bool found_dead()       ask, now and then, whether somebody has died; true: what it held is back now
//   void ask_after_dead()   the same, where items are found all the time
#pragma once

#include <algorithm>

#include "core/waiting/wake_protocol.h"

namespace sage {

template <class Memory, class Host>
class ItemPath {
 public:
  ItemPath(const SharedState<Memory>& shared, Host& host)
      : shared_(shared), algorithm_(shared), waking_(shared, algorithm_, handle_, host), host_(host) {}
  ItemPath(const ItemPath&) = delete;
  ItemPath& operator=(const ItemPath&) = delete;

  // ── puts ───────────────────────────────────────────────────────────────

  /// Puts up to `count` items. `fill(items, accepted)` copies their bytes in and returns how many those are.
  template <class Fill>
  Outcome put(const uint32_t* lengths, const uint32_t* codecs, uint32_t count, uint32_t* accepted, Fill fill) {
    Item items[kMaxBatch];
    const Outcome outcome = claim_space(lengths, codecs, count, items, accepted);
    if (outcome != Outcome::kOk) return outcome;
    publish(items, *accepted, fill(items, *accepted));
    return Outcome::kOk;
  }

  /// Space for one item, to be filled and then committed or aborted.
  Outcome claim(uint32_t length, uint32_t codec, Item* item) {
    uint32_t claimed = 0;
    const Outcome outcome = claim_space(&length, &codec, 1, item, &claimed);
    if (outcome != Outcome::kOk) return outcome;
    algorithm_.describe(item, 1);
    ++held_;
    return Outcome::kOk;
  }

  void commit(const Item& item) {
    --held_;
    publish(&item, 1, item.length);
  }

  void abort(const Item& item) {
    --held_;
    algorithm_.abort(handle_, &item, 1);
    claim_ended_empty();
  }

  // ── gets ───────────────────────────────────────────────────────────────

  /// Takes up to `max` items: what was requeued comes before everything that was never taken, and so does what the
  /// dead held, also where nobody ever finds the queue empty.
  Outcome take(uint32_t max, Item* items, uint32_t* taken, uint64_t max_bytes) {
    const Control<Memory>& control = *shared_.control;
    if (control.shut.load(std::memory_order_relaxed) > 1) return Outcome::kShut;
    host_.ask_after_dead();
    for (;;) {
      const uint64_t hint = control.requeued_hint.load(std::memory_order_acquire);
      if (Mark::is_up(hint) && algorithm_.take_requeued(handle_, items) == Outcome::kOk) {
        *taken = 1;
        ++held_;
        return Outcome::kOk;
      }
      const Outcome outcome = algorithm_.take(handle_, max, items, taken, max_bytes);
      if (outcome == Outcome::kOk) {
        ++held_;
        return outcome;
      }
      if (outcome == Outcome::kCorrupt) return outcome;
      if (host_.found_dead()) continue;
      // Requeued since, and what came before it may have been taken since: then there was never nothing.
      if (control.requeued_hint.load(std::memory_order_acquire) != hint) continue;
      if (outcome == Outcome::kShut && algorithm_.drained()) return see_the_end();
      return Outcome::kEmpty;
    }
  }

  /// The items of a batch, or leases, of any one.
  void ack(const Item* items, uint32_t count) {
    if (items[0].lease >= 0) {
      held_ -= count;
      algorithm_.ack(handle_, items, count);
    } else {
      --held_;
      algorithm_.release(handle_, items, count);
    }
    add(self().get_total, count);
    waking_.items_taken(count);
  }

  /// Acks the first of the `left` items that remain of a batch.
  void ack_first(const Item* items, uint32_t left) {
    if (left == 1) return ack(items, 1);  // one that was requeued was taken alone
    algorithm_.release_first(handle_, items[0], left);
    add(self().get_total, 1);
    waking_.items_taken(1);
  }

  /// `deliveries`: 1, or 0 for items that nobody has seen.
  void requeue(const Item* items, uint32_t count, uint32_t deliveries = 1) {
    if (items[0].lease >= 0) {
      held_ -= count;
      for (uint32_t index = 0; index < count; ++index) algorithm_.requeue_lease(items[index], deliveries);
    } else {
      --held_;
      algorithm_.requeue(handle_, items, count, deliveries);
    }
    items_appeared();
  }

  /// Takes up to `max` items on lease. ack() acks any of them, requeue() releases them.
  Outcome lease(uint32_t max, Item* items, uint32_t* leased, uint64_t max_bytes) {
    uint32_t taken = 0;
    const Outcome outcome = take(max, items, &taken, max_bytes);
    if (outcome != Outcome::kOk) return outcome;
    const uint32_t left = algorithm_.lease(handle_, items, taken);
    held_ += taken - left;
    if (left > 0) {  // no entry is free
      requeue(items, left);
    } else {
      --held_;
    }
    *leased = taken - left;
    if (*leased == 0) return Outcome::kEmpty;
    std::copy(items + left, items + taken, items);
    waking_.space_appeared();  // their slots no longer hold up the space behind them
    return Outcome::kOk;
  }

  // ── the end ────────────────────────────────────────────────────────────

  /// `immediate`: what is left is dropped, and nobody takes any more. So is what somebody has in hand and requeues
  /// later, and what lies behind a claim that is open: comes_too_late().
  void shut_down(bool immediate) {
    algorithm_.shut_down();
    if (immediate) {
      shared_.control->shut.store(2);
      drop_all();
    }
    waking_.all_may_go_on();
  }

  /// Drops what is there, in a queue that was shut down immediately: nobody takes it any more. Who makes items
  /// available later is told by the mark of sleeping getters, which stays up: so a put costs nothing more than that one
  /// look.
  SAGE_COLD void drop_all() {
    if (handle_.index == 0) return;  // an onlooker takes nothing: whoever asks next does it
    waking_.waiters().raise(kGetters);
    // SYNC POINT: shut and the mark before the look at what there is; pairs with the looks in items_appeared() and
    // comes_too_late().
    Memory::fence(Site::kDropFence);
    Item items[kMaxBatch];
    uint32_t taken = 0;
    bool any = false;
    // What was requeued first: its mark also publishes what a recoverer found behind the claims of the dead.
    while (algorithm_.take_requeued(handle_, items) == Outcome::kOk) {
      any = true;
      if (items[0].lease >= 0) {
        algorithm_.ack(handle_, items, 1);
      } else {
        algorithm_.release(handle_, items, 1);
      }
    }
    while (algorithm_.take(handle_, kMaxBatch, items, &taken) == Outcome::kOk) {
      any = true;
      algorithm_.release(handle_, items, taken);
    }
    if (any) waking_.all_may_go_on();
  }

  /// One more producer works through this handle. The queue ends with the last of them, once `expected` have come; of
  /// several that were named the most. False: it has ended.
  bool produce(uint32_t expected) {
    SharedState<Memory>::raise(shared_.control->producers, expected);
    // SYNC POINT: before the look at the end, pairs with the looks in end_with_last_producer().
    self().producers.fetch_add(Producers::kOneCome, std::memory_order_seq_cst);
    ++producers_;
    Memory::point(Point::kProducerCome);
    if ((shared_.control->tail.load(std::memory_order_seq_cst) & Cursor::kShut) == 0) return true;
    stop_producing();
    return false;
  }

  /// One of them has closed, or is lost: it has ended without that. Who is killed in here is a participant to be
  /// recovered, and the recoverer counts those whose word does not say it yet.
  void stop_producing(uint64_t how = Producers::kOneClosed) {
    --producers_;
    self().producers.fetch_add(how, std::memory_order_seq_cst);
    Memory::point(Point::kProducerGone);
    end_with_last_producer();
  }

  /// Those that are left end without closing: for readers it is as if they had died.
  void abandon_producers() {
    while (producers_ > 0) stop_producing(Producers::kOneLost);
  }

  /// Looks at the entry of another participant, and recovers it when `is_dead(identity)` says so, or when somebody who
  /// said so before did not come to the end. Safe for any number of recoverers, each of which may die at any point.
  /// True: it recovered.
  template <class IsDead>
  bool recover_if_dead(uint32_t index, IsDead is_dead) {
    Participant<Memory>& entry = shared_.participants[index];
    uint64_t identity = entry.identity.load();
    if (Identity::state(identity) == Identity::kLive) {
      if (!is_dead(identity)) return false;
      const uint64_t dead = Identity::with(identity, Identity::kDead);
      if (!entry.identity.compare_exchange_strong(identity, dead)) return false;
      identity = dead;
    }
    if (Identity::state(identity) == Identity::kDead) {
      Memory::point(Point::kRecoverMarked);
      recover_entry(index, identity);
      return true;
    }
    if (!algorithm_.named(index)) entry.identity.compare_exchange_strong(identity, 0);
    return false;
  }

  /// Lets go of the entry, and of what this handle holds under it.
  void leave() {
    Participant<Memory>& entry = self();
    const uint64_t identity = entry.identity.load(std::memory_order_relaxed);
    waking_.leave();
    while (producers_ > 0) stop_producing();
    entry.bell_inode.store(0);
    if (held_ > 0) {
      // Under the word of the living: "dead" would stand there again when this process leaves the next time.
      algorithm_.recover(handle_.index, identity);
      if (comes_too_late()) drop_all();
      waking_.all_may_go_on();
    }
    entry.identity.store(0);
  }

  /// A participant of its own from here on, at the entry `index`; what was held through another one is not its.
  void join_at(uint32_t index) {
    waking_.forget();
    producers_ = 0;
    held_ = 0;
    handle_ = Handle();
    handle_.index = index;
  }

  /// How many producers work through this handle.
  uint32_t producers() const { return producers_; }
  const SageQueue<Memory>& algorithm() const { return algorithm_; }
  WakeProtocol<Memory, Host>& waking() { return waking_; }
  const WakeProtocol<Memory, Host>& waking() const { return waking_; }
  const Handle& handle() const { return handle_; }
  Participant<Memory>& self() const { return shared_.participants[handle_.index]; }

 private:
  Outcome claim_space(const uint32_t* lengths, const uint32_t* codecs, uint32_t count, Item* items, uint32_t* claimed) {
    Outcome outcome = algorithm_.claim(handle_, lengths, codecs, count, items, claimed);
    if (outcome == Outcome::kFull && host_.found_dead()) {
      outcome = algorithm_.claim(handle_, lengths, codecs, count, items, claimed);
    }
    // After a claim that won, its commit does it.
    if (outcome != Outcome::kOk && algorithm_.aborted_claim(handle_)) claim_ended_empty();
    return outcome;
  }

  /// A claim was aborted, which shows the space in it and what was committed behind it.
  SAGE_COLD void claim_ended_empty() {
    waking_.space_appeared();
    items_appeared();
  }

  /// Items are there to be had: committed, requeued, or behind a claim that no longer stands in front of them. Whoever
  /// brought that about comes here, or is recovered by one who looks whether they come too late; and did it by a
  /// sequentially consistent write, or raised the mark of what is requeued after it. So where it does not see an
  /// immediate shutdown, the items were there before, and the drop of that sees them; where both see it, one of the two
  /// takes them.
  void items_appeared() {
    if (waking_.waiters().anybody(kGetters)) tell_of_items();
  }
  [[gnu::noinline]] void tell_of_items() {
    if (comes_too_late()) return drop_all();
    waking_.item_appeared();
  }

  /// Whether what is to be had is for nobody, and the caller drops it.
  bool comes_too_late() const {
    // SYNC POINT: pairs with the fence in drop_all().
    return shared_.control->shut.load(Memory::order(Site::kDropLoad, std::memory_order_seq_cst)) > 1;
  }

  void publish(const Item* items, uint32_t count, uint64_t bytes) {
    algorithm_.commit(handle_, items, count);
    add(self().put_total, count);
    add(self().put_bytes, bytes);
    items_appeared();
    if (algorithm_.may_reveal_space()) waking_.space_appeared();
  }

  /// Everything the dead one left, then its entry.
  void recover_entry(uint32_t index, uint64_t dead) {
    const bool unnamed = algorithm_.recover(index, dead);
    lose_producers(index, dead);
    if (comes_too_late()) drop_all();
    // The dead may have been given the only wake. Before the entry is freed: until then whoever comes upon it does the
    // same, also when this process is stopped or killed right here.
    waking_.all_may_go_on();
    Memory::point(Point::kRecoverDone);
    uint64_t expected = dead;
    const uint64_t next = unnamed ? 0 : Identity::with(dead, Identity::kRecovered);
    if (shared_.participants[index].identity.compare_exchange_strong(expected, next)) {
      shared_.control->recovered.fetch_add(1);
    }
  }

  // ── producers ──────────────────────────────────────────────────────────

  /// The producers that the dead one was are lost, and it may have been on its way to end the queue.
  void lose_producers(uint32_t index, uint64_t dead) {
    Participant<Memory>& entry = shared_.participants[index];
    uint64_t seen = entry.producers.load(std::memory_order_acquire);
    const bool still = entry.identity.load(std::memory_order_acquire) == dead;
    if (still && Producers::open(seen) > 0) {
      // None is added by anybody but the entry's owner, and each only once by whoever recovers it.
      entry.producers.compare_exchange_strong(seen, seen + Producers::open(seen), std::memory_order_seq_cst);
    }
    if (shared_.control->producers.load(std::memory_order_acquire) != 0) end_with_last_producer();
  }

  /// Shuts the queue down when as many producers have come as are expected, and all of them have gone. Whoever changes
  /// the one or the other looks; who dies before it did is recovered by one who does.
  void end_with_last_producer() {
    uint64_t sum = 0;
    uint64_t again = 0;
    uint32_t lost = 0;
    bool over = false;
    do {  // until two looks see the same: each word only grows, so that both then saw one instant
      over = all_producers_gone(&sum, &lost);
      all_producers_gone(&again, &lost);
    } while (sum != again);
    const bool shut = (shared_.control->tail.load(std::memory_order_seq_cst) & Cursor::kShut) != 0;
    // Somebody else may have shut it down before; then it ended with that.
    if (!over || (shut && shared_.control->ending.load(std::memory_order_seq_cst) == 0)) return;
    const uint32_t how = lost > 0 ? Ending::kEnded | Ending::kLost : Ending::kEnded;
    shared_.control->ending.fetch_or(how, std::memory_order_seq_cst);
    algorithm_.shut_down();
    waking_.all_may_go_on();
  }

  bool all_producers_gone(uint64_t* sum, uint32_t* lost) const {
    uint32_t come = 0;
    uint32_t open = 0;
    *sum = *lost = 0;
    const uint32_t high = waking_.waiters().participant_high();
    for (uint32_t index = 1; index < high; ++index) {
      const uint64_t word = shared_.participants[index].producers.load(std::memory_order_seq_cst);
      come += Producers::come(word);
      open += Producers::open(word);
      *lost += Producers::lost(word);
      *sum += word;
    }
    const uint32_t expected = shared_.control->producers.load(std::memory_order_seq_cst);
    return expected > 0 && come >= expected && open == 0;
  }

  /// The end of the queue, as a get finds it.
  [[gnu::noinline]] Outcome see_the_end() {
    const uint32_t ending = shared_.control->ending.load(std::memory_order_acquire);
    if (ending == 0) return Outcome::kShut;
    if ((ending & Ending::kSeen) == 0) shared_.control->ending.fetch_or(Ending::kSeen, std::memory_order_acq_rel);
    return (ending & Ending::kLost) != 0 ? Outcome::kLost : Outcome::kShut;
  }

  template <class Counter>
  static void add(Counter& counter, uint64_t amount) {
    counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

  SharedState<Memory> shared_;
  SageQueue<Memory> algorithm_;
  Handle handle_;
  WakeProtocol<Memory, Host> waking_;
  Host& host_;
  uint32_t held_ = 0;  // claims, takes and leases open by this handle
  uint32_t producers_ = 0;
};

}  // namespace sage
