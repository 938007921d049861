// One thread's entry in one segment as JavaScript sees it: integers in and out, bytes into memory that JavaScript owns.
// The handles that share it are known here as holders, by numbers from 1 on: what is claimed, in hand or on lease
// belongs to one of them, and goes back when it leaves (lib/transports/shm/entry.ts).
#pragma once

#include <napi.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "binding/owned_table.h"
#include "core/handle/hand.h"

namespace sage_binding {

/// What a call returns when it returns no count or length. lib/transports/shm/addon.ts has the same numbers.
enum Status : int32_t { kEmpty = -1, kFull = -2, kShut = -3, kTooLarge = -4, kLarge = -5, kProducerLost = -6 };

/// Words that a call leaves for JavaScript to read, in an Int32Array of its own. kHeld: the number of a hand. kHolder
/// and kLength: what the shortest calls find there, since to read a number out of an argument takes as long as the core
/// does.
enum Register : uint32_t {
  kCodec = 0,
  kLength = 1,
  kDeliveries = 2,
  kHeld = 3,
  kCrashes = 4,
  kHolder = 5,
  kOffset = 6,
  kTable = 8
};

/// Words of the register table: pairs of length and codec, then id, deliveries and crashes of leases.
constexpr uint32_t kLeaseIds = kTable + 2 * sage::kMaxBatch;
constexpr uint32_t kLeaseDeliveries = kLeaseIds + sage::kMaxBatch;
constexpr uint32_t kLeaseCrashes = kLeaseDeliveries + sage::kMaxBatch;
constexpr uint32_t kRegisters = kLeaseCrashes + sage::kMaxBatch;

/// An array of JavaScript's that items lie in, or are copied to, by calls that do not ask for its memory each time.
struct KnownMemory {
  Napi::Reference<Napi::Uint8Array> reference;
  uint8_t* data = nullptr;
  uint32_t bytes = 0;
};

struct Entry {
  std::unique_ptr<sage::Queue> queue;
  Napi::Reference<Napi::Int32Array> registers_reference;
  int32_t* registers = nullptr;
  KnownMemory received;  // items are copied to it
  KnownMemory sent;      // a batch of small items lies in it
  KnownMemory encoded;   // of the encoder

  OneEach<sage::Item> claims;  // to be filled
  OwnedTable<sage::Hand>
      hands;  // taken, and not acked yet: read in place, decoded, or too large for the receive buffer
  OwnedTable<sage::Item> leases;
  uint32_t holders = 0;  // the highest number that was given out
  std::vector<uint32_t> free_holders;

  /// What that one held goes back.
  void leave(uint32_t holder);
  void close();
  /// close() that JavaScript did not ask for: the producers among its handles are lost.
  void abandon();
};

/// The doorbells of one environment, by number. They end with it, where JavaScript did not come to close them.
struct Doorbells {
  std::map<uint32_t, std::unique_ptr<sage::Doorbell>> open;
  uint32_t next = 1;
};

/// Who is attached, as stats() and listSegments() say it.
Napi::Array attached_list(Napi::Env env, const sage::Queue& queue);

/// Fills in the object of functions that lib/transports/shm/addon.ts calls NativeEntry.
void fill_entry(Napi::Object object, std::unique_ptr<sage::Queue> queue);

/// Tells segments apart, whatever their names.
std::string name_of(const sage::FileId& file);

/// The `code` of a failure of the core.
const char* code_of(const std::exception& failure);

/// A failure of the core as an Error with its `code`.
Napi::Error error_of(Napi::Env env, const std::exception& failure);

}  // namespace sage_binding
