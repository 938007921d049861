// A file under a name of its own until it is whole, where the system knows none without a name.
#pragma once

#include <string>

namespace sage::platform {

/// Makes one, and takes away those whose makers died. -1 and errno. Its maker holds its flock while the name stands.
int open_temporary(const std::string& directory, std::string* path);

/// Gives it its final name unless that is taken (EEXIST), and takes the temporary one away.
bool name_temporary(int fd, const std::string& temporary, const std::string& path);

}  // namespace sage::platform
