// Putting and claiming, as JavaScript calls it.
#include <cstring>

#include "binding/hot_calls.h"

namespace sage_binding {
namespace {

using sage::Item;
using sage::Outcome;
using sage::Piece;

/// put(bytes, start, end, codec, waitMs): 0 or a status.
napi_value put(napi_env env, napi_callback_info info) {
  const Call<5> call(env, info);
  return guarded(env, call.entry, [&] {
    void* data = nullptr;
    size_t length = 0;
    napi_get_typedarray_info(env, call.arguments[0], nullptr, &length, &data, nullptr, nullptr);
    const uint64_t start = call.bytes(env, 1);
    const uint64_t end = call.bytes(env, 2);
    if (start > end || end > length || too_large(*call.entry, end - start)) return integer(env, kTooLarge);
    const Piece piece{static_cast<uint8_t*>(data) + start, static_cast<uint32_t>(end - start), call.number(env, 3)};
    return integer(env, try_or_sleep(*call.entry, sage::kPutters, call.number(env, 4), [&]() -> int32_t {
                     uint32_t accepted = 0;
                     const Outcome outcome = call.entry->queue->put(&piece, 1, &accepted);
                     return outcome == Outcome::kOk ? 0 : status_of(outcome);
                   }));
  });
}

/// Puts one item without waiting. Nothing, or a status.
napi_value put_now(napi_env env, const Entry& entry, const void* data, uint64_t length, uint32_t codec) {
  if (too_large(entry, length)) return integer(env, kTooLarge);
  const Piece piece{static_cast<const uint8_t*>(data), static_cast<uint32_t>(length), codec};
  uint32_t accepted = 0;
  const Outcome outcome = entry.queue->put(&piece, 1, &accepted);
  return outcome == Outcome::kOk ? kDone : integer(env, status_of(outcome));
}

/// putRaw(bytes): put() of a whole array of bytes as they are, without waiting; most of what a put costs is its
/// arguments. Nothing, or a status.
napi_value put_raw(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.entry, [&] {
    void* data = nullptr;
    size_t length = 0;
    napi_get_typedarray_info(env, call.arguments[0], nullptr, &length, &data, nullptr, nullptr);
    return put_now(env, *call.entry, data, length, kRawCodec);
  });
}

/// putSmall(): putRaw() of the kLength bytes in the table, where JavaScript has copied them: it takes longer to ask for
/// an argument and its memory.
napi_value put_small(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.entry, [&] {
    const uint32_t length = std::min(call.left_in(kLength), kTableBytes);
    return put_now(env, *call.entry, call.entry->registers + kTable, length, kRawCodec);
  });
}

/// putEncoded(): put() of the kLength bytes at kOffset of the encoder's memory, in the codec of kCodec, without
/// waiting. Nothing, or a status.
napi_value put_encoded(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.entry, [&] {
    const Entry& entry = *call.entry;
    const uint32_t start = call.left_in(kOffset);
    const uint32_t length = call.left_in(kLength);
    if (start > entry.encoded.bytes || length > entry.encoded.bytes - start) return integer(env, kTooLarge);
    return put_now(env, entry, entry.encoded.data + start, length, call.left_in(kCodec));
  });
}

/// putManyOut(from, count, waitMs): putMany() of items of the send buffer, which begins with a table of kMaxBatch
/// (length, codec) pairs.
napi_value put_many_out(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  return guarded(env, call.entry, [&] {
    const Entry& entry = *call.entry;
    const auto* table = reinterpret_cast<const uint32_t*>(entry.sent.data);
    Piece pieces[sage::kMaxBatch];
    const uint32_t from = std::min(call.number(env, 0), sage::kMaxBatch);
    const uint32_t count = std::min(call.number(env, 1), sage::kMaxBatch - from);
    uint64_t offset = 2 * sizeof(uint32_t) * sage::kMaxBatch;
    for (uint32_t index = 0; index < from + count; ++index) {
      const uint32_t length = table[2 * index];
      if (offset + length > entry.sent.bytes || too_large(entry, length)) return integer(env, kTooLarge);
      if (index >= from) pieces[index - from] = {entry.sent.data + offset, length, table[2 * index + 1]};
      offset += length;
    }
    return integer(env, try_or_sleep(*call.entry, sage::kPutters, call.number(env, 2), [&]() -> int32_t {
                     uint32_t accepted = 0;
                     const Outcome outcome = call.entry->queue->put(pieces, count, &accepted);
                     return outcome == Outcome::kOk ? static_cast<int32_t>(accepted) : status_of(outcome);
                   }));
  });
}

/// putMany(items: Uint8Array[], from, count, codecs: Uint8Array, waitMs): how many went in, or a status.
napi_value put_many(napi_env env, napi_callback_info info) {
  const Call<5> call(env, info);
  return guarded(env, call.entry, [&] {
    Piece pieces[sage::kMaxBatch];
    const uint32_t from = call.number(env, 1);
    const uint32_t count = std::min(call.number(env, 2), sage::kMaxBatch);
    void* codecs = nullptr;
    napi_get_typedarray_info(env, call.arguments[3], nullptr, nullptr, &codecs, nullptr, nullptr);
    for (uint32_t index = 0; index < count; ++index) {
      napi_value item;
      void* data = nullptr;
      size_t length = 0;
      napi_get_element(env, call.arguments[0], from + index, &item);
      napi_get_typedarray_info(env, item, nullptr, &length, &data, nullptr, nullptr);
      if (too_large(*call.entry, length)) return integer(env, kTooLarge);
      pieces[index] = {static_cast<uint8_t*>(data), static_cast<uint32_t>(length),
                       static_cast<uint8_t*>(codecs)[from + index]};
    }
    return integer(env, try_or_sleep(*call.entry, sage::kPutters, call.number(env, 4), [&]() -> int32_t {
                     uint32_t accepted = 0;
                     const Outcome outcome = call.entry->queue->put(pieces, count, &accepted);
                     return outcome == Outcome::kOk ? static_cast<int32_t>(accepted) : status_of(outcome);
                   }));
  });
}

/// One attempt at room for a raw item: 0, and in the registers where it lies in the mapping; or a status. commit() or
/// abort() follows.
int32_t claim_once(Entry& entry, uint64_t bytes, uint32_t holder) {
  if (too_large(entry, bytes)) return kTooLarge;
  entry.claims.check_free(holder);
  Item item;
  const Outcome outcome = entry.queue->claim(static_cast<uint32_t>(bytes), kRawCodec, &item);
  if (outcome != Outcome::kOk) return status_of(outcome);
  entry.claims.set(holder, item);
  entry.registers[kOffset] = static_cast<int32_t>(entry.queue->data(item) - entry.queue->segment().payload());
  return 0;
}

/// claim(bytes, waitMs, holder): room for a raw item, or a status.
napi_value claim(napi_env env, napi_callback_info info) {
  const Call<3> call(env, info);
  return guarded(env, call.entry, [&] {
    const uint64_t bytes = call.bytes(env, 0);
    const uint32_t holder = call.number(env, 2);
    return integer(env, try_or_sleep(*call.entry, sage::kPutters, call.number(env, 1),
                                     [&] { return claim_once(*call.entry, bytes, holder); }));
  });
}

/// claimNow(): claim() without waiting, of kLength bytes for kHolder; nothing where there is room.
napi_value claim_now(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.entry, [&] {
    const int32_t status = claim_once(*call.entry, call.left_in(kLength), call.left_in(kHolder));
    return status == 0 ? kDone : integer(env, status);
  });
}

/// fillClaim(holder, bytes): copies them into its claim, where no view of the mapping can be had.
napi_value fill_claim(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.entry, [&] {
    const Item& item = call.entry->claims.at(call.number(env, 0));
    void* data = nullptr;
    size_t length = 0;
    napi_get_typedarray_info(env, call.arguments[1], nullptr, &length, &data, nullptr, nullptr);
    std::memcpy(call.entry->queue->data(item), data, std::min<size_t>(length, item.length));
    return integer(env, 0);
  });
}

/// commit(): the claim of kHolder. Nothing, or kShut where the queue drops what is put.
napi_value commit(napi_env env, napi_callback_info info) {
  const Call<0> call(env, info);
  return guarded(env, call.entry, [&] {
    Entry& entry = *call.entry;
    const Item item = entry.claims.take(call.left_in(kHolder));
    if (!entry.queue->drops()) {
      entry.queue->commit(item);
      return kDone;
    }
    entry.queue->abort(item);
    return integer(env, kShut);
  });
}

/// abort(holder): its claim.
napi_value abort_claim(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.entry, [&] {
    call.entry->queue->abort(call.entry->claims.take(call.number(env, 0)));
    return integer(env, 0);
  });
}

}  // namespace

void add_puts(napi_env env, napi_value object, Environment& environment) {
  add_calls(env, object, environment,
            {
                {"put", put},
                {"putRaw", put_raw},
                {"putSmall", put_small},
                {"putEncoded", put_encoded},
                {"putMany", put_many},
                {"putManyOut", put_many_out},
                {"claim", claim},
                {"claimNow", claim_now},
                {"fillClaim", fill_claim},
                {"commit", commit},
                {"abort", abort_claim},
            });
}

}  // namespace sage_binding
