// How long the watcher's thread means to sleep, by what it asks the system for while its clock stands.
#include <atomic>
#include <condition_variable>
#include <mutex>

#include "check.h"
#include "core/os/process.h"
#include "core/waiting/waiters.h"
#include "core/waiting/watcher.h"
#include "interposed.h"

using namespace sage;

namespace {

constexpr int kOnce = 0;

struct Client : Watcher::Client {
  ~Client() override { Watcher::instance().remove(this); }
  std::vector<Watcher::Peer> peers() override { return {}; }
  void look_after_peers() override {}
  void follow_up(int direction) override {
    if (++done == 1) CHECK(Watcher::instance().schedule(this, direction));
  }
  void nudged(bool) override {}
  int segment_descriptor() const override { return -1; }
  std::atomic<int> done{0};
};

/// A monotonic clock that stands until it is moved, and how long the thread would wait for descriptors.
struct Standing {
  Standing() {
    calls->clock_gettime = [this](clockid_t clock, timespec* now) {
      if (clock != CLOCK_MONOTONIC) return ::clock_gettime(clock, now);
      const int at = milliseconds;
      *now = {1000 + at / 1000, at % 1000 * 1'000'000L};
      return 0;
    };
    calls->poll = [this](pollfd* descriptors, nfds_t count, int timeout) {
      {
        const std::lock_guard<std::mutex> lock(mutex);
        ++waits;
        limit = timeout;
      }
      changed.notify_all();
      return ::poll(descriptors, count, timeout);
    };
  }
  /// With what limit it waits the next time.
  int next() {
    std::unique_lock<std::mutex> lock(mutex);
    const int before = waits;
    changed.wait(lock, [&] { return waits > before; });
    return limit;
  }
  Interposed calls;
  std::atomic<int> milliseconds{0};
  std::mutex mutex;
  std::condition_variable changed;
  int waits = 0;
  int limit = 0;
};

}  // namespace

TEST(what_the_thread_put_off_comes_in_time_once_somebody_relies_on_it) {
  Standing clock;
  Client client;
  CHECK(Watcher::instance().schedule(&client, kOnce));
  CHECK(clock.next() == kFollowUpMs);
  clock.milliseconds += kFollowUpMs;
  while (client.done == 0) clock.next();
  CHECK(clock.next() == 50);
  CHECK(Watcher::instance().schedule(&client, kOnce));
  CHECK(clock.next() == kFollowUpMs);
  clock.milliseconds += 1;
  CHECK(Watcher::instance().schedule(&client, kOnce));  // which makes it no later
  CHECK(clock.next() == kFollowUpMs - 1);
}
