#include "core/os/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/event.h>
#include <sys/sysctl.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "core/segment/layout.h"

namespace sage {
namespace {

enum class Found { kProcess, kNobody, kUnknown };

struct Status {
  bool zombie = false;
  uint64_t start = 0;  // microseconds since the epoch
};

Found read_status(uint32_t pid, Status* status) {
  int query[4] = {CTL_KERN, KERN_PROC, KERN_PROC_PID, static_cast<int>(pid)};
  kinfo_proc process{};
  size_t bytes = sizeof process;
  if (sysctl(query, 4, &process, &bytes, nullptr, 0) != 0) return errno == ESRCH ? Found::kNobody : Found::kUnknown;
  if (bytes < sizeof process || process.kp_proc.p_pid != static_cast<pid_t>(pid)) return Found::kNobody;
  const timeval start = process.kp_proc.p_starttime;
  status->start = static_cast<uint64_t>(start.tv_sec) * 1000000 + static_cast<uint64_t>(start.tv_usec);
  status->zombie = process.kp_proc.p_stat == SZOMB;
  return Found::kProcess;
}

std::atomic<uint64_t> own_identity{0};
std::atomic<uint32_t> forks{0};

uint64_t read_identity() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] {
    forks.fetch_add(1, std::memory_order_relaxed);
    own_identity.store(0, std::memory_order_relaxed);
  });
  (void)registered;
  const uint32_t pid = static_cast<uint32_t>(getpid());
  Status status;
  read_status(pid, &status);
  const uint64_t identity = Identity::make(pid, status.start, Identity::kLive);
  own_identity.store(identity, std::memory_order_relaxed);
  return identity;
}

}  // namespace

uint64_t self_identity() {
  const uint64_t identity = own_identity.load(std::memory_order_relaxed);
  return identity != 0 ? identity : read_identity();
}

uint32_t fork_generation() { return forks.load(std::memory_order_relaxed); }

uint64_t pid_namespace() { return 0; }

bool is_dead(uint64_t identity) {
  const uint32_t pid = Identity::pid(identity);
  Status status;
  switch (read_status(pid, &status)) {
    case Found::kNobody:
      return kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
    case Found::kUnknown:
      return false;
    case Found::kProcess:
      break;
  }
  if (Identity::start(identity) != 0 &&
      Identity::start(Identity::make(pid, status.start, Identity::kLive)) != Identity::start(identity)) {
    return true;
  }
  return status.zombie;
}

int open_death_watch(uint64_t identity) {
  // A kqueue can be polled like any descriptor, and is readable while it holds an event.
  const int queue = kqueue();
  if (queue < 0) return -1;
  fcntl(queue, F_SETFD, FD_CLOEXEC);
  struct kevent event;
  EV_SET(&event, Identity::pid(identity), EVFILT_PROC, EV_ADD | EV_ENABLE, NOTE_EXIT, 0, nullptr);
  // Asked after the event was ordered, so it is this process's and not a later one's with the same pid.
  if (kevent(queue, &event, 1, nullptr, 0, nullptr) != 0 || is_dead(identity)) {
    close(queue);
    return -1;
  }
  return queue;
}

bool can_ring_pipes() { return false; }

// There is no /proc: a descriptor of another process cannot be opened by its number.
int open_pipe_of(uint64_t, uint32_t, uint64_t) {
  errno = ENOTSUP;
  return -1;
}

uint32_t monotonic_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint32_t>(static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000);
}
uint32_t coarse_ms() { return monotonic_ms(); }

}  // namespace sage
