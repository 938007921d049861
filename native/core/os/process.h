// This process, and the end of others, as the system tells of them.
#pragma once

#include <cstdint>

namespace sage {

/// In which namespaces numbers of this process mean something; 0 where the system does not say.
struct Home {
  uint64_t pid_namespace;
  uint64_t user_namespace;
};
Home own_home();

/// Counts how often the memory of this process became another one's, by fork or a clone: a handle made before belongs
/// to the parent.
uint32_t fork_generation();

/// A descriptor that becomes readable when the process ends. -1 and errno. Whether it is the process that was meant is
/// asked afterwards: if that one still lives, it is.
int open_death_watch(uint32_t pid);

/// Milliseconds of the monotonic clock, wrapping.
uint32_t monotonic_ms();
/// The same as of the last tick, some milliseconds old, for a fraction of the price.
uint32_t coarse_ms();

}  // namespace sage
