// Forked children of the C layer, with threads asleep in it: no lock is inherited, and no thread is left beside a fork.
#include <dirent.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <thread>

#include "check.h"
#include "sage_queue.hpp"

using namespace sage_queue;

namespace {

Options options_for(const char* test) {
  Options options;
  options.name = std::string("c.") + test + "." + std::to_string(getpid());
  options.capacity_bytes = 65536;
  return options;
}

/// Runs `body` in a child; what it says is whether that went well.
bool in_child(const std::function<bool()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int threads_of_this_process() {
  int count = 0;
  DIR* folder = opendir("/proc/self/task");
  while (const dirent* entry = readdir(folder)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(folder);
  return count;
}

void wait_until(const std::function<bool()>& true_by_then) {
  for (int tries = 0; tries < 2000 && !true_by_then(); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(true_by_then());
}

uint32_t waiting_getters(Queue& queue) {
  sq_totals totals{};
  totals.struct_size = sizeof totals;
  sage_queue::check(sq_stats(queue.handle(), &totals));
  return totals.waiting_getters;
}

}  // namespace

TEST(a_child_goes_on_beside_threads_that_sleep) {
  Queue queue(options_for(__func__));
  std::thread waiter([&] {
    const auto one = queue.get();
    CHECK(one && one->text() == "for the waiter");
  });
  wait_until([&] { return waiting_getters(queue) == 1; });
  std::thread behind([&] {
    const auto one = queue.get();
    CHECK(one && one->text() == "for the one behind");
  });
  for (int lap = 0; lap < 20; ++lap) {
    CHECK(in_child([&] {
      const bool nothing = !queue.get(1);
      return nothing && queue.size() == 0;
    }));
  }
  CHECK(in_child([&] {
    queue.put("for the waiter");
    queue.put("for the one behind");
    return true;
  }));
  waiter.join();
  behind.join();
}

TEST(what_its_parent_holds_is_not_a_childs_to_end) {
  Queue queue(options_for(__func__));
  sq_queue* const handle = queue.handle();
  queue.put("leased");
  queue.put("taken");
  sq_item leased;
  sq_item taken;
  sq_item claimed;
  uint32_t count = 0;
  CHECK(sq_lease(handle, 1, 0, &leased, &count, 0) == SQ_OK && sq_take(handle, 1, 0, &taken, &count, 0) == SQ_OK);
  CHECK(sq_claim(handle, 7, SQ_RAW, &claimed, 0) == SQ_OK);
  CHECK(in_child([&] {
    const bool refused = sq_ack(handle, &leased, 1) == SQ_INVALID && sq_release(handle, &leased, 1) == SQ_INVALID &&
                         sq_finish(handle, &taken, 1, 1) == SQ_INVALID &&
                         sq_finish(handle, &taken, 1, 0) == SQ_INVALID && sq_commit(handle, &claimed) == SQ_INVALID &&
                         sq_abort(handle, &claimed) == SQ_INVALID;
    return refused && !queue.get(kNotAtAll);
  }));
  std::copy_n("claimed", 7, claimed.data);
  CHECK(sq_commit(handle, &claimed) == SQ_OK && queue.get()->text() == "claimed");
  CHECK(sq_finish(handle, &taken, 1, 0) == SQ_OK && queue.get()->text() == "taken");
  CHECK(sq_release(handle, &leased, 1) == SQ_OK);
  auto again = queue.lease();
  CHECK(again && again->bytes().text() == "leased" && again->deliveries() == 2);
  again->ack();
  CHECK(queue.join(kNotAtAll));
}

TEST(a_child_ends_its_own_leases_and_none_of_those_among_which_one_is_its_parents) {
  Queue queue(options_for(__func__));
  sq_item leases[2];
  uint32_t count = 0;
  queue.put("the parent's");
  queue.put("the child's");
  CHECK(sq_lease(queue.handle(), 1, 0, &leases[0], &count, 0) == SQ_OK);
  CHECK(in_child([&] {
    return sq_lease(queue.handle(), 1, 0, &leases[1], &count, 0) == SQ_OK &&
           sq_ack(queue.handle(), leases, 2) == SQ_INVALID && sq_release(queue.handle(), &leases[1], 1) == SQ_OK;
  }));
  CHECK(queue.get()->text() == "the child's" && sq_ack(queue.handle(), &leases[0], 1) == SQ_OK);
  CHECK(queue.join(kNotAtAll));
}

TEST(a_child_that_unwinds_gives_nothing_of_its_parent_back) {
  Queue queue(options_for(__func__));
  queue.put("leased");
  queue.put("in hand");
  auto lease = queue.lease();
  Claim claim = queue.claim(7);
  pid_t child = -1;
  try {
    queue.for_each(1, [&](Bytes, uint32_t) {
      child = fork();
      if (child == 0) throw std::runtime_error("for the child to unwind");
      CHECK(child > 0 && waitpid(child, nullptr, 0) == child);
      CHECK(!queue.get(kNotAtAll));
    });
  } catch (const std::runtime_error&) {
    if (child != 0) throw;
    lease.reset();
    { const Claim given_up = std::move(claim); }
    _exit(0);
  }
  std::copy_n("claimed", 7, claim.data());
  claim.commit();
  CHECK(queue.get()->text() == "claimed" && !queue.get(kNotAtAll));
  lease->ack();
  CHECK(queue.join(kNotAtAll));
}

TEST(no_thread_stands_beside_a_fork) {
  Queue queue(options_for(__func__));
  Queue other(options_for(__func__));
  CHECK(!queue.get(20));  // it has the watcher by now
  CHECK(threads_of_this_process() == 2);
  CHECK(in_child([] { return threads_of_this_process() == 1; }));
  CHECK(threads_of_this_process() == 1);
  CHECK(!queue.get(20));
  CHECK(threads_of_this_process() == 2);
}

TEST(a_death_is_noticed_after_a_fork) {
  Queue queue(options_for(__func__));
  queue.put("once");
  CHECK(!in_child([&]() -> bool {
    const auto lease = queue.lease();
    CHECK(lease && lease->deliveries() == 1);
    _exit(7);  // with the lease
  }));
  auto again = queue.lease();
  CHECK(again && again->deliveries() == 2 && again->crashes() == 1);
  again->ack();  // a queue with something in it would stay
}

/// The fork ends the watcher; who is asleep brings it back by itself.
TEST(a_waiter_hears_of_a_death_after_a_fork) {
  Queue queue(options_for(__func__));
  queue.put("once");
  int ready[2];
  CHECK(pipe(ready) == 0);
  const pid_t holder = fork();
  if (holder == 0) {
    alarm(20);
    const auto lease = queue.lease();
    CHECK(lease && write(ready[1], "", 1) == 1);
    pause();
    _exit(0);
  }
  char byte = 0;
  CHECK(read(ready[0], &byte, 1) == 1);
  std::thread waiter([&] {
    auto lease = queue.lease();
    CHECK(lease && lease->deliveries() == 2);
    lease->ack();
  });
  wait_until([&] { return waiting_getters(queue) == 1; });
  CHECK(in_child([] { return true; }));
  kill(holder, SIGKILL);
  waiter.join();
  CHECK(waitpid(holder, nullptr, 0) == holder);
}

int main(int argc, char** argv) { return check::main(argc, argv); }
