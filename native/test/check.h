// The smallest test harness that says what failed: a list of named functions, run in order.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <string>
#include <vector>

namespace check {

struct Case {
  const char* name;
  void (*run)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> list;
  return list;
}

struct Register {
  Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

[[noreturn]] inline void fail(const char* file, int line, const char* what) {
  std::fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
  std::fflush(stderr);
  std::abort();
}

/// Runs the cases whose name contains argv[1]; all without it.
inline int main(int argc, char** argv) {
  int passed = 0;
  for (const Case& one : cases()) {
    if (argc > 1 && std::string(one.name).find(argv[1]) == std::string::npos) continue;
    std::printf("  %s\n", one.name);
    std::fflush(stdout);
    try {
      one.run();
    } catch (const std::exception& thrown) {
      std::fprintf(stderr, "%s\n", thrown.what());
      fail(one.name, 0, "nothing is thrown");
    }
    ++passed;
  }
  std::printf("%d passed, 0 failed\n", passed);
  return passed > 0 ? 0 : 1;
}

}  // namespace check

#define TEST(name)                                             \
  static void name();                                          \
  static const check::Register registered_##name(#name, name); \
  static void name()
#define CHECK(condition)                                           \
  do {                                                             \
    if (!(condition)) check::fail(__FILE__, __LINE__, #condition); \
  } while (false)
