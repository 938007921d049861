#include "core/failpoint.h"

#if defined(SAGE_FAILPOINTS)
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

namespace sage {
namespace {

constexpr const char* kNames[] = {
    "none",           "claim_intent",    "claim_won",        "claim_tagged",   "commit_half",   "commit_before",
    "commit_after",   "take_tagged",     "take_won",         "release_before", "release_half",  "release_after",
    "lease_filling",  "lease_published", "lease_ack_before", "requeue_half",   "retake_won",    "recover_marked",
    "recover_leases", "recover_claims",  "recover_takes",    "recover_done",   "shut_half",     "producer_come",
    "producer_gone",  "ring_chosen",     "ring_owed",        "bell_up",        "create_filled", "create_linked",
    "open_read",      "join_seen",       "join_locked",      "join_entry",     "leave_entry",   "retire_marked",
};
static_assert(sizeof kNames / sizeof kNames[0] == static_cast<int>(Point::kCount));

std::atomic<int> armed{0};
std::atomic<int> remaining{0};
std::atomic<char> action_at{'K'};

}  // namespace

void failpoint_arm(Point point, int skip, char action) {
  remaining.store(skip);
  action_at.store(action);
  armed.store(static_cast<int>(point));
}

void failpoint_reached(Point point) {
  if (armed.load(std::memory_order_relaxed) != static_cast<int>(point)) return;
  if (remaining.fetch_sub(1) > 0) return;
  armed.store(0);
  const bool stops = action_at.load() == 'S';
  kill(getpid(), stops ? SIGSTOP : SIGKILL);
  if (getpid() != 1) return;
  // The first process of a pid namespace takes such a signal from nobody inside.
  if (!stops) _exit(kKilledItself);
  usleep(30'000);
}

Point failpoint_named(const char* name) {
  for (int index = 0; index < static_cast<int>(Point::kCount); ++index) {
    if (std::strcmp(kNames[index], name) == 0) return static_cast<Point>(index);
  }
  return Point::kNone;
}

const char* failpoint_name(Point point) { return kNames[static_cast<int>(point)]; }

}  // namespace sage
#endif
