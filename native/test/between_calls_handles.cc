// A handle whose system calls find something else than the ones before, or fail; and what a fork beside the watcher's
// thread has of what that one is at.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "here.h"
#include "interposed.h"
#include "loop_bell.h"
#include "simple.h"

using namespace sage;

namespace {

bool is_bell(const char* path) { return std::strstr(path, "/sage-queue-bell+") != nullptr; }

}  // namespace

TEST(a_name_that_leads_to_another_file_each_time_is_said_to_be_of_no_use) {
  const SegmentOptions options = options_for(__func__);
  const auto first = Queue::open(options, Create::kIfMissing);
  const std::string path = first->segment().path();
  constexpr int kForEver = 10000;
  Interposed system;
  int opened = 0;
  system->open = [&](const char* name, int how, mode_t mode) {
    const bool elsewhere = path == name && ++opened % 2 == 0 && opened < kForEver;
    return ::open(elsewhere ? "/dev/null" : name, how, mode);
  };
  CHECK(code_of([&] { Queue::open(options, Create::kIfMissing); }) == "ERR_SEGMENT_UNSUPPORTED");
  opened = kForEver;
  CHECK(put(*Queue::open(options, Create::kNever), "a") == Outcome::kOk && get(*first) == "a");
}

TEST(a_name_that_leads_elsewhere_once_is_not_taken_away) {
  const SegmentOptions options = options_for(__func__);
  const auto first = Queue::open(options, Create::kIfMissing);
  const std::string path = first->segment().path();
  Interposed system;
  int opened = 0;
  system->open = [&](const char* name, int how, mode_t mode) {
    const bool elsewhere = path == name && ++opened == 2;
    return ::open(elsewhere ? "/dev/null" : name, how, mode);
  };
  const auto second = Queue::open(options, Create::kIfMissing);
  CHECK(opened > 2 && !second->created() && put(*second, "a") == Outcome::kOk && get(*first) == "a");
}

TEST(where_the_system_tells_of_no_namespace_no_pid_means_anything) {
  Interposed system;
  system->stat = [](const char* path, struct stat* info) {
    return std::strncmp(path, "/proc/self/ns/", 14) == 0 ? failing(ENOENT) : ::stat(path, info);
  };
  const auto queue = make(__func__);
  const auto other = make(__func__);
  const auto peers = static_cast<Watcher::Client&>(*queue).peers();
  CHECK(peers.size() == 1 && peers[0].pid == static_cast<uint32_t>(getpid()) && !peers[0].near);
}

TEST(a_child_that_is_forked_while_the_watcher_rings_rings_itself) {
  const SegmentOptions options = options_for(__func__);
  const auto first = Queue::open(options, Create::kIfMissing);
  const auto second = Queue::open(options, Create::kIfMissing);
  const auto putter = Queue::open(options, Create::kIfMissing);
  const LoopBell loops[2];
  for (const auto& [queue, loop] : {std::pair{&first, &loops[0]}, {&second, &loops[1]}}) {
    loop->hang_up(**queue);
    sleep_in(**queue);
  }
  Interposed system;
  std::atomic<bool> rings{false};
  std::atomic<bool> may_go_on{false};
  system->open = [&](const char* path, int how, mode_t mode) {
    if (is_bell(path) && Watcher::is_this_thread()) {
      rings = true;
      while (!may_go_on) nap();
    }
    return ::open(path, how, mode);
  };
  CHECK(put(*putter, "a") == Outcome::kOk && loops[0].rings(kSoonMs));
  CHECK(within(kSoonMs, [&] { return rings == true; }));  // the one who was rung does not answer
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(kSoonMs / 1000);
    _exit(put(*putter, "b") == Outcome::kOk && loops[1].rings(0) ? 0 : 1);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  may_go_on = true;
  putter->close();  // and the watcher is done with it
  CHECK(get(*second) == "a" && get(*second) == "b");
  first->stop_waiting(kGetters);
  second->stop_waiting(kGetters);
}
