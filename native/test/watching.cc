// The watcher alone, with clients that write down what they are told: whose death is noticed and when, what is
// followed up, who is heard, what it does around a fork, and that it sleeps while nothing happens.
// Past 400 lines: all cases watch the one watcher of a process, through the clients at the top of this file.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "core/os/nudges.h"
#include "core/os/process.h"
#include "core/segment/segment.h"
#include "core/waiting/watcher.h"
#include "here.h"

using namespace sage;

namespace {

/// Descriptors that a program would get that is executed now.
int inheritable_here() {
  int count = 0;
  for (int fd = 0; fd < 256; ++fd) {
    const int flags = fcntl(fd, F_GETFD);
    count += flags >= 0 && (flags & FD_CLOEXEC) == 0 ? 1 : 0;
  }
  return count;
}

/// How many files this process listens to.
int listened_to() {
  int count = 0;
  for (int fd = 0; fd < 256; ++fd) {
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
    for (std::string line; std::getline(info, line);) count += line.rfind("inotify wd:", 0) == 0 ? 1 : 0;
  }
  return count;
}

int threads_that_block(int signal) {
  int count = 0;
  DIR* stream = opendir("/proc/self/task");
  CHECK(stream != nullptr);
  while (const dirent* entry = readdir(stream)) {
    std::ifstream status(std::string("/proc/self/task/") + entry->d_name + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.rfind("SigBlk:", 0) != 0) continue;
      count += (std::stoull(line.substr(7), nullptr, 16) >> (signal - 1) & 1) != 0 ? 1 : 0;
    }
  }
  closedir(stream);
  return count;
}

/// Does what a handle of a queue does, and writes it down.
class Client : public Watcher::Client {
 public:
  explicit Client(int segment = -1) : segment_(segment) {}
  ~Client() override { leave(); }
  void come() { CHECK(Watcher::instance().add(this)); }
  void leave() { Watcher::instance().remove(this); }
  void has_peers(std::vector<Watcher::Peer> peers) {
    const std::lock_guard<std::mutex> lock(mutex_);
    peers_ = std::move(peers);
  }

  std::vector<Watcher::Peer> peers() override {
    ++asked;
    const std::lock_guard<std::mutex> lock(mutex_);
    return peers_;
  }
  void look_after_peers() override { ++looks; }
  void follow_up(int direction) override {
    ++followed_up[direction];
    from_watcher = Watcher::is_this_thread();
    if (on_follow_up) on_follow_up(direction);
  }
  void nudged(bool told) override { ++(told ? told_of : suspected); }
  int segment_descriptor() const override { return segment_; }

  /// So many turns of the watcher, looks and nudges within so long.
  int turns(int milliseconds) {
    const int before = asked;
    nap(milliseconds);
    return asked - before;
  }
  int looks_within(int milliseconds) {
    const int before = looks;
    nap(milliseconds);
    return looks - before;
  }
  /// Until nothing more is done about what happened before.
  void settle() {
    CHECK(within(kSoonMs, [&] { return asked > 0; }));
    CHECK(within(kSoonMs, [&] { return turns(30) == 0; }));
  }

  std::atomic<int> asked{0};
  std::atomic<int> looks{0};
  std::atomic<int> told_of{0};
  std::atomic<int> suspected{0};
  std::atomic<int> followed_up[4] = {};
  std::atomic<bool> from_watcher{false};
  std::function<void(int)> on_follow_up;

 private:
  const int segment_;
  std::mutex mutex_;
  std::vector<Watcher::Peer> peers_;
};

/// A file without a name where segments lie.
struct File {
  int fd = -1;
  File() {
    std::string path = Segment::directory() + "/watching.XXXXXX";
    fd = mkostemp(path.data(), O_CLOEXEC);
    CHECK(fd >= 0 && unlink(path.c_str()) == 0 && ftruncate(fd, kNudgeByte + 1) == 0);
  }
  ~File() { close(fd); }
};

/// A child that does nothing until it is killed.
class Peer {
 public:
  Peer() : pid_(fork()) {
    CHECK(pid_ >= 0);
    if (pid_ > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  ~Peer() { reap(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  uint32_t pid() const { return static_cast<uint32_t>(pid_); }
  /// It has ended; its number is its own until it is reaped.
  void end() const {
    kill(pid_, SIGKILL);
    siginfo_t info;
    CHECK(waitid(P_PID, pid(), &info, WEXITED | WNOWAIT) == 0);
  }
  void reap() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_;
};

/// Runs `body` in a child of its own; whether it went well.
template <class Body>
bool in_child(Body body) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(20);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

// ── deaths ─────────────────────────────────────────────────────────────────

TEST(a_near_peer_costs_nothing_while_it_lives_and_its_end_is_looked_at_until_it_is_dealt_with) {
  const int without = descriptors_here();
  const Peer peer;
  File file;
  {
    Client client(file.fd);
    client.has_peers({{peer.pid(), true}});
    client.come();
    CHECK(within(kSoonMs, [&] { return client.looks == 1; }));  // whether it is the one that was meant
    client.settle();
    CHECK(client.turns(200) == 0 && client.looks == 1);
    peer.end();
    CHECK(within(kSoonMs, [&] { return client.looks >= 2; }));
    // Its address space may go after it: it is asked after every few milliseconds, and in no busy loop.
    const int looks = client.looks_within(300);
    CHECK(looks >= 5 && looks <= 200 && client.turns(300) <= 150);
    client.has_peers({});
    CHECK(within(kSoonMs, [&] { return client.looks_within(100) == 0; }));
  }
  CHECK(descriptors_here() == without + 1);  // but for the file
}

TEST(who_had_ended_before_it_was_watched_is_looked_at) {
  for (const bool reaped : {false, true}) {
    Peer peer;
    const uint32_t pid = peer.pid();
    peer.end();
    if (reaped) peer.reap();
    File file;
    Client client(file.fd);
    client.has_peers({{pid, true}});
    client.come();
    CHECK(within(kSoonMs, [&] { return client.looks > 5; }));
    const int descriptors = descriptors_here();
    CHECK(client.looks_within(300) >= 5 && descriptors_here() == descriptors);
    CHECK(client.turns(300) <= 150);
    CHECK(within(kSoonMs, [&] { return client.turns(300) >= 20; }));
  }
}

TEST(one_of_whom_the_kernel_says_nothing_is_asked_after_now_and_then) {
  const Peer peer;
  File file;
  Client client(file.fd);
  client.come();
  client.settle();
  const int descriptors = descriptors_here();
  client.has_peers({{peer.pid(), false}});
  Watcher::instance().look_again();
  CHECK(within(kSoonMs, [&] { return client.looks > 3; }));
  CHECK(descriptors_here() == descriptors);  // the number is another process's here
  CHECK(client.looks_within(500) <= 15);
  CHECK(client.turns(500) <= 30 && client.suspected == 0);  // this one can be heard
  client.has_peers({});
  CHECK(within(kSoonMs, [&] { return client.looks_within(150) == 0; }));
}

TEST(one_process_is_watched_once_however_many_are_on_it_and_all_of_them_look) {
  File file;
  const Peer peer;
  const Peer other;
  Client first(file.fd);
  Client second(file.fd);
  first.has_peers({{peer.pid(), true}, {other.pid(), true}, {peer.pid(), true}});
  second.has_peers({{other.pid(), true}, {peer.pid(), true}});
  const int before = descriptors_here();
  first.come();
  first.settle();
  const int with_one = descriptors_here();
  CHECK(with_one == before + 5);  // a pipe, what hears nudges, and two who may die
  second.come();
  second.settle();
  CHECK(descriptors_here() == with_one && second.looks == 0);  // known before
  // The death of the one says nothing of the other, and nobody looks twice.
  first.has_peers({{other.pid(), true}});
  second.has_peers({{other.pid(), true}});
  Watcher::instance().look_again();
  CHECK(within(kSoonMs, [&] { return descriptors_here() == with_one - 1; }));
  const int looks = first.looks;
  peer.end();
  CHECK(first.looks_within(100) == 0 && second.looks == 0);
  other.end();
  CHECK(within(kSoonMs, [&] { return first.looks > looks && second.looks > 0; }));
  CHECK(descriptors_here() == with_one - 2);
}

TEST(without_a_descriptor_for_it_a_near_peer_is_asked_after_now_and_then) {
  CHECK(in_child([] {
    const Peer peer;
    File file;
    Client client(file.fd);
    client.come();
    client.settle();
    std::vector<int> taken;
    for (int fd = dup(0); fd >= 0 && taken.size() < 100000; fd = dup(0)) taken.push_back(fd);
    client.has_peers({{peer.pid(), true}});
    Watcher::instance().look_again();
    CHECK(within(kSoonMs, [&] { return client.looks > 3; }));
    CHECK(client.looks_within(500) <= 40);
    for (const int fd : taken) close(fd);
    client.settle();  // there is one now
    const int looks = client.looks;
    peer.end();
    CHECK(within(kSoonMs, [&] { return client.looks > looks; }));
    return true;
  }));
}

TEST(who_has_other_peers_than_before_says_so_and_waits_for_nobody) {
  File file;
  const Peer peer;
  Client client(file.fd);
  client.come();
  client.settle();
  CHECK(client.looks == 0);
  client.has_peers({{peer.pid(), true}});
  Watcher::instance().look_again();
  CHECK(within(kSoonMs, [&] { return client.looks == 1; }));
  const int looks = client.looks;
  peer.end();
  CHECK(within(kSoonMs, [&] { return client.looks > looks; }));
}

// ── its thread ─────────────────────────────────────────────────────────────

TEST(the_thread_is_there_while_somebody_is_and_gets_no_signals) {
  CHECK(in_child([] {
    const int without = descriptors_here();
    const int inheritable = inheritable_here();
    File file;
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, nullptr, &before);
    CHECK(threads_here() == 1);
    {
      Client first(file.fd);
      Client second(file.fd);
      first.come();
      first.come();  // once is enough
      second.come();
      CHECK(threads_here() == 2 && within(kSoonMs, [&] { return first.asked > 0; }));
      sigset_t after;
      pthread_sigmask(SIG_BLOCK, nullptr, &after);
      CHECK(sigismember(&after, SIGTERM) == sigismember(&before, SIGTERM));
      const int blocked = threads_that_block(SIGTERM);
      CHECK(blocked == 1);
      CHECK(inheritable_here() == inheritable);
      first.settle();
      first.leave();
      CHECK(threads_here() == 2);
      const int asked = first.asked;
      second.has_peers({});
      Watcher::instance().look_again();
      second.settle();
      CHECK(first.asked == asked);  // gone is gone
      const Peer peer;
      second.has_peers({{peer.pid(), true}});
      Watcher::instance().look_again();
      CHECK(within(kSoonMs, [&] { return second.looks > 0; }));
      second.leave();
      second.leave();
      CHECK(threads_here() == 1 && descriptors_here() == without + 1);
      second.come();
      CHECK(threads_here() == 2 && within(kSoonMs, [&] { return second.asked > 0; }));
    }
    return threads_here() == 1 && descriptors_here() == without + 1;
  }));
}

TEST(a_forked_child_has_a_watcher_of_its_own_and_one_for_all_its_threads) {
  File file;
  Client client(file.fd);
  client.come();
  Watcher* const parents = &Watcher::instance();
  CHECK(in_child([&] {
    std::atomic<Watcher*> found[8] = {};
    std::vector<std::thread> threads;
    for (auto& mine : found) threads.emplace_back([&mine] { mine = &Watcher::instance(); });
    for (auto& thread : threads) thread.join();
    const bool is_one = std::all_of(std::begin(found), std::end(found), [&](auto& one) { return one == found[0]; });
    return is_one && found[0] != parents && &Watcher::instance() == found[0];
  }));
  CHECK(&Watcher::instance() == parents);
}

// ── what is followed up ────────────────────────────────────────────────────

TEST(what_is_due_is_done_once_for_each_direction_and_not_for_who_has_gone) {
  File file;
  Client client(file.fd);
  Client other(file.fd);
  for (int times = 0; times < 5; ++times) CHECK(Watcher::instance().schedule(&client, 1));
  CHECK(Watcher::instance().schedule(&client, 0));
  CHECK(within(kSoonMs, [&] { return client.followed_up[0] > 0 && client.followed_up[1] > 0; }));
  client.settle();
  CHECK(client.followed_up[0] == 1 && client.followed_up[1] <= 5 && client.followed_up[2] == 0);
  CHECK(client.from_watcher && !Watcher::is_this_thread());
  // One that is due is due once.
  const int before = client.followed_up[1];
  Watcher::instance().pause();
  Watcher::instance().resume();
  client.leave();
  CHECK(client.followed_up[1] == before);
  other.come();
  for (int times = 0; times < 20; ++times) {  // it may have been done before, not each time
    CHECK(Watcher::instance().schedule(&client, 2));
    client.leave();
    const int done = client.followed_up[2];
    nap(20);
    CHECK(client.followed_up[2] == done);
  }
}

TEST(what_has_to_be_followed_up_once_more_waits_for_a_later_attempt) {
  File file;
  Client client(file.fd);
  uint32_t first = 0;
  uint32_t last = 0;
  client.on_follow_up = [&](int direction) {
    if (first == 0) first = monotonic_ms();
    last = monotonic_ms();
    if (client.followed_up[0] < 4) {
      for (int times = 0; times < 3; ++times) CHECK(Watcher::instance().schedule(&client, direction));
    }
    Watcher::instance().look_again();  // from here it says nothing new, and waits for nothing
  };
  CHECK(Watcher::instance().schedule(&client, 0));
  CHECK(within(kSoonMs, [&] {
    Watcher::instance().look_again();  // whatever it wakes for in between
    return client.followed_up[0] == 4;
  }));
  client.settle();
  CHECK(client.followed_up[0] == 4 && last - first >= 3 * 45);
}

TEST(a_pause_does_what_is_due_ends_the_thread_and_keeps_what_has_to_be_done_again) {
  CHECK(in_child([] {
    File file;
    Client client(file.fd);
    Client other(file.fd);
    client.come();
    other.come();
    client.settle();
    CHECK(!Watcher::is_paused());
    std::atomic<bool> again{true};
    std::atomic<int> threads_in_it{0};
    client.on_follow_up = [&](int direction) {
      threads_in_it = threads_here();
      if (again) CHECK(Watcher::instance().schedule(&client, direction));
    };
    // It may be done before the pause; then it is scheduled once more, and due when it pauses.
    CHECK(Watcher::instance().schedule(&client, 1));
    Watcher::instance().resume();  // its thread is there, and stays the one it is
    CHECK(threads_here() == 2);
    Watcher::instance().pause();
    CHECK(Watcher::is_paused() && threads_here() == 1 && threads_in_it == 1);
    CHECK(client.followed_up[1] >= 1 && client.from_watcher && !Watcher::is_this_thread());
    const int done = client.followed_up[1];
    nap(100);
    CHECK(client.followed_up[1] == done && other.followed_up[1] == 0);
    Watcher::instance().pause();  // a second time is nothing
    Watcher::instance().look_again();
    CHECK(Watcher::is_paused() && client.followed_up[1] == done);
    again = false;
    CHECK(pwrite(file.fd, "", 1, kNudgeByte) == 1);  // unheard
    Watcher::instance().resume();
    CHECK(!Watcher::is_paused() && threads_here() == 2);
    CHECK(within(kSoonMs, [&] { return client.followed_up[1] == done + 1; }));
    CHECK(client.told_of >= 1 && other.told_of >= 1);  // it may have been meant
    client.settle();
    Watcher::instance().resume();  // it is there
    CHECK(threads_here() == 2 && client.followed_up[1] == done + 1);
    Watcher::instance().pause();
    Watcher::instance().resume();
    CHECK(Watcher::is_paused() && threads_here() == 1);  // nothing is due, so that nobody needs it
    const int missed = other.told_of;
    client.come();
    CHECK(!Watcher::is_paused() && threads_here() == 2);
    CHECK(within(kSoonMs, [&] { return other.told_of > missed; }));
    other.settle();
    const int told = other.told_of;
    CHECK(pwrite(file.fd, "", 1, kNudgeByte) == 1);
    CHECK(within(kSoonMs, [&] { return other.told_of > told; }));  // it is heard again, by all
    return true;
  }));
}

// ── who is heard ───────────────────────────────────────────────────────────

TEST(a_nudge_is_told_to_all_and_heard_for_as_long_as_somebody_is_on_that_file) {
  File file;
  File another;
  Client first(file.fd);
  Client second(file.fd);
  Client third(another.fd);
  const int before = listened_to();
  first.come();
  first.come();
  second.come();
  third.come();
  CHECK(listened_to() == before + 2);
  first.settle();
  CHECK(first.told_of == 0);
  CHECK(nudge(file.fd));
  CHECK(within(kSoonMs, [&] { return first.told_of == 1 && second.told_of == 1 && third.told_of == 1; }));
  first.leave();
  CHECK(listened_to() == before + 2);
  CHECK(nudge(file.fd));
  CHECK(within(kSoonMs, [&] { return second.told_of == 2; }));
  CHECK(first.told_of == 1 && first.suspected == 0 && second.suspected == 0);
  third.leave();
  CHECK(listened_to() == before + 1);
  second.settle();
  CHECK(nudge(another.fd) && second.turns(50) == 0);
  second.leave();
  CHECK(listened_to() == before);
}

TEST(who_cannot_be_heard_is_asked_now_and_then_whether_it_was_meant) {
  const Peer peer;
  File file;
  Client deaf;
  Client hearing(file.fd);
  hearing.come();
  hearing.settle();
  deaf.come();
  CHECK(within(kSoonMs, [&] { return deaf.suspected > 3 && hearing.suspected > 3; }));
  const uint32_t start = monotonic_ms();
  const int before = deaf.suspected;
  nap(500);
  const int asked = deaf.suspected - before;
  CHECK(asked <= 5 + static_cast<int>(monotonic_ms() - start) / 50 && deaf.told_of == 0 && hearing.told_of == 0);
  CHECK(deaf.looks > 3);
  // One that is looked at more often makes nobody more suspicious than that, and the other way round.
  deaf.leave();
  CHECK(within(kSoonMs, [&] {
    const int suspected = hearing.suspected;
    nap(120);
    return hearing.suspected == suspected;
  }));
}

int main(int argc, char** argv) { return check::main(argc, argv); }
