// One queue handle as JavaScript sees it: integers in and out, bytes into memory that JavaScript owns.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>
#include <vector>

#include "core/handle/hand.h"

namespace sage_binding {

/// What a call returns when it returns no count or length. lib/native.ts has the same numbers.
enum Status : int32_t { kEmpty = -1, kFull = -2, kShut = -3, kTooLarge = -4, kLarge = -5, kProducerLost = -6 };

/// Words that a call leaves for JavaScript to read, in an Int32Array of its own.
enum Register : uint32_t { kCodec = 0, kLength = 1, kDeliveries = 2, kLeaseId = 3, kCrashes = 4, kTable = 8 };

/// Words of the register table: pairs of length and codec, then id, deliveries and crashes of leases.
constexpr uint32_t kLeaseIds = kTable + 2 * sage::kMaxBatch;
constexpr uint32_t kLeaseDeliveries = kLeaseIds + sage::kMaxBatch;
constexpr uint32_t kLeaseCrashes = kLeaseDeliveries + sage::kMaxBatch;
constexpr uint32_t kRegisters = kLeaseCrashes + sage::kMaxBatch;

struct Handle {
  std::unique_ptr<sage::Queue> queue;
  Napi::Reference<Napi::Int32Array> registers_reference;
  Napi::Reference<Napi::Uint8Array> pool_reference;
  Napi::Reference<Napi::Uint8Array> outbox_reference;
  Napi::Reference<Napi::ArrayBuffer> mapping_reference;
  int32_t* registers = nullptr;
  uint8_t* pool = nullptr;
  uint32_t pool_bytes = 0;
  const uint8_t* outbox = nullptr;
  uint32_t outbox_bytes = 0;

  std::optional<sage::Item> large;  // taken, but too large for the pool
  std::optional<sage::Item> claim;  // to be filled
  sage::Hand run;                   // read in place
  sage::Hand batch;                 // copied, and finished once they are decoded
  std::vector<sage::Item> leases;   // by lease id; an id is used again once it is free
  std::vector<uint32_t> free_leases;

  /// The id of a new lease.
  uint32_t add_lease(const sage::Item& item);

  void close();
};

/// Fills in the object of functions that lib/native.ts calls NativeHandle.
void fill_handle(Napi::Object object, std::unique_ptr<sage::Queue> queue);

/// The `code` of a failure of the core.
const char* code_of(const std::exception& failure);

/// A failure of the core as an Error with its `code`.
Napi::Error error_of(Napi::Env env, const std::exception& failure);

}  // namespace sage_binding
