// What the campaigns of kills have in common: how many and by which seed, processes that are killed, and the check of
// the history that they leave.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstring>
#include <string>

#include "history.h"
#include "seed.h"
#include "worker.h"

namespace sage {

inline int kills_wanted = 2000;
inline const uint64_t seed_used = chosen_seed();
inline bool apart = false;  // every worker in namespaces of its own

/// The next child belongs to the pid namespace of this process, whatever those before it belonged to.
inline void children_of_this_namespace() {
  const int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  CHECK(own >= 0 && setns(own, CLONE_NEWPID) == 0);
  close(own);
}

/// A worker's process; in the end of the fork that is the worker's, 0.
inline pid_t spawn_process() {
  if (!apart) return fork();
  // The next child is the first process of a new pid namespace; the one after it of another.
  children_of_this_namespace();
  CHECK(unshare(CLONE_NEWPID) == 0);
  const pid_t child = fork();
  if (child == 0) CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET) == 0);
  return child;
}

inline bool was_killed(int status) {
  if (WIFSIGNALED(status)) {
    CHECK(WTERMSIG(status) == SIGKILL);  // an abort is a failed check in a worker
    return true;
  }
  return WEXITSTATUS(status) == kKilledItself;
}

/// Writes one record for each stretch of numbers of which `is` says yes.
template <class Is>
void record(FILE* file, const char* what, int stream, Is is) {
  for (uint32_t number = 0, from = 0; number <= kStreamItems; ++number) {
    if (number < kStreamItems && is(number)) continue;
    if (number > from) std::fprintf(file, "%s %d %u %u\n", what, stream, from, number);
    from = number + 1;
  }
}

/// Has the history of all lives checked by the rules of test/history/check-history.cjs. Returns what that says of it.
inline std::string checked_history(const Arena& arena, int lives) {
  History history;
  FILE* file = history.file();
  for (int life = 0; life < lives; ++life) {
    std::fprintf(file, "put %d 0 %u\n", life, arena.streams[life].attempted.load());
    std::fprintf(file, "ack %d 0 %u\n", life, arena.streams[life].acknowledged.load());
    for (const uint32_t times : {1, 2}) {
      record(file, "got -", life,
             [&](uint32_t number) { return arena.got(static_cast<uint32_t>(life), number).load() >= times; });
    }
    const Log::Hand& hand = arena.hands[life];
    for (uint32_t at = 0; at < hand.count.load(); ++at) {
      std::fprintf(file, "hand %u %u %u\n", hand.streams[at], hand.numbers[at], hand.numbers[at] + 1);
    }
  }
  if (apart) children_of_this_namespace();  // the last one's has ended with its first process
  return history.checked();
}

}  // namespace sage
