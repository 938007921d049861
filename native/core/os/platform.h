// What the platforms do differently about files in shared memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace sage::platform {

extern const size_t kMaxFileName;
extern const int kMapNoReserve;

/// Where segments live.
std::string segment_directory();

/// Opens a file that has no name yet, or where that does not exist one under `temporary`. -1 and errno.
int open_unnamed(const std::string& directory, const std::string& file, std::string* temporary);

/// Gives it its name unless that is taken (EEXIST), and takes the temporary one away.
bool give_name(int fd, const std::string& temporary, const std::string& path);

void forget_unnamed(const std::string& temporary);

/// Reserves every byte now, so that none is missing later. 0 or an errno.
int allocate(int fd, uint64_t bytes);

}  // namespace sage::platform
