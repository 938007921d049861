// This process, and the end of others, as the system tells of them.
#pragma once

#include <atomic>
#include <cstdint>

namespace sage {

/// In which namespaces numbers of this process mean something; 0 where the system does not say.
struct Home {
  uint64_t pid_namespace;
  uint64_t user_namespace;
};
Home own_home();

/// Of the running system: another one after each start of it, the same in every container. 0 where it does not say.
struct BootId {
  uint64_t high;
  uint64_t low;
};
BootId own_boot();
/// From the text of a UUID; 0 for anything else.
BootId parse_boot(const char* text);

/// Where the generation of forks stands. 0 there: the memory is a copy, and nobody has asked yet.
extern std::atomic<std::atomic<uint32_t>*> fork_word;
uint32_t next_fork_generation();

/// Counts how often the memory of this process became another one's, by fork or a clone: a handle made before belongs
/// to the parent. Every operation asks.
inline uint32_t fork_generation() {
  const uint32_t known = fork_word.load(std::memory_order_relaxed)->load(std::memory_order_relaxed);
  return known != 0 ? known : next_fork_generation();
}

/// A descriptor that becomes readable when the process ends. -1 and errno. Whether it is the process that was meant is
/// asked afterwards: if that one still lives, it is.
int open_death_watch(uint32_t pid);

/// Milliseconds of the monotonic clock, wrapping.
uint32_t monotonic_ms();
/// The same as of the last tick, some milliseconds old, for a fraction of the price.
uint32_t coarse_ms();

}  // namespace sage
