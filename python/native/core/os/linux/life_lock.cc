#include "core/os/life_lock.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "core/os/byte_lock.h"
#include "core/segment/failures.h"

namespace sage {
namespace {

std::mutex& forks();

/// Descriptors that alone keep a lock: a forked child closes its copies, so that each lock goes with its own process.
/// Under the lock of forks().
std::vector<int>& kept_open() {
  static auto* descriptors = new std::vector<int>;
  return *descriptors;
}

void close_copies() {
  for (const int fd : kept_open()) close(fd);
  kept_open().clear();
  forks().unlock();
}

std::mutex& forks() {
  static auto* mutex = new std::mutex;
  static const int registered = pthread_atfork([] { forks().lock(); }, [] { forks().unlock(); }, close_copies);
  (void)registered;
  return *mutex;
}

/// Whether a mapping keeps the open file that it was made from. An overlay's keeps the one beneath.
bool mapping_keeps(int fd) {
  constexpr unsigned long kOverlay = 0x794c7630;  // <linux/magic.h>
  struct statfs info;
  return fstatfs(fd, &info) == 0 && (static_cast<unsigned long>(info.f_type) & 0xffffffffUL) != kOverlay;
}

bool same_file(int one, int other) {
  struct stat first;
  struct stat second;
  return fstat(one, &first) == 0 && fstat(other, &second) == 0 && first.st_ino == second.st_ino &&
         first.st_dev == second.st_dev;
}

/// What a refused lock means to who wants to join: without it it would pass for dead.
[[noreturn]] void refused(const std::string& path, int error) {
  fail_system("lock", path, error == EPERM || error == EACCES ? ENOSYS : error);
}

}  // namespace

bool LifeLock::open(const std::string& path, int segment, bool nameless) {
  forget();
  no_fork_ = std::unique_lock<std::mutex>(forks());
  path_ = path;
  fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd_ < 0 && errno != ENOENT && errno != ELOOP) {
    const int error = errno;
    release();
    fail_system("open", path, error);
  }
  if (fd_ < 0 || !same_file(fd_, segment)) {
    release();
    if (!nameless) return false;
    no_fork_ = std::unique_lock<std::mutex>(forks());
    char self[48];
    std::snprintf(self, sizeof self, "/proc/self/fd/%d", segment);
    fd_ = ::open(self, O_RDWR | O_CLOEXEC);
    if (fd_ < 0) {
      const int error = errno;
      release();
      fail_system("open", path + " (whose name is gone)", error);
    }
  }
  // Before anything is locked: what can fail has failed when the entry is taken.
  stays_open_ = !mapping_keeps(fd_);
  if (stays_open_) {
    kept_open().reserve(kept_open().size() + 1);
    return true;
  }
  const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  page_ = mmap(nullptr, bytes, PROT_NONE, MAP_SHARED, fd_, 0);
  if (page_ == MAP_FAILED) {
    page_ = nullptr;
    const int error = errno;
    release();
    fail_system("map", path, error);
  }
  madvise(page_, bytes, MADV_DONTFORK);
  return true;
}

uint64_t LifeLock::claim(uint32_t index, Participant<StdMemory>* entry) {
  const int error = lock_byte(fd_, kLifeByte + index, false);
  if (error == EAGAIN) return 0;
  if (error != 0) {
    const std::string path = path_;
    release();
    refused(path, error);
  }
  // Alone here while the byte is locked.
  const uint64_t tenure = entry->tenure.load(std::memory_order_relaxed) + 1;
  entry->tenure.store(tenure, std::memory_order_relaxed);
  return Identity::make(static_cast<uint32_t>(getpid()), tenure, Identity::kLive);
}

void LifeLock::give_up(uint32_t index) { unlock_byte(fd_, kLifeByte + index); }

void LifeLock::keep() {
  if (stays_open_) {
    kept_open().push_back(fd_);
  } else {
    close(fd_);
    fd_ = -1;
  }
  no_fork_ = {};
}

void LifeLock::release() {
  if (stays_open_ && !no_fork_.owns_lock()) no_fork_ = std::unique_lock<std::mutex>(forks());
  if (stays_open_) kept_open().erase(std::remove(kept_open().begin(), kept_open().end(), fd_), kept_open().end());
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  stays_open_ = false;
  if (page_ != nullptr) munmap(page_, static_cast<size_t>(sysconf(_SC_PAGESIZE)));
  page_ = nullptr;
  no_fork_ = {};
}

void LifeLock::forget() {
  page_ = nullptr;
  // Closed when this process was forked; by a clone past libc it was not, and by now the number may be another file's.
  if (stays_open_) fd_ = -1;
  stays_open_ = false;
}

bool is_dead(int segment, uint32_t index, uint64_t) {
  return byte_state(segment, kLifeByte + index) == ByteState::kFree;
}

}  // namespace sage
