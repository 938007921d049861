#include "core/os/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

namespace sage {
namespace {

uint32_t clock_ms(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint32_t>(static_cast<uint64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000);
}

uint64_t namespace_inode(const char* path) {
  struct stat info;
  return stat(path, &info) == 0 ? info.st_ino : 0;
}

/// The generation stands in a page that the kernel empties in every copy of this address space, whoever makes it. Where
/// it cannot do that, a handler counts the forks that go by way of libc.
std::atomic<uint32_t> plain{1};
std::atomic<uint32_t> newest{1};

}  // namespace

std::atomic<std::atomic<uint32_t>*> fork_word{&plain};

namespace {

const bool prepared = [] {
  pthread_atfork(nullptr, nullptr, [] {
    if (fork_word.load(std::memory_order_relaxed) == &plain) plain.fetch_add(1, std::memory_order_relaxed);
  });
  const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* page = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  if (madvise(page, bytes, MADV_WIPEONFORK) != 0) {
    munmap(page, bytes);
    return false;
  }
  auto* word = static_cast<std::atomic<uint32_t>*>(page);
  word->store(1, std::memory_order_relaxed);
  fork_word.store(word, std::memory_order_relaxed);
  return true;
}();

}  // namespace

Home own_home() { return {namespace_inode("/proc/self/ns/pid"), namespace_inode("/proc/self/ns/user")}; }

BootId own_boot() {
  static const BootId boot = [] {
    char text[40] = "";
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      (void)!read(fd, text, sizeof text - 1);
      close(fd);
    }
    return parse_boot(text);
  }();
  return boot;
}

/// The page is empty.
uint32_t next_fork_generation() {
  std::atomic<uint32_t>* const word = fork_word.load(std::memory_order_relaxed);
  uint32_t found = 0;
  const uint32_t next = newest.fetch_add(1, std::memory_order_relaxed) + 1;
  return word->compare_exchange_strong(found, next) ? next : found;
}

int open_death_watch(uint32_t pid) {
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}

uint32_t monotonic_ms() { return clock_ms(CLOCK_MONOTONIC); }
uint32_t coarse_ms() { return clock_ms(CLOCK_MONOTONIC_COARSE); }

}  // namespace sage
