#include "core/os/temporary_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace sage::platform {
namespace {

// Not the prefix of segments: nobody takes a file for one before it is whole.
constexpr const char* kUnfinished = ".sage-queue-new-";

/// Takes away what creators left who died before they were done: nobody has the lock of such a file.
void sweep(const std::string& directory) {
  DIR* stream = opendir(directory.c_str());
  if (stream == nullptr) return;
  while (const dirent* entry = readdir(stream)) {
    if (std::strncmp(entry->d_name, kUnfinished, std::strlen(kUnfinished)) != 0) continue;
    const std::string path = directory + "/" + entry->d_name;
    const int fd = open(path.c_str(), O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) continue;
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(path.c_str());
    close(fd);
  }
  closedir(stream);
}

}  // namespace

int open_temporary(const std::string& directory, std::string* path) {
  static std::atomic<uint32_t> serial{0};
  sweep(directory);
  for (;;) {
    char name[64];
    std::snprintf(name, sizeof name, "%s%d-%u", kUnfinished, static_cast<int>(getpid()),
                  serial.fetch_add(1, std::memory_order_relaxed));
    *path = directory + "/" + name;
    const int fd = open(path->c_str(), O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
      if (errno == EEXIST) continue;  // another container's process has the same pid
      return -1;
    }
    // Somebody who sweeps may have come in between: then the name is gone, or goes before we have the lock.
    struct stat info;
    if (flock(fd, LOCK_EX) == 0 && fstat(fd, &info) == 0 && info.st_nlink > 0) return fd;
    close(fd);
  }
}

bool name_temporary(int fd, const std::string& temporary, const std::string& path) {
  const bool given = link(temporary.c_str(), path.c_str()) == 0;
  const int error = errno;
  unlink(temporary.c_str());
  flock(fd, LOCK_UN);  // the mapping would keep it
  errno = error;
  return given;
}

}  // namespace sage::platform
