#include "core/os/life_lock.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/sysctl.h>
#include <unistd.h>

#include <cerrno>

namespace sage {
namespace {

enum class Found { kProcess, kNobody, kUnknown };

struct Status {
  bool zombie = false;
  uint64_t start = 0;  // microseconds since the epoch
};

Found read_status(uint32_t pid, Status* status) {
  int query[4] = {CTL_KERN, KERN_PROC, KERN_PROC_PID, static_cast<int>(pid)};
  kinfo_proc process{};
  size_t bytes = sizeof process;
  if (sysctl(query, 4, &process, &bytes, nullptr, 0) != 0) return errno == ESRCH ? Found::kNobody : Found::kUnknown;
  if (bytes < sizeof process || process.kp_proc.p_pid != static_cast<pid_t>(pid)) return Found::kNobody;
  const timeval start = process.kp_proc.p_starttime;
  status->start = static_cast<uint64_t>(start.tv_sec) * 1000000 + static_cast<uint64_t>(start.tv_usec);
  status->zombie = process.kp_proc.p_stat == SZOMB;
  return Found::kProcess;
}

bool has_name(const std::string& path, int fd) {
  struct stat named;
  struct stat open;
  return stat(path.c_str(), &named) == 0 && fstat(fd, &open) == 0 && named.st_ino == open.st_ino &&
         named.st_dev == open.st_dev;
}

}  // namespace

bool LifeLock::open(const std::string& path, int segment, bool nameless) { return nameless || has_name(path, segment); }

uint64_t LifeLock::claim(uint32_t, Participant<StdMemory>*) {
  const uint32_t pid = static_cast<uint32_t>(getpid());
  Status status;
  read_status(pid, &status);
  return Identity::make(pid, status.start, Identity::kLive);
}

void LifeLock::give_up(uint32_t) {}
void LifeLock::keep() {}
void LifeLock::release() {}
void LifeLock::forget() {}

bool is_dead(int, uint32_t, uint64_t identity) {
  const uint32_t pid = Identity::pid(identity);
  Status status;
  switch (read_status(pid, &status)) {
    case Found::kNobody:
      return kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
    case Found::kUnknown:
      return false;
    case Found::kProcess:
      break;
  }
  const uint64_t found = Identity::make(pid, status.start, Identity::kLive);
  return (Identity::tenure(identity) != 0 && Identity::tenure(found) != Identity::tenure(identity)) || status.zombie;
}

}  // namespace sage
