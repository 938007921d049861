// Processes that run out of descriptors or threads, or that fork beside the watcher's thread: they end, and wake
// others.
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "c_api/sage_queue.h"
#include "check.h"
#include "core/errors.h"
#include "core/handle/queue.h"
#include "here.h"
#include "loop_bell.h"
#include "no_descriptors.h"
#include "one_item.h"

using namespace sage;

namespace {

constexpr int kStuckSeconds = 10;

std::atomic<bool> no_threads{false};

SegmentOptions options_for(const char* test) {
  SegmentOptions options;
  options.name = std::string("test+") + test + "." + std::to_string(getpgrp()) + "." + std::to_string(getpid());
  options.queue_id = test;
  options.maxsize = 8;
  options.capacity_bytes = 4096;
  return options;
}

/// A child that is killed when it gets stuck, and with which the test then fails.
template <class Body>
pid_t in_child(Body body) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child > 0) return child;
  alarm(kStuckSeconds);
  body();
  _exit(0);
}

bool ends_well(pid_t child) {
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// A client of the watcher that nobody's death matters to, and that keeps it until it may go on.
struct Onlooker : Watcher::Client {
  std::atomic<bool>* const go_on;
  std::atomic<int> asked{0};
  explicit Onlooker(std::atomic<bool>* goes_on = nullptr) : go_on(goes_on) {}
  std::vector<Watcher::Peer> peers() override {
    ++asked;
    while (go_on != nullptr && !*go_on) nap();
    return {};
  }
  void look_after_peers() override {}
  void follow_up(int) override {}
  void nudged(bool) override {}
  int segment_descriptor() const override { return -1; }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) int pthread_create(pthread_t* thread, const pthread_attr_t* how,
                                                                     void* (*start)(void*), void* given) noexcept {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  return no_threads ? EAGAIN : create(thread, how, start, given);
}

TEST(a_watcher_that_got_no_pipe_ends_with_its_last_client) {
  const pid_t child = in_child([] {
    Onlooker onlooker;
    {
      const NoDescriptors none;
      Watcher::instance().add(&onlooker);
      CHECK(within(2000, [&] { return onlooker.asked > 0; }));  // from here on it sleeps, or is about to
    }
    Watcher::instance().remove(&onlooker);
  });
  CHECK(ends_well(child));
}

TEST(a_watcher_without_a_pipe_notices_deaths_and_newcomers) {
  const SegmentOptions options = options_for("deaths");
  int word[2];
  CHECK(pipe(word) == 0);
  const pid_t watcher = in_child([&] {
    auto queue = Queue::open(options, Create::kIfMissing);
    const NoDescriptors none;
    queue->begin_waiting(kGetters);
    CHECK(write(word[1], "p", 1) == 1);
    for (;;) pause();
  });
  char byte = 0;
  CHECK(read(word[0], &byte, 1) == 1);
  // It only reads, and is nobody's peer: it neither asks after the dead nor gives the watcher a reason to.
  const auto onlooker = Queue::inspect(Segment::open_file(Segment::file_of(options.name)));
  const pid_t newcomer = in_child([&] {
    auto queue = Queue::open(options, Create::kIfMissing);
    CHECK(put(*queue));
    Item item;
    CHECK(queue->lease(&item) == Outcome::kOk);
    kill(getpid(), SIGKILL);
  });
  CHECK(waitpid(newcomer, nullptr, 0) == newcomer);
  CHECK(within(2000, [&] { return onlooker->totals().recovered == 1 && onlooker->size() == 1; }));
  kill(watcher, SIGKILL);
  waitpid(watcher, nullptr, 0);
  CHECK(onlooker->remove_if_unused(true));
  for (const int end : word) close(end);
}

TEST(a_loop_whose_doorbell_lacked_a_descriptor_is_told_so_and_gets_one_once_there_is_one) {
  CHECK(ends_well(in_child([] {
    sq_bell* bell = nullptr;
    {
      const NoDescriptors none;
      CHECK(sq_bell_open(0600, 0, &bell) == SQ_FAILED && bell == nullptr);
      CHECK(std::string(sq_error_code()) == "ERR_SEGMENT_RESOURCES");
    }
    CHECK(sq_bell_open(0600, 0, &bell) == SQ_OK && sq_bell_fd(bell) >= 0);
    sq_bell_close(bell);
  })));
}

TEST(an_onlooker_whose_ring_lacked_a_descriptor_starts_no_thread) {
  const SegmentOptions options = options_for("looking+on");
  auto queue = Queue::open(options, Create::kIfMissing);
  const LoopBell bell;
  bell.hang_up(*queue);
  const pid_t dead = in_child([&] {
    auto own = Queue::open(options, Create::kNever);
    kill(getpid(), SIGKILL);
  });
  CHECK(waitpid(dead, nullptr, 0) == dead);
  // Asleep, and not looked after by a watcher, which would be the first to find the dead.
  queue->segment().shared().participants[1].bell[kGetters].store(Bell::kInLoop);
  CHECK(ends_well(in_child([&] {
    const auto onlooker = Queue::inspect(Segment::open_file(Segment::file_of(options.name)));
    {
      const NoDescriptors none;
      CHECK(onlooker->reap() == 1);
    }
    CHECK(threads_here() == 1);
  })));
  CHECK(queue->bell(kGetters) == Bell::kRungWithAll && !bell.rings(0));
}

TEST(a_ring_that_lacked_a_descriptor_is_sent_once_there_is_one) {
  for (const bool shut : {false, true}) {
    const SegmentOptions options = options_for("rung");
    auto queue = Queue::open(options, Create::kIfMissing);
    const LoopBell bell;
    int word[2];
    int answer[2];
    CHECK(pipe(word) == 0 && pipe(answer) == 0);
    char byte = 0;
    const pid_t ringer = in_child([&] {
      auto own = Queue::open(options, Create::kIfMissing);
      // It has not rung there yet: the other one begins to wait only now.
      CHECK(write(word[1], "o", 1) == 1 && read(answer[0], &byte, 1) == 1);
      {
        const NoDescriptors none;
        if (shut) {
          own->shut_down(false);
        } else {
          CHECK(put(*own));
        }
        CHECK(!bell.rings(200));
      }
      CHECK(write(word[1], "f", 1) == 1);
      for (;;) pause();
    });
    CHECK(read(word[0], &byte, 1) == 1);
    bell.hang_up(*queue);
    queue->begin_waiting(kGetters);
    CHECK(write(answer[1], "w", 1) == 1);
    CHECK(read(word[0], &byte, 1) == 1);
    CHECK(bell.rings(2000));
    CHECK(queue->bell(kGetters) == (shut ? Bell::kRungWithAll : Bell::kRung));
    kill(ringer, SIGKILL);
    waitpid(ringer, nullptr, 0);
    CHECK(shut || take(*queue));
    for (const int end : {word[0], word[1], answer[0], answer[1]}) close(end);
  }
}

TEST(a_bell_that_not_everybody_can_ring_says_so_and_is_hung_up_whole_once_there_are_descriptors) {
  const pid_t child = in_child([] {
    auto queue = Queue::open(options_for("nudges"), Create::kIfMissing);
    const LoopBell bell;
    {
      const NoDescriptors none;
      CHECK(!bell.hang_up(*queue));
    }
    CHECK(bell.hang_up(*queue));
    queue->close();
  });
  CHECK(ends_well(child));
}

TEST(a_handle_works_without_a_watcher_and_tries_again_at_the_next_wait) {
  const pid_t child = in_child([] {
    auto queue = Queue::open(options_for("threads"), Create::kIfMissing);
    no_threads = true;
    queue->begin_waiting(kGetters);
    sigset_t blocked;
    CHECK(pthread_sigmask(SIG_BLOCK, nullptr, &blocked) == 0 && sigismember(&blocked, SIGTERM) == 0);
    CHECK(queue->must_poll());  // nobody else looks after its peers now
    queue->stop_waiting(kGetters);
    CHECK(put(*queue) && take(*queue));
    no_threads = false;
    queue->begin_waiting(kGetters);
    CHECK(!queue->must_poll());
    queue->stop_waiting(kGetters);
    no_threads = true;
    auto second = Queue::open(options_for("second"), Create::kIfMissing);
    second->close();
    queue->close();
    auto third = Queue::open(options_for("third"), Create::kIfMissing);
    third->begin_waiting(kGetters);
    third->stop_waiting(kGetters);
    third->close();
  });
  CHECK(ends_well(child));
}

TEST(a_child_forked_while_the_watcher_is_at_work_can_wait_and_close) {
  std::atomic<bool> go_on{false};
  Onlooker onlooker(&go_on);
  Watcher::instance().add(&onlooker);
  CHECK(within(2000, [&] { return onlooker.asked > 0; }));  // the watcher's lock is held from here on
  const pid_t child = in_child([] {
    auto queue = Queue::open(options_for("child"), Create::kIfMissing);
    queue->begin_waiting(kGetters);
    queue->stop_waiting(kGetters);
    queue->close();
  });
  const bool well = ends_well(child);
  go_on = true;
  Watcher::instance().remove(&onlooker);
  CHECK(well);
}

TEST(a_child_whose_queue_was_removed_before_its_first_call_is_told_so) {
  const SegmentOptions options = options_for("removed");
  auto queue = Queue::open(options, Create::kIfMissing);
  int word[2];
  CHECK(pipe(word) == 0);
  const pid_t child = in_child([&] {
    char byte = 0;
    CHECK(read(word[0], &byte, 1) == 1);
    for (int attempt = 0; attempt < 2; ++attempt) {
      std::string code;
      try {
        put(*queue);
      } catch (const SegmentFailure& failure) {
        code = failure.code();
      }
      CHECK(code == "ERR_QUEUE_NOT_FOUND");
    }
    queue->close();
  });
  queue->close();
  CHECK(Queue::open(options, Create::kIfMissing)->created());
  CHECK(write(word[1], "c", 1) == 1);
  CHECK(ends_well(child));
  for (const int end : word) close(end);
}

TEST(a_child_goes_on_with_a_queue_whose_name_was_taken_away) {
  auto queue = Queue::open(options_for("unlinked"), Create::kIfMissing);
  queue->unlink();
  CHECK(ends_well(in_child([&] {
    CHECK(put(*queue));
    queue->close();
  })));
  CHECK(take(*queue));
}

/// Two getters of this process, of which the first is rung and does not come to it; the second is due to a follow-up.
struct TwoWaiters {
  std::unique_ptr<Queue> first;
  std::unique_ptr<Queue> second;
  explicit TwoWaiters(const SegmentOptions& options)
      : first(Queue::open(options, Create::kIfMissing)), second(Queue::open(options, Create::kIfMissing)) {}
  ~TwoWaiters() {
    for (auto* getter : {first.get(), second.get()}) getter->stop_waiting(kGetters);
    while (take(*first)) {
    }
  }
  void sleep() {
    for (auto* getter : {first.get(), second.get()}) {
      getter->rung(kGetters);
      getter->begin_waiting(kGetters);
    }
  }
  bool followed_up() {
    return within(kStuckSeconds * 1000, [&] { return second->bell(kGetters) == Bell::kRungWithAll; });
  }
};

TEST(a_child_follows_up_its_own_wakes_when_it_was_forked_while_one_of_its_parents_was_due) {
  const SegmentOptions options = options_for("due");
  TwoWaiters waiters(options);
  auto putter = Queue::open(options, Create::kIfMissing);
  int word[2];
  CHECK(pipe(word) == 0);
  waiters.sleep();
  CHECK(put(*putter));
  const pid_t child = in_child([&] {
    char byte = 0;
    CHECK(read(word[0], &byte, 1) == 1);
    CHECK(put(*putter));
    CHECK(read(word[0], &byte, 1) == 1);
    putter->close();
  });
  CHECK(waiters.followed_up());
  waiters.sleep();
  CHECK(write(word[1], "c", 1) == 1);
  CHECK(waiters.followed_up());
  CHECK(write(word[1], "c", 1) == 1);
  CHECK(ends_well(child));
  for (const int end : word) close(end);
}

TEST(who_could_not_follow_up_a_wake_for_lack_of_a_thread_follows_up_the_next) {
  const SegmentOptions options = options_for("no+thread");
  TwoWaiters waiters(options);
  int word[2];
  int answer[2];
  CHECK(pipe(word) == 0 && pipe(answer) == 0);
  char byte = 0;
  waiters.sleep();
  const pid_t child = in_child([&] {
    auto putter = Queue::open(options, Create::kIfMissing);
    no_threads = true;
    CHECK(put(*putter));
    no_threads = false;
    CHECK(write(word[1], "p", 1) == 1 && read(answer[0], &byte, 1) == 1);
    CHECK(put(*putter));
    CHECK(read(answer[0], &byte, 1) == 1);
    putter->close();
  });
  CHECK(read(word[0], &byte, 1) == 1);
  CHECK(waiters.second->bell(kGetters) == Bell::kInLoop);
  waiters.sleep();
  CHECK(write(answer[1], "a", 1) == 1);
  CHECK(waiters.followed_up());
  CHECK(write(answer[1], "a", 1) == 1);
  CHECK(ends_well(child));
  for (const int end : {word[0], word[1], answer[0], answer[1]}) close(end);
}

TEST(a_follow_up_that_a_pause_does_in_vain_does_not_bring_the_watcher_back) {
  const SegmentOptions options = options_for("paused");
  auto sleeper = Queue::open(options, Create::kIfMissing);
  const LoopBell bell;
  bell.hang_up(*sleeper);
  int word[2];
  int answer[2];
  CHECK(pipe(word) == 0 && pipe(answer) == 0);
  char byte = 0;
  const pid_t child = in_child([&] {
    auto putter = Queue::open(options, Create::kIfMissing);
    // It has not rung there yet: the other one begins to wait only now.
    CHECK(write(word[1], "o", 1) == 1 && read(answer[0], &byte, 1) == 1);
    {
      const NoDescriptors none;
      CHECK(put(*putter));  // its ring does not get through, and is due again and again
      Watcher::instance().pause();
      CHECK(Watcher::is_paused());
    }
    Watcher::instance().resume();
    CHECK(bell.rings(kSoonMs));
    putter->close();
  });
  CHECK(read(word[0], &byte, 1) == 1);
  sleeper->begin_waiting(kGetters);
  CHECK(write(answer[1], "s", 1) == 1);
  CHECK(ends_well(child));
  sleeper->stop_waiting(kGetters);
  CHECK(take(*sleeper));
  for (const int end : {word[0], word[1], answer[0], answer[1]}) close(end);
}

int main(int argc, char** argv) { return check::main(argc, argv); }
