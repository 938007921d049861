// Locks on single bytes of a file, held by an open file description and let go of by the kernel with its last
// reference.
#pragma once

#include <cstdint>

namespace sage {

enum class ByteState {
  kFree,
  kLocked,
  kUnknown  // the system does not say: nothing follows from it
};

/// Locks a byte through `fd` without waiting, against everybody or (`shared`) only against who would lock it so. 0 or
/// an errno; EAGAIN: another one has it.
int lock_byte(int fd, uint64_t offset, bool shared);

/// Lets go of a byte that was locked through `fd`.
void unlock_byte(int fd, uint64_t offset);

/// Whether another open file description than that of `fd` has the byte locked in any way.
ByteState byte_state(int fd, uint64_t offset);

}  // namespace sage
