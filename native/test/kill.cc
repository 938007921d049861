// Death and standstill: worker processes put, take, lease (one, or several), requeue, join, and come and go as
// producers, while they are killed or stopped at named points and at random moments. Afterwards the history is checked:
// nothing acknowledged is lost, nothing comes twice to anybody who lived to say so, nothing is torn, and per producer
// the order of first deliveries is kept.
//
//   kill [kills]
//   kill apart [kills]   every worker in pid, user, mount, ipc and net namespaces of its own, as containers are
#include "denied.h"
#include "killing.h"

using namespace sage;

#if defined(__SANITIZE_ADDRESS__)
/// What a process has freed stays with it, and every fork copies it: the campaign's own grows to 170 MB, so that a
/// fork or a death takes 10 ms. A worker frees less than this in all its life. Exported, so that the sanitizer finds
/// it.
extern "C" [[gnu::visibility("default")]] const char* __asan_default_options() { return "quarantine_size_mb=4"; }
#endif

namespace {

constexpr int kWorkers = 4;

struct Life {
  pid_t pid = 0;
  int number = 0;
  double dies_at = 0;   // 0: by its failpoint
  double wakes_at = 0;  // stopped until then
};

/// Workers, who kills them and what becomes of them.
class Campaign {
 public:
  /// With `points`, every worker dies at one of these, if it comes to it before its time is over.
  Campaign(int kills, uint64_t seed, const std::vector<Point>& points)
      : kills_(kills),
        seed_(seed),
        points_(points),
        random_(seed),
        lives_(kills + kills / 8 + 2 * kWorkers + 64),  // some end by themselves, having put all they had
        arena_(lives_),
        name_("test+kill." + std::to_string(getpid())) {
    SegmentOptions made = campaign_options();
    made.name = name_;
    keeper_ = Queue::open(made, Create::kExclusive);
    CHECK(keeper_->produce(1));
  }

  void run() {
    for (Life& life : workers_) spawn(life);
    moved();
    while (killed_ < kills_) {
      look_for_a_standstill();
      bury();
      strike();
      usleep(200);
    }
    end();
    judge();
  }

 private:
  void spawn(Life& life) {
    life = Life();
    life.number = next_life_++;
    CHECK(next_life_ <= lives_);
    const uint64_t worker_seed = random_();
    const uint32_t way = points_.empty() ? random_() % 10 : 0;
    const auto point = points_.empty() ? static_cast<Point>(1 + random_() % (static_cast<int>(Point::kCount) - 1))
                                       : points_[random_() % points_.size()];
    const int skip = static_cast<int>(random_() % 12);
    life.pid = spawn_process();
    CHECK(life.pid >= 0);
    if (life.pid == 0) {
      SegmentOptions options = campaign_options();
      options.name = name_;
      if (way < 6) failpoint_arm(point, skip, 'K');
      if (way == 6) failpoint_arm(point, skip, 'S');
      auto queue = Queue::open(options, Create::kNever);
      Worker(arena_, life.number, worker_seed).run(*queue);
      queue->close();
      _exit(0);
    }
    // A point that is never passed must not let a worker live for ever.
    life.dies_at = seconds() + (way < 7 ? 0.03 + (random_() % 1000) * 1e-5 : (random_() % 1000) * 4e-6);
  }

  /// Whoever has died is followed by another, and who was stopped goes on later.
  void bury() {
    int status = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
      for (Life& life : workers_) {
        if (life.pid != pid) continue;
        if (WIFSTOPPED(status)) {
          ++stopped_;
          life.wakes_at = seconds() + (random_() % 1000) * 3e-5;
          life.dies_at = life.wakes_at + 0.05;
          continue;
        }
        if (was_killed(status)) {
          ++killed_;
          if (killed_ % 10'000 == 0) std::fprintf(stderr, "    %d kills\n", killed_);
          at_point_ += life.dies_at != 0;  // its time was not over
        } else {
          CHECK(WEXITSTATUS(status) == 0);
        }
        spawn(life);
        look_for_a_standstill();  // they may die as fast as they are born
      }
    }
  }

  void strike() {
    const double now = seconds();
    for (Life& life : workers_) {
      if (life.wakes_at != 0 && now >= life.wakes_at) {
        life.wakes_at = 0;
        kill(life.pid, SIGCONT);
      }
      if (life.dies_at != 0 && now >= life.dies_at) {
        life.dies_at = 0;
        kill(life.pid, SIGKILL);
      }
    }
  }

  void moved() {
    moved_at_ = seconds();
    denied_.begin();
  }

  /// What others on this machine are to blame for is no standstill of the queue's.
  void look_for_a_standstill() {
    constexpr double kWorthALook = 0.005;
    const uint64_t seen = arena_.log->progress.load();
    const double still = seconds() - moved_at_;
    if (still > kWorthALook) {
      std::vector<pid_t> alive;
      for (const Life& life : workers_) alive.push_back(life.pid);
      denied_.look(alive, seen != progress_);
    }
    const double own = still - denied_.by_others();
    longest_ = std::max(longest_, still);
    longest_own_ = std::max(longest_own_, own);
    if (seen != progress_) {
      slow_ += own > 0.1;
      progress_ = seen;
      moved();
      return;
    }
    if (own > 5) {
      std::fprintf(stderr, "nothing moved for 5 s after %d kills (seed %llu), qsize %llu\n", killed_,
                   static_cast<unsigned long long>(seed_), static_cast<unsigned long long>(keeper_->size()));
      std::abort();
    }
  }

  void end() {
    arena_.log->stop.store(1);
    for (Life& life : workers_) {
      kill(life.pid, SIGCONT);
      kill(life.pid, SIGKILL);
      int status = 0;
      waitpid(life.pid, &status, 0);
      CHECK(was_killed(status) || WEXITSTATUS(status) == 0);
    }
    // What is left comes out to the one who outlived them all.
    keeper_->reap();
    const int last = next_life_++;
    Worker(arena_, last, seed_).drain(*keeper_);
    CHECK(keeper_->size() == 0 && keeper_->totals().used_bytes == 0 && keeper_->joined() && !keeper_->is_shut());
  }

  void judge() {
    const std::string verdict = checked_history(arena_, next_life_);
    std::printf(
        "    seed %llu: %d kills (%d at a named point), %d stops, %s, longest standstill %.0f ms (%.0f of its own, "
        "%d over 100 ms), %llu recoveries\n",
        static_cast<unsigned long long>(seed_), killed_, at_point_, stopped_, verdict.c_str(), longest_ * 1000,
        longest_own_ * 1000, slow_, static_cast<unsigned long long>(keeper_->totals().recovered));
    std::fflush(stdout);
    CHECK(std::atoll(verdict.c_str()) > kills_);  // "… items acknowledged"
    CHECK(slow_ <= kills_ / 200);                 // one may be the machine's, whatever it counts; a rule is not
    keeper_->unlink();
    keeper_->close();
  }

  const int kills_;
  const uint64_t seed_;
  const std::vector<Point> points_;
  std::mt19937_64 random_;
  const int lives_;
  const Arena arena_;
  const std::string name_;
  std::unique_ptr<Queue> keeper_;
  Life workers_[kWorkers];
  int next_life_ = 0;
  int killed_ = 0;
  int stopped_ = 0;
  int at_point_ = 0;
  uint64_t progress_ = 0;
  double moved_at_ = 0;
  Denied denied_;
  double longest_ = 0;
  double longest_own_ = 0;
  int slow_ = 0;
};

void campaign(int kills, uint64_t seed, const std::vector<Point>& points = {}) { Campaign(kills, seed, points).run(); }

}  // namespace

TEST(killed_and_stopped_at_named_points_and_at_random) { campaign(kills_wanted, seed_used); }

TEST(killed_while_waiting) { campaign(kills_wanted / 4, seed_used + 1, {Point::kBellUp}); }

TEST(killed_in_the_middle_of_a_put) {
  campaign(kills_wanted / 4, seed_used + 2,
           {Point::kClaimTagged, Point::kClaimIntent, Point::kClaimWon, Point::kCommitBefore, Point::kCommitHalf,
            Point::kCommitAfter});
}

TEST(killed_in_the_middle_of_a_get) {
  campaign(kills_wanted / 4, seed_used + 3,
           {Point::kTakeTagged, Point::kTakeWon, Point::kReleaseBefore, Point::kReleaseHalf, Point::kReleaseAfter,
            Point::kRequeueHalf, Point::kRetakeWon});
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
    campaign(kills, seed_used);
    return 0;
  }
  if (argc > 1) kills_wanted = std::atoi(argv[1]);
  return check::main(1, argv);
}
