// What a handle does with items. How it joins, leaves and recovers stands in membership.cc.
#include "core/handle/queue.h"

#include <cstring>

#include "core/errors.h"
#include "core/os/futex.h"

namespace sage {
namespace {

constexpr uint32_t kReapBusyEveryMs = 50;  // how often calls that find something ask after the dead
constexpr uint32_t kQuickTakes = 7;  // of those that come several to a tick of the clock, as many do not look at it

}  // namespace

void Queue::refuse(const Item& item) const {
  throw SegmentFailure("ERR_SEGMENT_CORRUPT", "segment " + segment_->name() + " holds an item of impossible length " +
                                                  std::to_string(item.length));
}

// ── puts ───────────────────────────────────────────────────────────────────

Outcome Queue::put(const Piece* pieces, uint32_t count, uint32_t* accepted) {
  current();
  uint32_t lengths[kMaxBatch];
  uint32_t codecs[kMaxBatch];
  count = std::min(count, kMaxBatch);
  for (uint32_t index = 0; index < count; ++index) {
    lengths[index] = pieces[index].length;
    codecs[index] = pieces[index].codec;
  }
  return path_.put(lengths, codecs, count, accepted,
                   [&](const Item* items, uint32_t fitted) { return fill(items, pieces, fitted); });
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
  return path_.claim(length, codec, item);
}
void Queue::commit(const Item& item) { path_.commit(item); }
void Queue::abort(const Item& item) { path_.abort(item); }

// ── gets ───────────────────────────────────────────────────────────────────

Outcome Queue::take(uint32_t max, Item* items, uint32_t* taken, uint64_t max_bytes) {
  current();
  if (max > 1) return gather_many(max, items, taken, max_bytes);
  return path_.take(max, items, taken, max_bytes);
}
Outcome Queue::gather_many(uint32_t max, Item* items, uint32_t* taken, uint64_t max_bytes) {
  gathering_.let_gather();
  const Outcome outcome = path_.take(max, items, taken, max_bytes);
  if (outcome == Outcome::kOk) {
    gathering_.took(*taken, std::min(max, kMaxBatch), [&] { return path_.waking().untaken(); });
  } else {
    gathering_.took_nothing();
  }
  return outcome;
}
void Queue::ack(const Item* items, uint32_t count) { path_.ack(items, count); }
void Queue::ack_first(const Item* items, uint32_t left) { path_.ack_first(items, left); }
void Queue::requeue(const Item* items, uint32_t count, uint32_t deliveries) { path_.requeue(items, count, deliveries); }

Outcome Queue::lease(Item* item) {
  current();
  uint32_t leased = 0;
  return path_.lease(1, item, &leased, ~uint64_t{0});
}
Outcome Queue::lease(uint32_t max, Item* items, uint32_t* leased, uint64_t max_bytes) {
  current();
  return path_.lease(max, items, leased, max_bytes);
}
void Queue::release_lease(const Item* items, uint32_t count, uint32_t deliveries) {
  path_.requeue(items, count, deliveries);
}

bool Queue::peek(std::vector<uint8_t>* bytes, uint32_t* codec) {
  refresh();
  for (;;) {
    Item item;
    uint64_t seen = 0;
    if (shared().control->shut.load(std::memory_order_relaxed) > 1) return false;
    if (algorithm().peek(&item, &seen) != Outcome::kOk) return false;
    // Until it is known to be unchanged the length may be of another item: it is checked before it is used.
    if (item.length > segment_->header().capacity_bytes && algorithm().unchanged(item, seen)) data(item);
    const uint32_t length = std::min<uint64_t>(item.length, segment_->header().capacity_bytes);
    bytes->assign(segment_->at(item.position), segment_->at(item.position) + length);
    *codec = item.codec;
    if (algorithm().unchanged(item, seen)) return true;
  }
}

// ── waiting ────────────────────────────────────────────────────────────────

Step Queue::begin_waiting(Direction direction) {
  current();
  watch();
  return path_.waking().begin(direction, Bell::kInLoop);
}

Step Queue::tried(Direction direction, bool done) { return path_.waking().tried(direction, Bell::kInLoop, done); }

Step Queue::rung(Direction direction) {
  current();
  watch();  // the watcher may have been paused since
  return path_.waking().rung(direction);
}

void Queue::stop_waiting(Direction direction) {
  if (forks_ == fork_generation()) path_.waking().stop(direction);
}

void Queue::interrupt(Direction direction) {
  if (!joined_ || forks_ != fork_generation()) return;
  path_.waking().rung(direction);  // the word changes, so that who is on its way to sleep does not
  futex_wake(self().bell[direction]);
}

bool Queue::follow_up_later(Direction direction) {
  if (closing_ || !joined_) return false;
  watch();  // so that close() takes this handle out of the watcher again
  return Watcher::instance().schedule(this, direction);
}

void Queue::follow_up(int direction) {
  if (direction == kAnnouncement) return announce();
  path_.waking().follow_up(static_cast<Direction>(direction));
}

void Queue::shut_down(bool immediate) {
  current();
  path_.shut_down(immediate);
}

// ── questions ──────────────────────────────────────────────────────────────

void Queue::refresh() {
  current();
  reap_if_due(kReapEveryMs);
  if (drops()) path_.drop_all();  // what an onlooker recovered
}

uint64_t Queue::size() const {
  return shared().control->shut.load(std::memory_order_relaxed) > 1 ? 0 : algorithm().size();
}

bool Queue::full() const { return path_.waking().full(); }

QueueTotals Queue::totals() const {
  QueueTotals totals;
  const uint32_t high = waiters().participant_high();
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
      return (state == Bell::kOnFutex || state == Bell::kInLoop) &&
             is_alive(index, entry.identity.load());  // its owner may have died asleep
    };
    totals.waiting_getters += waits(kGetters);
    totals.waiting_putters += waits(kPutters);
    totals.waiting_joiners += waits(kJoiners);
  }
  totals.size = size();
  totals.used_bytes = algorithm().used_bytes();
  totals.leased = algorithm().leased();
  totals.recovered = shared().control->recovered.load(std::memory_order_relaxed);
  totals.shut_down = is_shut();
  return totals;
}

void Queue::ask_after_dead() {
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
