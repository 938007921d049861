#include "c_api/handle.h"

#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <set>

#include "core/errors.h"

namespace sage_c {
namespace {

/// All open handles of this process, and those being opened or closed.
struct Registry {
  std::mutex mutex;
  std::set<sq_queue*> handles;

  static Registry& instance() {
    static auto* registry = new Registry;  // outlives every static destructor
    return *registry;
  }
};

/// No handle is in the middle of anything while a process is copied, and the watcher's thread is not in the copy.
void before_fork() {
  Registry& registry = Registry::instance();
  registry.mutex.lock();
  for (sq_queue* handle : registry.handles) handle->lock.lock();
  sage::Watcher::instance().pause();
}

void unlock_all() {
  Registry& registry = Registry::instance();
  for (sq_queue* handle : registry.handles) handle->lock.unlock();
  registry.mutex.unlock();
}

void after_fork_in_parent() {
  sage::Watcher::instance().resume();
  unlock_all();
}

/// Whoever stood in line does not exist here.
void after_fork_in_child() {
  for (sq_queue* handle : Registry::instance().handles) {
    for (Line& line : handle->lines) line.waiters.clear();
    handle->asleep = 0;
    handle->bell = nullptr;
  }
  unlock_all();
}

struct LastFailure {
  std::string code;
  std::string message;
};
thread_local LastFailure last_failure;

}  // namespace

void Line::leave(const InLine& one) {
  const bool first = is_first(one);
  waiters.remove(const_cast<InLine*>(&one));
  if (first) call_first();
}

void Line::rotate() {
  waiters.splice(waiters.end(), waiters, waiters.begin());
  call_first();
}

void Line::call_first() const {
  if (waiters.empty()) return;
  InLine& first = *waiters.front();
  if (first.loop != nullptr) {
    first.loop->bell->ring(first.loop->tag);
  } else {
    first.moved.notify_all();
  }
}

bool Place::wait_for_turn(uint32_t start_ms, uint32_t wait_ms) {
  while (!line_.is_first(place_) && !handle_->closing) {
    const uint32_t passed = sage::monotonic_ms() - start_ms;
    if (wait_ms != SQ_FOREVER && passed >= wait_ms) return false;
    const uint32_t left = wait_ms == SQ_FOREVER ? kSliceMs : wait_ms - passed;
    place_.moved.wait_for(handle_->lock, std::chrono::milliseconds(left));
  }
  return true;
}

sq_status failed(const char* code, const std::string& message) noexcept {
  try {
    last_failure = {code, message};
  } catch (const std::exception&) {
    last_failure.code.clear();
    last_failure.message.clear();
  }
  return SQ_FAILED;
}

sq_status failed(const std::exception& failure) noexcept {
  const auto* segment = dynamic_cast<const sage::SegmentFailure*>(&failure);
  // What else the core throws are the standard library's own: memory, threads and random numbers it did not get.
  return failed(segment != nullptr ? segment->code() : "ERR_SEGMENT_RESOURCES", failure.what());
}

sq_status status_of(sage::Outcome outcome) {
  switch (outcome) {
    case sage::Outcome::kOk:
      return SQ_OK;
    case sage::Outcome::kFull:
      return SQ_FULL;
    case sage::Outcome::kShut:
      return SQ_SHUT_DOWN;
    case sage::Outcome::kLost:
      return SQ_PRODUCER_LOST;
    case sage::Outcome::kCorrupt:
      throw sage::SegmentFailure("ERR_SEGMENT_CORRUPT", "the words of the segment contradict each other");
    default:
      return SQ_EMPTY;
  }
}

std::unique_lock<std::mutex> Handles::hold() { return std::unique_lock<std::mutex>(Registry::instance().mutex); }

/// Registered behind the core's own handlers, so that these come after ours: whoever joins holds a lock of theirs.
void Handles::add(sq_queue* handle) {
  static const int registered = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  (void)registered;
  Registry::instance().handles.insert(handle);
}

void Handles::remove(sq_queue* handle) { Registry::instance().handles.erase(handle); }

}  // namespace sage_c

void sq_bell::ring(uint32_t tag) const { (void)!::write(doorbell->write_end(), &tag, sizeof tag); }

sq_bell::~sq_bell() {
  if (doorbell == nullptr) return;
  const int fd = doorbell->read_end();
  doorbell.reset();
  ::close(fd);
}

extern "C" {

const char* sq_code(sq_status status) {
  switch (status) {
    case SQ_OK:
      return "";
    case SQ_EMPTY:
      return "ERR_QUEUE_EMPTY";
    case SQ_FULL:
      return "ERR_QUEUE_FULL";
    case SQ_SHUT_DOWN:
      return "ERR_QUEUE_SHUT_DOWN";
    case SQ_ITEM_TOO_LARGE:
      return "ERR_ITEM_TOO_LARGE";
    case SQ_PRODUCER_LOST:
      return "ERR_QUEUE_PRODUCER_LOST";
    case SQ_CLOSED:
      return "ERR_QUEUE_CLOSED";
    case SQ_TIMEOUT:
      return "ERR_QUEUE_TIMEOUT";
    case SQ_FAILED:
      return sq_error_code();
    default:
      return "ERR_ARGUMENT";
  }
}

const char* sq_error_code(void) { return sage_c::last_failure.code.c_str(); }
const char* sq_error_message(void) { return sage_c::last_failure.message.c_str(); }

}  // extern "C"
