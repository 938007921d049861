// Getting and leasing, as JavaScript calls it.
#include <cstring>

#include "binding/hot_calls.h"

namespace sage_binding {
namespace {

using sage::Item;
using sage::Outcome;
using sage::Piece;

/// One try of get(): copies the next item into the pool at `offset`.
int32_t get_once(Handle& handle, uint32_t offset) {
  Item item;
  uint32_t taken = 0;
  const Outcome outcome = handle.queue->take(1, &item, &taken);
  if (outcome != Outcome::kOk) return status_of(outcome);
  handle.registers[kCodec] = static_cast<int32_t>(item.codec);
  const uint8_t* data = handle.queue->data(item);
  if (offset > handle.pool_bytes || item.length > handle.pool_bytes - offset) {
    handle.registers[kLength] = static_cast<int32_t>(item.length);
    handle.large = item;
    return kLarge;
  }
  std::memcpy(handle.pool + offset, data, item.length);
  handle.queue->finish(&item, 1);
  return static_cast<int32_t>(item.length);
}

/// get(offset, waitMs): the length of the item now in the pool at `offset`, or a status. kLarge: the item is taken,
/// its length is in the registers, and copyTaken() has it.
napi_value get(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.handle, [&] {
    const uint32_t offset = call.number(env, 0);
    return integer(env, try_or_sleep(*call.handle, sage::kGetters, call.number(env, 1),
                                     [&] { return get_once(*call.handle, offset); }));
  });
}

/// getNow(offset): get() without waiting.
napi_value get_now(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle, [&] { return integer(env, get_once(*call.handle, call.number(env, 0))); });
}

/// copyTaken(into): copies the item that did not fit. endTaken() follows.
napi_value copy_taken(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle, [&] {
    const Handle& handle = *call.handle;
    if (!handle.large) return integer(env, kEmpty);
    void* data = nullptr;
    size_t length = 0;
    napi_get_typedarray_info(env, call.arguments[0], nullptr, &length, &data, nullptr, nullptr);
    std::memcpy(data, handle.queue->data(*handle.large), std::min<size_t>(length, handle.large->length));
    return integer(env, static_cast<int32_t>(handle.large->length));
  });
}

/// endTaken(finish): the item that did not fit is done with, or goes back.
napi_value end_taken(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    if (!handle.large) return integer(env, 0);
    const Item item = *handle.large;
    handle.large.reset();
    bool finish = true;
    napi_get_value_bool(env, call.arguments[0], &finish);
    if (finish) {
      handle.queue->finish(&item, 1);
    } else {
      handle.queue->give_back(&item, 1);
    }
    return integer(env, 0);
  });
}

/// Copies items that were taken together into the pool at `offset`, one after the other, and writes down their lengths
/// and codecs. Returns whether all of them are raw. Neighbours of whole units lie in one piece in the segment, too.
bool copy_run(Handle& handle, const Item* items, uint32_t count, uint32_t offset) {
  int32_t* table = handle.registers + kTable;
  bool raw = true;
  for (uint32_t index = 0; index < count;) {
    const uint8_t* data = handle.queue->data(items[index]);
    uint32_t bytes = 0;
    do {
      table[2 * index] = static_cast<int32_t>(items[index].length);
      table[2 * index + 1] = static_cast<int32_t>(items[index].codec);
      raw &= items[index].codec == kRawCodec;
      bytes += items[index].length;
      ++index;
    } while (index < count && handle.queue->data(items[index]) == data + bytes);
    std::memcpy(handle.pool + offset, data, bytes);
    offset += bytes;
  }
  return raw;
}

/// getMany(offset, max, waitMs): how many items now lie one after the other in the pool; lengths and codecs in the
/// registers from kTable on. Or a status; kLarge as for get(). Where kCodec says raw they all are, and done with;
/// otherwise endMany() follows, once they are decoded.
napi_value get_many(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    const uint32_t offset = std::min(call.number(env, 0), handle.pool_bytes);
    const uint32_t max = std::min(call.number(env, 1), sage::kMaxBatch);
    return integer(env, try_or_sleep(handle, sage::kGetters, call.number(env, 2), [&]() -> int32_t {
                     const uint64_t room = handle.pool_bytes - offset;
                     const Outcome outcome = handle.batch.take(*handle.queue, max, room);
                     if (outcome != Outcome::kOk) return status_of(outcome);
                     const Item& first = handle.batch.first();
                     if (first.length > room) {
                       handle.queue->data(first);  // as in lease()
                       handle.registers[kCodec] = static_cast<int32_t>(first.codec);
                       handle.registers[kLength] = static_cast<int32_t>(first.length);
                       handle.large = first;
                       handle.batch.forget();
                       return kLarge;
                     }
                     const uint32_t taken = handle.batch.left();
                     const bool raw = copy_run(handle, handle.batch.items(), taken, offset);
                     handle.registers[kCodec] = raw ? kRawCodec : 0;
                     if (raw) handle.batch.finish_all(*handle.queue);
                     return static_cast<int32_t>(taken);
                   }));
  });
}

/// endMany(done): the first `done` items of the batch are finished, the others go back, ahead of what was never taken.
napi_value end_many(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    const uint32_t done = call.number(env, 0);
    if (done >= handle.batch.left()) {
      handle.batch.finish_all(*handle.queue);
      return integer(env, 0);
    }
    for (uint32_t index = 0; index < done; ++index) handle.batch.finish_first(*handle.queue);
    handle.batch.give_back_all(*handle.queue);
    return integer(env, 0);
  });
}

/// takeRun(max, waitMs): takes items to be read in place; offsets into the mapping and lengths in the registers from
/// kTable on. The count or a status. finishFirst() and giveBackRun() follow.
napi_value take_run(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    const uint32_t max = std::min(call.number(env, 0), sage::kMaxBatch);
    return integer(env, try_or_sleep(handle, sage::kGetters, call.number(env, 1), [&]() -> int32_t {
                     const Outcome outcome = handle.run.take(*handle.queue, max);
                     if (outcome != Outcome::kOk) return status_of(outcome);
                     const uint32_t taken = handle.run.left();
                     for (uint32_t index = 0; index < taken; ++index) {
                       const Item& item = handle.run.items()[index];
                       handle.registers[kTable + 2 * index] =
                           static_cast<int32_t>(handle.queue->data(item) - handle.queue->segment().payload());
                       handle.registers[kTable + 2 * index + 1] = static_cast<int32_t>(item.length);
                     }
                     return static_cast<int32_t>(taken);
                   }));
  });
}

/// copyFirst(into): copies the first item of the run, where no view of the mapping can be had.
napi_value copy_first(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle, [&] {
    const Handle& handle = *call.handle;
    void* data = nullptr;
    size_t length = 0;
    napi_get_typedarray_info(env, call.arguments[0], nullptr, &length, &data, nullptr, nullptr);
    if (handle.run.empty()) return integer(env, 0);
    const Item& item = handle.run.first();
    std::memcpy(data, handle.queue->data(item), std::min<size_t>(length, item.length));
    return integer(env, 0);
  });
}

napi_value finish_first(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.handle, [&] {
    call.handle->run.finish_first(*call.handle->queue);
    return integer(env, 0);
  });
}

napi_value give_back_run(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.handle, [&] {
    call.handle->run.give_back_all(*call.handle->queue);
    return integer(env, 0);
  });
}

/// peek(): the next item's bytes as a new buffer, codec in the registers; undefined when there is none.
napi_value peek(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.handle, [&] {
    std::vector<uint8_t> bytes;
    uint32_t codec = 0;
    napi_value result;
    if (!call.handle->queue->peek(&bytes, &codec)) {
      napi_get_undefined(env, &result);
      return result;
    }
    call.handle->registers[kCodec] = static_cast<int32_t>(codec);
    napi_create_buffer_copy(env, bytes.size(), bytes.data(), nullptr, &result);
    return result;
  });
}

// ── leases ─────────────────────────────────────────────────────────────────

/// lease(waitMs): a lease id or a status; codec, length, deliveries and crashes in the registers. copyLease(id, into)
/// has it.
napi_value lease(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    return integer(env, try_or_sleep(handle, sage::kGetters, call.number(env, 0), [&]() -> int32_t {
                     Item item;
                     const Outcome outcome = handle.queue->lease(&item);
                     if (outcome != Outcome::kOk) return status_of(outcome);
                     handle.queue->data(item);  // refuses an impossible length before JavaScript makes room for it
                     handle.registers[kCodec] = static_cast<int32_t>(item.codec);
                     handle.registers[kLength] = static_cast<int32_t>(item.length);
                     handle.registers[kDeliveries] = static_cast<int32_t>(item.deliveries + 1);
                     handle.registers[kCrashes] = static_cast<int32_t>(item.crashes);
                     return static_cast<int32_t>(handle.add_lease(item));
                   }));
  });
}

/// leaseMany(offset, max, waitMs): how many items are on lease and lie one after the other in the pool; (length, codec)
/// pairs in the registers from kTable on, then ids, deliveries and crashes. Or a status; kLarge: one item is on lease
/// that did not fit, and copyLease() has it.
napi_value lease_many(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    const uint32_t offset = std::min(call.number(env, 0), handle.pool_bytes);
    const uint32_t max = std::min(call.number(env, 1), sage::kMaxBatch);
    return integer(env, try_or_sleep(handle, sage::kGetters, call.number(env, 2), [&]() -> int32_t {
                     Item items[sage::kMaxBatch];
                     uint32_t leased = 0;
                     const uint64_t room = handle.pool_bytes - offset;
                     const Outcome outcome = handle.queue->lease(max, items, &leased, room);
                     if (outcome != Outcome::kOk) return status_of(outcome);
                     for (uint32_t index = 0; index < leased; ++index) {
                       const Item& item = items[index];
                       handle.registers[kLeaseIds + index] = static_cast<int32_t>(handle.add_lease(item));
                       handle.registers[kLeaseDeliveries + index] = static_cast<int32_t>(item.deliveries + 1);
                       handle.registers[kLeaseCrashes + index] = static_cast<int32_t>(item.crashes);
                     }
                     if (items[0].length > room) {
                       handle.queue->data(items[0]);  // as in lease()
                       handle.registers[kCodec] = static_cast<int32_t>(items[0].codec);
                       handle.registers[kLength] = static_cast<int32_t>(items[0].length);
                       return kLarge;
                     }
                     handle.registers[kCodec] = copy_run(handle, items, leased, offset) ? kRawCodec : 0;
                     return static_cast<int32_t>(leased);
                   }));
  });
}

/// endLeases(count, acknowledge): those whose ids stand in the registers from kLeaseIds on.
napi_value end_leases(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    const uint32_t count = std::min(call.number(env, 0), sage::kMaxBatch);
    bool acknowledge = false;
    napi_get_value_bool(env, call.arguments[1], &acknowledge);
    Item items[sage::kMaxBatch];
    for (uint32_t index = 0; index < count; ++index) {
      const auto id = static_cast<uint32_t>(handle.registers[kLeaseIds + index]);
      items[index] = handle.leases.at(id);
      handle.free_leases.push_back(id);
    }
    if (count == 0) return integer(env, 0);
    if (acknowledge) {
      handle.queue->acknowledge(items, count);
    } else {
      handle.queue->release_lease(items, count);
    }
    return integer(env, 0);
  });
}

napi_value copy_lease(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.handle, [&] {
    const Item& item = call.handle->leases.at(call.number(env, 0));
    void* data = nullptr;
    size_t length = 0;
    napi_get_typedarray_info(env, call.arguments[1], nullptr, &length, &data, nullptr, nullptr);
    std::memcpy(data, call.handle->queue->data(item), std::min<size_t>(length, item.length));
    return integer(env, 0);
  });
}

/// endLease(id, acknowledge)
napi_value end_lease(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.handle, [&] {
    const uint32_t id = call.number(env, 0);
    bool acknowledge = false;
    napi_get_value_bool(env, call.arguments[1], &acknowledge);
    const Item item = call.handle->leases.at(id);
    call.handle->free_leases.push_back(id);
    if (acknowledge) {
      call.handle->queue->acknowledge(item);
    } else {
      call.handle->queue->release_lease(item);
    }
    return integer(env, 0);
  });
}

}  // namespace

void add_gets(napi_env env, napi_value object, Handle* handle) {
  add_calls(env, object, handle,
            {
                {"get", get},
                {"getNow", get_now},
                {"copyTaken", copy_taken},
                {"endTaken", end_taken},
                {"getMany", get_many},
                {"endMany", end_many},
                {"takeRun", take_run},
                {"copyFirst", copy_first},
                {"finishFirst", finish_first},
                {"giveBackRun", give_back_run},
                {"peek", peek},
                {"lease", lease},
                {"copyLease", copy_lease},
                {"endLease", end_lease},
                {"leaseMany", lease_many},
                {"endLeases", end_leases},
            });
}

}  // namespace sage_binding
