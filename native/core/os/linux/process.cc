#include "core/os/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/segment/failures.h"
#include "core/segment/layout.h"

namespace sage {
namespace {

struct Stat {
  char state = 0;
  long threads = 0;
  uint64_t start = 0;
};

uint32_t clock_ms(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint32_t>(static_cast<uint64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000);
}

/// Reads the status of a process's first thread, which is that of the process. Not /proc/PID/stat: qemu-user answers
/// that itself when a process asks about itself, with another start time than everybody else reads. The name in it may
/// hold anything, so fields are counted from the last parenthesis.
bool read_stat(uint32_t pid, Stat* stat) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%u/task/%u/stat", pid, pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char text[1024];
  const ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return false;
  text[length] = 0;
  const char* field = std::strrchr(text, ')');
  if (field == nullptr) return false;
  field += 2;
  stat->state = *field;
  for (int number = 3; number < 22; ++number) {
    field = std::strchr(field, ' ');
    if (field == nullptr) return false;
    ++field;
    if (number + 1 == 20) stat->threads = std::strtol(field, nullptr, 10);
  }
  stat->start = std::strtoull(field, nullptr, 10);
  return true;
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
  Stat stat;
  if (!read_stat(pid, &stat) && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
    // Without its start time this process would be taken to live on in the next one with its pid.
    fail_resources("read when this process started", errno);
  }
  const uint64_t identity = Identity::make(pid, stat.start, Identity::kLive);
  own_identity.store(identity, std::memory_order_relaxed);
  return identity;
}

}  // namespace

uint64_t self_identity() {
  const uint64_t identity = own_identity.load(std::memory_order_relaxed);
  return identity != 0 ? identity : read_identity();
}

uint32_t fork_generation() { return forks.load(std::memory_order_relaxed); }

uint64_t pid_namespace() {
  struct stat info;
  return stat("/proc/self/ns/pid", &info) == 0 ? info.st_ino : 0;
}

bool is_dead(uint64_t identity) {
  const uint32_t pid = Identity::pid(identity);
  Stat stat;
  if (!read_stat(pid, &stat)) return kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
  if (Identity::start(identity) != 0 &&
      Identity::start(Identity::make(pid, stat.start, Identity::kLive)) != Identity::start(identity)) {
    return true;
  }
  // A leader that has exited while other threads run looks like a zombie too.
  return (stat.state == 'Z' || stat.state == 'X') && stat.threads <= 1;
}

int open_death_watch(uint64_t identity) {
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, Identity::pid(identity), 0));
  if (fd < 0) return -1;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  // Asked after the descriptor was opened, so it is this process's and not a later one's with the same pid.
  if (is_dead(identity)) {
    close(fd);
    return -1;
  }
  return fd;
}

bool can_ring_pipes() { return true; }

int open_pipe_of(uint64_t identity, uint32_t fd, uint64_t inode) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%u/fd/%u", Identity::pid(identity), fd);
  // Open for both directions: the ringer then counts as a reader, and a pipe whose owner is gone raises no SIGPIPE.
  const int pipe = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (pipe < 0) return -1;
  struct stat info;
  if (fstat(pipe, &info) != 0 || !S_ISFIFO(info.st_mode) || info.st_ino != inode) {
    close(pipe);
    errno = ENXIO;
    return -1;
  }
  return pipe;
}

uint32_t monotonic_ms() { return clock_ms(CLOCK_MONOTONIC); }
uint32_t coarse_ms() { return clock_ms(CLOCK_MONOTONIC_COARSE); }

}  // namespace sage
