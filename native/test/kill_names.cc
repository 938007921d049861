// Killed and stopped around the birth and the end of a queue's name, and beside those who sleep.
#include <cmath>
#include <filesystem>
#include <fstream>

#include "denied.h"
#include "killing.h"

using namespace sage;

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
      queue->ack(&item, 1);
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
    queue->ack(&item, 1);
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

TEST(what_a_busy_machine_takes_counts_once_and_not_what_the_own_take) {
  namespace fs = std::filesystem;
  char proc[] = "/tmp/sage-queue-proc.XXXXXX";
  CHECK(mkdtemp(proc) != nullptr);
  constexpr pid_t kProcess = 7;
  /// As if that thread had run and waited so many milliseconds.
  const auto says = [&](const std::string& thread, int ran, int waited) {
    fs::create_directories(fs::path(proc) / thread);
    std::ofstream(fs::path(proc) / thread / "schedstat") << ran << "000000 " << waited << "000000 1\n";
  };
  const auto steals = [&](int ticks) {
    std::ofstream(fs::path(proc) / "stat") << "cpu 0 0 0 0 0 0 0 99 0 0\ncpu0 1 2 3 4 5 6 7 " << ticks << " 9 9\n";
  };
  says("self", 100, 100);
  says("7/task/7", 100, 100);
  std::ofstream(fs::path(proc) / "7/stat") << "7 (a name) S 1";
  steals(5);
  Denied denied(proc);
  const auto took = [&](double milliseconds, bool over = false) {
    denied.look({kProcess}, over);
    return std::abs(denied.by_others() - milliseconds / 1000) < 1e-6;
  };
  denied.begin();
  CHECK(took(0));
  usleep(100'000);
  says("7/task/7", 100, 140);
  CHECK(took(40));
  says("7/task/8", 0, 0);
  CHECK(took(40));
  usleep(100'000);
  says("7/task/7", 100, 170);
  says("7/task/8", 0, 20);  // both at once
  CHECK(took(70));
  says("7/task/8", 10 * Denied::cores(), 20);  // what it ran, it may have run meanwhile
  CHECK(took(60));
  steals(5 + static_cast<int>(sysconf(_SC_CLK_TCK)));
  CHECK(took(1000));
  denied.begin();
  CHECK(took(0));
  usleep(100'000);
  says("self", 100, 130);  // the one who looks was late, and the other went on meanwhile
  CHECK(took(0));
  says("self", 100, 150);
  CHECK(took(20, true));
  says("self", 100, 190);
  std::ofstream(fs::path(proc) / "7/stat") << "7 (a name) Z 1";
  CHECK(took(40));
  fs::remove_all(proc);
}

TEST(waiters_learn_of_a_death_within_100_ms) {
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
    Denied denied;
    const auto attempt = [&] {
      const bool done = queue->take(1, &item, &taken) == Outcome::kOk;
      if (died == 0 && queue->bell(kGetters) == Bell::kOnFutex) {  // the last look before it sleeps
        CHECK(!done);
        denied.begin();
        denied.look({getpid(), holder}, true);
        kill(holder, SIGKILL);
        died = seconds();
      }
      return done;
    };
    CHECK(queue->wait(kGetters, 10000, attempt));
    denied.look({getpid(), holder}, true);
    longest = std::max(longest, seconds() - died - denied.by_others());
    CHECK(item.deliveries == 1);
    queue->ack(&item, 1);
    waitpid(holder, nullptr, 0);
    queue->close();
    munmap(ready, 4096);
  }
  std::printf("    longest %.1f ms of its own\n", longest * 1000);
  CHECK(longest < 0.1);
}
