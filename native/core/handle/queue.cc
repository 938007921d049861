// What a handle does with items. How it joins, leaves and recovers stands in membership.cc.
#include "core/handle/queue.h"

#include <cstring>

#include "core/errors.h"
#include "core/os/futex.h"

namespace sage {
namespace {

constexpr uint32_t kReapEveryMs = 10;      // how often calls that find nothing, and questions, ask after the dead …
constexpr uint32_t kReapBusyEveryMs = 50;  // … and those that find something
constexpr uint32_t kQuickTakes = 7;  // of those that come several to a tick of the clock, as many do not look at it

void add(std::atomic<uint64_t>& counter, uint64_t amount) {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

}  // namespace

uint8_t* Queue::data(const Item& item) const {
  if (item.length > segment_->header().capacity_bytes) {
    throw SegmentFailure("ERR_SEGMENT_CORRUPT", "segment " + segment_->name() + " holds an item of impossible length " +
                                                    std::to_string(item.length));
  }
  return segment_->at(item.position);
}

// ── puts ───────────────────────────────────────────────────────────────────

Outcome Queue::put(const Piece* pieces, uint32_t count, uint32_t* accepted) {
  current();
  uint32_t lengths[kMaxBatch];
  uint32_t codecs[kMaxBatch];
  Item items[kMaxBatch];
  count = std::min(count, kMaxBatch);
  for (uint32_t index = 0; index < count; ++index) {
    lengths[index] = pieces[index].length;
    codecs[index] = pieces[index].codec;
  }
  Outcome outcome = algorithm_.claim(actor_, lengths, codecs, count, items, accepted);
  if (outcome == Outcome::kFull && reap_if_due(kReapEveryMs)) {
    outcome = algorithm_.claim(actor_, lengths, codecs, count, items, accepted);
  }
  if (outcome != Outcome::kOk) return outcome;
  const uint64_t bytes = fill(items, pieces, *accepted);
  algorithm_.commit(actor_, items, *accepted);
  add(self().put_total, *accepted);
  add(self().put_bytes, bytes);
  made_item();
  if (algorithm_.may_reveal_space()) made_room();
  return Outcome::kOk;
}

/// Copies the pieces to where their items lie; those that follow each other on both sides are copied as one. Returns
/// how many bytes they are.
uint64_t Queue::fill(const Item* items, const Piece* pieces, uint32_t count) {
  uint64_t total = 0;
  for (uint32_t index = 0; index < count;) {
    uint8_t* to = segment_->at(items[index].position);
    const uint8_t* from = pieces[index].data;
    uint64_t bytes = 0;
    do {
      bytes += pieces[index].length;
      ++index;
    } while (index < count && pieces[index].data == from + bytes && segment_->at(items[index].position) == to + bytes);
    std::memcpy(to, from, bytes);
    total += bytes;
  }
  return total;
}

Outcome Queue::claim(uint32_t length, uint32_t codec, Item* item) {
  current();
  uint32_t claimed = 0;
  Outcome outcome = algorithm_.claim(actor_, &length, &codec, 1, item, &claimed);
  if (outcome == Outcome::kFull && reap_if_due(kReapEveryMs)) {
    outcome = algorithm_.claim(actor_, &length, &codec, 1, item, &claimed);
  }
  if (outcome != Outcome::kOk) return outcome;
  algorithm_.describe(item, 1);
  ++held_;
  return outcome;
}

void Queue::commit(const Item& item) {
  --held_;
  algorithm_.commit(actor_, &item, 1);
  add(self().put_total, 1);
  add(self().put_bytes, item.length);
  made_item();
  if (algorithm_.may_reveal_space()) made_room();
}

void Queue::abandon(const Item& item) {
  --held_;
  algorithm_.abort(actor_, &item, 1);
  made_room();
  // What was committed behind the claim can be taken now.
  if (parking_.anybody(kGetters)) wake(kGetters, false);
}

// ── gets ───────────────────────────────────────────────────────────────────

Outcome Queue::take(uint32_t max, Item* items, uint32_t* taken, uint64_t max_bytes) {
  current();
  const Control<StdMemory>& control = *shared().control;
  if (control.shut.load(std::memory_order_relaxed) > 1) return Outcome::kShut;
  // What the dead held comes before everything that was never taken, also where nobody ever finds the queue empty.
  reap_while_busy();
  for (;;) {
    const uint64_t hint = control.requeued_hint.load(std::memory_order_acquire);
    if (Mark::is_up(hint) && algorithm_.take_requeued(actor_, items) == Outcome::kOk) {
      *taken = 1;
      ++held_;
      return Outcome::kOk;
    }
    const Outcome outcome = algorithm_.take(actor_, max, items, taken, max_bytes);
    if (outcome == Outcome::kOk) {
      ++held_;
      return outcome;
    }
    if (outcome == Outcome::kCorrupt) return outcome;
    if (reap_if_due(kReapEveryMs)) continue;
    // Given back since, and what came before it may have been taken since: then there was never nothing.
    if (control.requeued_hint.load(std::memory_order_acquire) != hint) continue;
    if (outcome == Outcome::kShut && algorithm_.drained()) return Outcome::kShut;
    return Outcome::kEmpty;
  }
}

void Queue::finish(const Item* items, uint32_t count) {
  --held_;
  if (items[0].lease >= 0) {
    algorithm_.ack(items[0]);
  } else {
    algorithm_.release(actor_, items, count);
  }
  add(self().get_total, count);
  made_room();
}

void Queue::finish_first(const Item* items, uint32_t left) {
  if (items[0].lease >= 0 || left == 1) return finish(items, 1);
  algorithm_.release_first(actor_, items[0], left);
  add(self().get_total, 1);
  made_room();
}

void Queue::give_back(const Item* items, uint32_t count) {
  --held_;
  if (items[0].lease >= 0) {
    algorithm_.requeue_lease(items[0]);
  } else {
    algorithm_.requeue(actor_, items, count);
  }
  made_item();
}

Outcome Queue::lease(Item* item) {
  uint32_t taken = 0;
  const Outcome outcome = take(1, item, &taken);
  if (outcome != Outcome::kOk) return outcome;
  if (!algorithm_.lease(actor_, item)) {
    give_back(item, 1);
    return Outcome::kEmpty;
  }
  made_room();  // its slot no longer holds up the room behind it
  return Outcome::kOk;
}

void Queue::acknowledge(const Item& item) {
  --held_;
  algorithm_.ack(item);
  add(self().get_total, 1);
  made_room();
}

void Queue::release_lease(const Item& item) {
  --held_;
  algorithm_.requeue_lease(item);
  made_item();
}

bool Queue::peek(std::vector<uint8_t>* bytes, uint32_t* codec) {
  refresh();
  for (;;) {
    Item item;
    uint64_t seen = 0;
    if (shared().control->shut.load(std::memory_order_relaxed) > 1) return false;
    if (algorithm_.peek(&item, &seen) != Outcome::kOk) return false;
    // Until it is known to be unchanged the length may be of another item: it is checked before it is used.
    if (item.length > segment_->header().capacity_bytes && algorithm_.unchanged(item, seen)) data(item);
    const uint32_t length = std::min<uint64_t>(item.length, segment_->header().capacity_bytes);
    bytes->assign(segment_->at(item.position), segment_->at(item.position) + length);
    *codec = item.codec;
    if (algorithm_.unchanged(item, seen)) return true;
  }
}

// ── waiting ────────────────────────────────────────────────────────────────

void Queue::park(Direction direction, uint32_t kind) {
  current();
  watch();
  parking_.park(actor_, direction, kind);
}

void Queue::sleep(Direction direction, uint32_t timeout_ms) {
  futex_wait(self().bell[direction], Bell::kSleeping, timeout_ms);
}

bool Queue::unpark(Direction direction) {
  if (forks_ != fork_generation()) return false;
  const uint32_t bell = parking_.unpark(actor_, direction);
  if (bell == Bell::kRung) rung_[direction] = true;
  return bell == Bell::kRung || bell == Bell::kRungWithAll;
}

void Queue::settle(Direction direction, bool goes_on_waiting) {
  if (!rung_[direction]) return;
  rung_[direction] = false;
  // Only where there is something to wake for: two sleepers would else hand an idle wake to each other for ever.
  if (!parking_.anybody(direction) || (direction == kGetters ? size() == 0 : full())) return;
  // What this one cannot use may suit any of the others: all are woken, and none of them passes that on. One that was
  // used, or whose caller has gone, goes to one other.
  wake(direction, goes_on_waiting, actor_.index);
}

void Queue::set_bell(uint32_t fd, uint64_t inode, uint32_t tag) {
  self().bell_fd.store(fd, std::memory_order_relaxed);
  self().bell_tag.store(tag, std::memory_order_relaxed);
  self().bell_inode.store(inode, std::memory_order_release);
}

void Queue::made_item() {
  if (parking_.anybody(kGetters)) wake(kGetters, false);
}

void Queue::made_room() {
  if (parking_.anybody(kPutters)) wake(kPutters, false);
  // The last item of a queue that is shut down ends every get.
  if (shared().control->shut.load() != 0 && algorithm_.drained()) wake(kGetters, true);
}

void Queue::wake(Direction direction, bool all, uint32_t except) {
  const bool others = parking_.wake(
      direction, all, monotonic_ms(), [&](uint32_t index, uint32_t kind) { return ring(index, direction, kind); },
      except);
  if (!others || closing_ || !joined_) return;
  watch();  // so that close() takes this handle out of the watcher again
  Watcher::instance().schedule(this, direction);
}

void Queue::follow_up(int direction) {
  if (direction == kAnnouncement) return announce();
  const auto side = static_cast<Direction>(direction);
  if (!parking_.anybody(side)) return;
  if (side == kGetters && algorithm_.size() == 0 && !is_shut()) return;
  wake(side, true);
}

void Queue::shut_down(bool immediate) {
  current();
  algorithm_.shut_down();
  if (immediate) {
    // Nobody else takes any more once this stands; what is left goes here.
    Item items[kMaxBatch];
    uint32_t taken = 0;
    shared().control->shut.store(2);
    while (algorithm_.take_requeued(actor_, items) == Outcome::kOk) {
      if (items[0].lease >= 0) {
        algorithm_.ack(items[0]);
      } else {
        algorithm_.release(actor_, items, 1);
      }
    }
    while (algorithm_.take(actor_, kMaxBatch, items, &taken) == Outcome::kOk) algorithm_.release(actor_, items, taken);
  }
  wake(kGetters, true);
  wake(kPutters, true);
}

// ── questions ──────────────────────────────────────────────────────────────

void Queue::refresh() {
  current();
  reap_if_due(kReapEveryMs);
}

uint64_t Queue::size() const {
  return shared().control->shut.load(std::memory_order_relaxed) > 1 ? 0 : algorithm_.size();
}

bool Queue::full() const {
  return algorithm_.used() >= shared().item_limit || algorithm_.used_bytes() / kUnitBytes >= shared().capacity_units;
}

QueueTotals Queue::totals() const {
  QueueTotals totals;
  const uint32_t high = parking_.participant_high();
  for (uint32_t index = 1; index < high; ++index) {
    const Participant<StdMemory>& entry = shared().participants[index];
    // Before any puts are read, so that no more seem to have come out than went in.
    totals.get_total += entry.get_total.load(std::memory_order_acquire);
  }
  for (uint32_t index = 1; index < high; ++index) {
    const Participant<StdMemory>& entry = shared().participants[index];
    totals.put_total += entry.put_total.load(std::memory_order_relaxed);
    totals.put_bytes += entry.put_bytes.load(std::memory_order_relaxed);
    totals.redelivered += entry.redelivered.load(std::memory_order_relaxed);
    const auto waits = [&](Direction direction) {
      const uint32_t state = entry.bell[direction].load(std::memory_order_relaxed);
      return (state == Bell::kSleeping || state == Bell::kParked) &&
             is_alive(entry.identity.load());  // its owner may have died asleep
    };
    totals.waiting_getters += waits(kGetters);
    totals.waiting_putters += waits(kPutters);
  }
  totals.size = size();
  totals.used_bytes = algorithm_.used_bytes();
  totals.recovered = shared().control->recovered.load(std::memory_order_relaxed);
  totals.shut_down = is_shut();
  return totals;
}

void Queue::reap_while_busy() {
  if (quick_takes_ > 0) {
    --quick_takes_;
    return;
  }
  const uint32_t now = coarse_ms();
  quick_takes_ = now == last_take_ms_ ? kQuickTakes : 0;
  last_take_ms_ = now;
  if (now - last_reap_ms_ >= kReapBusyEveryMs) reap_if_due(kReapBusyEveryMs);
}

bool Queue::reap_if_due(uint32_t every_ms) {
  const uint32_t now = coarse_ms();
  if (now - last_reap_ms_ < every_ms) return false;
  last_reap_ms_ = now;
  return reap() > 0;
}

}  // namespace sage
