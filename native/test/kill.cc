// Death and standstill: worker processes put, take, lease and give back while they are killed or stopped at named
// points and at random moments. Afterwards the history is checked: nothing acknowledged is lost, nothing comes twice to
// anybody who lived to say so, nothing is torn, and per producer the order of first deliveries is kept.
//
//   kill [kills] [seed]
//   kill apart [kills] [seed]   every worker in pid, user, mount, ipc and net namespaces of its own, as containers are
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstring>
#include <string>

#include "worker.h"

using namespace sage;

namespace {

constexpr int kWorkers = 4;
uint64_t seed_used = 1;

bool apart = false;

/// The next child belongs to the pid namespace of this process, whatever those before it belonged to.
void children_of_this_namespace() {
  const int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  CHECK(own >= 0 && setns(own, CLONE_NEWPID) == 0);
  close(own);
}

/// A worker's process; in the end of the fork that is the worker's, 0.
pid_t spawn_process() {
  if (!apart) return fork();
  // The next child is the first process of a new pid namespace; the one after it of another.
  children_of_this_namespace();
  CHECK(unshare(CLONE_NEWPID) == 0);
  const pid_t child = fork();
  if (child == 0) CHECK(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET) == 0);
  return child;
}

bool was_killed(int status) {
  if (WIFSIGNALED(status)) {
    CHECK(WTERMSIG(status) == SIGKILL);  // an abort is a failed check in a worker
    return true;
  }
  return WEXITSTATUS(status) == kKilledItself;
}

struct Life {
  pid_t pid = 0;
  int number = 0;
  double dies_at = 0;   // 0: by its failpoint
  double wakes_at = 0;  // stopped until then
};

/// Writes one record for each stretch of numbers of which `is` says yes.
template <class Is>
void record(FILE* file, const char* what, int stream, Is is) {
  for (uint32_t number = 0, from = 0; number <= kStreamItems; ++number) {
    if (number < kStreamItems && is(number)) continue;
    if (number > from) std::fprintf(file, "%s %d %u %u\n", what, stream, from, number);
    from = number + 1;
  }
}

/// Has the history of all lives checked by the rules of test/history/check-history.cjs. Returns what that says of it.
std::string checked_history(const Arena& arena, int lives) {
  char name[] = "/tmp/sage-queue-history.XXXXXX";
  const int fd = mkstemp(name);
  CHECK(fd >= 0);
  FILE* file = fdopen(fd, "w");
  for (int life = 0; life < lives; ++life) {
    std::fprintf(file, "put %d 0 %u\n", life, arena.streams[life].attempted.load());
    std::fprintf(file, "ack %d 0 %u\n", life, arena.streams[life].acknowledged.load());
    for (const uint32_t times : {1, 2}) {
      record(file, "got -", life,
             [&](uint32_t number) { return arena.got(static_cast<uint32_t>(life), number).load() >= times; });
    }
    const Log::Hand& hand = arena.hands[life];
    for (uint32_t at = 0; at < hand.count.load(); ++at) {
      std::fprintf(file, "hand %u %u %u\n", hand.streams[at], hand.numbers[at], hand.numbers[at] + 1);
    }
  }
  std::fclose(file);
  if (apart) children_of_this_namespace();  // the last one's has ended with its first process
  const std::string command = std::string(SAGE_HISTORY_CHECKER) + " " + name;
  FILE* checker = popen(command.c_str(), "r");
  CHECK(checker != nullptr);
  char line[256] = "";
  CHECK(std::fgets(line, sizeof line, checker) != nullptr);
  const bool good = pclose(checker) == 0;
  if (!good) std::fprintf(stderr, "the history is in %s\n", name);
  CHECK(good);
  ::unlink(name);
  line[std::strcspn(line, "\n")] = 0;
  return line;
}

/// With `points`, every worker dies at one of these, if it comes to it before its time is over.
void campaign(int kills, uint64_t seed, const std::vector<Point>& points = {}) {
  std::mt19937_64 random(seed);
  const int lives = kills + kills / 8 + 2 * kWorkers + 64;  // some end by themselves, having put all they had
  const Arena arena(lives);
  const std::string name = "test+kill." + std::to_string(getpid());
  SegmentOptions made = campaign_options();
  made.name = name;
  auto keeper = Queue::open(made, Create::kExclusive);
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
  CHECK(keeper->size() == 0 && keeper->totals().used_bytes == 0);

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

int kills_wanted = 2000;

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

TEST(a_creator_or_last_leaver_killed_bricks_no_name) {
  for (const Point point :
       {Point::kCreateFilled, Point::kCreateLinked, Point::kJoinEntry, Point::kLeaveEntry, Point::kRetireMarked}) {
    for (int round = 0; round < kills_wanted / 4; ++round) {
      SegmentOptions options;
      options.name = "test+brick." + std::to_string(getpid());
      options.maxsize = 4;
      options.capacity_bytes = 4096;
      const pid_t child = fork();
      if (child == 0) {
        failpoint_arm(point, 0, 'K');
        Queue::open(options, Create::kIfMissing)->close();
        _exit(0);
      }
      int status = 0;
      waitpid(child, &status, 0);
      CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
      auto queue = Queue::open(options, Create::kIfMissing);
      const Piece piece{reinterpret_cast<const uint8_t*>("x"), 1, 1};
      uint32_t accepted = 0;
      CHECK(queue->put(&piece, 1, &accepted) == Outcome::kOk);
      Item item;
      uint32_t taken = 0;
      CHECK(queue->take(1, &item, &taken) == Outcome::kOk);
      queue->finish(&item, 1);
      queue->close();
      CHECK(access((Segment::directory() + "/" + Segment::file_of(options.name)).c_str(), F_OK) != 0);
    }
  }
}

TEST(who_attaches_while_others_go_on_finds_the_queue_whole) {
  SegmentOptions options;
  options.name = "test+attach." + std::to_string(getpid());
  options.maxsize = 4;
  options.capacity_bytes = 4096;
  auto queue = Queue::open(options, Create::kIfMissing);
  const Piece piece{reinterpret_cast<const uint8_t*>("x"), 1, 1};
  uint32_t accepted = 0;
  Item item;
  uint32_t taken = 0;
  const pid_t child = fork();
  if (child == 0) {
    failpoint_arm(Point::kOpenRead, 0, 'S');
    Queue::open(options, Create::kNever)->close();
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
  // Many times around: every cursor passes what the other one has read of them.
  for (int round = 0; round < 1000; ++round) {
    CHECK(queue->put(&piece, 1, &accepted) == Outcome::kOk);
    CHECK(queue->take(1, &item, &taken) == Outcome::kOk);
    queue->finish(&item, 1);
  }
  kill(child, SIGCONT);
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  queue->close();
}

TEST(who_may_not_remove_a_queue_waits_for_the_one_who_does) {
  if (geteuid() != 0) {
    std::printf("    left out: only root can be two users\n");
    return;
  }
  SegmentOptions options;
  options.name = "test+users." + std::to_string(getpid());
  options.maxsize = 4;
  options.capacity_bytes = 4096;
  options.mode = 0666;
  const pid_t owner = fork();
  if (owner == 0) {
    CHECK(setuid(12345) == 0);
    failpoint_arm(Point::kRetireMarked, 0, 'S');
    Queue::open(options, Create::kIfMissing)->close();
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(owner, &status, WUNTRACED) == owner && WIFSTOPPED(status));
  const pid_t other = fork();
  if (other == 0) {
    CHECK(setuid(54321) == 0);
    CHECK(Queue::open(options, Create::kIfMissing)->created());
    _exit(0);
  }
  usleep(20'000);  // it has met the queue that is being removed by now, or will meet none
  kill(owner, SIGCONT);
  CHECK(waitpid(owner, &status, 0) == owner && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(waitpid(other, &status, 0) == other && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(access((Segment::directory() + "/" + Segment::file_of(options.name)).c_str(), F_OK) != 0);
}

TEST(sleepers_learn_of_a_death_within_100_ms) {
  // The only item is in the hand of a process that dies while everybody else sleeps.
  double longest = 0;
  for (int round = 0; round < 40; ++round) {
    SegmentOptions options;
    options.name = "test+sleep." + std::to_string(getpid());
    options.maxsize = 4;
    options.capacity_bytes = 4096;
    auto queue = Queue::open(options, Create::kIfMissing);
    auto* ready = static_cast<std::atomic<int>*>(Arena::map(4096));
    const pid_t holder = fork();
    if (holder == 0) {
      auto own = Queue::open(options, Create::kNever);
      while (ready->load() == 0) usleep(100);
      Item item;
      CHECK(own->lease(&item) == Outcome::kOk);
      ready->store(2);
      pause();
    }
    const Piece piece{reinterpret_cast<const uint8_t*>("x"), 1, 1};
    uint32_t accepted = 0;
    CHECK(queue->put(&piece, 1, &accepted) == Outcome::kOk);
    ready->store(1);
    while (ready->load() != 2) usleep(100);
    Item item;
    uint32_t taken = 0;
    double died = 0;
    const auto attempt = [&] {
      const bool done = queue->take(1, &item, &taken) == Outcome::kOk;
      if (died == 0 && queue->bell(kGetters) == Bell::kSleeping) {  // the last look before it sleeps
        CHECK(!done);
        kill(holder, SIGKILL);
        died = seconds();
      }
      return done;
    };
    CHECK(queue->wait(kGetters, 10000, attempt));
    longest = std::max(longest, seconds() - died);
    CHECK(item.deliveries == 1);
    queue->finish(&item, 1);
    waitpid(holder, nullptr, 0);
    queue->close();
    munmap(ready, 4096);
  }
  std::printf("    longest %.1f ms\n", longest * 1000);
  CHECK(longest < 0.1);
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
