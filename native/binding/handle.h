// One queue handle as JavaScript sees it: integers in and out, bytes into memory that JavaScript owns.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "core/handle/queue.h"
#include "core/waiting/spin.h"

namespace sage_binding {

/// What a call returns when it returns no count or length. lib/native.ts has the same numbers.
enum Status : int32_t { kEmpty = -1, kFull = -2, kShut = -3, kTooLarge = -4, kLarge = -5 };

/// Words that a call leaves for JavaScript to read, in an Int32Array of its own.
enum Register : uint32_t { kCodec = 0, kLength = 1, kDeliveries = 2, kLeaseId = 3, kTable = 8 };

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

  sage::Item large;  // taken, but too large for the pool
  bool has_large = false;
  sage::Item run[sage::kMaxBatch];  // taken in place
  uint32_t run_count = 0;
  uint32_t run_next = 0;
  sage::Item batch[sage::kMaxBatch];  // copied, and finished once they are decoded
  uint32_t batch_count = 0;
  sage::Item claim;
  bool claimed = false;
  std::vector<sage::Item> leases;  // by lease id; an id is used again once it is free
  std::vector<uint32_t> free_leases;
  sage::Spin spin;

  void close();
};

/// Fills in the object of functions that lib/native.ts calls NativeHandle.
void fill_handle(Napi::Object object, std::unique_ptr<sage::Queue> queue);

/// The `code` of a failure of the core.
const char* code_of(const std::exception& failure);

/// A failure of the core as an Error with its `code`.
Napi::Error error_of(Napi::Env env, const std::exception& failure);

}  // namespace sage_binding
