#include "core/os/byte_lock.h"

#include <fcntl.h>

#include <cerrno>

namespace sage {
namespace {

struct flock lock_of(short type, uint64_t offset) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(offset);
  lock.l_len = 1;
  return lock;
}

}  // namespace

int lock_byte(int fd, uint64_t offset, bool shared) {
  struct flock lock = lock_of(shared ? F_RDLCK : F_WRLCK, offset);
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return 0;
  return errno == EACCES ? EAGAIN : errno;
}

void unlock_byte(int fd, uint64_t offset) {
  struct flock lock = lock_of(F_UNLCK, offset);
  fcntl(fd, F_OFD_SETLK, &lock);
}

ByteState byte_state(int fd, uint64_t offset) {
  struct flock lock = lock_of(F_WRLCK, offset);
  if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return ByteState::kUnknown;
  return lock.l_type == F_UNLCK ? ByteState::kFree : ByteState::kLocked;
}

}  // namespace sage
