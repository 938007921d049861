// Death and standstill: worker processes put, take, lease (one, or several), give back, join, and come and go as
// producers, while they are killed or stopped at named points and at random moments. Afterwards the history is checked:
// nothing acknowledged is lost, nothing comes twice to anybody who lived to say so, nothing is torn, and per producer
// the order of first deliveries is kept.
//
//   kill [kills] [seed]
//   kill apart [kills] [seed]   every worker in pid, user, mount, ipc and net namespaces of its own, as containers are
#include "killing.h"

using namespace sage;

namespace {

constexpr int kWorkers = 4;

struct Life {
  pid_t pid = 0;
  int number = 0;
  double dies_at = 0;   // 0: by its failpoint
  double wakes_at = 0;  // stopped until then
};

/// With `points`, every worker dies at one of these, if it comes to it before its time is over.
void campaign(int kills, uint64_t seed, const std::vector<Point>& points = {}) {
  std::mt19937_64 random(seed);
  const int lives = kills + kills / 8 + 2 * kWorkers + 64;  // some end by themselves, having put all they had
  const Arena arena(lives);
  const std::string name = "test+kill." + std::to_string(getpid());
  SegmentOptions made = campaign_options();
  made.name = name;
  auto keeper = Queue::open(made, Create::kExclusive);
  CHECK(keeper->produce(1));
  int next_life = 0;
  int killed = 0;
  int stopped = 0;
  int at_point = 0;
  double longest = 0;
  int slow = 0;
  Life workers[kWorkers];

  const auto spawn = [&](Life& life) {
    life = Life();
    life.number = next_life++;
    CHECK(next_life <= lives);
    const uint64_t worker_seed = random();
    const uint32_t way = points.empty() ? random() % 10 : 0;
    const auto point = points.empty() ? static_cast<Point>(1 + random() % (static_cast<int>(Point::kCount) - 1))
                                      : points[random() % points.size()];
    const int skip = static_cast<int>(random() % 12);
    life.pid = spawn_process();
    CHECK(life.pid >= 0);
    if (life.pid == 0) {
      SegmentOptions options = campaign_options();
      options.name = name;
      if (way < 6) failpoint_arm(point, skip, 'K');
      if (way == 6) failpoint_arm(point, skip, 'S');
      auto queue = Queue::open(options, Create::kNever);
      Worker(arena, life.number, worker_seed).run(*queue);
      queue->close();
      _exit(0);
    }
    // A point that is never passed must not let a worker live for ever.
    life.dies_at = seconds() + (way < 7 ? 0.03 + (random() % 1000) * 1e-5 : (random() % 1000) * 4e-6);
  };

  for (Life& life : workers) spawn(life);
  uint64_t progress = 0;
  double moved_at = seconds();
  while (killed < kills) {
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
      for (Life& life : workers) {
        if (life.pid != pid) continue;
        if (WIFSTOPPED(status)) {
          ++stopped;
          life.wakes_at = seconds() + (random() % 1000) * 3e-5;
          life.dies_at = life.wakes_at + 0.05;
          continue;
        }
        if (was_killed(status)) {
          ++killed;
          if (killed % 10'000 == 0) std::fprintf(stderr, "    %d kills\n", killed);
          at_point += life.dies_at != 0;  // its time was not over
        } else {
          CHECK(WEXITSTATUS(status) == 0);
        }
        spawn(life);
      }
    }
    const double now = seconds();
    for (Life& life : workers) {
      if (life.wakes_at != 0 && now >= life.wakes_at) {
        life.wakes_at = 0;
        kill(life.pid, SIGCONT);
      }
      if (life.dies_at != 0 && now >= life.dies_at) {
        life.dies_at = 0;
        kill(life.pid, SIGKILL);
      }
    }
    const uint64_t seen = arena.log->progress.load();
    const double still = now - moved_at;
    longest = std::max(longest, still);
    if (seen != progress) {
      slow += still > 0.1;
      progress = seen;
      moved_at = now;
    }
    if (now - moved_at > 5) {
      std::fprintf(stderr, "nothing moved for 5 s after %d kills (seed %llu), qsize %llu\n", killed,
                   static_cast<unsigned long long>(seed), static_cast<unsigned long long>(keeper->size()));
      std::abort();
    }
    usleep(200);
  }
  arena.log->stop.store(1);
  for (Life& life : workers) {
    kill(life.pid, SIGCONT);
    kill(life.pid, SIGKILL);
    int status = 0;
    waitpid(life.pid, &status, 0);
    CHECK(was_killed(status) || WEXITSTATUS(status) == 0);
  }
  // What is left comes out to the one who outlived them all.
  keeper->reap();
  const int last = next_life++;
  Worker(arena, last, seed).drain(*keeper);
  CHECK(keeper->size() == 0 && keeper->totals().used_bytes == 0 && keeper->joined() && !keeper->is_shut());

  const std::string verdict = checked_history(arena, next_life);
  std::printf(
      "    seed %llu: %d kills (%d at a named point), %d stops, %s, longest standstill %.0f ms, %d over 100 ms, %llu "
      "recoveries\n",
      static_cast<unsigned long long>(seed), killed, at_point, stopped, verdict.c_str(), longest * 1000, slow,
      static_cast<unsigned long long>(keeper->totals().recovered));
  CHECK(std::atoll(verdict.c_str()) > kills);  // "… items acknowledged"
  CHECK(slow <= kills / 200);  // a machine that gives the survivors no core is not the queue's doing, a rule is
  keeper->unlink();
  keeper->close();
}

}  // namespace

TEST(killed_and_stopped_at_named_points_and_at_random) { campaign(kills_wanted, seed_used); }

TEST(killed_while_waiting) { campaign(kills_wanted / 4, seed_used + 1, {Point::kParked}); }

TEST(killed_in_the_middle_of_a_put) {
  campaign(kills_wanted / 4, seed_used + 2,
           {Point::kClaimStamped, Point::kClaimIntent, Point::kClaimWon, Point::kCommitBefore, Point::kCommitHalf,
            Point::kCommitAfter});
}

TEST(killed_in_the_middle_of_a_get) {
  campaign(kills_wanted / 4, seed_used + 3,
           {Point::kTakeStamped, Point::kTakeWon, Point::kReleaseBefore, Point::kReleaseHalf, Point::kReleaseAfter,
            Point::kReturnHalf, Point::kRetakeWon});
}

TEST(killed_with_a_lease) {
  campaign(kills_wanted / 4, seed_used + 4, {Point::kLeaseFilling, Point::kLeasePublished, Point::kLeaseAckBefore});
}

TEST(killed_while_recovering_another) {
  campaign(kills_wanted / 4, seed_used + 5,
           {Point::kRecoverMarked, Point::kRecoverLeases, Point::kRecoverClaims, Point::kRecoverTakes,
            Point::kRecoverDone, Point::kClaimWon, Point::kTakeWon, Point::kLeasePublished});
}

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "apart") == 0) {
    apart = true;
    if (geteuid() != 0) {
      std::printf("left out: only root can make the namespaces\n");
      return 0;
    }
    const int kills = argc > 2 ? std::atoi(argv[2]) : 1000;
    seed_used = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : static_cast<uint64_t>(time(nullptr));
    campaign(kills, seed_used);
    return 0;
  }
  if (argc > 1) kills_wanted = std::atoi(argv[1]);
  seed_used = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : static_cast<uint64_t>(time(nullptr));
  return check::main(1, argv);
}
