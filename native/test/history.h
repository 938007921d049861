// What a test saw, written down as text and checked by the rules of test/history/check-history.cjs, where the records
// are told.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "check.h"

namespace sage {

class History {
 public:
  History() {
    const int fd = mkstemp(name_);
    CHECK(fd >= 0);
    file_ = fdopen(fd, "w");
    CHECK(file_ != nullptr);
  }
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  /// For records.
  FILE* file() const { return file_; }

  /// What the checker says of it, in one line. To be asked once.
  std::string checked() {
    std::fclose(file_);
    const std::string command = std::string(SAGE_HISTORY_CHECKER) + " " + name_;
    FILE* checker = popen(command.c_str(), "r");
    CHECK(checker != nullptr);
    char line[256] = "";
    CHECK(std::fgets(line, sizeof line, checker) != nullptr);
    const bool good = pclose(checker) == 0;
    if (!good) std::fprintf(stderr, "the history is in %s\n", name_);
    CHECK(good);
    ::unlink(name_);
    line[std::strcspn(line, "\n")] = 0;
    return line;
  }

 private:
  char name_[32] = "/tmp/sage-queue-history.XXXXXX";
  FILE* file_ = nullptr;
};

}  // namespace sage
