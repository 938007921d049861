#include "core/os/platform.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace sage::platform {

const size_t kMaxFileName = 255;
const int kMapNoReserve = MAP_NORESERVE;

std::string segment_directory() { return "/dev/shm"; }

int open_unnamed(const std::string& directory, const std::string&, std::string*) {
  return open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

bool give_name(int fd, const std::string&, const std::string& path) {
  char self[48];
  std::snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  return linkat(AT_FDCWD, self, AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

void forget_unnamed(const std::string&) {}

int allocate(int fd, uint64_t bytes) {
  int error = 0;
  do {
    error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  } while (error == EINTR);
  return error;
}

}  // namespace sage::platform
