// Several threads, and event loops, on one handle of the C layer.
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "check.h"
#include "no_descriptors.h"
#include "sage_queue.hpp"

using namespace sage_queue;

namespace {

Options options_for(const char* test, uint64_t maxsize = 64) {
  Options options;
  options.name = std::string("c.") + test + "." + std::to_string(getpid());
  options.maxsize = maxsize;
  options.capacity_bytes = 65536;
  return options;
}

uint32_t number_of(Bytes bytes) {
  uint32_t number = 0;
  CHECK(bytes.size == sizeof number);
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<uint8_t*>(&number));
  return number;
}

/// The calls of one event loop that wait for items: as many as it is told to get.
class Loop {
 public:
  Loop(Queue& queue, uint32_t tag) : queue_(queue), tag_(tag) { sage_queue::check(sq_bell_open(0600, 0, &bell_)); }
  ~Loop() {
    end();
    sq_bell_close(bell_);
  }

  /// Gets `wanted` items, as long as `patience_ms` allows, or until the end of the queue.
  std::vector<uint32_t> get(size_t wanted, int patience_ms) {
    std::vector<uint32_t> got;
    sage_queue::check(sq_wait_begin(queue_.handle(), SQ_GETTERS, bell_, tag_, &waiter_));
    sq_step step = SQ_TRY;
    for (;;) {
      int polls = 0;
      sage_queue::check(sq_wait_next(waiter_, &step, &polls));
      if (step == SQ_DONE) break;
      if (step == SQ_SLEEP) {
        if (!rings(polls != 0 ? 10 : patience_ms)) break;
        step = SQ_TRY;
        continue;
      }
      const auto one = queue_.get(kNotAtAll);
      if (one) got.push_back(number_of({one->bytes.data(), one->bytes.size()}));
      const bool done = got.size() == wanted || queue_.at_end();
      step = done ? SQ_DONE : SQ_SLEEP;
      // One try serves one call: where there was something, there may be more.
      while (!done && one && got.size() < wanted) {
        const auto more = queue_.get(kNotAtAll);
        if (!more) break;
        got.push_back(number_of({more->bytes.data(), more->bytes.size()}));
      }
      if (got.size() == wanted || queue_.at_end()) step = SQ_DONE;
    }
    end();
    return got;
  }

 private:
  bool rings(int patience_ms) {
    pollfd asked{sq_bell_fd(bell_), POLLIN, 0};
    if (::poll(&asked, 1, patience_ms) <= 0) return false;
    char tags[256];
    CHECK(read(asked.fd, tags, sizeof tags) > 0);
    return true;
  }
  void end() {
    sq_wait_end(waiter_);
    waiter_ = nullptr;
  }

  Queue& queue_;
  const uint32_t tag_;
  sq_bell* bell_ = nullptr;
  sq_waiter* waiter_ = nullptr;
};

}  // namespace

TEST(threads_share_a_handle) {
  constexpr uint32_t kThreads = 4;
  constexpr uint32_t kEach = 5000;
  Queue queue(options_for(__func__, 32));
  std::atomic<uint64_t> sum{0};
  std::atomic<uint32_t> got{0};
  std::vector<std::thread> threads;
  for (uint32_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (uint32_t index = 0; index < kEach; ++index) {
        const uint32_t number = thread * kEach + index;
        queue.put({&number, sizeof number});
      }
    });
    threads.emplace_back([&] {
      for (uint32_t index = 0; index < kEach; ++index) {
        const auto one = queue.get();
        CHECK(one);
        sum += number_of({one->bytes.data(), one->bytes.size()});
        ++got;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const uint64_t all = kThreads * kEach;
  CHECK(got == all && sum == all * (all - 1) / 2 && queue.size() == 0);
}

/// Until that thread of this process has come and has slept for a while: longer than it does on its way.
static void until_asleep(const std::atomic<pid_t>& id) {
  for (int looks = 0; looks < 20;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::ifstream file("/proc/self/task/" + std::to_string(id) + "/stat");
    std::string text;
    std::getline(file, text);
    const size_t name_ends = text.rfind(')');
    looks = name_ends != std::string::npos && text[name_ends + 2] == 'S' ? looks + 1 : 0;
  }
}

TEST(those_who_wait_are_served_in_order) {
  Queue queue(options_for(__func__));
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int thread = 0; thread < 4; ++thread) {
    std::atomic<pid_t> id{0};
    threads.emplace_back([&queue, &id, thread] {
      id = gettid();
      const auto one = queue.get();
      CHECK(one && one->text() == std::to_string(thread));
    });
    until_asleep(id);  // in line
  }
  for (int thread = 0; thread < 4; ++thread) queue.put(std::to_string(thread));
  for (std::thread& thread : threads) thread.join();
}

TEST(a_close_ends_the_calls_that_wait) {
  Queue queue(options_for(__func__));
  std::atomic<int> ended{0};
  std::vector<std::thread> threads;
  threads.reserve(3);
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&] {
      char buffer[8];
      size_t bytes = 0;
      CHECK(sq_get(queue.handle(), buffer, sizeof buffer, &bytes, nullptr, SQ_FOREVER) == SQ_CLOSED);
      ++ended;
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto start = std::chrono::steady_clock::now();
  queue.close();
  for (std::thread& thread : threads) thread.join();
  CHECK(ended == 3 && std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST(who_is_late_leaves_the_line_to_the_others) {
  Queue queue(options_for(__func__));
  std::thread late([&] { CHECK(!queue.get(50)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  std::thread patient([&] {
    const auto one = queue.get();
    CHECK(one && one->text() == "x");
  });
  late.join();
  queue.put("x");
  patient.join();
}

TEST(an_event_loop_is_rung) {
  Queue queue(options_for(__func__));
  Queue other(options_for(__func__));
  Loop loop(queue, 7);
  std::thread putter([&] {
    for (uint32_t number = 0; number < 1000; ++number) {
      other.put({&number, sizeof number});
      if (number % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  const std::vector<uint32_t> got = loop.get(1000, 20000);
  putter.join();
  CHECK(got.size() == 1000);
  for (uint32_t number = 0; number < 1000; ++number) CHECK(got[number] == number);
}

TEST(an_event_loop_looks_by_itself_while_not_everybody_can_ring_it) {
  // A process of its own, which is without descriptors for a moment.
  const pid_t child = fork();
  if (child == 0) {
    Queue queue(options_for("scarce_loops"));
    sq_bell* bell = nullptr;
    sq_waiter* waiter = nullptr;
    sage_queue::check(sq_bell_open(0600, 0, &bell));
    sage_queue::check(sq_wait_begin(queue.handle(), SQ_GETTERS, bell, 1, &waiter));
    const auto polls = [&] {
      int asked = 0;
      sq_step step = SQ_TRY;
      sage_queue::check(sq_wait_next(waiter, &step, &asked));
      CHECK(step == SQ_TRY);
      return asked == 1;
    };
    {
      const NoDescriptors none;
      CHECK(polls() && polls());
    }
    CHECK(!polls());
    sq_wait_end(waiter);
    sq_bell_close(bell);
    queue.unlink();
    queue.close();
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(threads_and_event_loops_stand_in_one_line) {
  constexpr uint32_t kAll = 4000;
  Queue queue(options_for(__func__, 16));
  std::atomic<uint32_t> got{0};
  std::atomic<uint64_t> sum{0};
  std::vector<std::thread> threads;
  for (uint32_t tag = 1; tag <= 2; ++tag) {
    threads.emplace_back([&, tag] {
      Loop loop(queue, tag);
      while (!queue.at_end()) {
        for (const uint32_t number : loop.get(5, 20000)) {
          sum += number;
          ++got;
        }
      }
    });
    threads.emplace_back([&] {
      char buffer[8];
      size_t bytes = 0;
      sq_status status = SQ_OK;
      while ((status = sq_get(queue.handle(), buffer, sizeof buffer, &bytes, nullptr, SQ_FOREVER)) == SQ_OK) {
        sum += number_of({buffer, bytes});
        ++got;
      }
      CHECK(status == SQ_SHUT_DOWN);
    });
  }
  for (uint32_t number = 0; number < kAll; ++number) queue.put({&number, sizeof number});
  queue.shutdown();
  for (std::thread& thread : threads) thread.join();
  CHECK(got == kAll && sum == uint64_t{kAll} * (kAll - 1) / 2);
}

TEST(a_lease_goes_back_by_itself) {
  Queue queue(options_for(__func__));
  queue.put("once");
  { CHECK(queue.lease()->bytes().text() == "once"); }
  auto lease = queue.lease();
  CHECK(lease->deliveries() == 2);
  lease->ack();
  CHECK(!queue.lease(kNotAtAll));
  { Claim given_up = queue.claim(3); }
  Claim claim = queue.claim(3);
  std::copy_n("abc", 3, claim.data());
  claim.commit();
  CHECK(queue.get()->text() == "abc" && queue.join(kNotAtAll));
}

TEST(what_a_handler_throws_on_goes_back) {
  Queue queue(options_for(__func__));
  for (const char* text : {"a", "b", "c"}) queue.put(text);
  bool thrown = false;
  try {
    queue.for_each(64, [](Bytes bytes, uint32_t) {
      if (bytes.text() == "b") throw std::runtime_error("no b");
    });
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  CHECK(thrown && queue.get()->text() == "b" && queue.get()->text() == "c");
  try {
    Options missing = options_for("missing");
    missing.create = SQ_NEVER;
    Queue none(missing);
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.code() == "ERR_QUEUE_NOT_FOUND" && error.status() == SQ_FAILED);
  }
}

int main(int argc, char** argv) { return check::main(argc, argv); }
