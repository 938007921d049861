// What the tests wait for, and what of this process they look at.
#pragma once

#include <dirent.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "check.h"
#include "core/errors.h"
#include "core/os/process.h"

namespace sage {

/// So long at most until something happens, on however busy a machine.
constexpr int kSoonMs = 5000;

inline void nap(int milliseconds = 1) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); }

template <class Condition>
bool within(uint32_t milliseconds, Condition condition) {
  for (const uint32_t start = monotonic_ms(); !condition(); nap()) {
    if (monotonic_ms() - start > milliseconds) return false;
  }
  return true;
}

/// Entries of a folder of this process's /proc.
inline int count_of(const char* folder) {
  int count = 0;
  DIR* stream = opendir(folder);
  CHECK(stream != nullptr);
  while (const dirent* entry = readdir(stream)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(stream);
  return count;
}
inline int threads_here() { return count_of("/proc/self/task"); }
inline int descriptors_here() { return count_of("/proc/self/fd"); }

/// Of the failure that the call ends with; empty: with none.
inline std::string code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const SegmentFailure& failure) {
    return failure.code();
  }
  return "";
}

}  // namespace sage
