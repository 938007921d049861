#include "core/os/platform.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "core/os/temporary_file.h"

namespace sage::platform {

const size_t kMaxFileName = 255;
const int kMapNoReserve = MAP_NORESERVE;

std::string segment_directory() { return "/dev/shm"; }

std::string unsuitable_file_system(const std::string& directory) {
  // <linux/magic.h>. What shares memory between all who map a file, locks bytes for all who open it, and reserves room.
  constexpr unsigned long kSuitable[] = {0x01021994 /* tmpfs */, 0xef53 /* ext2 to ext4 */, 0x58465342 /* xfs */,
                                         0x9123683e /* btrfs */, 0x794c7630 /* overlay */};
  struct Unsuitable {
    unsigned long type;
    const char* name;
  };
  constexpr Unsuitable kKnown[] = {
      {0x6969, "NFS"},    {0xff534d42, "CIFS"},      {0xfe534d42, "SMB"},  {0x65735546, "FUSE or virtiofs"},
      {0x01021997, "9p"}, {0x958458f6, "hugetlbfs"}, {0x858458f6, "ramfs"}};
  struct statfs info;
  if (statfs(directory.c_str(), &info) != 0) return "";
  const auto type = static_cast<unsigned long>(info.f_type) & 0xffffffffUL;
  for (const unsigned long suitable : kSuitable) {
    if (type == suitable) return "";
  }
  for (const Unsuitable& known : kKnown) {
    if (type == known.type) return known.name;
  }
  char text[32];
  std::snprintf(text, sizeof text, "type 0x%lx", type);
  return text;
}

int open_unnamed(const std::string& directory, std::string* temporary) {
  // A file without a name gets one by way of /proc.
  if (access("/proc/self/fd", X_OK) == 0) {
    const int fd = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
  }
  return open_temporary(directory, temporary);
}

bool give_name(int fd, const std::string& temporary, const std::string& path) {
  if (!temporary.empty()) return name_temporary(fd, temporary, path);
  char self[48];
  std::snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  return linkat(AT_FDCWD, self, AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

void forget_unnamed(const std::string& temporary) {
  if (!temporary.empty()) unlink(temporary.c_str());
}

int allocate(int fd, uint64_t bytes) {
  int error = 0;
  do {
    error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  } while (error == EINTR);
  return error;
}

bool is_allocated(const struct stat& info) {
  constexpr uint64_t kStatBlock = 512;
  return static_cast<uint64_t>(info.st_blocks) * kStatBlock >= static_cast<uint64_t>(info.st_size);
}

int open_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK); }

void keep_freed_memory() {
#if defined(__GLIBC__)
  // Its thresholds follow the largest block with a mapping of its own that was ever freed: up to that size blocks come
  // from the heap, whose end is returned only where twice as much is free. Thresholds that the user set stay.
  constexpr size_t kLargestBlock = 4 * 1024 * 1024 * sizeof(long);
  static const bool done = [] {
    // Of which nothing is touched. Volatile, or the compiler leaves both calls out.
    void* volatile block = std::malloc(kLargestBlock - 2 * static_cast<size_t>(sysconf(_SC_PAGESIZE)));
    std::free(block);
    return true;
  }();
  static_cast<void>(done);
#endif
}

}  // namespace sage::platform
