// One handle of the C layer: a queue of the core, the lock that its threads share, and a line for each side on which
// calls wait. The core has one bell for each side of a handle; whoever is first in line has it, and the others sleep
// until it is theirs.
#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>

#include "c_api/sage_queue.h"
#include "core/handle/queue.h"

namespace sage_c {

/// A mutex, but for a handle that one thread has for itself.
class Lock {
 public:
  explicit Lock(bool needed) : needed_(needed) {}
  void lock() {
    if (needed_) mutex_.lock();
  }
  void unlock() {
    if (needed_) mutex_.unlock();
  }

 private:
  const bool needed_;
  std::mutex mutex_;
};

/// One in line: a thread in a call, or the calls of an event loop.
struct InLine {
  std::condition_variable_any moved;  // a thread's: it is first now, or the handle is being closed
  sq_waiter* loop = nullptr;          // an event loop's
};

struct Line {
  std::list<InLine*> waiters;  // the first one has the bell

  bool is_first(const InLine& one) const { return !waiters.empty() && waiters.front() == &one; }
  /// Leaves, and has the next one go on where the first one did.
  void leave(const InLine& one);
  /// The first one goes to the end, so that no event loop with many calls keeps others out.
  void rotate();
  /// Tells the first one that it is that.
  void call_first() const;
};

/// What the last sq_take() brought, as the core has it: who finishes that next, as is usual, has nothing translated.
struct LastTake {
  sage::Item items[sage::kMaxBatch];
  uint32_t count = 0;

  bool is(const sq_item* views, uint32_t taken) const {
    return taken == count && views[0].reserved[0] == items[0].number;
  }
};

}  // namespace sage_c

struct sq_queue {
  explicit sq_queue(std::unique_ptr<sage::Queue> opened, bool one_thread)
      : lock(!one_thread), queue(std::move(opened)) {}

  sage_c::Lock lock;
  std::unique_ptr<sage::Queue> queue;  // null: closed
  sage_c::Line lines[3];
  sage_c::LastTake last_take;
  bool closing = false;
  uint32_t asleep = 0;  // threads in calls that let go of the lock
  std::condition_variable_any left;
  const sq_bell* bell = nullptr;  // the one that rings reach, and …
  uint32_t tag = 0;               // … by what
  bool all_ring = false;          // nobody is without a descriptor to ring it by
};

struct sq_bell {
  std::unique_ptr<sage::Doorbell> doorbell;  // null: it could not be made
  /// Rings it from this process.
  void ring(uint32_t tag) const;
  ~sq_bell();
};

struct sq_waiter {
  sq_queue* handle;
  sage::Direction side;
  sq_bell* bell;
  uint32_t tag;
  sage_c::InLine place;
  uint32_t forks;      // the generation that it belongs to
  bool begun = false;  // it has the core's bell …
  bool rung = false;   // … and was rung since
};

namespace sage_c {

/// What a failure of the core leaves for sq_error_code() and sq_error_message().
sq_status failed(const std::exception& failure) noexcept;
sq_status failed(const char* code, const std::string& message) noexcept;

sq_status status_of(sage::Outcome outcome);

inline bool is_pending(sq_status status) { return status == SQ_EMPTY || status == SQ_FULL; }

/// Registers the handle with those that a fork waits for; sq_open() opens under it, so that no fork passes meanwhile.
class Handles {
 public:
  static std::unique_lock<std::mutex> hold();
  static void add(sq_queue* handle);
  static void remove(sq_queue* handle);
};

/// Runs `body` under the handle's lock, unless it was closed, and lets no exception out.
template <class Body>
sq_status guarded(sq_queue* handle, Body body) noexcept {
  if (handle == nullptr) return SQ_INVALID;
  try {
    const std::lock_guard<Lock> locked(handle->lock);
    if (handle->closing) return SQ_CLOSED;
    return body(*handle->queue);
  } catch (const std::exception& failure) {
    return failed(failure);
  }
}

/// Stands in line while it lives; the lock is held where it is made and where it ends.
class Place {
 public:
  Place(sq_queue* handle, sage::Direction side) : handle_(handle), line_(handle->lines[side]) {
    line_.waiters.push_back(&place_);
    ++handle_->asleep;
  }
  ~Place() {
    line_.leave(place_);
    if (--handle_->asleep == 0 && handle_->closing) handle_->left.notify_all();
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  /// Until it is the first one, the handle is being closed, or `deadline` has come. False: that.
  bool wait_for_turn(uint32_t start_ms, uint32_t wait_ms);

 private:
  sq_queue* handle_;
  Line& line_;
  InLine place_;
};

/// A call comes back from the core this often, so that a watcher that was paused is brought back.
constexpr uint32_t kSliceMs = 100;

/// Tries, and then waits up to `wait_ms` for `attempt(queue)` to bring something else than SQ_EMPTY or SQ_FULL.
template <class Attempt>
sq_status waiting(sq_queue* handle, sage::Direction side, uint32_t wait_ms, Attempt attempt) noexcept {
  if (handle == nullptr) return SQ_INVALID;
  try {
    const std::lock_guard<Lock> locked(handle->lock);
    if (handle->closing) return SQ_CLOSED;
    sq_status status = SQ_EMPTY;
    if (wait_ms == 0 || handle->lines[side].waiters.empty()) {
      status = attempt(*handle->queue);
      if (wait_ms == 0 || !is_pending(status)) return status;
    }
    const uint32_t start = sage::monotonic_ms();
    Place place(handle, side);
    const auto look = [&] {
      status = handle->closing ? SQ_CLOSED : attempt(*handle->queue);
      return !is_pending(status);
    };
    if (!place.wait_for_turn(start, wait_ms)) {
      look();
      return status;
    }
    for (;;) {
      const uint32_t passed = sage::monotonic_ms() - start;
      const uint32_t left = wait_ms == SQ_FOREVER ? kSliceMs : wait_ms - std::min(passed, wait_ms);
      if (handle->closing) return SQ_CLOSED;
      if (handle->queue->wait(side, std::min(left, kSliceMs), look, handle->lock)) return status;
      if (left == 0 || (wait_ms != SQ_FOREVER && sage::monotonic_ms() - start >= wait_ms)) return status;
    }
  } catch (const std::exception& failure) {
    return failed(failure);
  }
}

}  // namespace sage_c
