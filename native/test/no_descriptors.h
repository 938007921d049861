// A process out of descriptors.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "check.h"

/// Takes every descriptor of this process while it stands. UBSan needs one to look at an object's type, and complains.
class NoDescriptors {
 public:
  NoDescriptors() {
    rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_cur, 256);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (int fd = open("/dev/null", O_RDONLY); fd >= 0; fd = open("/dev/null", O_RDONLY)) taken_.push_back(fd);
    CHECK(errno == EMFILE);
  }
  ~NoDescriptors() {
    for (const int fd : taken_) close(fd);
  }

 private:
  std::vector<int> taken_;
};
