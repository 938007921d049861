#include "core/os/byte_lock.h"

#include <cerrno>

namespace sage {

// Its locks of open file descriptions are not documented.
int lock_byte(int, uint64_t, bool) { return ENOTSUP; }

void unlock_byte(int, uint64_t) {}

ByteState byte_state(int, uint64_t) { return ByteState::kUnknown; }

}  // namespace sage
