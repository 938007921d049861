// What the platforms do differently about files in shared memory, pipes and memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

struct stat;

namespace sage::platform {

extern const size_t kMaxFileName;
extern const int kMapNoReserve;

/// Where segments live unless SAGE_QUEUE_DIR says otherwise.
std::string segment_directory();

/// The file system of a directory, if it is none that queues are known to work on; otherwise nothing.
std::string unsuitable_file_system(const std::string& directory);

/// Opens a file that has no name yet, or where that does not exist one under `temporary`. -1 and errno.
int open_unnamed(const std::string& directory, std::string* temporary);

/// Gives it its name unless that is taken (EEXIST), and takes the temporary one away.
bool give_name(int fd, const std::string& temporary, const std::string& path);

void forget_unnamed(const std::string& temporary);

/// Reserves every byte now, so that none is missing later. 0 or an errno.
int allocate(int fd, uint64_t bytes);

/// Whether every byte of the file has room: one that has none ends who touches it by SIGBUS where none is left. True
/// where the system cannot say.
bool is_allocated(const struct stat& info);

/// A pipe whose ends do not block, nor go to a program that is executed. 0; else -1 and errno.
int open_pipe(int ends[2]);

/// From here on malloc keeps more of the process's memory that is free, for what is allocated next, where it would have
/// returned it to the system.
void keep_freed_memory();

}  // namespace sage::platform
