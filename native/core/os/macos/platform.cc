#include "core/os/platform.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "core/os/temporary_file.h"

namespace sage::platform {
namespace {

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

std::string unsuitable_file_system(const std::string&) { return ""; }

int open_unnamed(const std::string& directory, std::string* temporary) { return open_temporary(directory, temporary); }

bool give_name(int fd, const std::string& temporary, const std::string& path) {
  return name_temporary(fd, temporary, path);
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

// What was reserved and never written counts among the blocks on some of its file systems only.
bool is_allocated(const struct stat&) { return true; }

// There is no pipe2(): a program that another thread executes between these calls has them, and cannot know it.
int open_pipe(int ends[2]) {
  if (pipe(ends) != 0) return -1;
  for (int index = 0; index < 2; ++index) {
    fcntl(ends[index], F_SETFD, FD_CLOEXEC);
    fcntl(ends[index], F_SETFL, O_NONBLOCK);
  }
  return 0;
}

void keep_freed_memory() {}

}  // namespace sage::platform
