// What JavaScript calls: entries in segments, one for each. Integers in and out, bytes into memory that JavaScript
// owns. The handles that share an entry are known here as holders, by numbers from 1 on: what is claimed, in hand or on
// lease belongs to one of them, and goes back when it leaves (lib/transports/shm/entry.ts).
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "binding/owned_table.h"
#include "binding/shown_area.h"
#include "core/handle/hand.h"

namespace sage_binding {

/// What a call returns when it returns no count or length. lib/transports/shm/addon.ts has the same numbers.
enum Status : int32_t { kEmpty = -1, kFull = -2, kShut = -3, kTooLarge = -4, kLarge = -5, kProducerLost = -6 };

/// Words that calls and JavaScript leave for each other, in an Int32Array of the environment's. kEntry: on whose entry
/// a call works. kHeld: the number of a hand. kHolder and kLength: what the shortest calls find there, since to read a
/// number out of an argument takes as long as the core does.
enum Register : uint32_t {
  kCodec = 0,
  kLength = 1,
  kDeliveries = 2,
  kHeld = 3,
  kCrashes = 4,
  kHolder = 5,
  kOffset = 6,
  kEntry = 7,
  kTable = 8
};

/// Words of the register table: pairs of length and codec, then id, deliveries and crashes of leases.
constexpr uint32_t kLeaseIds = kTable + 2 * sage::kMaxBatch;
constexpr uint32_t kLeaseDeliveries = kLeaseIds + sage::kMaxBatch;
constexpr uint32_t kLeaseCrashes = kLeaseDeliveries + sage::kMaxBatch;
constexpr uint32_t kRegisters = kLeaseCrashes + sage::kMaxBatch;
/// Of the pairs, in whose place putSmall() finds an item.
constexpr uint32_t kTableBytes = 2 * sage::kMaxBatch * sizeof(int32_t);

/// An array of JavaScript's that items lie in, or are copied to, by calls that do not ask for its memory each time.
struct KnownMemory {
  Napi::Reference<Napi::Uint8Array> reference;
  uint8_t* data = nullptr;
  uint32_t bytes = 0;
};

/// No id of a schema, which has 32 bits.
constexpr uint64_t kNoSchema = ~uint64_t{0};

struct Entry {
  std::unique_ptr<sage::Queue> queue;
  int32_t* registers = nullptr;  // the environment's
  KnownMemory received;          // items are copied to it
  KnownMemory sent;              // a batch of small items lies in it
  KnownMemory encoded;           // of the encoder
  std::shared_ptr<ShownArea> shown;
  uint64_t schema = kNoSchema;  // the id of the schema whose items JavaScript can read

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

struct Environment;

/// Who is attached, as stats() and listSegments() say it.
Napi::Array attached_list(Napi::Env env, const sage::Queue& queue);

/// An entry of the environment from here on, for as long as `object` is there: its number, and what the queue was made
/// with.
Napi::Object add_entry(Napi::Object object, std::unique_ptr<sage::Queue> queue);

/// The functions that lib/transports/shm/native-entry.ts calls, as properties of `object`.
void add_entry_calls(Napi::Object object, Environment& environment);

/// Tells segments apart, whatever their names.
std::string name_of(const sage::FileId& file);

/// The `code` of a failure of the core.
const char* code_of(const std::exception& failure);

/// A failure of the core as an Error with its `code`.
Napi::Error error_of(Napi::Env env, const std::exception& failure);

}  // namespace sage_binding
