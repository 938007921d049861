// What stands between a caller and its queue, each with a code and a cure of its own. Only what is wrong with the bytes
// of a file is called corrupt: what the system lacks or refuses never is.
#pragma once

#include <string>

#include "core/errors.h"

namespace sage {

/// The file is no whole segment.
[[noreturn]] void fail_corrupt(const std::string& file, const std::string& found);

/// The file is somebody else's, or not for this user.
[[noreturn]] void fail_permission(const std::string& file, const std::string& why);

/// A system call that was to do `doing` ("open", "map", …) with the segment said `error` (errno).
[[noreturn]] void fail_system(const std::string& doing, const std::string& file, int error);

/// Of a system call that is not about one segment.
[[noreturn]] void fail_resources(const std::string& doing, int error);

/// Whether the same may be possible a moment later: descriptors or memory were short.
bool passes(int error);

}  // namespace sage
