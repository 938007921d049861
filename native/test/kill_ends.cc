// The end, with processes killed on the way to it: of a queue whose last producer closes or dies, and of one that is
// shut down at once. Nobody who waits for it waits for ever, and nothing stays behind.
#include "killing.h"

using namespace sage;

namespace {

constexpr uint32_t kLimitMs = 10'000;  // within which everybody learns of the end, also where the machine is busy
constexpr uint32_t kItems = 12;        // that a producer puts

/// What the processes of one round tell their parent, also when they are killed.
struct Told {
  std::atomic<uint32_t> came[2];     // a producer has come …
  std::atomic<uint32_t> leaving[2];  // … and begins to close
  std::atomic<uint32_t> ended;       // consumers that saw the end …
  std::atomic<uint32_t> lost;        // … and those to whom it said that a producer died
};

class Round {
 public:
  Round(const Arena& arena, std::mt19937_64& random, int& next_life)
      : arena_(arena), random_(random), next_life_(next_life), told_(static_cast<Told*>(Arena::map(sizeof(Told)))) {
    options_ = campaign_options();
    options_.name = "test+ends." + std::to_string(getpid());
    options_.maxsize = 6;
    keeper_ = Queue::open(options_, Create::kExclusive);
  }
  ~Round() {
    keeper_->unlink();
    keeper_->close();
    munmap(told_, sizeof(Told));
  }
  Round(const Round&) = delete;
  Round& operator=(const Round&) = delete;

  /// Two producers, two consumers, and one who waits for the end of all work. Consumers and joiners that are killed are
  /// replaced, and a producer that was before it had come. Returns how many were killed.
  int last_producers() {
    Child children[5];
    for (int role = 0; role < 5; ++role) spawn(children[role], role);
    int killed = 0;
    bool must_be_lost = false;
    bool may_be_lost = false;
    const double start = seconds();
    for (int left = 5; left > 0;) {
      CHECK(seconds() - start < 2e-3 * kLimitMs);
      int status = 0;
      const pid_t pid = waitpid(-1, &status, WNOHANG);
      if (pid == 0) {
        for (Child& child : children) child.kill_if_due();
        usleep(100);
        continue;
      }
      for (int role = 0; role < 5; ++role) {
        if (children[role].pid != pid) continue;
        if (!was_killed(status)) {
          CHECK(WEXITSTATUS(status) == 0);
          --left;
          continue;
        }
        ++killed;
        const bool came = role < 2 && told_->came[role].load() != 0;
        may_be_lost = may_be_lost || role < 2;
        must_be_lost = must_be_lost || (came && told_->leaving[role].load() == 0);
        if (came) {
          --left;
        } else {
          spawn(children[role], role);
        }
      }
    }
    CHECK(told_->ended.load() >= 2 && keeper_->joined() && keeper_->size() == 0 && keeper_->totals().used_bytes == 0);
    CHECK(!must_be_lost || told_->lost.load() == told_->ended.load());
    CHECK(may_be_lost || told_->lost.load() == 0);
    return killed;
  }

  /// Workers that are killed, one of whom shuts the queue down at once, and one who waits for the end of all work.
  int at_once() {
    Child children[5];
    arena_.log->stop.store(0);
    for (int role = 0; role < 4; ++role) spawn(children[role], kWorker);
    spawn(children[4], kJoiner);
    usleep(static_cast<useconds_t>(random_() % 4000));
    Child shutter;
    spawn(shutter, kShutter);
    int status = 0;
    CHECK(waitpid(shutter.pid, &status, 0) == shutter.pid);
    int killed = was_killed(status) ? 1 : 0;
    arena_.log->stop.store(1);
    keeper_->reap();
    if (!keeper_->drops()) keeper_->shut_down(true);
    const double start = seconds();
    for (Child& child : children) {
      while (waitpid(child.pid, &status, WNOHANG) == 0) {
        CHECK(seconds() - start < 2e-3 * kLimitMs);
        child.kill_if_due();
        usleep(100);
      }
      if (was_killed(status)) {
        ++killed;
      } else {
        CHECK(WEXITSTATUS(status) == 0);
      }
    }
    keeper_->reap();
    CHECK(keeper_->joined() && !keeper_->full() && keeper_->totals().used_bytes == 0);
    return killed;
  }

 private:
  enum Role : int { kJoiner = 4, kWorker = 5, kShutter = 6 };

  struct Child {
    pid_t pid = 0;
    double dies_at = 0;  // 0: not by the clock
    void kill_if_due() {
      if (dies_at == 0 || seconds() < dies_at) return;
      dies_at = 0;
      kill(pid, SIGKILL);
    }
  };

  void spawn(Child& child, int role) {
    const int life = role == kJoiner || role == kShutter ? 0 : next_life_++;
    CHECK(life < arena_.lives);
    const uint64_t seed = random_();
    const uint32_t way = random_() % 8;
    const auto point = static_cast<Point>(1 + random_() % (static_cast<int>(Point::kCount) - 1));
    const int skip = static_cast<int>(random_() % 4);
    const bool by_clock = way == 6 && role != kJoiner;
    child.dies_at = by_clock ? seconds() + static_cast<double>(random_() % 1000) * 4e-6 : 0;
    child.pid = fork();
    CHECK(child.pid >= 0);
    if (child.pid != 0) return;
    auto queue = Queue::open(options_, Create::kNever);
    if (way < 6) failpoint_arm(point, skip, 'K');
    Worker worker(arena_, life, seed);
    if (role < 2) {
      produce(*queue, worker, role);
    } else if (role < 4) {
      consume(*queue, worker);
    } else if (role == kJoiner) {
      CHECK(queue->wait(kJoiners, kLimitMs, [&] { return queue->is_shut() && queue->joined(); }));
    } else if (role == kWorker) {
      worker.run(*queue);
    } else {
      queue->shut_down(true);
    }
    queue->close();
    _exit(0);
  }

  /// False: the queue had ended already.
  void produce(Queue& queue, Worker& worker, int role) {
    if (queue.produce(2)) {
      told_->came[role].store(1);
      worker.produce_up_to(queue, kItems);
    }
    told_->leaving[role].store(1);
  }

  void consume(Queue& queue, Worker& worker) {
    const Outcome outcome = worker.consume_to_the_end(queue, kLimitMs);
    told_->ended.fetch_add(1);
    told_->lost.fetch_add(outcome == Outcome::kLost ? 1 : 0);
  }

  const Arena& arena_;
  std::mt19937_64& random_;
  int& next_life_;
  Told* told_;
  SegmentOptions options_;
  std::unique_ptr<Queue> keeper_;
};

template <class Body>
void rounds(int kills, uint64_t seed, Body body) {
  std::mt19937_64 random(seed);
  const Arena arena(16 * kills + 64);
  int next_life = 0;
  int killed = 0;
  int count = 0;
  for (; killed < kills; ++count) {
    Round round(arena, random, next_life);
    killed += body(round);
  }
  std::printf("    seed %llu: %d kills in %d rounds\n", static_cast<unsigned long long>(seed), killed, count);
  body.check(arena, next_life);
}

struct LastProducers {
  int operator()(Round& round) const { return round.last_producers(); }
  void check(const Arena& arena, int lives) const { std::printf("    %s\n", checked_history(arena, lives).c_str()); }
};

/// What was dropped is lost on purpose; that nothing came twice, or torn, the workers check.
struct AtOnce {
  int operator()(Round& round) const { return round.at_once(); }
  void check(const Arena&, int) const {}
};

}  // namespace

TEST(the_last_producer_ends_the_queue_whoever_is_killed) { rounds(kills_wanted / 4, seed_used + 6, LastProducers()); }

TEST(a_queue_shut_down_at_once_is_left_empty_whoever_is_killed) { rounds(kills_wanted / 4, seed_used + 7, AtOnce()); }
