// The shared layout, version 2. docs/sage-queue.md has the same picture. Nothing here may move within one version.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/algorithm/memory.h"

namespace sage {

constexpr uint64_t kMagic = 0x51'45'47'41'53'01'0a'0dULL;  // "\r\n\1SAGEQ"
constexpr uint32_t kLayoutVersion = 2;
constexpr uint32_t kEndianMark = 0x01020304;
constexpr uint32_t kParticipants = 256;   // entry 0 stands for nobody
constexpr uint32_t kMaxBatch = 64;        // items that one claim or one take covers at most: a batch
constexpr uint32_t kUnitBytes = 16;       // granularity of the payload area
constexpr uint32_t kSchemaBytes = 65536;  // of the area for schemas, where a queue was made with one
constexpr uint32_t kNameBytes = 1024;
constexpr uint32_t kQueueIdBytes = 1024;

/// Beside participant i: the byte that whoever has the entry keeps locked for as long as it lives (os/life_lock.h).
constexpr uint64_t kLifeByte = uint64_t{1} << 62;
/// Written through a descriptor and never read: the system tells those who ask for it of such writes.
constexpr uint64_t kNudgeByte = 4095;

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
  // As file systems have them: who does not know a bit of the first may go on, of the second must not.
  uint32_t compatible_features;
  uint32_t incompatible_features;
  uint64_t created_us;  // microseconds since the epoch
  uint64_t maxsize;     // as asked; 0 = as many as the bytes allow
  uint64_t item_limit;  // what maxsize comes to
  uint64_t slot_count;  // power of two, at least twice item_limit
  uint64_t lease_count;
  uint64_t capacity_bytes;  // of payload, as asked
  uint64_t area_bytes;      // what that lies in: power of two, mapped twice back to back
  uint64_t control_offset;
  uint64_t participants_offset;
  uint64_t schema_offset;
  uint64_t slots_offset;
  uint64_t leases_offset;
  uint64_t payload_offset;
  uint64_t total_bytes;
  uint64_t schema_bytes;  // of the area for schemas: 0 or kSchemaBytes
  uint64_t boot_id[2];    // of the system that made it; 0: it does not say
  uint64_t reserved[6];
  uint32_t name_bytes;
  uint32_t queue_id_bytes;
  uint64_t checksum;  // of everything above, and of the two texts
  char name[kNameBytes];
  char queue_id[kQueueIdBytes];
};
static_assert(offsetof(Header, layout_version) == 8 && offsetof(Header, creation_id) == 24);
static_assert(offsetof(Header, kind) == 40 && offsetof(Header, compatible_features) == 56);
static_assert(offsetof(Header, maxsize) == 72 && offsetof(Header, control_offset) == 120);
static_assert(offsetof(Header, schema_offset) == 136 && offsetof(Header, slots_offset) == 144);
static_assert(offsetof(Header, leases_offset) == 152 && offsetof(Header, payload_offset) == 160);
static_assert(offsetof(Header, total_bytes) == 168 && offsetof(Header, schema_bytes) == 176);
static_assert(offsetof(Header, boot_id) == 184 && offsetof(Header, reserved) == 200);
static_assert(offsetof(Header, name_bytes) == 248);
static_assert(offsetof(Header, checksum) == 256 && offsetof(Header, name) == 264);
static_assert(sizeof(Header) == 264 + kNameBytes + kQueueIdBytes);

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
  Atomic<uint64_t> waiters[3];                  // Mark: somebody may be asleep, [0] getters, [1] putters, [2] joiners
  Atomic<uint32_t> shut;                        // 1 shut down, 2 immediately
  Atomic<uint32_t> lease_high;                  // one past the highest lease entry ever used
  Atomic<uint32_t> participant_high;            // one past the highest participant ever used
  Atomic<uint32_t> aborted;                     // not 0: some claim was aborted, numbers may be empty
  Atomic<uint64_t> reserved_flags[4];
  alignas(128) Atomic<uint64_t> life;  // Life: bit 63 retired, bit 62 unlinked, below them the number of joins
  Atomic<uint64_t> recovered;          // dead participants recovered
  Atomic<uint32_t> producers;          // expected: the most that any producer named; 0: the queue has no producers
  Atomic<uint32_t> ending;             // Ending: what the last producer left behind
  Atomic<uint64_t> reserved[8];
};
static_assert(sizeof(Control<StdMemory>) == 5 * 128);
static_assert(offsetof(Control<StdMemory>, head) == 128 && offsetof(Control<StdMemory>, reclaim) == 256);
static_assert(offsetof(Control<StdMemory>, requeued_hint) == 384 && offsetof(Control<StdMemory>, life) == 512);
static_assert(offsetof(Control<StdMemory>, waiters) == 392 && offsetof(Control<StdMemory>, shut) == 416);
static_assert(offsetof(Control<StdMemory>, lease_high) == 420 && offsetof(Control<StdMemory>, participant_high) == 424);
static_assert(offsetof(Control<StdMemory>, aborted) == 428 && offsetof(Control<StdMemory>, recovered) == 520);
static_assert(offsetof(Control<StdMemory>, producers) == 528 && offsetof(Control<StdMemory>, ending) == 532);

/// One per handle. What the owner writes on every call lies apart from what others read while it sleeps.
template <class Memory>
struct Participant {
  template <class T>
  using Atomic = typename Memory::template Atomic<T>;
  Atomic<uint64_t> identity;  // pid:22 | tenure:40 | state:2; 0 = free
  // Written by whoever has the entry's life lock, before its identity stands there.
  Atomic<uint32_t> uid;             // as its owner sees users
  Atomic<uint32_t> bell_tag;        // what a ring writes into the event loop's doorbell
  Atomic<uint64_t> tenure;          // how often the entry was taken
  Atomic<uint64_t> pid_namespace;   // inode of the namespace in which the pid means something; 0: not known
  Atomic<uint64_t> user_namespace;  // of that in which the uid does
  Atomic<uint64_t> bell_id;         // the doorbell's name, and …
  Atomic<uint64_t> bell_inode;      // … inode; 0: there is none
  Atomic<uint64_t> reserved;
  alignas(64) Atomic<uint64_t> intent;  // item number:32 | end of the claim, in units:32
  Atomic<uint64_t> put_total;           // totals of everybody who ever had this entry
  Atomic<uint64_t> put_bytes;
  Atomic<uint64_t> get_total;
  Atomic<uint64_t> redelivered;
  alignas(64) Atomic<uint32_t> bell[3];  // Bell, [0] as getter, [1] as putter, [2] as joiner
  Atomic<uint32_t> rung_ms[3];           // when the bell was rung, milliseconds of the monotonic clock
  Atomic<uint64_t> producers;            // Producers: of everybody who ever had this entry
  alignas(64) Atomic<uint64_t> reserved_words[8];
};
static_assert(sizeof(Participant<StdMemory>) == 256);
static_assert(offsetof(Participant<StdMemory>, tenure) == 16 && offsetof(Participant<StdMemory>, bell_inode) == 48);
static_assert(offsetof(Participant<StdMemory>, intent) == 64 && offsetof(Participant<StdMemory>, bell) == 128);
static_assert(offsetof(Participant<StdMemory>, put_total) == 72 && offsetof(Participant<StdMemory>, put_bytes) == 80);
static_assert(offsetof(Participant<StdMemory>, get_total) == 88 && offsetof(Participant<StdMemory>, redelivered) == 96);
static_assert(offsetof(Participant<StdMemory>, rung_ms) == 140 && offsetof(Participant<StdMemory>, producers) == 152);

/// One per item number modulo slot_count.
template <class Memory>
struct Slot {
  template <class T>
  using Atomic = typename Memory::template Atomic<T>;
  Atomic<uint64_t> word;    // SlotWord
  Atomic<uint64_t> record;  // position in units:32 | length in bytes:32
  Atomic<uint64_t> codec;   // ItemCodec
  Atomic<uint64_t> note;    // Note: what a slot that is done with says beside that
};
static_assert(sizeof(Slot<StdMemory>) == 32);
static_assert(offsetof(Slot<StdMemory>, record) == 8 && offsetof(Slot<StdMemory>, codec) == 16);
static_assert(offsetof(Slot<StdMemory>, note) == 24);

/// An item on lease, or requeued after one. Its bytes stay where they are; producers claim around them.
template <class Memory>
struct LeaseEntry {
  template <class T>
  using Atomic = typename Memory::template Atomic<T>;
  Atomic<uint64_t> word;    // LeaseWord
  Atomic<uint64_t> number;  // the item's number
  Atomic<uint64_t> record;
  Atomic<uint64_t> codec;  // LeaseCodec
};
static_assert(sizeof(LeaseEntry<StdMemory>) == 32);
static_assert(offsetof(LeaseEntry<StdMemory>, number) == 8 && offsetof(LeaseEntry<StdMemory>, record) == 16);
static_assert(offsetof(LeaseEntry<StdMemory>, codec) == 24);

/// tail and head: number:48 | owner:8 | batch:7 | shut:1. The winner's index rides in the word that won.
struct Cursor {
  static constexpr uint64_t make(uint64_t number, uint32_t owner, uint32_t batch) {
    return (number << 16) | (uint64_t{owner} << 8) | (uint64_t{batch} << 1);
  }
  static constexpr uint64_t kShut = 1;
  /// The first number that is never claimed: at a million items a second it is reached after 8.9 years. Puts then say
  /// that the words contradict each other; what is in the queue can be taken.
  static constexpr uint64_t kEnd = (uint64_t{1} << 48) - 2 * kMaxBatch;
  static constexpr uint64_t number(uint64_t word) { return word >> 16; }
  static constexpr uint32_t owner(uint64_t word) { return (word >> 8) & 0xff; }
  static constexpr uint32_t batch(uint64_t word) { return (word >> 1) & 0x7f; }
};

/// tag:40 (the item number) | state:3 | owner:8 | batch:7 | deliveries:6. An item that was delivered before is taken
/// alone, so where deliveries are not 0 the seven bits of the batch count its crashes.
struct SlotWord {
  enum State : uint32_t { kReleased, kClaimed, kCommitted, kTaken, kRequeued, kAborted, kMoved };
  static constexpr uint64_t kTagMask = (uint64_t{1} << 40) - 1;
  static constexpr uint64_t make(uint64_t number, State state, uint32_t owner = 0, uint32_t batch = 0,
                                 uint32_t deliveries = 0) {
    return (number << 24) | (uint64_t{state} << 21) | (uint64_t{owner} << 13) | (uint64_t{batch} << 6) | deliveries;
  }
  /// Taken again, or to be: counts up to as much as fits.
  static constexpr uint64_t again(uint64_t number, State state, uint32_t owner, uint32_t deliveries, uint32_t crashes) {
    return make(number, state, owner, crashes < kMaxCrashes ? crashes : kMaxCrashes,
                deliveries < kMaxDeliveries ? deliveries : kMaxDeliveries);
  }
  static constexpr uint64_t tag(uint64_t word) { return word >> 24; }
  static constexpr bool has_tag(uint64_t word, uint64_t number) { return tag(word) == (number & kTagMask); }
  static constexpr State state(uint64_t word) { return static_cast<State>((word >> 21) & 7); }
  static constexpr uint32_t owner(uint64_t word) { return (word >> 13) & 0xff; }
  static constexpr uint32_t batch(uint64_t word) { return deliveries(word) > 0 ? 1 : (word >> 6) & 0x7f; }
  static constexpr uint32_t deliveries(uint64_t word) { return word & 0x3f; }
  static constexpr uint32_t crashes(uint64_t word) { return deliveries(word) > 0 ? (word >> 6) & 0x7f : 0; }
  static constexpr uint32_t kMaxDeliveries = 0x3f;
  static constexpr uint32_t kMaxCrashes = 0x7f;
  /// Done with, in the lap of `number`: its item was released or moved to a lease, or there never was one.
  static constexpr bool is_done(uint64_t word, uint64_t number) {
    return word == make(number, kReleased) || word == make(number, kMoved) || word == make(number, kAborted);
  }
  /// Of a later lap than `number`, which was done with before.
  static constexpr bool is_later(uint64_t word, uint64_t number) {
    const uint64_t ahead = (tag(word) - number) & kTagMask;
    return ahead != 0 && ahead < kTagMask / 2;
  }
};

/// What a done slot says beside that. Of an aborted one: 1 | number:31 | where its claim ends:32, since nobody wrote
/// where its items lie. Of one whose item was moved to a lease: 0 | index:31 | 0:8 | serial:24 of that lease.
struct Note {
  static constexpr uint64_t aborted(uint64_t number, uint32_t claim_end) {
    return uint64_t{1} << 63 | (number & 0x7fffffff) << 32 | claim_end;
  }
  static constexpr bool is_aborted(uint64_t note, uint64_t number) {
    return note >> 32 == (uint64_t{1} << 31 | (number & 0x7fffffff));
  }
  static constexpr uint32_t claim_end(uint64_t note) { return static_cast<uint32_t>(note); }
  static constexpr uint64_t moved(uint32_t lease, uint32_t serial) { return uint64_t{lease} << 32 | serial; }
  static constexpr bool is_moved(uint64_t note) { return note >> 63 == 0; }
  static constexpr uint32_t lease(uint64_t note) { return static_cast<uint32_t>(note >> 32); }
  static constexpr uint32_t serial(uint64_t note) { return static_cast<uint32_t>(note); }
};

/// state:2 | owner:8 | deliveries:22 | crashes:8 | serial:24. The serial makes every life of an entry another word. The
/// counts stop at as much as fits.
struct LeaseWord {
  enum State : uint32_t { kFree, kFilling, kLeased, kRequeued };
  static constexpr uint32_t kMaxDeliveries = 0x3fffff;
  static constexpr uint32_t kMaxCrashes = 0xff;
  static constexpr uint64_t make(State state, uint32_t owner, uint32_t deliveries, uint32_t crashes, uint32_t serial) {
    return (uint64_t{state} << 62) | (uint64_t{owner} << 54) |
           (uint64_t{deliveries < kMaxDeliveries ? deliveries : kMaxDeliveries} << 32) |
           (uint64_t{crashes < kMaxCrashes ? crashes : kMaxCrashes} << 24) | (serial & 0xffffff);
  }
  static constexpr State state(uint64_t word) { return static_cast<State>(word >> 62); }
  static constexpr uint32_t owner(uint64_t word) { return (word >> 54) & 0xff; }
  static constexpr uint32_t deliveries(uint64_t word) { return (word >> 32) & kMaxDeliveries; }
  static constexpr uint32_t crashes(uint64_t word) { return (word >> 24) & kMaxCrashes; }
  static constexpr uint32_t serial(uint64_t word) { return word & 0xffffff; }
  /// Whether an item is in it, in the life of that serial.
  static constexpr bool holds(uint64_t word, uint32_t of_serial) {
    return state(word) >= kLeased && serial(word) == of_serial;
  }
};

/// codec:8 | schema:24. Which codec made the payload of an item, and by which schema of the segment's; 0: by none. The
/// core carries it and asks nothing of it.
struct ItemCodec {
  static constexpr uint32_t make(uint32_t codec, uint32_t schema) { return codec | schema << 8; }
  static constexpr uint32_t codec(uint32_t word) { return word & 0xff; }
  static constexpr uint32_t schema(uint32_t word) { return word >> 8; }
};

/// deliveries:22 | 0:9 | aside:1 | codec:32 (ItemCodec). Aside: whoever holds the item has not begun with it, so that a
/// delivery that ends now is none. The word of the lease counts those as well, since it must never come back; here
/// stands how many they were. Written by the holder alone.
struct LeaseCodec {
  static constexpr uint64_t kAside = uint64_t{1} << 32;
  static constexpr bool is_aside(uint64_t word) { return (word & kAside) != 0; }
  static constexpr uint64_t with(uint64_t word, bool aside) { return aside ? word | kAside : word & ~kAside; }
  static constexpr uint32_t deliveries(uint64_t word) { return static_cast<uint32_t>(word >> 42); }
  /// A delivery while it was aside. The count stops where that of the word does.
  static constexpr uint64_t uncounted(uint64_t word) {
    return with(word + (deliveries(word) < LeaseWord::kMaxDeliveries ? uint64_t{1} << 42 : 0), false);
  }
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

/// come:24 | closed:20 | lost:20. Handles of a participant that were producers: how many there ever were, how many of
/// them closed, and how many died. Each only grows, so one word never comes back.
struct Producers {
  static constexpr uint64_t kOneCome = uint64_t{1} << 40;
  static constexpr uint64_t kOneClosed = uint64_t{1} << 20;
  static constexpr uint64_t kOneLost = 1;
  static constexpr uint32_t come(uint64_t word) { return static_cast<uint32_t>(word >> 40); }
  static constexpr uint32_t closed(uint64_t word) { return (word >> 20) & 0xfffff; }
  static constexpr uint32_t lost(uint64_t word) { return word & 0xfffff; }
  static constexpr uint32_t open(uint64_t word) { return come(word) - closed(word) - lost(word); }
};

/// How a queue with producers ended.
struct Ending {
  enum : uint32_t { kEnded = 1, kLost = 2, kSeen = 4 };
};

/// pid:22 | tenure:40 | state:2. The tenure makes the word unlike every other that the entry ever held or will hold:
/// the number of times it was taken where locks prove life, the start of the process where its pid does.
struct Identity {
  enum State : uint32_t { kFree, kLive, kDead, kRecovered };
  static constexpr uint64_t make(uint32_t pid, uint64_t tenure, State state) {
    return (uint64_t{pid} << 42) | ((tenure & ((uint64_t{1} << 40) - 1)) << 2) | state;
  }
  static constexpr uint32_t pid(uint64_t word) { return static_cast<uint32_t>(word >> 42); }
  static constexpr uint64_t tenure(uint64_t word) { return (word >> 2) & ((uint64_t{1} << 40) - 1); }
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

/// Of two kinds of ring: alone, so that this waiter has to pass on what it cannot use, or along with all others.
struct Bell {
  enum : uint32_t { kAwake, kOnFutex, kInLoop, kRung, kRungWithAll };
};

struct Life {
  static constexpr uint64_t kRetired = uint64_t{1} << 63;   // nobody may join any more
  static constexpr uint64_t kUnlinked = uint64_t{1} << 62;  // … but those attached, and their children, go on
};

static_assert(StdMemory::Atomic<uint64_t>::is_always_lock_free && StdMemory::Atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(StdMemory::Atomic<uint64_t>) == 8 && sizeof(StdMemory::Atomic<uint32_t>) == 4);

}  // namespace sage
