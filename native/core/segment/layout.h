// The shared layout, version 1. docs/sage-queue.md has the same picture. Nothing here may move within one version.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/algorithm/memory.h"

namespace sage {

constexpr uint64_t kMagic = 0x51'45'47'41'53'01'0a'0dULL;  // "\r\n\1SAGEQ"
constexpr uint32_t kLayoutVersion = 1;
constexpr uint32_t kEndianMark = 0x01020304;
constexpr uint32_t kParticipants = 256;  // entry 0 stands for nobody
constexpr uint32_t kMaxBatch = 64;       // items that one claim or one take covers at most: a batch
constexpr uint32_t kUnitBytes = 16;      // granularity of the payload area
constexpr uint32_t kNameBytes = 1024;
constexpr uint32_t kQueueIdBytes = 1024;

enum class Kind : uint32_t { kShm = 1, kSage = 2 };

/// Written once before the segment gets its name, read-only afterwards.
struct Header {
  uint64_t magic;
  uint32_t layout_version;
  uint32_t header_bytes;
  uint32_t endian_mark;
  uint32_t word_bytes;
  uint64_t creation_id[2];
  uint32_t kind;
  uint32_t mode;
  uint32_t owner_uid;
  uint32_t auto_cleanup;
  uint64_t pid_namespace;  // inode; pids of another namespace mean nothing here
  uint64_t created_us;     // microseconds since the epoch
  uint64_t maxsize;        // as asked; 0 = as many as the bytes allow
  uint64_t item_limit;     // what maxsize comes to
  uint64_t slot_count;     // power of two, at least twice item_limit
  uint64_t lease_count;
  uint64_t capacity_bytes;  // of payload, as asked
  uint64_t area_bytes;      // what that lies in: power of two, mapped twice back to back
  uint64_t control_offset;
  uint64_t participants_offset;
  uint64_t slots_offset;
  uint64_t leases_offset;
  uint64_t payload_offset;
  uint64_t total_bytes;
  uint32_t name_bytes;
  uint32_t queue_id_bytes;
  uint64_t checksum;  // of everything above, and of the two texts
  char name[kNameBytes];
  char queue_id[kQueueIdBytes];
};
static_assert(offsetof(Header, layout_version) == 8 && offsetof(Header, creation_id) == 24);
static_assert(offsetof(Header, kind) == 40 && offsetof(Header, pid_namespace) == 56);
static_assert(offsetof(Header, maxsize) == 72 && offsetof(Header, control_offset) == 120);
static_assert(offsetof(Header, checksum) == 176 && offsetof(Header, name) == 184);
static_assert(sizeof(Header) == 184 + kNameBytes + kQueueIdBytes);

/// The words that everybody shares, one writer side per pair of cache lines.
template <class Memory>
struct Control {
  template <class T>
  using Atomic = typename Memory::template Atomic<T>;
  alignas(128) Atomic<uint64_t> tail;     // Cursor: the next item number, who claimed up to it, how many
  alignas(128) Atomic<uint64_t> head;     // Cursor: the next item to take, who took up to it, how many
  alignas(128) Atomic<uint64_t> reclaim;  // item number; every slot before it is released
  // Read by everybody, written rarely: one line, shared by all.
  alignas(128) Atomic<uint64_t> requeued_hint;  // Mark: there may be items requeued
  Atomic<uint64_t> parked[2];                   // Mark: somebody may be asleep, [0] getters, [1] putters
  Atomic<uint32_t> shut;                        // 1 shut down, 2 immediately
  Atomic<uint32_t> lease_high;                  // one past the highest lease entry ever used
  Atomic<uint32_t> participant_high;            // one past the highest participant ever used
  Atomic<uint32_t> aborted;                     // not 0: some claim was aborted, numbers may be empty
  alignas(128) Atomic<uint64_t> life;           // Life: bit 63 retired, bit 62 unlinked, below them the number of joins
  Atomic<uint64_t> recovered;                   // dead participants recovered
};
static_assert(sizeof(Control<StdMemory>) == 5 * 128);
static_assert(offsetof(Control<StdMemory>, head) == 128 && offsetof(Control<StdMemory>, reclaim) == 256);
static_assert(offsetof(Control<StdMemory>, requeued_hint) == 384 && offsetof(Control<StdMemory>, life) == 512);

/// One per handle. What the owner writes on every call lies apart from what others read while it sleeps.
template <class Memory>
struct Participant {
  template <class T>
  using Atomic = typename Memory::template Atomic<T>;
  Atomic<uint64_t> identity;  // pid:22 | start time:40 | state:2; 0 = free
  Atomic<uint32_t> uid;
  Atomic<uint32_t> watching;     // a watcher thread wants to know of newcomers
  Atomic<uint64_t> watch_inode;  // its pipe: inode …
  Atomic<uint64_t> bell_inode;   // the event loop's pipe: inode …
  Atomic<uint32_t> watch_fd;     // … and the owner's descriptor of its write end
  Atomic<uint32_t> bell_fd;
  Atomic<uint32_t> bell_tag;  // what a ring writes into that pipe
  Atomic<uint32_t> reserved;
  alignas(64) Atomic<uint64_t> intent;  // item number:32 | end of the claim, in units:32
  Atomic<uint64_t> put_total;           // totals of everybody who ever had this entry
  Atomic<uint64_t> put_bytes;
  Atomic<uint64_t> get_total;
  Atomic<uint64_t> redelivered;
  alignas(64) Atomic<uint32_t> bell[2];  // Bell, [0] as getter, [1] as putter
  Atomic<uint32_t> rung_ms[2];           // when the bell was rung, milliseconds of the monotonic clock
  alignas(64) Atomic<uint64_t> spare[8];
};
static_assert(sizeof(Participant<StdMemory>) == 256);
static_assert(offsetof(Participant<StdMemory>, intent) == 64 && offsetof(Participant<StdMemory>, bell) == 128);

/// One per item number modulo slot_count.
template <class Memory>
struct Slot {
  template <class T>
  using Atomic = typename Memory::template Atomic<T>;
  Atomic<uint64_t> word;    // SlotWord
  Atomic<uint64_t> record;  // position in units:32 | length in bytes:32
  Atomic<uint64_t> codec;
  Atomic<uint64_t> spare;
};
static_assert(sizeof(Slot<StdMemory>) == 32);

/// An item on lease, or requeued after one. Its bytes stay where they are; producers claim around them.
template <class Memory>
struct LeaseEntry {
  template <class T>
  using Atomic = typename Memory::template Atomic<T>;
  Atomic<uint64_t> word;    // LeaseWord
  Atomic<uint64_t> number;  // the item's number
  Atomic<uint64_t> record;
  Atomic<uint64_t> codec;
};
static_assert(sizeof(LeaseEntry<StdMemory>) == 32);

/// tail and head: number:48 | owner:8 | batch:7 | shut:1. The winner's index rides in the word that won.
struct Cursor {
  static constexpr uint64_t make(uint64_t number, uint32_t owner, uint32_t batch) {
    return (number << 16) | (uint64_t{owner} << 8) | (uint64_t{batch} << 1);
  }
  static constexpr uint64_t kShut = 1;
  static constexpr uint64_t number(uint64_t word) { return word >> 16; }
  static constexpr uint32_t owner(uint64_t word) { return (word >> 8) & 0xff; }
  static constexpr uint32_t batch(uint64_t word) { return (word >> 1) & 0x7f; }
};

/// tag:40 (the item number) | state:3 | owner:8 | batch:7 | deliveries:6.
struct SlotWord {
  enum State : uint32_t { kReleased, kClaimed, kCommitted, kTaken, kRequeued, kAborted };
  static constexpr uint64_t kTagMask = (uint64_t{1} << 40) - 1;
  static constexpr uint64_t make(uint64_t number, State state, uint32_t owner = 0, uint32_t batch = 0,
                                 uint32_t deliveries = 0) {
    return (number << 24) | (uint64_t{state} << 21) | (uint64_t{owner} << 13) | (uint64_t{batch} << 6) | deliveries;
  }
  static constexpr uint64_t tag(uint64_t word) { return word >> 24; }
  static constexpr bool has_tag(uint64_t word, uint64_t number) { return tag(word) == (number & kTagMask); }
  static constexpr State state(uint64_t word) { return static_cast<State>((word >> 21) & 7); }
  static constexpr uint32_t owner(uint64_t word) { return (word >> 13) & 0xff; }
  static constexpr uint32_t batch(uint64_t word) { return (word >> 6) & 0x7f; }
  static constexpr uint32_t deliveries(uint64_t word) { return word & 0x3f; }
  static constexpr uint32_t kMaxDeliveries = 0x3f;
  /// Done with, in the lap of `number`: its item was released, or there never was one.
  static constexpr bool is_done(uint64_t word, uint64_t number) {
    return word == make(number, kReleased) || word == make(number, kAborted);
  }
  /// Of a later lap than `number`, which was done with before.
  static constexpr bool is_later(uint64_t word, uint64_t number) {
    const uint64_t ahead = (tag(word) - number) & kTagMask;
    return ahead != 0 && ahead < kTagMask / 2;
  }
};

/// state:3 | owner:8 | deliveries:21 | serial:32. The serial makes every life of an entry another word.
struct LeaseWord {
  enum State : uint32_t { kFree, kFilling, kLeased, kRequeued };
  static constexpr uint64_t make(State state, uint32_t owner, uint32_t deliveries, uint32_t serial) {
    return (uint64_t{state} << 61) | (uint64_t{owner} << 53) | (uint64_t{deliveries & 0x1fffff} << 32) | serial;
  }
  static constexpr State state(uint64_t word) { return static_cast<State>(word >> 61); }
  static constexpr uint32_t owner(uint64_t word) { return (word >> 53) & 0xff; }
  static constexpr uint32_t deliveries(uint64_t word) { return (word >> 32) & 0x1fffff; }
  static constexpr uint32_t serial(uint64_t word) { return static_cast<uint32_t>(word); }
};

/// Position and length of an item.
struct Record {
  static constexpr uint64_t make(uint32_t position, uint32_t length) { return (uint64_t{position} << 32) | length; }
  static constexpr uint32_t position(uint64_t word) { return static_cast<uint32_t>(word >> 32); }
  static constexpr uint32_t length(uint64_t word) { return static_cast<uint32_t>(word); }
  static constexpr uint32_t units(uint64_t length) {
    return static_cast<uint32_t>((length + kUnitBytes - 1) / kUnitBytes);
  }
};

/// pid:22 | start time:40 | state:2.
struct Identity {
  enum State : uint32_t { kFree, kLive, kDead, kSettled };
  static constexpr uint64_t make(uint32_t pid, uint64_t start, State state) {
    return (uint64_t{pid} << 42) | ((start & ((uint64_t{1} << 40) - 1)) << 2) | state;
  }
  static constexpr uint32_t pid(uint64_t word) { return static_cast<uint32_t>(word >> 42); }
  static constexpr uint64_t start(uint64_t word) { return (word >> 2) & ((uint64_t{1} << 40) - 1); }
  static constexpr State state(uint64_t word) { return static_cast<State>(word & 3); }
  static constexpr uint64_t with(uint64_t word, State state) { return (word & ~uint64_t{3}) | state; }
};

/// Up or down in bit 0, and above it how often it was raised: who lowers it after a search lowers only what it saw
/// before the search, whatever was raised and lowered since.
struct Mark {
  static constexpr bool is_up(uint64_t word) { return (word & 1) != 0; }
  static constexpr uint64_t raised(uint64_t word) { return (word | 1) + 2; }
  static constexpr uint64_t lowered(uint64_t word) { return word & ~uint64_t{1}; }
};

/// Of two kinds of ring: alone, so that this sleeper has to pass on what it cannot use, or along with all others.
struct Bell {
  enum : uint32_t { kAwake, kSleeping, kParked, kRung, kRungWithAll };
};

struct Life {
  static constexpr uint64_t kRetired = uint64_t{1} << 63;   // nobody may join any more
  static constexpr uint64_t kUnlinked = uint64_t{1} << 62;  // … but those attached, and their children, go on
};

static_assert(StdMemory::Atomic<uint64_t>::is_always_lock_free && StdMemory::Atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(StdMemory::Atomic<uint64_t>) == 8 && sizeof(StdMemory::Atomic<uint32_t>) == 4);

}  // namespace sage
