#include "core/os/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/event.h>
#include <sys/sysctl.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

namespace sage {
namespace {

std::atomic<uint32_t> forks{1};
const int registered = pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });

}  // namespace

// There is one of each.
Home own_home() { return {1, 1}; }

BootId own_boot() {
  static const BootId boot = [] {
    char text[40] = "";
    size_t bytes = sizeof text - 1;
    if (sysctlbyname("kern.bootsessionuuid", text, &bytes, nullptr, 0) != 0) text[0] = 0;
    return parse_boot(text);
  }();
  return boot;
}

std::atomic<std::atomic<uint32_t>*> fork_word{&forks};
uint32_t next_fork_generation() { return forks.load(std::memory_order_relaxed); }

int open_death_watch(uint32_t pid) {
  // A kqueue can be polled like any descriptor, and is readable while it holds an event.
  const int queue = kqueue();
  if (queue < 0) return -1;
  fcntl(queue, F_SETFD, FD_CLOEXEC);
  struct kevent event;
  EV_SET(&event, pid, EVFILT_PROC, EV_ADD | EV_ENABLE, NOTE_EXIT, 0, nullptr);
  if (kevent(queue, &event, 1, nullptr, 0, nullptr) == 0) return queue;
  close(queue);
  return -1;
}

uint32_t monotonic_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint32_t>(static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000);
}
uint32_t coarse_ms() { return monotonic_ms(); }

}  // namespace sage
