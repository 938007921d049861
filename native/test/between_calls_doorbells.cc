// Doorbells where a system call fails, or somebody was at the name since the one before; and what a fork in the middle
// of a ring has of it. The watcher's pipe is among them.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bell_entry.h"
#include "check.h"
#include "core/os/process.h"
#include "core/segment/layout.h"
#include "core/segment/segment.h"
#include "core/waiting/doorbell.h"
#include "core/waiting/watcher.h"
#include "here.h"
#include "interposed.h"

using namespace sage;

namespace {

const std::string& folder() { return Segment::directory(); }
int names_here() { return count_of(folder().c_str()); }

std::string path_of(uint64_t id) {
  char name[64];
  std::snprintf(name, sizeof name, "/sage-queue-bell+%016llx", static_cast<unsigned long long>(id));
  return folder() + name;
}

bool is_bell(const char* path) { return std::string(path).find("/sage-queue-bell+") != std::string::npos; }

/// With its reading end, which is its caller's.
struct OwnBell {
  std::unique_ptr<Doorbell> made = Doorbell::make(folder(), {0600, getegid()});
  ~OwnBell() { close(made->read_end()); }
  Doorbell* operator->() { return made.get(); }
};

/// That it has a name, and that both ends and the name are of one pipe.
bool is_whole(OwnBell& bell) {
  struct stat named;
  struct stat ends[2];
  return bell->inode() != 0 && ::lstat(path_of(bell->id()).c_str(), &named) == 0 &&
         ::fstat(bell->read_end(), &ends[0]) == 0 && ::fstat(bell->write_end(), &ends[1]) == 0 &&
         S_ISFIFO(named.st_mode) && named.st_ino == bell->inode() && ends[0].st_ino == bell->inode() &&
         ends[1].st_ino == bell->inode();
}

std::string code_of_making() {
  return code_of([] { OwnBell(); });
}

/// Does `once` the first time.
template <class Body>
auto first_time(Body once) {
  return [once, done = false]() mutable {
    if (!done) once();
    done = true;
  };
}

}  // namespace

// ── making one ─────────────────────────────────────────────────────────────

TEST(a_name_that_another_has_is_not_taken_and_another_one_is) {
  Interposed system;
  std::string others;
  system->mkfifo = [&](const char* path, mode_t mode) {
    if (!others.empty()) return ::mkfifo(path, mode);
    others = path;
    CHECK(::mkfifo(path, mode) == 0);
    return failing(EEXIST);
  };
  {
    OwnBell bell;
    CHECK(is_whole(bell) && path_of(bell->id()) != others && names_here() == 2);
  }
  CHECK(::unlink(others.c_str()) == 0 && names_here() == 0);
}

TEST(a_name_that_is_swept_before_it_is_opened_or_looked_at_is_followed_by_another) {
  const int before = descriptors_here();
  for (const bool opened : {false, true}) {
    Interposed system;
    std::vector<std::string> made;
    system->mkfifo = [&](const char* path, mode_t mode) {
      made.emplace_back(path);
      return ::mkfifo(path, mode);
    };
    auto sweep = first_time([&] { CHECK(::unlink(made[0].c_str()) == 0); });
    system->open = [&](const char* path, int how, mode_t mode) {
      if (is_bell(path) && !opened) sweep();
      return ::open(path, how, mode);
    };
    system->lstat = [&](const char* path, struct stat* info) {
      if (is_bell(path)) sweep();
      return ::lstat(path, info);
    };
    OwnBell bell;
    CHECK(made.size() == 2 && is_whole(bell) && names_here() == 1 && descriptors_here() == before + 2);
  }
  CHECK(descriptors_here() == before && names_here() == 0);
}

TEST(what_is_put_in_the_place_of_a_name_is_not_taken_for_the_doorbell) {
  const std::string file = folder() + "/file";
  const std::string another = folder() + "/pipe";
  const int before = descriptors_here();
  for (const bool opened : {false, true}) {  // when somebody puts a file there, or a pipe
    Interposed system;
    auto put = first_time([&] {
      close(::open(file.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600));
      CHECK(::mkfifo(another.c_str(), 0600) == 0);
    });
    std::vector<std::string> made;
    const auto replace = [&](const char* path) {
      if (!is_bell(path) || !made.empty()) return;
      put();
      made.emplace_back(path);
      CHECK(rename((opened ? another : file).c_str(), path) == 0);
      ::unlink(file.c_str());
      ::unlink(another.c_str());
      errno = EACCES;  // of some earlier call
    };
    system->open = [&](const char* path, int how, mode_t mode) {
      if (!opened) replace(path);
      return ::open(path, how, mode);
    };
    system->lstat = [&](const char* path, struct stat* info) {
      replace(path);
      const int result = ::lstat(path, info);
      errno = EACCES;  // which is nothing where it went well
      return result;
    };
    OwnBell bell;
    CHECK(is_whole(bell) && path_of(bell->id()) != made[0] && names_here() == 1 && descriptors_here() == before + 2);
  }
  CHECK(descriptors_here() == before && names_here() == 0);
}

TEST(a_doorbell_that_did_not_come_about_closes_nothing_of_others) {
  Interposed system;
  int write_end = -1;
  std::string path_before;
  system->open = [&](const char* path, int how, mode_t mode) {
    const int fd = ::open(path, how, mode);
    if ((how & O_ACCMODE) == O_WRONLY) write_end = fd;
    return fd;
  };
  system->lstat = [&](const char* path, struct stat* info) {
    CHECK(::unlink(path) == 0);
    return ::lstat(path, info);
  };
  // In the second try its number is another's.
  system->mkfifo = [&](const char* path, mode_t mode) {
    if (write_end < 0) return ::mkfifo(path, mode);
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null != write_end) CHECK(dup2(null, write_end) == write_end && close(null) == 0);
    return failing(ENOMEM);
  };
  CHECK(code_of_making() == "ERR_SEGMENT_RESOURCES");
  CHECK(write_end >= 0 && fcntl(write_end, F_GETFD) >= 0 && names_here() == 0);
  close(write_end);
}

TEST(a_lack_of_descriptors_is_said_whatever_follows_it) {
  const int before = descriptors_here();
  for (const int lacking : {O_RDONLY, O_WRONLY}) {
    Interposed system;
    system->open = [&](const char* path, int how, mode_t mode) {
      return is_bell(path) && (how & O_ACCMODE) == lacking ? failing(EMFILE) : ::open(path, how, mode);
    };
    system->fchmod = [](int, mode_t) { return failing(EPERM); };
    system->unlink = [](const char* path) {
      CHECK(::unlink(path) == 0);
      return failing(ENOENT);  // as if somebody who sweeps was first
    };
    CHECK(code_of_making() == "ERR_SEGMENT_RESOURCES" && names_here() == 0 && descriptors_here() == before);
  }
}

TEST(a_pipe_of_which_the_system_says_nothing_is_no_doorbell) {
  for (const bool named : {false, true}) {  // of the open one, or of what lies under the name
    Interposed system;
    const auto look = [](int result, bool refused) { return result == 0 && refused ? failing(EACCES) : result; };
    system->fstat = [&](int fd, struct stat* info) { return look(::fstat(fd, info), !named); };
    system->lstat = [&](const char* path, struct stat* info) { return look(::lstat(path, info), named); };
    OwnBell bell;
    CHECK(bell->inode() == 0 && names_here() == 0);
  }
}

TEST(a_pipe_without_a_name_may_be_refused_too) {
  Interposed system;
  system->mkfifo = [](const char*, mode_t) { return failing(EACCES); };
  system->pipe2 = [](int* ends, int) {
    ends[0] = ends[1] = -1;
    return failing(EMFILE);
  };
  CHECK(code_of_making() == "ERR_SEGMENT_RESOURCES");
  system->pipe2 = nullptr;
  CHECK(code_of_making().empty());
}

TEST(a_doorbell_of_the_dead_that_cannot_be_taken_away_is_not_counted) {
  CHECK(::mkfifo(path_of(1).c_str(), 0600) == 0);
  {
    Interposed system;
    system->unlink = [](const char*) { return failing(EPERM); };
    CHECK(Doorbell::sweep(folder()) == 0 && names_here() == 1);
  }
  CHECK(Doorbell::sweep(folder()) == 1 && names_here() == 0);
}

// ── ringing ────────────────────────────────────────────────────────────────

TEST(a_ring_keeps_one_signal_away_and_no_other) {
  OwnBell bell;
  Ringer ringer(folder());
  const Entry entry(*bell.made);
  CHECK(ringer.ring(1, entry) == Ring::kSent);  // what it writes there to know the bell is out of the way
  Interposed system;
  int blocked = 0;
  system->pthread_sigmask = [&](int how, const sigset_t* set, sigset_t* before) {
    for (int signal = 1; how == SIG_BLOCK && signal < 32; ++signal) {
      CHECK((sigismember(set, signal) != 0) == (signal == SIGPIPE));
      blocked += signal == SIGPIPE ? 1 : 0;
    }
    return ::pthread_sigmask(how, set, before);
  };
  paint_stack(0xff);
  CHECK(ringer.ring(1, entry) == Ring::kSent && blocked == 1);
}

TEST(a_fork_in_the_middle_of_a_ring_closes_nothing_that_is_its_own_by_then) {
  OwnBell first;
  OwnBell second;
  auto ringer = std::make_unique<Ringer>(folder());
  CHECK(ringer->ring(1, Entry(*first.made)) == Ring::kSent);
  // The one that was known is closed, and still known.
  Interposed system;
  pid_t child = 0;
  system->close = [&](int fd) {
    const int result = ::close(fd);
    if (child != 0) return result;
    child = fork();
    CHECK(child >= 0);
    if (child > 0) return result;
    alarm(20);
    const int own = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (own != fd) dup2(own, fd);
    ringer.reset();
    _exit(fcntl(fd, F_GETFD) >= 0 ? 0 : 1);
  };
  CHECK(ringer->ring(1, Entry(*second.made)) == Ring::kSent && child > 0);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

// ── the watcher ────────────────────────────────────────────────────────────

namespace {

/// A client whose peers are nobody.
struct Onlooker : Watcher::Client {
  std::vector<Watcher::Peer> peers() override { return {}; }
  void look_after_peers() override {}
  void follow_up(int) override {}
  void nudged(bool) override {}
  int segment_descriptor() const override { return -1; }
};

}  // namespace

TEST(a_watcher_that_got_no_pipe_has_none) {
  int others[2];
  CHECK(::pipe(others) == 0);
  Interposed system;
  std::atomic<int> refused{0};
  system->pipe2 = [&](int* ends, int) {
    ends[0] = others[0];  // what happened to stand there
    ends[1] = others[1];
    ++refused;
    return failing(EMFILE);
  };
  Onlooker onlooker;
  CHECK(Watcher::instance().add(&onlooker));
  CHECK(within(kSoonMs, [&] { return refused > 1; }));
  Watcher::instance().remove(&onlooker);
  for (const int end : others) CHECK((fcntl(end, F_GETFL) & O_NONBLOCK) == 0 && ::close(end) == 0);
}

TEST(two_threads_of_a_forked_child_that_come_to_the_watcher_at_once_have_the_same) {
  Watcher* const parents = &Watcher::instance();
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(20);
    Interposed system;
    Watcher* others = nullptr;
    system->allocate = [&](size_t bytes) {
      // The other thread comes while this one makes a watcher.
      if (bytes == sizeof(Watcher) && others == nullptr) others = &Watcher::instance();
      return std::malloc(bytes);
    };
    Watcher* const own = &Watcher::instance();
    _exit(others != nullptr && others != parents && own == others && &Watcher::instance() == own ? 0 : 1);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}
