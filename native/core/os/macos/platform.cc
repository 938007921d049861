#include "core/os/platform.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace sage::platform {
namespace {

// Not the prefix of segments: nobody takes a file for one before it is whole.
constexpr const char* kUnfinished = ".sage-queue-new-";

/// Takes away what creators left who died before they were done.
void sweep(const std::string& directory) {
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) return;
  const size_t prefix = std::strlen(kUnfinished);
  while (const dirent* entry = readdir(stream)) {
    if (std::strncmp(entry->d_name, kUnfinished, prefix) != 0) continue;
    const long pid = std::strtol(entry->d_name + prefix, nullptr, 10);
    if (pid <= 0 || kill(static_cast<pid_t>(pid), 0) == 0 || errno != ESRCH) continue;
    unlink((directory + "/" + entry->d_name).c_str());
  }
  closedir(stream);
}

/// Where the file system cannot reserve: every byte written.
int write_zeros(int fd, uint64_t bytes) {
  const std::vector<char> zeros(1 << 20);
  for (uint64_t done = 0; done < bytes;) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(zeros.size(), bytes - done));
    const ssize_t written = pwrite(fd, zeros.data(), part, static_cast<off_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : ENOSPC;
    done += static_cast<uint64_t>(written);
  }
  return 0;
}

}  // namespace

const size_t kMaxFileName = 255;
const int kMapNoReserve = MAP_NORESERVE;

// Names of shm_open() have 31 characters at most and cannot be listed, so segments are ordinary files. This directory
// is root's and sticky, as /dev/shm is, and macOS empties it when it starts.
std::string segment_directory() { return "/private/tmp"; }

int open_unnamed(const std::string& directory, const std::string&, std::string* temporary) {
  static std::atomic<uint32_t> serial{0};
  sweep(directory);
  for (;;) {
    char name[64];
    std::snprintf(name, sizeof name, "%s%d-%u", kUnfinished, static_cast<int>(getpid()),
                  serial.fetch_add(1, std::memory_order_relaxed));
    *temporary = directory + "/" + name;
    const int fd = open(temporary->c_str(), O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
}

bool give_name(int, const std::string& temporary, const std::string& path) {
  const bool given = link(temporary.c_str(), path.c_str()) == 0;
  const int error = errno;
  unlink(temporary.c_str());
  errno = error;
  return given;
}

void forget_unnamed(const std::string& temporary) { unlink(temporary.c_str()); }

int allocate(int fd, uint64_t bytes) {
  fstore_t wanted{};
  wanted.fst_flags = F_ALLOCATEALL;
  wanted.fst_posmode = F_PEOFPOSMODE;
  wanted.fst_length = static_cast<off_t>(bytes);
  if (fcntl(fd, F_PREALLOCATE, &wanted) != 0) {
    return errno == ENOTSUP || errno == EINVAL ? write_zeros(fd, bytes) : errno;
  }
  return ftruncate(fd, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
}

}  // namespace sage::platform
