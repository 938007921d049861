// Who is alive. A process is known by its pid and start time; dead needs proof, never a timeout.
#pragma once

#include <cstdint>

namespace sage {

/// Identity word of this process (state live), right also in a forked child.
uint64_t self_identity();

/// Counts forks of this process: a handle made before one belongs to the parent.
uint32_t fork_generation();

/// Inode of the pid namespace, 0 where there is none.
uint64_t pid_namespace();

/// Proven dead: gone, another start time, or a zombie whose last thread has ended.
bool is_dead(uint64_t identity);

/// A descriptor that becomes readable when the process ends, -1 when it is gone already or there is no such thing.
int open_death_watch(uint64_t identity);

/// Whether a process here can ring another one's pipe at all. Where not, whoever waits looks by itself now and then.
bool can_ring_pipes();

/// Rings another process's pipe: opens `fd` of the process if it still is the pipe with that inode. -1 and errno when
/// it cannot.
int open_pipe_of(uint64_t identity, uint32_t fd, uint64_t inode);

/// Milliseconds of the monotonic clock, wrapping.
uint32_t monotonic_ms();
/// The same as of the last tick, some milliseconds old, for a fraction of the price.
uint32_t coarse_ms();

}  // namespace sage
