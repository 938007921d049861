#include "binding/handle.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include "core/errors.h"

namespace sage_binding {
namespace {

using sage::Direction;
using sage::Item;
using sage::Outcome;
using sage::Piece;

constexpr uint32_t kRawCodec = 1;   // CODEC_RAW of lib/codec.ts
constexpr uint32_t kSliceMs = 100;  // a blocked call comes back this often, so that worker.terminate() gets through

napi_value integer(napi_env env, int32_t value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

/// The arguments of one call on a handle. The hot calls use the C interface: a wrapper costs more than they do.
template <size_t Count>
struct Call {
  Handle* handle = nullptr;
  napi_value arguments[Count == 0 ? 1 : Count];

  Call(napi_env env, napi_callback_info info) {
    size_t count = Count;
    void* data = nullptr;
    napi_get_cb_info(env, info, &count, arguments, nullptr, &data);
    handle = static_cast<Handle*>(data);
  }
  uint32_t number(napi_env env, size_t index) const {
    uint32_t value = 0;
    napi_get_value_uint32(env, arguments[index], &value);
    return value;
  }
};

/// Runs `body`, and turns a failure of the core into a JavaScript exception.
template <class Body>
napi_value guarded(napi_env env, const Handle* handle, Body body) {
  if (handle->queue == nullptr) {
    napi_throw_error(env, "ERR_QUEUE_CLOSED", "the handle was closed");
    return nullptr;
  }
  try {
    return body();
  } catch (const sage::SegmentFailure& failure) {
    napi_throw_error(env, failure.code(), failure.what());
  } catch (const std::exception& failure) {
    napi_throw_error(env, "ERR_SEGMENT_CORRUPT", failure.what());
  }
  return nullptr;
}

int32_t status_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kFull:
      return kFull;
    case Outcome::kShut:
      return kShut;
    case Outcome::kCorrupt:
      throw sage::SegmentFailure("ERR_SEGMENT_CORRUPT", "the words of the segment contradict each other");
    default:
      return kEmpty;
  }
}

/// Tries, and where there is nothing sleeps up to `wait_ms` for it, in one slice.
template <class Try>
int32_t try_or_sleep(Handle& handle, Direction direction, uint32_t wait_ms, Try attempt) {
  int32_t result = attempt();
  if (wait_ms == 0 || (result != kEmpty && result != kFull)) return result;
  sage::Queue& queue = *handle.queue;
  const uint32_t start = sage::monotonic_ms();
  const uint32_t limit = std::min(wait_ms, kSliceMs);
  for (uint32_t passed = 0; passed < limit; passed = sage::monotonic_ms() - start) {
    queue.park(direction, sage::Bell::kSleeping);
    result = attempt();
    if (result == kEmpty || result == kFull) queue.sleep(direction, limit - passed);
    queue.unpark(direction);
    if (result == kEmpty || result == kFull) result = attempt();
    queue.settle(direction);
    if (result != kEmpty && result != kFull) break;
  }
  return result;
}

bool too_large(const Handle& handle, uint64_t length) {
  return length > handle.queue->segment().header().capacity_bytes;
}

// ── puts ───────────────────────────────────────────────────────────────────

/// put(bytes, start, end, codec, waitMs): 0 or a status.
napi_value put(napi_env env, napi_callback_info info) {
  const Call<5> call(env, info);
  return guarded(env, call.handle, [&] {
    void* data = nullptr;
    size_t length = 0;
    napi_get_typedarray_info(env, call.arguments[0], nullptr, &length, &data, nullptr, nullptr);
    const uint32_t start = call.number(env, 1);
    const uint32_t end = call.number(env, 2);
    if (start > end || end > length) return integer(env, kTooLarge);
    const Piece piece{static_cast<uint8_t*>(data) + start, end - start, call.number(env, 3)};
    if (too_large(*call.handle, piece.length)) return integer(env, kTooLarge);
    return integer(env, try_or_sleep(*call.handle, sage::kPutters, call.number(env, 4), [&]() -> int32_t {
                     uint32_t accepted = 0;
                     const Outcome outcome = call.handle->queue->put(&piece, 1, &accepted);
                     return outcome == Outcome::kOk ? 0 : status_of(outcome);
                   }));
  });
}

/// putRaw(bytes): put() of a whole array of bytes as they are, without waiting; most of what a put costs is its
/// arguments.
napi_value put_raw(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle, [&] {
    void* data = nullptr;
    size_t length = 0;
    napi_get_typedarray_info(env, call.arguments[0], nullptr, &length, &data, nullptr, nullptr);
    if (too_large(*call.handle, length)) return integer(env, kTooLarge);
    const Piece piece{static_cast<uint8_t*>(data), static_cast<uint32_t>(length), kRawCodec};
    uint32_t accepted = 0;
    const Outcome outcome = call.handle->queue->put(&piece, 1, &accepted);
    return integer(env, outcome == Outcome::kOk ? 0 : status_of(outcome));
  });
}

/// putManyOut(from, count, waitMs): putMany() of items of the outbox, which begins with a table of kMaxRun (length,
/// codec) pairs.
napi_value put_many_out(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  return guarded(env, call.handle, [&] {
    const Handle& handle = *call.handle;
    const auto* table = reinterpret_cast<const uint32_t*>(handle.outbox);
    Piece pieces[sage::kMaxRun];
    const uint32_t from = std::min(call.number(env, 0), sage::kMaxRun);
    const uint32_t count = std::min(call.number(env, 1), sage::kMaxRun - from);
    uint64_t offset = 2 * sizeof(uint32_t) * sage::kMaxRun;
    for (uint32_t index = 0; index < from + count; ++index) {
      const uint32_t length = table[2 * index];
      if (offset + length > handle.outbox_bytes || too_large(handle, length)) return integer(env, kTooLarge);
      if (index >= from) pieces[index - from] = {handle.outbox + offset, length, table[2 * index + 1]};
      offset += length;
    }
    return integer(env, try_or_sleep(*call.handle, sage::kPutters, call.number(env, 2), [&]() -> int32_t {
                     uint32_t accepted = 0;
                     const Outcome outcome = call.handle->queue->put(pieces, count, &accepted);
                     return outcome == Outcome::kOk ? static_cast<int32_t>(accepted) : status_of(outcome);
                   }));
  });
}

/// putMany(items: Uint8Array[], from, count, codecs: Uint8Array, waitMs): how many went in, or a status.
napi_value put_many(napi_env env, napi_callback_info info) {
  const Call<5> call(env, info);
  return guarded(env, call.handle, [&] {
    Piece pieces[sage::kMaxRun];
    const uint32_t from = call.number(env, 1);
    const uint32_t count = std::min(call.number(env, 2), sage::kMaxRun);
    void* codecs = nullptr;
    napi_get_typedarray_info(env, call.arguments[3], nullptr, nullptr, &codecs, nullptr, nullptr);
    for (uint32_t index = 0; index < count; ++index) {
      napi_value item;
      void* data = nullptr;
      size_t length = 0;
      napi_get_element(env, call.arguments[0], from + index, &item);
      napi_get_typedarray_info(env, item, nullptr, &length, &data, nullptr, nullptr);
      if (too_large(*call.handle, length)) return integer(env, kTooLarge);
      pieces[index] = {static_cast<uint8_t*>(data), static_cast<uint32_t>(length),
                       static_cast<uint8_t*>(codecs)[from + index]};
    }
    return integer(env, try_or_sleep(*call.handle, sage::kPutters, call.number(env, 4), [&]() -> int32_t {
                     uint32_t accepted = 0;
                     const Outcome outcome = call.handle->queue->put(pieces, count, &accepted);
                     return outcome == Outcome::kOk ? static_cast<int32_t>(accepted) : status_of(outcome);
                   }));
  });
}

/// claim(bytes, codec, waitMs): where the room lies in the mapping, in bytes, or a status.
napi_value claim(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    double bytes = 0;
    napi_get_value_double(env, call.arguments[0], &bytes);
    if (too_large(handle, static_cast<uint64_t>(bytes))) return integer(env, kTooLarge);
    int32_t result = try_or_sleep(handle, sage::kPutters, call.number(env, 2), [&]() -> int32_t {
      const Outcome outcome = handle.queue->claim(static_cast<uint32_t>(bytes), call.number(env, 1), &handle.claim);
      return outcome == Outcome::kOk ? 0 : status_of(outcome);
    });
    if (result == 0) {
      handle.claimed = true;
      result = static_cast<int32_t>(handle.queue->data(handle.claim) - handle.queue->segment().payload());
    }
    return integer(env, result);
  });
}

/// endClaim(commit, bytes?): with bytes they are copied in first, where no view of the mapping can be had.
napi_value end_claim(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    if (!handle.claimed) return integer(env, 0);
    handle.claimed = false;
    bool commit = false;
    napi_get_value_bool(env, call.arguments[0], &commit);
    bool has_bytes = false;
    napi_is_typedarray(env, call.arguments[1], &has_bytes);
    if (commit && has_bytes) {
      void* data = nullptr;
      size_t length = 0;
      napi_get_typedarray_info(env, call.arguments[1], nullptr, &length, &data, nullptr, nullptr);
      std::memcpy(handle.queue->data(handle.claim), data, std::min<size_t>(length, handle.claim.length));
    }
    if (commit) {
      handle.queue->commit(handle.claim);
    } else {
      handle.queue->abandon(handle.claim);
    }
    return integer(env, 0);
  });
}

// ── gets ───────────────────────────────────────────────────────────────────

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
    handle.has_large = true;
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
    if (!handle.has_large) return integer(env, kEmpty);
    void* data = nullptr;
    size_t length = 0;
    napi_get_typedarray_info(env, call.arguments[0], nullptr, &length, &data, nullptr, nullptr);
    std::memcpy(data, handle.queue->data(handle.large), std::min<size_t>(length, handle.large.length));
    return integer(env, static_cast<int32_t>(handle.large.length));
  });
}

/// endTaken(finish): the item that did not fit is done with, or goes back.
napi_value end_taken(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    if (!handle.has_large) return integer(env, 0);
    handle.has_large = false;
    bool finish = true;
    napi_get_value_bool(env, call.arguments[0], &finish);
    if (finish) {
      handle.queue->finish(&handle.large, 1);
    } else {
      handle.queue->give_back(&handle.large, 1);
    }
    return integer(env, 0);
  });
}

/// getMany(offset, max, waitMs): how many items now lie one after the other in the pool; lengths and codecs in the
/// registers from kTable on. Or a status; kLarge as for get(). endMany() follows, once they are decoded.
napi_value get_many(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    uint32_t offset = call.number(env, 0);
    const uint32_t max = std::min(call.number(env, 1), sage::kMaxRun);
    return integer(env, try_or_sleep(handle, sage::kGetters, call.number(env, 2), [&]() -> int32_t {
                     Item* items = handle.batch;
                     uint32_t taken = 0;
                     const uint64_t room = handle.pool_bytes - std::min(offset, handle.pool_bytes);
                     const Outcome outcome = handle.queue->take(max, items, &taken, room);
                     if (outcome != Outcome::kOk) return status_of(outcome);
                     if (items[0].length > room) {
                       handle.queue->data(items[0]);  // as in lease()
                       handle.registers[kCodec] = static_cast<int32_t>(items[0].codec);
                       handle.registers[kLength] = static_cast<int32_t>(items[0].length);
                       handle.large = items[0];
                       handle.has_large = true;
                       return kLarge;
                     }
                     for (uint32_t index = 0; index < taken; ++index) {
                       std::memcpy(handle.pool + offset, handle.queue->data(items[index]), items[index].length);
                       handle.registers[kTable + 2 * index] = static_cast<int32_t>(items[index].length);
                       handle.registers[kTable + 2 * index + 1] = static_cast<int32_t>(items[index].codec);
                       offset += items[index].length;
                     }
                     handle.batch_count = taken;
                     return static_cast<int32_t>(taken);
                   }));
  });
}

/// endMany(done): the first `done` items of the batch are finished, the others go back, ahead of what was never taken.
napi_value end_many(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    const uint32_t count = handle.batch_count;
    const uint32_t done = std::min(call.number(env, 0), count);
    handle.batch_count = 0;
    if (count == 0) return integer(env, 0);
    if (done == count) {
      handle.queue->finish(handle.batch, count);
      return integer(env, 0);
    }
    for (uint32_t index = 0; index < done; ++index) handle.queue->finish_first(handle.batch + index, count - index);
    handle.queue->give_back(handle.batch + done, count - done);
    return integer(env, 0);
  });
}

/// takeRun(max, waitMs): takes items to be read in place; offsets into the mapping and lengths in the registers from
/// kTable on. The count or a status. finishFirst() and giveBackRun() follow.
napi_value take_run(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    const uint32_t max = std::min(call.number(env, 0), sage::kMaxRun);
    return integer(env, try_or_sleep(handle, sage::kGetters, call.number(env, 1), [&]() -> int32_t {
                     uint32_t taken = 0;
                     const Outcome outcome = handle.queue->take(max, handle.run, &taken);
                     if (outcome != Outcome::kOk) return status_of(outcome);
                     handle.run_count = taken;
                     handle.run_next = 0;
                     for (uint32_t index = 0; index < taken; ++index) {
                       handle.registers[kTable + 2 * index] = static_cast<int32_t>(
                           handle.queue->data(handle.run[index]) - handle.queue->segment().payload());
                       handle.registers[kTable + 2 * index + 1] = static_cast<int32_t>(handle.run[index].length);
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
    const Item& item = handle.run[handle.run_next];
    if (handle.run_next < handle.run_count) {
      std::memcpy(data, handle.queue->data(item), std::min<size_t>(length, item.length));
    }
    return integer(env, 0);
  });
}

napi_value finish_first(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    if (handle.run_next < handle.run_count) {
      handle.queue->finish_first(handle.run + handle.run_next, handle.run_count - handle.run_next);
      if (++handle.run_next == handle.run_count) handle.run_count = handle.run_next = 0;
    }
    return integer(env, 0);
  });
}

napi_value give_back_run(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.handle, [&] {
    Handle& handle = *call.handle;
    if (handle.run_next < handle.run_count) {
      handle.queue->give_back(handle.run + handle.run_next, handle.run_count - handle.run_next);
    }
    handle.run_count = handle.run_next = 0;
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

/// lease(waitMs): a lease id or a status; codec, length and deliveries in the registers. copyLease(id, into) has it.
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
                     if (handle.free_leases.empty()) {
                       handle.leases.push_back(item);
                       return static_cast<int32_t>(handle.leases.size() - 1);
                     }
                     const uint32_t id = handle.free_leases.back();
                     handle.free_leases.pop_back();
                     handle.leases[id] = item;
                     return static_cast<int32_t>(id);
                   }));
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

// ── waiting ────────────────────────────────────────────────────────────────

Direction direction_of(uint32_t number) { return number == 0 ? sage::kGetters : sage::kPutters; }

/// park(direction): puts the event loop's bell up. Try once more after it.
napi_value park(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle, [&] {
    call.handle->queue->park(direction_of(call.number(env, 0)), sage::Bell::kParked);
    return integer(env, 0);
  });
}

/// unpark(direction): 1 when it was rung; settle(direction) passes the wake on afterwards.
napi_value unpark(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle,
                 [&] { return integer(env, call.handle->queue->unpark(direction_of(call.number(env, 0)))); });
}

napi_value settle(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle, [&] {
    call.handle->queue->settle(direction_of(call.number(env, 0)));
    return integer(env, 0);
  });
}

// ── the rest, not hot ──────────────────────────────────────────────────────

Handle& handle_of(const Napi::CallbackInfo& info) {
  auto* handle = static_cast<Handle*>(info.Data());
  if (handle->queue == nullptr) {
    Napi::Error error = Napi::Error::New(info.Env(), "the handle was closed");
    error.Set("code", Napi::String::New(info.Env(), "ERR_QUEUE_CLOSED"));
    throw error;
  }
  return *handle;
}

Napi::Value set_pool(const Napi::CallbackInfo& info) {
  Handle& handle = handle_of(info);
  auto pool = info[0].As<Napi::Uint8Array>();
  handle.pool_reference = Napi::Persistent(pool);
  handle.pool = pool.Data();
  handle.pool_bytes = static_cast<uint32_t>(pool.ByteLength());
  return info.Env().Undefined();
}

Napi::Value set_outbox(const Napi::CallbackInfo& info) {
  Handle& handle = handle_of(info);
  auto outbox = info[0].As<Napi::Uint8Array>();
  handle.outbox_reference = Napi::Persistent(outbox);
  handle.outbox = outbox.Data();
  handle.outbox_bytes = static_cast<uint32_t>(outbox.ByteLength());
  return info.Env().Undefined();
}

Napi::Value set_bell(const Napi::CallbackInfo& info) {
  handle_of(info).queue->set_bell(info[0].As<Napi::Number>().Uint32Value(),
                                  static_cast<uint64_t>(info[1].As<Napi::Number>().DoubleValue()),
                                  info[2].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

Napi::Value must_poll(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), handle_of(info).queue->must_poll());
}

/// The payload area as an ArrayBuffer; undefined where the runtime forbids memory that is not its own. It is held
/// weakly, and JavaScript makes it hold the handle: as long as a view of it is left, the memory stays mapped.
Napi::Value mapping(const Napi::CallbackInfo& info) {
  Handle& handle = handle_of(info);
  if (!handle.mapping_reference.IsEmpty()) {
    const Napi::ArrayBuffer known = handle.mapping_reference.Value();
    if (!known.IsEmpty()) return known;
  }
  napi_value buffer;
  const uint64_t bytes = 2 * handle.queue->segment().header().area_bytes;
  if (napi_create_external_arraybuffer(info.Env(), handle.queue->segment().payload(), bytes, nullptr, nullptr,
                                       &buffer) != napi_ok) {
    if (info.Env().IsExceptionPending()) info.Env().GetAndClearPendingException();
    return info.Env().Undefined();
  }
  handle.mapping_reference = Napi::Weak(Napi::ArrayBuffer(info.Env(), buffer));
  return Napi::ArrayBuffer(info.Env(), buffer);
}

Napi::Value qsize(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(handle_of(info).queue->size()));
}

Napi::Value full(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), handle_of(info).queue->full());
}

Napi::Value is_shut(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), handle_of(info).queue->is_shut());
}

Napi::Value shut_down(const Napi::CallbackInfo& info) {
  handle_of(info).queue->shut_down(info[0].ToBoolean());
  return info.Env().Undefined();
}

Napi::Value unlink_name(const Napi::CallbackInfo& info) {
  handle_of(info).queue->unlink();
  return info.Env().Undefined();
}

Napi::Value stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const sage::Queue& queue = *handle_of(info).queue;
  const sage::QueueTotals totals = queue.totals();
  const sage::Header& header = queue.segment().header();
  Napi::Object result = Napi::Object::New(env);
  result["qsize"] = static_cast<double>(totals.size);
  result["maxsize"] = static_cast<double>(header.maxsize);
  result["putTotal"] = static_cast<double>(totals.put_total);
  result["getTotal"] = static_cast<double>(totals.get_total);
  result["capacityBytes"] = static_cast<double>(header.capacity_bytes);
  result["usedBytes"] = static_cast<double>(totals.used_bytes);
  result["putBytesTotal"] = static_cast<double>(totals.put_bytes);
  result["waitingGetters"] = totals.waiting_getters;
  result["waitingPutters"] = totals.waiting_putters;
  result["recovered"] = static_cast<double>(totals.recovered);
  result["redelivered"] = static_cast<double>(totals.redelivered);
  Napi::Array attached = Napi::Array::New(env);
  for (const sage::Attached& one : queue.attached()) {
    Napi::Object entry = Napi::Object::New(env);
    entry["pid"] = one.pid;
    entry["alive"] = one.alive;
    attached[attached.Length()] = entry;
  }
  result["attached"] = attached;
  return result;
}

/// What the queue was made with, and whether this handle made it.
Napi::Value configuration(const Napi::CallbackInfo& info) {
  const sage::Queue& queue = *handle_of(info).queue;
  const sage::Header& header = queue.segment().header();
  Napi::Object result = Napi::Object::New(info.Env());
  result["created"] = queue.created();
  result["maxsize"] = static_cast<double>(header.maxsize);
  result["capacityBytes"] = static_cast<double>(header.capacity_bytes);
  result["autoCleanup"] = header.auto_cleanup != 0;
  result["mode"] = header.mode;
  return result;
}

Napi::Value close(const Napi::CallbackInfo& info) {
  auto* handle = static_cast<Handle*>(info.Data());
  if (handle->queue == nullptr) return info.Env().Undefined();
  if (!handle->mapping_reference.IsEmpty()) {
    // A view that outlives the mapping must be empty, not a window on memory that is gone.
    Napi::ArrayBuffer known = handle->mapping_reference.Value();
    if (!known.IsEmpty()) known.Detach();
    handle->mapping_reference.Reset();
  }
  handle->close();
  return info.Env().Undefined();
}

void add_hot(napi_env env, napi_value object, const char* name, napi_callback callback, Handle* handle) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, handle, &function);
  napi_set_named_property(env, object, name, function);
}

}  // namespace

namespace {

/// The open handles of this process. process.exit() ends the main thread without its environment's cleanup hooks, and
/// an uncaught exception does too: then exit() itself is what lets go.
struct OpenHandles {
  std::mutex mutex;
  std::map<Handle*, std::thread::id> owners;

  static OpenHandles& instance() {
    static auto* handles = new OpenHandles;  // outlives every static destructor
    static const int registered = std::atexit([] { instance().close_mine(); });
    (void)registered;
    return *handles;
  }
  void add(Handle* handle) {
    const std::lock_guard<std::mutex> lock(mutex);
    owners.emplace(handle, std::this_thread::get_id());
  }
  void remove(Handle* handle) {
    const std::lock_guard<std::mutex> lock(mutex);
    owners.erase(handle);
  }
  /// Another thread's handle may be in use this very moment: the death of the process gives that one back.
  void close_mine() {
    std::vector<Handle*> mine;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      for (const auto& entry : owners) {
        if (entry.second == std::this_thread::get_id()) mine.push_back(entry.first);
      }
    }
    for (Handle* handle : mine) handle->close();
  }
};

}  // namespace

void Handle::close() {
  OpenHandles::instance().remove(this);
  queue.reset();
  run_count = run_next = batch_count = 0;
  has_large = claimed = false;
}

void throw_failure(Napi::Env env, const std::exception& failure) {
  const auto* segment = dynamic_cast<const sage::SegmentFailure*>(&failure);
  Napi::Error error = Napi::Error::New(env, failure.what());
  error.Set("code", Napi::String::New(env, segment != nullptr ? segment->code() : "ERR_SEGMENT_CORRUPT"));
  throw error;
}

Napi::Object make_handle(Napi::Env env, std::unique_ptr<sage::Queue> queue) {
  auto* handle = new Handle;
  handle->queue = std::move(queue);
  OpenHandles::instance().add(handle);
  Napi::Object object = Napi::Object::New(env);

  auto registers = Napi::Int32Array::New(env, kTable + 2 * sage::kMaxRun);
  handle->registers = registers.Data();
  handle->registers_reference = Napi::Persistent(registers);
  object["registers"] = registers;

  const std::pair<const char*, napi_callback> hot[] = {
      {"put", put},
      {"putRaw", put_raw},
      {"putManyOut", put_many_out},
      {"getNow", get_now},
      {"putMany", put_many},
      {"claim", claim},
      {"endClaim", end_claim},
      {"get", get},
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
      {"park", park},
      {"unpark", unpark},
      {"settle", settle},
  };
  for (const auto& entry : hot) add_hot(env, object, entry.first, entry.second, handle);
  const std::pair<const char*, Napi::Value (*)(const Napi::CallbackInfo&)> cold[] = {
      {"setPool", set_pool},   {"setOutbox", set_outbox}, {"setBell", set_bell}, {"mustPoll", must_poll},
      {"mapping", mapping},    {"qsize", qsize},          {"full", full},        {"isShut", is_shut},
      {"shutDown", shut_down}, {"unlink", unlink_name},   {"stats", stats},      {"configuration", configuration},
      {"close", close},
  };
  for (const auto& entry : cold) object[entry.first] = Napi::Function::New(env, entry.second, entry.first, handle);

  // The environment ends before JavaScript could close: then the hook lets go, and the finalizer that follows frees.
  const auto end_of_environment = [](void* data) { static_cast<Handle*>(data)->close(); };
  napi_add_env_cleanup_hook(env, end_of_environment, handle);
  struct Life {
    Handle* handle;
    napi_env env;
    void (*hook)(void*);
  };
  auto* life = new Life{handle, env, end_of_environment};
  napi_wrap(
      env, object, life,
      [](napi_env, void* data, void*) {
        auto* ending = static_cast<Life*>(data);
        napi_remove_env_cleanup_hook(ending->env, ending->hook, ending->handle);
        ending->handle->close();
        delete ending->handle;
        delete ending;
      },
      nullptr, nullptr);
  return object;
}

}  // namespace sage_binding
