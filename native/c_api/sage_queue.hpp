// sage-queue in C++17: sage_queue.h with owners that let go by themselves, and exceptions in place of statuses. A queue
// that is empty, full, or at its end is no exception where a call asks without waiting.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sage_queue.h"

namespace sage_queue {

/// Test `status()` or `code()`, never the text.
class Error : public std::runtime_error {
 public:
  Error(sq_status status, const std::string& message)
      : std::runtime_error(message), status_(status), code_(sq_code(status)) {}
  sq_status status() const { return status_; }
  /// ERR_SEGMENT_CORRUPT, …: docs/api.md.
  const std::string& code() const { return code_; }

 private:
  sq_status status_;
  std::string code_;
};

/// Throws unless it went well.
inline void check(sq_status status) {
  if (status == SQ_OK) return;
  throw Error(status, status == SQ_FAILED ? sq_error_message() : sq_code(status));
}

/// Bytes that are somebody else's.
struct Bytes {
  const uint8_t* data = nullptr;
  size_t size = 0;

  Bytes() = default;
  Bytes(const void* from, size_t bytes) : data(static_cast<const uint8_t*>(from)), size(bytes) {}
  Bytes(std::string_view text) : Bytes(text.data(), text.size()) {}             // NOLINT(google-explicit-constructor)
  Bytes(const char* text) : Bytes(std::string_view(text)) {}                    // NOLINT(google-explicit-constructor)
  Bytes(const std::string& text) : Bytes(text.data(), text.size()) {}           // NOLINT(google-explicit-constructor)
  Bytes(const std::vector<uint8_t>& list) : Bytes(list.data(), list.size()) {}  // NOLINT(google-explicit-constructor)
  const uint8_t* begin() const { return data; }
  const uint8_t* end() const { return data + size; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data), size}; }
};

/// How long a call may wait, in milliseconds.
using Wait = uint32_t;
constexpr Wait kForever = SQ_FOREVER;
constexpr Wait kNotAtAll = 0;

/// What to open. `maxsize` counts items, 0: one for each 64 bytes of capacity.
struct Options {
  std::string name;
  sq_kind kind = SQ_KIND_SAGE;
  sq_create create = SQ_IF_MISSING;
  std::string name_space = {};
  uint64_t maxsize = SQ_DEFAULT_MAXSIZE;
  uint64_t capacity_bytes = 0;
  uint32_t mode = 0;
  uint32_t flags = 0;
};

/// An item that was copied out.
struct Copied {
  std::vector<uint8_t> bytes;
  uint32_t codec = 0;
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

/// An item on lease, read where it lies. Without ack() it goes back when this ends. No longer valid than its queue.
class Lease {
 public:
  Lease(sq_queue* queue, const sq_item& item) : queue_(queue), item_(item) {}
  Lease(Lease&& other) noexcept : queue_(std::exchange(other.queue_, nullptr)), item_(other.item_) {}
  Lease& operator=(Lease&& other) noexcept {
    std::swap(queue_, other.queue_);
    std::swap(item_, other.item_);
    return *this;
  }
  ~Lease() {
    if (queue_ != nullptr) sq_release(queue_, &item_, 1);
  }

  Bytes bytes() const { return {item_.data, item_.bytes}; }
  uint32_t codec() const { return item_.codec; }
  uint32_t deliveries() const { return item_.deliveries; }
  uint32_t crashes() const { return item_.crashes; }
  void ack() { end(sq_ack); }
  void release() { end(sq_release); }

 private:
  void end(sq_status (*how)(sq_queue*, const sq_item*, uint32_t)) {
    sq_queue* const queue = std::exchange(queue_, nullptr);
    if (queue != nullptr) check(how(queue, &item_, 1));
  }
  sq_queue* queue_;
  sq_item item_;
};

/// Room for an item. Without commit() it is given up when this ends.
class Claim {
 public:
  Claim(sq_queue* queue, const sq_item& item) : queue_(queue), item_(item) {}
  Claim(Claim&& other) noexcept : queue_(std::exchange(other.queue_, nullptr)), item_(other.item_) {}
  Claim& operator=(Claim&& other) noexcept {
    std::swap(queue_, other.queue_);
    std::swap(item_, other.item_);
    return *this;
  }
  ~Claim() {
    if (queue_ != nullptr) sq_abort(queue_, &item_);
  }

  uint8_t* data() const { return item_.data; }
  size_t size() const { return item_.bytes; }
  void commit() {
    sq_queue* const queue = std::exchange(queue_, nullptr);
    if (queue != nullptr) check(sq_commit(queue, &item_));
  }

 private:
  sq_queue* queue_;
  sq_item item_;
};

/// One handle. Threads may share it; moved from, it is nobody's.
class Queue {
 public:
  explicit Queue(const Options& asked) {
    sq_options options{};
    options.struct_size = sizeof options;
    options.kind = asked.kind;
    options.create = asked.create;
    options.name = asked.name.c_str();
    options.name_space = asked.name_space.empty() ? nullptr : asked.name_space.c_str();
    options.maxsize = asked.maxsize;
    options.capacity_bytes = asked.capacity_bytes;
    options.mode = asked.mode;
    options.flags = asked.flags;
    check(sq_open(&options, &queue_));
  }
  Queue(Queue&& other) noexcept : queue_(std::exchange(other.queue_, nullptr)), at_end_(other.at_end_.load()) {}
  Queue& operator=(Queue&& other) noexcept {
    std::swap(queue_, other.queue_);
    at_end_ = other.at_end_.exchange(at_end_);
    return *this;
  }
  ~Queue() { sq_free(queue_); }

  void put(Bytes bytes, uint32_t codec = SQ_RAW, Wait wait = kForever) {
    check(sq_put(queue_, bytes.data, bytes.size, codec, wait));
  }
  /// False: there was no room.
  bool try_put(Bytes bytes, uint32_t codec = SQ_RAW, Wait wait = kNotAtAll) {
    return went(sq_put(queue_, bytes.data, bytes.size, codec, wait), SQ_FULL);
  }
  Claim claim(size_t bytes, uint32_t codec = SQ_RAW, Wait wait = kForever) {
    sq_item item;
    check(sq_claim(queue_, bytes, codec, &item, wait));
    return {queue_, item};
  }

  /// Nothing: it was not there in time, or the queue has ended (`at_end()`).
  std::optional<Copied> get(Wait wait = kForever) {
    std::optional<Copied> copied;
    for_each(
        1,
        [&](Bytes bytes, uint32_t codec) {
          copied = Copied{{bytes.begin(), bytes.end()}, codec};
        },
        wait);
    return copied;
  }
  /// Calls `handler(Bytes, codec)` with each of up to `max` items where they lie. From one that throws on they go back.
  /// How many there were; 0 as in get().
  template <class Handler>
  uint32_t for_each(uint32_t max, Handler handler, Wait wait = kForever) {
    sq_item items[SQ_MAX_BATCH];
    uint32_t taken = 0;
    if (!went(sq_take(queue_, max, 0, items, &taken, wait), SQ_EMPTY)) return 0;
    uint32_t done = 0;
    struct End {
      sq_queue* queue;
      const sq_item* items;
      const uint32_t& taken;
      const uint32_t& done;
      ~End() { sq_finish(queue, items, taken, done); }
    } const end{queue_, items, taken, done};
    for (; done < taken; ++done) handler(Bytes(items[done].data, items[done].bytes), items[done].codec);
    return taken;
  }
  std::optional<Lease> lease(Wait wait = kForever) {
    sq_item item;
    uint32_t leased = 0;
    if (!went(sq_lease(queue_, 1, 0, &item, &leased, wait), SQ_EMPTY)) return std::nullopt;
    return Lease(queue_, item);
  }

  uint64_t size() const {
    uint64_t size = 0;
    check(sq_size(queue_, &size));
    return size;
  }
  /// What get() or for_each() brought nothing for: the queue was shut down, and nothing is left in it.
  bool at_end() const { return at_end_; }
  /// False: the time was over before.
  bool join(Wait wait = kForever) { return went(sq_join(queue_, wait), SQ_TIMEOUT); }
  /// One of `expected` producers, with the last of which the queue ends.
  void produce(uint32_t expected = 1) { check(sq_produce(queue_, expected)); }
  /// Before the end of a handle whose work is not done: it is lost as a producer, where the destructor would close it.
  void abandon() { check(sq_abandon(queue_)); }
  void shutdown(bool immediate = false) { check(sq_shutdown(queue_, immediate ? 1 : 0)); }
  void unlink() { check(sq_unlink(queue_)); }
  void close() { check(sq_close(queue_)); }
  /// For what is only in C.
  sq_queue* handle() const { return queue_; }

 private:
  /// False: `late`, or the end of a drained queue.
  bool went(sq_status status, sq_status late) {
    if (status == SQ_SHUT_DOWN && late == SQ_EMPTY) at_end_ = true;
    if (status == late || (status == SQ_SHUT_DOWN && late == SQ_EMPTY)) return false;
    check(status);
    return true;
  }
  sq_queue* queue_ = nullptr;
  std::atomic<bool> at_end_{false};
};

}  // namespace sage_queue
