// How a handle rings the event loops and the blocked threads of others, makes itself known to them, and is rung.
#include <dirent.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/os/nudges.h"
#include "here.h"
#include "loop_bell.h"
#include "simple.h"

using namespace sage;

namespace {

/// Listens for nudges of a segment, as the watchers of all who are attached do.
struct Nudges {
  const int listener = open_nudges();
  explicit Nudges(const Queue& queue) {
    CHECK(listener >= 0 && listen_to(listener, queue.segment().descriptor()) >= 0);
  }
  ~Nudges() { close(listener); }
  bool came() const { return take_nudges(listener); }
};

/// A thread that waits for items in a call, until it is told to stop.
class Blocked {
 public:
  explicit Blocked(Queue& queue) : thread_([this, &queue] { run(queue); }) {
    CHECK(within(kSoonMs, [&] { return queue.bell(kGetters) == Bell::kOnFutex; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // between its last look and the futex
    before_ = tries_;
  }
  ~Blocked() { thread_.join(); }
  /// Whether it has tried again since it slept.
  bool is_woken() const {
    return within(kSoonMs, [&] { return tries_ > before_; });
  }
  void stop() { over_ = true; }
  /// Other threads may use its handle while it sleeps in there.
  void interrupt(Queue& queue) {
    const std::lock_guard<std::mutex> locked(lock_);
    queue.interrupt(kGetters);
  }

 private:
  void run(Queue& queue) {
    const std::lock_guard<std::mutex> locked(lock_);
    const auto attempt = [&] {
      ++tries_;
      return over_ || get(queue) != "<none>";
    };
    queue.wait(kGetters, 60000, attempt, lock_);
  }
  std::mutex lock_;
  std::atomic<bool> over_{false};
  std::atomic<int> tries_{0};
  int before_ = 0;
  std::thread thread_;
};

Watcher::Client& client(Queue& queue) { return queue; }

}  // namespace

TEST(an_event_loop_is_rung_once_with_its_tag_and_by_its_pipe) {
  auto getter = make(__func__);
  auto putter = make(__func__);
  const LoopBell loop;
  loop.hang_up(*getter, 7);
  sleep_in(*getter);
  const Nudges nudges(*getter);
  CHECK(put(*putter, "a") == Outcome::kOk);
  CHECK(loop.heard() == Tags{7} && !nudges.came());
  CHECK(get(*getter) == "a");
  getter->stop_waiting(kGetters);
}

TEST(who_has_no_event_loop_is_rung_without_a_word_to_everybody) {
  auto getter = make(__func__);
  auto putter = make(__func__);
  sleep_in(*getter);
  const Nudges nudges(*getter);
  CHECK(put(*putter, "a") == Outcome::kOk);
  CHECK(getter->bell(kGetters) == Bell::kRung && !nudges.came());
  CHECK(get(*getter) == "a");
  getter->stop_waiting(kGetters);
}

TEST(a_blocked_thread_is_woken_and_its_event_loop_hears_nothing_of_it) {
  auto getter = make(__func__);
  auto putter = make(__func__);
  const LoopBell loop;
  loop.hang_up(*getter);
  Blocked blocked(*getter);
  CHECK(put(*putter, "a") == Outcome::kOk);
  CHECK(blocked.is_woken() && loop.heard().empty());
}

TEST(a_bell_whose_name_is_gone_is_rung_by_a_nudge) {
  auto getter = make(__func__);
  auto putter = make(__func__);
  const LoopBell loop;
  loop.hang_up(*getter, 7);
  sleep_in(*getter);
  char name[32];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(loop.bell->id()));
  const std::string directory = Segment::directory();
  DIR* stream = opendir(directory.c_str());
  CHECK(stream != nullptr);
  while (const dirent* entry = readdir(stream)) {
    if (std::string(entry->d_name).find(name) != std::string::npos) unlink((directory + "/" + entry->d_name).c_str());
  }
  closedir(stream);
  const Nudges nudges(*getter);
  CHECK(put(*putter, "a") == Outcome::kOk);
  CHECK(nudges.came());
  CHECK(loop.rings(kSoonMs) && loop.heard() == Tags{7});  // its own watcher heard of it
  CHECK(get(*getter) == "a");
  getter->stop_waiting(kGetters);
}

TEST(a_newcomer_rings_those_who_sleep_and_nobody_else) {
  auto earlier = make(__func__);
  auto waiter = make(__func__);
  auto awake = make(__func__);
  auto gone = make(__func__);
  const LoopBell loop, loop_of_awake, loop_of_gone;
  loop.hang_up(*waiter, 7);
  loop_of_awake.hang_up(*awake, 8);
  loop_of_gone.hang_up(*gone, 9);
  sleep_in(*waiter);
  const auto& shared = gone->segment().shared();
  uint32_t index = 1;
  while (shared.participants[index].bell_tag.load() != 9) ++index;
  gone->close();
  // As somebody leaves an entry who dies before its bell is down.
  shared.participants[index].bell[kGetters].store(Bell::kInLoop);
  earlier->close();
  auto newcomer = make(__func__);  // at the first entry that is free
  CHECK(loop.heard() == Tags{7} && loop_of_awake.heard().empty() && loop_of_gone.heard().empty());
  waiter->stop_waiting(kGetters);
}

TEST(a_bell_that_is_hung_up_anew_keeps_no_descriptor_of_the_one_before) {
  const LoopBell loop;
  const int without = descriptors_here();
  auto queue = make(__func__);
  loop.hang_up(*queue);
  const int before = descriptors_here();
  for (uint32_t tag = 2; tag < 10; ++tag) loop.hang_up(*queue, tag);
  CHECK(descriptors_here() == before);
  queue->close();
  queue.reset();
  CHECK(descriptors_here() == without);
}

TEST(who_is_nudged_looks_whether_it_was_meant) {
  auto getter = make(__func__);
  auto putter = make(__func__);
  const LoopBell loop;
  loop.hang_up(*getter, 7);
  client(*getter).nudged(true);
  CHECK(loop.heard().empty());  // awake
  sleep_in(*getter);
  client(*getter).nudged(false);
  CHECK(loop.heard().empty());  // asleep, and nobody said a word
  client(*getter).nudged(true);
  CHECK(loop.heard() == Tags{7});  // somebody did: it may have been meant
  CHECK(put(*putter, "a") == Outcome::kOk && loop.heard() == Tags{7});
  client(*getter).nudged(false);
  CHECK(loop.heard() == Tags{7});  // rung, and it may not have heard it
  CHECK(get(*getter) == "a");
  getter->stop_waiting(kGetters);
}

TEST(who_is_nudged_wakes_its_own_blocked_thread) {
  auto getter = make(__func__);
  Blocked blocked(*getter);
  blocked.stop();
  client(*getter).nudged(true);
  CHECK(blocked.is_woken());
}

TEST(what_is_due_later_rings_those_it_is_due_to) {
  auto first = make(__func__);
  auto second = make(__func__);
  auto putter = make(__func__);
  const LoopBell loop_of_first, loop_of_second;
  loop_of_first.hang_up(*first, 7);
  loop_of_second.hang_up(*second, 8);
  sleep_in(*first);
  sleep_in(*second);
  client(*putter).follow_up(kGetters);
  CHECK(loop_of_first.heard().empty() && loop_of_second.heard().empty());  // nothing is there to wake for
  constexpr int kAnnouncement = 3;
  client(*putter).follow_up(kAnnouncement);
  CHECK(loop_of_first.heard() == Tags{7} && loop_of_second.heard() == Tags{8});
  CHECK(put(*putter, "a") == Outcome::kOk);
  client(*putter).follow_up(kGetters);
  CHECK(loop_of_first.rings(kSoonMs) && loop_of_second.rings(kSoonMs));
  CHECK(get(*first) == "a");
  first->stop_waiting(kGetters);
  second->stop_waiting(kGetters);
}

TEST(who_is_interrupted_tries_again) {
  auto getter = make(__func__);
  Blocked blocked(*getter);
  blocked.stop();
  blocked.interrupt(*getter);
  CHECK(blocked.is_woken());
}

TEST(a_newcomer_rings_nobody_at_an_entry_that_is_free) {
  auto queue = make(__func__);
  auto second = make(__func__);
  auto third = make(__func__);
  Participant<StdMemory>& entry = queue->segment().shared().participants[3];
  third->close();
  second->close();
  // As one leaves it who dies before its bell is down, with an event loop that cannot be reached by a pipe.
  entry.bell[kGetters].store(Bell::kInLoop);
  entry.bell_tag.store(1);
  const Nudges nudges(*queue);
  auto newcomer = make(__func__);
  CHECK(queue->segment().shared().participants[2].identity != 0 && entry.identity == 0 && !nudges.came());
}
