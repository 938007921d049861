#include "interposed.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdlib>
#include <new>

namespace sage {

SystemCalls& interposed() {
  // Asked before and after all that is static, and by operator new.
  alignas(SystemCalls) static unsigned char room[sizeof(SystemCalls)];
  static auto* calls = new (room) SystemCalls;
  return *calls;
}

namespace {

thread_local bool by_the_test = false;

template <class Result, class... Given>
Result call(const std::function<Result(Given...)>& instead, void* system, Given... given) {
  if (!instead || by_the_test) return reinterpret_cast<Result (*)(Given...)>(system)(given...);
  by_the_test = true;
  const Result result = instead(given...);
  by_the_test = false;
  return result;
}

}  // namespace
}  // namespace sage

// As the headers declare them, each handed on by its name.
#define HAND_ON(name, ...)                                             \
  do {                                                                 \
    static void* const system = dlsym(RTLD_NEXT, #name);               \
    return sage::call(sage::interposed().name, system, ##__VA_ARGS__); \
  } while (false)
#define EXPORTED __attribute__((visibility("default")))

extern "C" {
EXPORTED int open(const char* path, int how, ...) {
  mode_t mode = 0;
  if ((how & O_CREAT) != 0 || (how & O_TMPFILE) == O_TMPFILE) {
    va_list more;
    va_start(more, how);
    mode = va_arg(more, mode_t);
    va_end(more);
  }
  HAND_ON(open, path, how, mode);
}
EXPORTED int close(int fd) { HAND_ON(close, fd); }
EXPORTED int fstat(int fd, struct stat* info) noexcept { HAND_ON(fstat, fd, info); }
EXPORTED int fchmod(int fd, mode_t mode) noexcept { HAND_ON(fchmod, fd, mode); }
EXPORTED int stat(const char* path, struct stat* info) noexcept { HAND_ON(stat, path, info); }
EXPORTED int lstat(const char* path, struct stat* info) noexcept { HAND_ON(lstat, path, info); }
EXPORTED int mkfifo(const char* path, mode_t mode) noexcept { HAND_ON(mkfifo, path, mode); }
EXPORTED int unlink(const char* path) noexcept { HAND_ON(unlink, path); }
EXPORTED int linkat(int from, const char* old_path, int to, const char* path, int how) noexcept {
  HAND_ON(linkat, from, old_path, to, path, how);
}
EXPORTED int flock(int fd, int how) noexcept { HAND_ON(flock, fd, how); }
EXPORTED int poll(pollfd* descriptors, nfds_t count, int timeout) { HAND_ON(poll, descriptors, count, timeout); }
EXPORTED int pipe2(int* ends, int how) noexcept { HAND_ON(pipe2, ends, how); }
EXPORTED ssize_t pread(int fd, void* to, size_t bytes, off_t at) { HAND_ON(pread, fd, to, bytes, at); }
EXPORTED ssize_t pwrite(int fd, const void* from, size_t bytes, off_t at) { HAND_ON(pwrite, fd, from, bytes, at); }
EXPORTED int posix_fallocate(int fd, off_t at, off_t bytes) { HAND_ON(posix_fallocate, fd, at, bytes); }
EXPORTED void* mmap(void* at, size_t bytes, int access, int how, int fd, off_t offset) noexcept {
  HAND_ON(mmap, at, bytes, access, how, fd, offset);
}
EXPORTED int mprotect(void* at, size_t bytes, int access) noexcept { HAND_ON(mprotect, at, bytes, access); }
EXPORTED int clock_gettime(clockid_t clock, timespec* now) noexcept { HAND_ON(clock_gettime, clock, now); }
EXPORTED int usleep(useconds_t microseconds) { HAND_ON(usleep, microseconds); }
EXPORTED uid_t geteuid() noexcept { HAND_ON(geteuid); }
EXPORTED int pthread_sigmask(int how, const sigset_t* set, sigset_t* before) noexcept {
  HAND_ON(pthread_sigmask, how, set, before);
}
}

void* operator new(size_t bytes) {
  void* const room = sage::call(sage::interposed().allocate, reinterpret_cast<void*>(&std::malloc), bytes);
  if (room == nullptr) throw std::bad_alloc();
  return room;
}
void operator delete(void* room) noexcept { std::free(room); }
void operator delete(void* room, size_t) noexcept { std::free(room); }
