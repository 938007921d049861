// System calls as a test wants them. The core is linked into the test, so that the test's own open(), pread(), … are
// the ones it calls: each goes to the system, unless the test has put something in its place, which may do what it
// likes before, after or instead. What it calls itself goes to the system.
#pragma once

#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <cerrno>
#include <csignal>
#include <functional>

namespace sage {

struct SystemCalls {
  std::function<int(const char*, int, mode_t)> open;
  std::function<int(int)> close;
  std::function<int(int, struct stat*)> fstat;
  std::function<int(int, mode_t)> fchmod;
  std::function<int(const char*, struct stat*)> stat;
  std::function<int(const char*, struct stat*)> lstat;
  std::function<int(const char*, mode_t)> mkfifo;
  std::function<int(const char*)> unlink;
  std::function<int(int, const char*, int, const char*, int)> linkat;
  std::function<int(int, int)> flock;
  std::function<int(pollfd*, nfds_t, int)> poll;
  std::function<int(int*, int)> pipe2;
  std::function<ssize_t(int, void*, size_t, off_t)> pread;
  std::function<ssize_t(int, const void*, size_t, off_t)> pwrite;
  std::function<int(int, off_t, off_t)> posix_fallocate;
  std::function<void*(void*, size_t, int, int, int, off_t)> mmap;
  std::function<int(void*, size_t, int)> mprotect;
  std::function<int(clockid_t, timespec*)> clock_gettime;
  std::function<int(useconds_t)> usleep;
  std::function<uid_t()> geteuid;
  std::function<int(int, const sigset_t*, sigset_t*)> pthread_sigmask;
  std::function<void*(size_t)> allocate;  // operator new
};

/// What stands in the place of the system's; empty: nothing does.
SystemCalls& interposed();

/// They are the system's own again when the test, or a part of it, is over.
struct Interposed {
  Interposed() = default;
  ~Interposed() { interposed() = {}; }
  Interposed(const Interposed&) = delete;
  Interposed& operator=(const Interposed&) = delete;
  SystemCalls* operator->() { return &interposed(); }
};

/// As a system call says that it failed.
inline int failing(int error) {
  errno = error;
  return -1;
}

/// Leaves `byte` all over the stack that the next call uses.
__attribute__((noinline)) inline void paint_stack(unsigned char byte) {
  volatile unsigned char paint[32 << 10];
  for (size_t at = 0; at < sizeof paint; ++at) paint[at] = byte;
}

}  // namespace sage
