// A forked child is a participant of its own, from whichever call is its first; what it inherited stays its parent's.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string>

#include "loop_bell.h"
#include "simple.h"

using namespace sage;

namespace {

bool is_attached(const Queue& queue, pid_t pid) {
  const auto attached = queue.attached();
  return std::any_of(attached.begin(), attached.end(),
                     [&](const Attached& one) { return one.pid == static_cast<uint32_t>(pid); });
}

/// Whether a child whose first call is this one is attached after it, and its parent still is.
bool makes_a_participant(Queue& queue, const std::function<void(Queue&)>& call) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    call(queue);
    const bool both = is_attached(queue, getpid()) && is_attached(queue, getppid());
    queue.close();
    _exit(both ? 0 : 1);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST(a_child_takes_part_from_its_first_call_on) {
  struct First {
    const char* name;
    std::function<void(Queue&)> call;
  };
  Item item;
  uint32_t count = 0;
  const First calls[] = {
      {"put", [](Queue& queue) { put(queue, "a"); }},
      {"claim", [&](Queue& queue) { queue.claim(1, 7, &item); }},
      {"take", [&](Queue& queue) { queue.take(1, &item, &count); }},
      {"lease", [&](Queue& queue) { queue.lease(&item); }},
      {"lease several", [&](Queue& queue) { queue.lease(1, &item, &count); }},
      {"begin_waiting", [](Queue& queue) { queue.begin_waiting(kGetters); }},
      {"rung", [](Queue& queue) { queue.rung(kGetters); }},
      {"refresh", [](Queue& queue) { queue.refresh(); }},
      {"joined", [](Queue& queue) { queue.joined(); }},
      {"peek",
       [](Queue& queue) {
         std::vector<uint8_t> bytes;
         uint32_t codec = 0;
         queue.peek(&bytes, &codec);
       }},
      {"wait", [](Queue& queue) { queue.wait(kPutters, 1, [] { return false; }); }},
      {"produce", [](Queue& queue) { queue.produce(1); }},
      {"stop_producing", [](Queue& queue) { queue.stop_producing(); }},
      {"shut_down", [](Queue& queue) { queue.shut_down(false); }},
  };
  for (const First& first : calls) {
    auto queue = make(__func__);
    const bool takes_part = makes_a_participant(*queue, first.call);
    if (!takes_part) std::fprintf(stderr, "a child whose first call is %s\n", first.name);
    CHECK(takes_part);
    while (get(*queue) == "a") continue;
  }
}

TEST(a_child_that_stops_waiting_takes_down_no_bell_of_its_parent) {
  auto queue = make(__func__);
  queue->begin_waiting(kGetters);
  const uint32_t bell = queue->bell(kGetters);
  const pid_t child = fork();
  if (child == 0) {
    queue->stop_waiting(kGetters);
    queue->interrupt(kGetters);
    _exit(0);
  }
  CHECK(waitpid(child, nullptr, 0) == child);
  CHECK(queue->bell(kGetters) == bell && bell != Bell::kAwake);
  queue->stop_waiting(kGetters);
}

TEST(an_inherited_handle_that_is_closed_at_once_gives_nothing_of_its_parent_back) {
  auto queue = make(__func__);
  CHECK(put(*queue, "a") == Outcome::kOk);
  Item item;
  CHECK(queue->lease(&item) == Outcome::kOk);
  const pid_t child = fork();
  if (child == 0) {
    queue->close();
    _exit(0);
  }
  CHECK(waitpid(child, nullptr, 0) == child);
  CHECK(is_attached(*queue, getpid()) && get(*queue) == "<none>" && queue->totals().leased == 1);
  queue->ack(item);
}

TEST(a_forked_child_hangs_up_its_own_bell) {
  auto queue = make(__func__);
  int word[2];
  CHECK(pipe(word) == 0);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    const auto is_rung = [&] {  // with a bell that goes, and its file with it
      const LoopBell loop;
      loop.hang_up(*queue, 9);
      sleep_in(*queue);
      return write(word[1], "s", 1) == 1 && loop.rings(kSoonMs) && loop.heard() == Tags{9};
    };
    if (!is_rung()) _exit(1);
    queue->stop_waiting(kGetters);
    const bool got = get(*queue) == "a";
    queue->close();
    _exit(got ? 0 : 2);
  }
  char byte = 0;
  CHECK(read(word[0], &byte, 1) == 1);
  CHECK(put(*queue, "a") == Outcome::kOk);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  for (const int end : word) close(end);
}

TEST(a_wake_that_is_owed_is_paid_by_one_who_never_waited) {
  const SegmentOptions options = options_for(__func__);
  auto first = Queue::open(options, Create::kIfMissing);
  auto second = Queue::open(options, Create::kIfMissing);
  const LoopBell loop;
  sleep_in(*first);
  loop.hang_up(*second, 8);
  sleep_in(*second);
  int joined[2];
  int may[2];
  CHECK(pipe(joined) == 0 && pipe(may) == 0);
  char byte = 0;
  // In a process of its own: here somebody watches already.
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    auto putter = Queue::open(options, Create::kIfMissing);
    if (write(joined[1], "j", 1) != 1 || read(may[0], &byte, 1) != 1) _exit(1);
    if (put(*putter, "a") != Outcome::kOk) _exit(2);
    for (;;) pause();
  }
  CHECK(read(joined[0], &byte, 1) == 1);
  CHECK(loop.heard() == Tags{8});  // it said that it has come
  CHECK(write(may[1], "m", 1) == 1);
  CHECK(loop.rings(kSoonMs) && loop.heard() == Tags{8});  // the first one was rung, and does not answer
  kill(child, SIGKILL);
  CHECK(waitpid(child, nullptr, 0) == child);
  for (const int end : {joined[0], joined[1], may[0], may[1]}) close(end);
  CHECK(get(*second) == "a");
  first->stop_waiting(kGetters);
  second->stop_waiting(kGetters);
}

int main(int argc, char** argv) { return check::main(argc, argv); }
