// Getting and leasing, as JavaScript calls it.
#include <cstring>

#include "binding/hot_calls.h"

namespace sage_binding {
namespace {

using sage::Hand;
using sage::Item;
using sage::Outcome;
using sage::Piece;

/// The hand whose number is an argument; null: it went back with its holder.
Hand* hand_of(Entry& entry, uint32_t id) { return entry.hands.has(id) ? &entry.hands.at(id) : nullptr; }

/// What does not fit into the receive buffer, or may be unreadable here and readable elsewhere, stays in that hand:
/// copyFirst() has it, and ackFirst() or endHand() follows.
int32_t keep_large(Entry& entry, uint32_t hand, const Item& item) {
  entry.registers[kCodec] = static_cast<int32_t>(item.codec);
  entry.registers[kLength] = static_cast<int32_t>(item.length);
  entry.registers[kHeld] = static_cast<int32_t>(hand);
  return kLarge;
}

/// Whether JavaScript may be without the schema of the item, which then has to stay in the queue.
bool may_be_foreign(const Entry& entry, const Item& item, const uint8_t* data) {
  if (item.codec != kStructCodec || item.length < sizeof(uint32_t)) return false;
  const uint32_t id = uint32_t{data[0]} | uint32_t{data[1]} << 8 | uint32_t{data[2]} << 16 | uint32_t{data[3]} << 24;
  return id != entry.schema;
}

/// One try of get(): copies the next item into the receive buffer at `offset`. `holder()` is asked where it
/// stays in a hand.
template <class Holder>
int32_t get_once(Entry& entry, uint32_t offset, Holder holder) {
  Item item;
  uint32_t taken = 0;
  const Outcome outcome = entry.queue->take(1, &item, &taken);
  if (outcome != Outcome::kOk) return status_of(outcome);
  entry.registers[kCodec] = static_cast<int32_t>(item.codec);
  const uint8_t* data = entry.queue->data(item);
  const bool fits = offset <= entry.received.bytes && item.length <= entry.received.bytes - offset;
  if (!fits || may_be_foreign(entry, item, data)) {
    const uint32_t id = entry.hands.add(holder());
    entry.hands.at(id).hold(item);
    return keep_large(entry, id, item);
  }
  std::memcpy(entry.received.data + offset, data, item.length);
  entry.queue->ack(&item, 1);
  return static_cast<int32_t>(item.length);
}

/// get(offset, waitMs, holder): the length of the item now in the receive buffer at `offset`, or a status. kLarge: the
/// item is in a hand, its number and length are in the registers.
napi_value get(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  return guarded(env, call.entry, [&] {
    const uint32_t offset = call.number(env, 0);
    return integer(env, try_or_sleep(*call.entry, sage::kGetters, call.number(env, 1), [&] {
                     return get_once(*call.entry, offset, [&] { return call.number(env, 2); });
                   }));
  });
}

/// getNow(): get() without waiting, to kOffset and for kHolder. Nothing, and the length in kLength; or a status.
napi_value get_now(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.entry, [&] {
    const int32_t length = get_once(*call.entry, call.left_in(kOffset), [&] { return call.left_in(kHolder); });
    if (length < 0) return integer(env, length);
    call.entry->registers[kLength] = length;
    return kDone;
  });
}

/// Copies items that were taken together into the receive buffer at `offset`, one after the other, and writes down
/// their lengths and codecs. Returns whether all of them are raw. Neighbours of whole units lie in one piece in the
/// segment, too.
bool copy_run(Entry& entry, const Item* items, uint32_t count, uint32_t offset) {
  int32_t* table = entry.registers + kTable;
  bool raw = true;
  for (uint32_t index = 0; index < count;) {
    const uint8_t* data = entry.queue->data(items[index]);
    uint32_t bytes = 0;
    do {
      table[2 * index] = static_cast<int32_t>(items[index].length);
      table[2 * index + 1] = static_cast<int32_t>(items[index].codec);
      raw &= items[index].codec == kRawCodec;
      bytes += items[index].length;
      ++index;
    } while (index < count && entry.queue->data(items[index]) == data + bytes);
    std::memcpy(entry.received.data + offset, data, bytes);
    offset += bytes;
  }
  return raw;
}

/// getMany(offset, max, waitMs, holder): how many items now lie one after the other in the receive buffer; lengths and
/// codecs in the registers from kTable on. Or a status; kLarge as for get(). Where kCodec says raw they all are, and
/// done with; otherwise they are in the hand of kHeld, and endHand() follows, once they are decoded.
napi_value get_many(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  return guarded(env, call.entry, [&] {
    Entry& entry = *call.entry;
    const uint32_t offset = std::min(call.number(env, 0), entry.received.bytes);
    const uint32_t max = std::min(call.number(env, 1), sage::kMaxBatch);
    return integer(env, try_or_sleep(entry, sage::kGetters, call.number(env, 2), [&]() -> int32_t {
                     const uint64_t room = entry.received.bytes - offset;
                     const uint32_t id = entry.hands.add(call.number(env, 3));
                     Hand& hand = entry.hands.at(id);
                     const Outcome outcome = hand.take(*entry.queue, max, room);
                     if (outcome != Outcome::kOk) {
                       entry.hands.remove(id);
                       return status_of(outcome);
                     }
                     if (hand.first().length > room) {
                       entry.queue->data(hand.first());  // as in lease()
                       return keep_large(entry, id, hand.first());
                     }
                     const uint32_t taken = hand.left();
                     const bool raw = copy_run(entry, hand.items(), taken, offset);
                     entry.registers[kCodec] = raw ? kRawCodec : 0;
                     entry.registers[kHeld] = static_cast<int32_t>(id);
                     if (raw) {
                       hand.ack_all(*entry.queue);
                       entry.hands.remove(id);
                     }
                     return static_cast<int32_t>(taken);
                   }));
  });
}

/// What was taken into the hand `id`, to be read in place: how many; offsets into the mapping and lengths in the
/// registers from kTable on. Or a status where nothing was, and the hand has ended.
int32_t taken_in_place(Entry& entry, uint32_t id, Outcome outcome) {
  if (outcome != Outcome::kOk) {
    entry.hands.remove(id);
    return status_of(outcome);
  }
  const Hand& hand = entry.hands.at(id);
  const uint32_t taken = hand.left();
  for (uint32_t index = 0; index < taken; ++index) {
    const Item& item = hand.items()[index];
    entry.registers[kTable + 2 * index] =
        static_cast<int32_t>(entry.queue->data(item) - entry.queue->segment().payload());
    entry.registers[kTable + 2 * index + 1] = static_cast<int32_t>(item.length);
  }
  entry.registers[kHeld] = static_cast<int32_t>(id);
  return static_cast<int32_t>(taken);
}

/// takeBatch(max, waitMs, holder): how many items may be read in place, or a status. They are in the hand of kHeld;
/// ackFirst(), takeNext() and endHand() follow.
napi_value take_batch(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  return guarded(env, call.entry, [&] {
    Entry& entry = *call.entry;
    const uint32_t max = std::min(call.number(env, 0), sage::kMaxBatch);
    const uint32_t holder = call.number(env, 2);
    return integer(env, try_or_sleep(entry, sage::kGetters, call.number(env, 1), [&] {
                     const uint32_t id = entry.hands.add(holder);
                     return taken_in_place(entry, id, entry.hands.at(id).take(*entry.queue, max));
                   }));
  });
}

/// takeNext(): acks what is left in the hand of kHeld, and takes up to kLength items into it, if there are any now.
/// Nothing, and how many in kLength; or a status, and the hand has ended. So who reads on crosses over once an item.
napi_value take_next(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.entry, [&] {
    Entry& entry = *call.entry;
    const uint32_t id = call.left_in(kHeld);
    const uint32_t max = std::min(call.left_in(kLength), sage::kMaxBatch);
    Hand* hand = hand_of(entry, id);
    if (hand == nullptr) return integer(env, kEmpty);
    const int32_t taken = taken_in_place(entry, id, hand->take_next(*entry.queue, max));
    if (taken < 0) return integer(env, taken);
    entry.registers[kLength] = taken;
    return kDone;
  });
}

/// copyFirst(hand, into): copies the first item of the hand.
napi_value copy_first(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.entry, [&] {
    const Hand* hand = hand_of(*call.entry, call.number(env, 0));
    if (hand == nullptr || hand->empty()) return integer(env, 0);
    void* data = nullptr;
    size_t length = 0;
    napi_get_typedarray_info(env, call.arguments[1], nullptr, &length, &data, nullptr, nullptr);
    const Item& item = hand->first();
    std::memcpy(data, call.entry->queue->data(item), std::min<size_t>(length, item.length));
    return integer(env, 0);
  });
}

/// ackFirst(): the first item of the hand of kHeld is done with; with the last one the hand ends.
napi_value ack_first(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.entry, [&] {
    const uint32_t id = call.left_in(kHeld);
    Hand* hand = hand_of(*call.entry, id);
    if (hand == nullptr) return kDone;
    hand->ack_first(*call.entry->queue);
    if (hand->empty()) call.entry->hands.remove(id);
    return kDone;
  });
}

/// endHand(hand, done, unseen): the first `done` items are acked, the others go back, ahead of what was never taken;
/// unseen: as if they had not been.
napi_value end_hand(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  return guarded(env, call.entry, [&] {
    Entry& entry = *call.entry;
    const uint32_t id = call.number(env, 0);
    Hand* hand = hand_of(entry, id);
    if (hand == nullptr) return integer(env, 0);
    bool unseen = false;
    napi_get_value_bool(env, call.arguments[2], &unseen);
    const uint32_t done = call.number(env, 1);
    if (done >= hand->left()) {
      hand->ack_all(*entry.queue);
    } else {
      for (uint32_t index = 0; index < done; ++index) hand->ack_first(*entry.queue);
      hand->requeue_all(*entry.queue, unseen ? 0 : 1);
    }
    entry.hands.remove(id);
    return integer(env, 0);
  });
}

/// peek(): the next item's bytes as a new buffer, codec in the registers; undefined when there is none.
napi_value peek(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.entry, [&] {
    std::vector<uint8_t> bytes;
    uint32_t codec = 0;
    napi_value result;
    if (!call.entry->queue->peek(&bytes, &codec)) {
      napi_get_undefined(env, &result);
      return result;
    }
    call.entry->registers[kCodec] = static_cast<int32_t>(codec);
    napi_create_buffer_copy(env, bytes.size(), bytes.data(), nullptr, &result);
    return result;
  });
}

// ── leases ─────────────────────────────────────────────────────────────────

uint32_t add_lease(Entry& entry, const Item& item, uint32_t holder) {
  const uint32_t id = entry.leases.add(holder);
  entry.leases.at(id) = item;
  return id;
}

/// lease(waitMs, holder): a lease id or a status; codec, length, deliveries and crashes in the registers. copyLease(id,
/// into) has it.
napi_value lease(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.entry, [&] {
    Entry& entry = *call.entry;
    return integer(env, try_or_sleep(entry, sage::kGetters, call.number(env, 0), [&]() -> int32_t {
                     Item item;
                     const Outcome outcome = entry.queue->lease(&item);
                     if (outcome != Outcome::kOk) return status_of(outcome);
                     entry.queue->data(item);  // refuses an impossible length before JavaScript makes room for it
                     entry.registers[kCodec] = static_cast<int32_t>(item.codec);
                     entry.registers[kLength] = static_cast<int32_t>(item.length);
                     entry.registers[kDeliveries] = static_cast<int32_t>(item.deliveries + 1);
                     entry.registers[kCrashes] = static_cast<int32_t>(item.crashes);
                     return static_cast<int32_t>(add_lease(entry, item, call.number(env, 1)));
                   }));
  });
}

/// leaseMany(offset, max, waitMs, holder): how many items are on lease and lie one after the other in the receive
/// buffer; (length, codec) pairs in the registers from kTable on, then ids, deliveries and crashes. Or a status;
/// kLarge: one item is on lease that did not fit, and copyLease() has it.
napi_value lease_many(napi_env env, napi_callback_info info) {
  const Call<4> call(env, info);
  return guarded(env, call.entry, [&] {
    Entry& entry = *call.entry;
    const uint32_t offset = std::min(call.number(env, 0), entry.received.bytes);
    const uint32_t max = std::min(call.number(env, 1), sage::kMaxBatch);
    return integer(env, try_or_sleep(entry, sage::kGetters, call.number(env, 2), [&]() -> int32_t {
                     Item items[sage::kMaxBatch];
                     uint32_t leased = 0;
                     const uint32_t holder = call.number(env, 3);
                     const uint64_t room = entry.received.bytes - offset;
                     const Outcome outcome = entry.queue->lease(max, items, &leased, room);
                     if (outcome != Outcome::kOk) return status_of(outcome);
                     for (uint32_t index = 0; index < leased; ++index) {
                       const Item& item = items[index];
                       entry.registers[kLeaseIds + index] = static_cast<int32_t>(add_lease(entry, item, holder));
                       entry.registers[kLeaseDeliveries + index] = static_cast<int32_t>(item.deliveries + 1);
                       entry.registers[kLeaseCrashes + index] = static_cast<int32_t>(item.crashes);
                     }
                     if (items[0].length > room) {
                       entry.queue->data(items[0]);  // as in lease()
                       entry.registers[kCodec] = static_cast<int32_t>(items[0].codec);
                       entry.registers[kLength] = static_cast<int32_t>(items[0].length);
                       return kLarge;
                     }
                     entry.registers[kCodec] = copy_run(entry, items, leased, offset) ? kRawCodec : 0;
                     return static_cast<int32_t>(leased);
                   }));
  });
}

/// setAside(count, aside): those whose ids stand in the registers from kLeaseIds on.
napi_value set_aside(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.entry, [&] {
    Entry& entry = *call.entry;
    const uint32_t count = std::min(call.number(env, 0), sage::kMaxBatch);
    bool aside = false;
    napi_get_value_bool(env, call.arguments[1], &aside);
    Item items[sage::kMaxBatch];
    for (uint32_t index = 0; index < count; ++index) {
      items[index] = entry.leases.at(static_cast<uint32_t>(entry.registers[kLeaseIds + index]));
    }
    entry.queue->set_aside(items, count, aside);
    return integer(env, 0);
  });
}

/// endLeases(count, ack, unseen): those whose ids stand in the registers from kLeaseIds on. What goes back
/// unseen comes again as if it had not been delivered.
napi_value end_leases(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  return guarded(env, call.entry, [&] {
    Entry& entry = *call.entry;
    const uint32_t count = std::min(call.number(env, 0), sage::kMaxBatch);
    bool ack = false;
    bool unseen = false;
    napi_get_value_bool(env, call.arguments[1], &ack);
    napi_get_value_bool(env, call.arguments[2], &unseen);
    Item items[sage::kMaxBatch];
    for (uint32_t index = 0; index < count; ++index) {
      items[index] = entry.leases.take(static_cast<uint32_t>(entry.registers[kLeaseIds + index]));
    }
    if (count == 0) return integer(env, 0);
    if (ack) {
      entry.queue->ack(items, count);
    } else {
      entry.queue->release_lease(items, count, unseen ? 0 : 1);
    }
    return integer(env, 0);
  });
}

napi_value copy_lease(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.entry, [&] {
    const Item& item = call.entry->leases.at(call.number(env, 0));
    void* data = nullptr;
    size_t length = 0;
    napi_get_typedarray_info(env, call.arguments[1], nullptr, &length, &data, nullptr, nullptr);
    std::memcpy(data, call.entry->queue->data(item), std::min<size_t>(length, item.length));
    return integer(env, 0);
  });
}

}  // namespace

void add_gets(napi_env env, napi_value object, Environment& environment) {
  add_calls(env, object, environment,
            {
                {"get", get},
                {"getNow", get_now},
                {"getMany", get_many},
                {"takeBatch", take_batch},
                {"takeNext", take_next},
                {"copyFirst", copy_first},
                {"ackFirst", ack_first},
                {"endHand", end_hand},
                {"peek", peek},
                {"lease", lease},
                {"copyLease", copy_lease},
                {"leaseMany", lease_many},
                {"endLeases", end_leases},
                {"setAside", set_aside},
            });
}

}  // namespace sage_binding
