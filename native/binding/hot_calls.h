// What the calls that must be fast share: they use the C interface, since a wrapper costs more than they do.
#pragma once

#include <algorithm>

#include "binding/environment.h"
#include "core/errors.h"

namespace sage_binding {

constexpr uint32_t kRawCodec = 1;     // CODEC_RAW of lib/codec/registry.ts
constexpr uint32_t kStructCodec = 5;  // CODEC_STRUCT
constexpr uint32_t kSliceMs = 100;    // a blocked call comes back this often, so that worker.terminate() gets through

/// Functions by the names that lib/transports/shm/native-entry.ts calls them.
using Calls = std::initializer_list<std::pair<const char*, napi_callback>>;
void add_calls(napi_env env, napi_value object, Environment& environment, Calls calls);

void add_puts(napi_env env, napi_value object, Environment& environment);
void add_gets(napi_env env, napi_value object, Environment& environment);
void add_waiting(napi_env env, napi_value object, Environment& environment);

inline napi_value integer(napi_env env, int32_t value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

/// What a call returns that did what it was asked for and has nothing else to say: to make a number takes longer.
constexpr napi_value kDone = nullptr;

/// The arguments of one call on an entry. To ask for them takes a sixth of the shortest calls, which have none.
template <size_t Count>
struct Call {
  Entry* entry = nullptr;
  napi_value arguments[Count == 0 ? 1 : Count];

  Call(napi_env env, napi_callback_info info) {
    if constexpr (Count == 0) {
      if (Environment* const only = Environment::only()) {
        entry = &only->entry();
        return;
      }
    }
    size_t count = Count;
    void* data = nullptr;
    napi_get_cb_info(env, info, &count, arguments, nullptr, &data);
    entry = &static_cast<Environment*>(data)->entry();
  }
  uint32_t number(napi_env env, size_t index) const {
    uint32_t value = 0;
    napi_get_value_uint32(env, arguments[index], &value);
    return value;
  }
  /// How many bytes, or at which: more than 32 bits say, where that is to be refused.
  uint64_t bytes(napi_env env, size_t index) const {
    double value = 0;
    napi_get_value_double(env, arguments[index], &value);
    return static_cast<uint64_t>(value);
  }
  /// A word that JavaScript left for the call.
  uint32_t left_in(Register word) const { return static_cast<uint32_t>(entry->registers[word]); }
};

/// Runs `body`, and turns a failure of the core into a JavaScript exception.
template <class Body>
napi_value guarded(napi_env env, const Entry* entry, Body body) {
  if (entry->queue == nullptr) {
    napi_throw_error(env, "ERR_QUEUE_CLOSED", "the entry was closed");
    return nullptr;
  }
  try {
    return body();
  } catch (const std::exception& failure) {
    napi_throw_error(env, code_of(failure), failure.what());
  }
  return nullptr;
}

inline int32_t status_of(sage::Outcome outcome) {
  switch (outcome) {
    case sage::Outcome::kFull:
      return kFull;
    case sage::Outcome::kShut:
      return kShut;
    case sage::Outcome::kLost:
      return kProducerLost;
    case sage::Outcome::kCorrupt:
      throw sage::SegmentFailure("ERR_SEGMENT_CORRUPT", "the words of the segment contradict each other");
    default:
      return kEmpty;
  }
}

/// Waits up to `wait_ms`, in one slice, until `attempt` brings something else than kEmpty or kFull. Returns what it
/// brought.
template <class Try>
int32_t try_or_sleep(Entry& entry, sage::Direction direction, uint32_t wait_ms, Try attempt) {
  int32_t result = kEmpty;
  entry.queue->wait(direction, std::min(wait_ms, kSliceMs), [&] {
    result = attempt();
    return result != kEmpty && result != kFull;
  });
  return result;
}

inline bool too_large(const Entry& entry, uint64_t length) {
  return length > entry.queue->segment().header().capacity_bytes;
}

}  // namespace sage_binding
