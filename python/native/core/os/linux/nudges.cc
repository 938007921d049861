#include "core/os/nudges.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cstdio>

#include "core/segment/layout.h"

namespace sage {

int open_nudges() { return inotify_init1(IN_NONBLOCK | IN_CLOEXEC); }

int listen_to(int nudges, int segment) {
  char self[48];
  std::snprintf(self, sizeof self, "/proc/self/fd/%d", segment);
  return inotify_add_watch(nudges, self, IN_MODIFY);
}

void stop_listening(int nudges, int number) { inotify_rm_watch(nudges, number); }

bool take_nudges(int nudges) {
  alignas(inotify_event) char events[4096];
  bool any = false;
  while (read(nudges, events, sizeof events) > 0) any = true;
  return any;
}

bool nudge(int segment) { return pwrite(segment, "", 1, static_cast<off_t>(kNudgeByte)) == 1; }

}  // namespace sage
