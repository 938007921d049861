// How a handle comes to its queue and goes, whoever else comes, goes or dies between any two of its steps.
// Past 400 lines: the cases play the steps of the same few processes, with the tools at the top of this file.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/errors.h"
#include "here.h"
#include "loop_bell.h"
#include "simple.h"

using namespace sage;

namespace {

constexpr unsigned kStuckSeconds = 20;

/// A child process, which is told from here when to go on and says from there how far it is.
class Child {
 public:
  template <class Body>
  explicit Child(Body body) {
    CHECK(pipe(to_) == 0 && pipe(from_) == 0);
    pid_ = fork();
    CHECK(pid_ >= 0);
    if (pid_ > 0) return;
    alarm(kStuckSeconds);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(body(*this) ? 0 : 1);
  }
  ~Child() {
    end();
    for (const int end : {to_[0], to_[1], from_[0], from_[1]}) close(end);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // There.
  void say() const { CHECK(write(from_[1], "s", 1) == 1); }
  void wait_for_word() const {
    char byte = 0;
    CHECK(read(to_[0], &byte, 1) == 1);
  }
  [[noreturn]] void stay() const {
    for (;;) pause();
  }

  // Here.
  void hear() const {
    pollfd asked{from_[0], POLLIN, 0};
    char byte = 0;
    CHECK(poll(&asked, 1, static_cast<int>(kStuckSeconds) * 1000) == 1 && read(from_[0], &byte, 1) == 1);
  }
  void tell() const { CHECK(write(to_[1], "t", 1) == 1); }
  void wait_until_stopped() const {
    int status = 0;
    CHECK(waitpid(pid_, &status, WUNTRACED) == pid_ && WIFSTOPPED(status));
  }
  void go_on() const { CHECK(::kill(pid_, SIGCONT) == 0); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  bool ends_well() {
    int status = 0;
    const bool ended = waitpid(pid_, &status, 0) == pid_;
    pid_ = 0;
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  pid_t pid() const { return pid_; }

 private:
  int to_[2];
  int from_[2];
  pid_t pid_ = 0;
};

bool has_name(const SegmentOptions& options) {
  return access((Segment::directory() + "/" + Segment::file_of(options.name)).c_str(), F_OK) == 0;
}

Participant<StdMemory>& entry_of(const Queue& queue, uint32_t index) {
  return queue.segment().shared().participants[index];
}

/// Lines of this process's mappings that name the file.
std::vector<std::string> mappings_of(const std::string& path) {
  std::ifstream maps("/proc/self/maps");
  std::vector<std::string> found;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(path) != std::string::npos) found.push_back(line);
  }
  return found;
}

bool is_bell_named(uint64_t id) {
  char name[32];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(id));
  bool found = false;
  DIR* stream = opendir(Segment::directory().c_str());
  CHECK(stream != nullptr);
  while (const dirent* entry = readdir(stream))
    found = found || std::string(entry->d_name).find(name) != std::string::npos;
  closedir(stream);
  return found;
}

Watcher::Client& client(Queue& queue) { return queue; }

/// Has a child take the last entry but one that is free, and be killed there.
void die_in_an_entry(const SegmentOptions& options) {
  Child child([&](const Child& here) {
    auto queue = Queue::open(options, Create::kNever);
    here.say();
    here.stay();
    return true;
  });
  child.hear();
}

}  // namespace

// ── joining ────────────────────────────────────────────────────────────────

TEST(who_is_overtaken_as_it_joins_takes_part_in_the_queue_that_has_the_name_then) {
  struct Overtaking {
    Point point;
    bool makes;    // the one who is stopped makes the queue itself
    bool unlinks;  // the name is taken away from a queue that goes on
  };
  for (const Overtaking& how : {Overtaking{Point::kCreateLinked, true, false},
                                {Point::kJoinLocked, false, false},
                                {Point::kJoinLocked, false, true}}) {
    const SegmentOptions options = options_for(__func__);
    std::unique_ptr<Queue> first;
    if (!how.makes) first = Queue::open(options, Create::kIfMissing);
    Child late([&](const Child& here) {
      failpoint_arm(how.point, 0, 'S');
      auto queue = Queue::open(options, Create::kIfMissing);
      const bool is_new = queue->created() && !queue->segment().retired();
      if (put(*queue, "a") != Outcome::kOk) return false;
      here.say();
      here.wait_for_word();
      return is_new && queue->attached().size() == 2;
    });
    late.wait_until_stopped();
    if (how.makes) first = Queue::open(options, Create::kNever);
    if (how.unlinks) {
      first->unlink();
    } else {
      first->close();
    }
    CHECK(!has_name(options));
    late.go_on();
    late.hear();
    auto second = Queue::open(options, Create::kNever);
    CHECK(get(*second) == "a");
    late.tell();
    CHECK(late.ends_well());
    CHECK(!how.unlinks || get(*first) == "<none>");
  }
}

TEST(who_finds_the_name_gone_before_it_joined_makes_a_queue_with_that_name) {
  const SegmentOptions options = options_for(__func__);
  auto first = make(__func__);
  Child late([&](const Child& here) {
    failpoint_arm(Point::kOpenRead, 0, 'S');
    auto queue = Queue::open(options, Create::kIfMissing);
    here.say();
    here.wait_for_word();
    return queue->created();
  });
  late.wait_until_stopped();
  // By somebody who knows nothing of queues: nothing in it says that it is gone.
  CHECK(::unlink(first->segment().path().c_str()) == 0);
  late.go_on();
  late.hear();
  CHECK(has_name(options) && first->attached().size() == 1);
  late.tell();
  CHECK(late.ends_well());
}

TEST(a_newcomer_without_a_descriptor_to_ring_with_makes_itself_known_once_there_is_one) {
  const SegmentOptions options = options_for(__func__);
  auto queue = make(__func__);
  const LoopBell bell;
  bell.hang_up(*queue);
  sleep_in(*queue);
  Child late([&](const Child& here) {
    failpoint_arm(Point::kJoinEntry, 0, 'S');
    auto own = Queue::open(options, Create::kNever);
    here.say();
    here.wait_for_word();
    return true;
  });
  late.wait_until_stopped();
  rlimit before{};
  CHECK(prlimit(late.pid(), RLIMIT_NOFILE, nullptr, &before) == 0);
  const rlimit none{0, before.rlim_max};
  CHECK(prlimit(late.pid(), RLIMIT_NOFILE, &none, nullptr) == 0);
  late.go_on();
  late.hear();
  CHECK(!bell.rings(0));
  CHECK(prlimit(late.pid(), RLIMIT_NOFILE, &before, nullptr) == 0);
  CHECK(bell.rings(kSoonMs));
  late.tell();
  CHECK(late.ends_well());
  queue->stop_waiting(kGetters);
}

TEST(who_finds_a_free_entry_taken_and_left_by_one_who_died_lets_it_alone) {
  const SegmentOptions options = options_for(__func__);
  auto queue = make(__func__);
  Child late([&](const Child& here) {
    failpoint_arm(Point::kJoinSeen, 0, 'S');
    auto own = Queue::open(options, Create::kNever);
    const bool is_third = Identity::pid(entry_of(*own, 3).identity) == static_cast<uint32_t>(getpid());
    here.say();
    here.wait_for_word();
    return is_third;
  });
  late.wait_until_stopped();
  die_in_an_entry(options);
  late.go_on();
  late.hear();
  CHECK(within(kSoonMs, [&] { return queue->reap() == 1 || queue->totals().recovered == 1; }));
  CHECK(queue->attached().size() == 2 && entry_of(*queue, 2).identity == 0);
  late.tell();
  CHECK(late.ends_well());
}

TEST(an_entry_begins_with_nothing_of_who_had_it_before) {
  const SegmentOptions options = options_for(__func__);
  auto queue = make(__func__);
  auto before = make(__func__);
  Participant<StdMemory>& entry = entry_of(*queue, 2);
  before->close();
  // As somebody leaves it who died asleep beside an event loop, elsewhere.
  for (auto& bell : entry.bell) bell.store(Bell::kInLoop);
  entry.bell_tag.store(9);
  entry.bell_inode.store(9);
  entry.uid.store(geteuid() + 1);
  entry.pid_namespace.store(1);
  entry.user_namespace.store(1);
  // While it is taken, nobody waits there yet.
  Child joining([&](const Child&) {
    failpoint_arm(Point::kJoinLocked, 0, 'S');
    Queue::open(options, Create::kNever);
    return true;
  });
  joining.wait_until_stopped();
  CHECK(queue->totals().waiting_getters == 0);
  joining.end();
  auto after = make(__func__);
  CHECK(Identity::pid(entry.identity) == static_cast<uint32_t>(getpid()));
  for (const auto& bell : entry.bell) CHECK(bell == Bell::kAwake);
  CHECK(entry.bell_tag == 0 && entry.bell_inode == 0 && entry.uid == geteuid());
  const Home home = own_home();
  CHECK(entry.pid_namespace == home.pid_namespace && entry.user_namespace == home.user_namespace);
}

TEST(the_doorbell_of_who_changed_its_user_is_known_to_be_of_the_new_one) {
  if (geteuid() != 0) return;  // only root becomes somebody else
  const SegmentOptions options = options_for(__func__);
  Child child([&](const Child&) {
    auto queue = Queue::open(options, Create::kIfMissing);
    const bool was_roots = entry_of(*queue, 1).uid == 0;
    CHECK(seteuid(65534) == 0);
    {
      const LoopBell bell;
      bell.hang_up(*queue);
    }
    CHECK(seteuid(0) == 0);
    return was_roots && entry_of(*queue, 1).uid == 65534;
  });
  CHECK(child.ends_well());
}

TEST(who_has_joined_keeps_nobody_from_forking) {
  const SegmentOptions options = options_for(__func__);
  Child child([&](const Child&) {
    auto queue = Queue::open(options, Create::kIfMissing);
    const pid_t another = fork();
    if (another == 0) _exit(0);
    return waitpid(another, nullptr, 0) == another;
  });
  CHECK(child.ends_well());
}

TEST(where_every_entry_is_in_use_the_dead_make_room_and_else_nobody_is_let_in) {
  const SegmentOptions options = options_for(__func__);
  Child all([&](const Child&) {
    std::vector<std::unique_ptr<Queue>> handles;
    handles.push_back(Queue::open(options, Create::kIfMissing));
    while (handles.size() < kParticipants - 2) handles.push_back(Queue::open(options, Create::kNever));
    die_in_an_entry(options);
    handles.push_back(Queue::open(options, Create::kNever));
    const auto join = [&] { Queue::open(options, Create::kNever); };
    return code_of(join) == "ERR_SEGMENT_PARTICIPANTS" && code_of(join) == "ERR_SEGMENT_PARTICIPANTS";
  });
  CHECK(all.ends_well());
}

TEST(a_forked_child_finds_room_where_one_has_died_and_else_says_so) {
  const SegmentOptions options = options_for(__func__);
  Child parent([&](const Child&) {
    std::vector<std::unique_ptr<Queue>> handles;
    handles.push_back(Queue::open(options, Create::kIfMissing));
    while (handles.size() < kParticipants - 2) handles.push_back(Queue::open(options, Create::kNever));
    die_in_an_entry(options);
    Child child([&](const Child&) {
      const bool came = put(*handles[0], "a") == Outcome::kOk;
      const auto another = [&] { put(*handles[1], "b"); };
      return came && code_of(another) == "ERR_SEGMENT_PARTICIPANTS" && code_of(another) == "ERR_SEGMENT_PARTICIPANTS";
    });
    return child.ends_well() && get(*handles[0]) == "a";
  });
  CHECK(parent.ends_well());
}

TEST(a_queue_that_was_shut_down_and_is_empty_begins_anew_where_nobody_is_attached) {
  SegmentOptions options = options_for(__func__);
  options.auto_cleanup = false;
  for (const bool at_once : {false, true}) {
    auto queue = Queue::open(options, Create::kIfMissing);
    CHECK(put(*queue, "a") == Outcome::kOk);
    queue->close();
    CHECK(has_name(options));
    queue = Queue::open(options, Create::kIfMissing);
    CHECK(!queue->created());  // not shut down
    if (at_once) {
      queue->shut_down(true);
    } else {
      CHECK(get(*queue) == "a");
      queue->close();
      queue = Queue::open(options, Create::kIfMissing);
      CHECK(!queue->created());  // empty, and not shut down
      queue->shut_down(false);
    }
    auto beside = Queue::open(options, Create::kIfMissing);
    CHECK(!beside->created() && beside->is_shut());  // somebody is attached
    beside->close();
    queue->close();
    CHECK(has_name(options));
    queue = Queue::open(options, Create::kIfMissing);
    CHECK(queue->created() && !queue->is_shut());
    queue->unlink();
  }
}

// ── who is there ───────────────────────────────────────────────────────────

TEST(the_peers_of_a_handle_are_the_processes_whose_death_matters_to_it) {
  auto queue = make(__func__);
  const SegmentOptions options = options_for(__func__);
  using Seen = std::vector<std::pair<uint32_t, bool>>;
  const auto peers = [&] {
    Seen seen;
    for (const Watcher::Peer& peer : client(*queue).peers()) seen.emplace_back(peer.pid, peer.near);
    return seen;
  };
  CHECK(peers().empty());
  auto own = make(__func__);
  CHECK(peers().empty());  // what dies with this process
  Child child([&](const Child& here) {
    auto other = Queue::open(options, Create::kNever);
    here.say();
    here.wait_for_word();
    return true;
  });
  child.hear();
  const auto pid = static_cast<uint32_t>(child.pid());
  CHECK((peers() == Seen{{pid, true}}));
  // The same number in another namespace is another process, and its end is told by nobody.
  entry_of(*queue, 3).pid_namespace.store(1);
  entry_of(*queue, 2).pid_namespace.store(1);
  CHECK((peers() == Seen{{static_cast<uint32_t>(getpid()), false}, {pid, false}}));
  CHECK(queue->attached()[1].foreign && queue->attached()[1].alive);
  const uint64_t identity = entry_of(*queue, 2).identity;
  entry_of(*queue, 2).identity.store(Identity::with(identity, Identity::kRecovered));
  CHECK((peers() == Seen{{pid, false}}) && queue->attached().size() == 2);  // it only waits to be freed
  entry_of(*queue, 2).identity.store(identity);
  child.tell();
  CHECK(child.ends_well());
  CHECK((peers() == Seen{{static_cast<uint32_t>(getpid()), false}}));
}

TEST(who_is_attached_is_told_with_whether_it_lives) {
  const SegmentOptions options = options_for(__func__);
  auto queue = make(__func__);
  const auto onlooker = Queue::inspect(Segment::open_file(Segment::file_of(options.name)));
  Child child([&](const Child& here) {
    auto other = Queue::open(options, Create::kNever);
    sleep_in(*other);
    here.say();
    here.stay();
    return true;
  });
  child.hear();
  const auto pid = static_cast<uint32_t>(child.pid());
  CHECK(onlooker->attached().size() == 2 && onlooker->attached()[1].pid == pid && onlooker->attached()[1].alive);
  CHECK(!onlooker->attached()[1].foreign && onlooker->totals().waiting_getters == 1);
  CHECK(queue->reap() == 0);  // nobody died
  child.end();
  CHECK(within(kSoonMs, [&] { return !onlooker->attached()[1].alive; }));
  CHECK(onlooker->attached()[0].alive && onlooker->totals().waiting_getters == 0);
  CHECK(queue->reap() == 1 && onlooker->attached().size() == 1);
}

TEST(who_came_while_nobody_slept_is_missed_when_it_dies) {
  const SegmentOptions options = options_for(__func__);
  for (const bool blocks : {false, true}) {
    auto queue = make(__func__);
    sleep_in(*queue);                                             // from here on it is watched for
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the watcher has seen that nobody is there
    queue->stop_waiting(kGetters);
    CHECK(put(*queue, "a") == Outcome::kOk);
    Child child([&](const Child& here) {
      auto other = Queue::open(options, Create::kNever);
      Item item;
      if (other->lease(&item) != Outcome::kOk) return false;
      here.say();
      here.stay();
      return true;
    });
    child.hear();
    const auto onlooker = Queue::inspect(Segment::open_file(Segment::file_of(options.name)));
    const auto is_recovered = [&] { return onlooker->totals().recovered == 1; };
    if (blocks) {
      std::thread killer([&] {
        CHECK(within(kSoonMs, [&] { return queue->bell(kGetters) == Bell::kOnFutex; }));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        child.end();
      });
      const bool got = queue->wait(kGetters, kSoonMs, [&] { return is_recovered(); });
      killer.join();
      CHECK(got);
    } else {
      sleep_in(*queue);
      child.end();
      CHECK(within(kSoonMs, is_recovered));
      queue->stop_waiting(kGetters);
    }
    CHECK(get(*queue) == "a");
  }
}

TEST(a_question_counts_what_the_dead_held_and_so_does_a_call_that_always_finds_something) {
  const SegmentOptions options = options_for(__func__);
  for (const bool asks : {true, false}) {
    auto queue = make(__func__);  // it never waits, so that nothing is watched for
    for (const char* text : {"a", "b", "c"}) CHECK(put(*queue, text) == Outcome::kOk);
    Child child([&](const Child& here) {
      auto other = Queue::open(options, Create::kNever);
      Item item;
      if (other->lease(&item) != Outcome::kOk) return false;
      here.say();
      here.stay();
      return true;
    });
    child.hear();
    child.end();
    CHECK(queue->size() == 2);
    if (asks) {
      CHECK(within(kSoonMs, [&] {
        queue->refresh();
        return queue->size() == 3;
      }));
      CHECK(get(*queue) == "a");
    } else {
      CHECK(within(kSoonMs, [&] { return get(*queue) == "a" || put(*queue, "d") != Outcome::kOk; }));
    }
    while (get(*queue) != "<none>") continue;
  }
}

TEST(what_an_onlooker_finds_of_the_dead_after_the_end_is_dropped_by_the_next_who_asks) {
  const SegmentOptions options = options_for(__func__);
  auto queue = make(__func__);
  const auto onlooker = Queue::inspect(Segment::open_file(Segment::file_of(options.name)));
  CHECK(put(*queue, "a") == Outcome::kOk);
  Child child([&](const Child& here) {
    auto other = Queue::open(options, Create::kNever);
    Item item;
    if (other->lease(&item) != Outcome::kOk) return false;
    here.say();
    here.stay();
    return true;
  });
  child.hear();
  queue->shut_down(true);
  CHECK(!queue->joined());
  child.end();
  CHECK(within(kSoonMs, [&] { return onlooker->reap() == 1; }));
  CHECK(queue->joined());
}

// ── leaving ────────────────────────────────────────────────────────────────

TEST(who_leaves_minds_who_has_come_to_its_entry_by_then) {
  for (const bool dies : {false, true}) {
    const SegmentOptions options = options_for(__func__);
    Child leaver([&](const Child& here) {
      auto queue = Queue::open(options, Create::kIfMissing);
      here.say();
      here.wait_for_word();
      failpoint_arm(Point::kLeaveEntry, 0, 'S');
      queue->close();
      return true;
    });
    leaver.hear();
    leaver.tell();
    leaver.wait_until_stopped();
    Child newcomer([&](const Child& here) {
      auto queue = Queue::open(options, Create::kNever);
      const bool is_first = Identity::pid(entry_of(*queue, 1).identity) == static_cast<uint32_t>(getpid());
      here.say();
      here.wait_for_word();
      return is_first;
    });
    newcomer.hear();
    if (dies) newcomer.end();
    leaver.go_on();
    CHECK(leaver.ends_well());
    CHECK(has_name(options) == !dies);
    if (dies) continue;
    newcomer.tell();
    CHECK(newcomer.ends_well() && !has_name(options));
  }
}

TEST(who_only_looks_removes_nothing_and_watches_for_nobody) {
  const SegmentOptions options = options_for(__func__);
  {
    Child child([&](const Child&) {
      auto queue = Queue::open(options, Create::kIfMissing);
      for (const char* text : {"a", "b"}) put(*queue, text);
      Item item;
      queue->lease(&item);
      return ::kill(getpid(), SIGKILL) != 0;
    });
    CHECK(!child.ends_well());
  }
  Child onlooker([&](const Child&) {
    auto looking = Queue::inspect(Segment::open_file(Segment::file_of(options.name)));
    // Two who seem to sleep, of whom a recoverer rings both, as far as it can.
    for (const uint32_t index : {uint32_t{2}, uint32_t{3}}) {
      entry_of(*looking, index).identity.store(Identity::make(getpid(), 1, Identity::kRecovered));
      entry_of(*looking, index).bell[kGetters].store(Bell::kInLoop);
      entry_of(*looking, index).bell_tag.store(1);
    }
    looking->reap();
    const bool saw = looking->totals().recovered == 1 && looking->size() == 2;
    for (const uint32_t index : {uint32_t{2}, uint32_t{3}}) entry_of(*looking, index).identity.store(0);
    const bool alone = threads_here() == 1;
    looking->close();
    looking.reset();
    return saw && alone && has_name(options);
  });
  CHECK(onlooker.ends_well());
  CHECK(has_name(options));
  const auto looking = Queue::inspect(Segment::open_file(Segment::file_of(options.name)));
  CHECK(!looking->remove_if_unused(false) && looking->remove_if_unused(true) && !has_name(options));
}

TEST(what_somebody_is_attached_to_is_not_removed_and_an_end_that_nobody_saw_only_when_asked_for) {
  const SegmentOptions options = options_for(__func__);
  auto queue = make(__func__);
  const auto looking = Queue::inspect(Segment::open_file(Segment::file_of(options.name)));
  CHECK(!looking->remove_if_unused(false) && !looking->remove_if_unused(true) && has_name(options));
  CHECK(queue->produce(1));
  queue->close();
  CHECK(has_name(options) && !looking->remove_if_unused(false));
  CHECK(looking->remove_if_unused(true) && !has_name(options));
}

TEST(an_unlinked_queue_has_no_name_at_once) {
  const SegmentOptions options = options_for(__func__);
  auto queue = make(__func__);
  CHECK(has_name(options));
  queue->unlink();
  CHECK(!has_name(options) && queue->segment().retired() && put(*queue, "a") == Outcome::kOk);
}

TEST(who_may_not_remove_a_queue_neither_retires_nor_unlinks_it) {
  if (geteuid() != 0) return;  // only root can be somebody else
  SegmentOptions options = options_for(__func__);
  options.mode = 0666;
  auto queue = Queue::open(options, Create::kIfMissing);
  Child other([&](const Child& here) {
    CHECK(setuid(65534) == 0);
    auto own = Queue::open(options, Create::kNever);
    const bool refused = code_of([&] { own->unlink(); }) == "ERR_SEGMENT_PERMISSION";
    here.say();
    here.wait_for_word();
    own->close();
    return refused && has_name(options);
  });
  other.hear();
  CHECK(!queue->segment().retired());
  queue->close();
  other.tell();
  CHECK(other.ends_well());
  const auto looking = Queue::inspect(Segment::open_file(Segment::file_of(options.name)));
  CHECK(!looking->segment().retired());
  CHECK(looking->remove_if_unused(false));
}

TEST(who_rings_in_vain_as_it_leaves_is_out_of_the_watcher_when_it_has_left) {
  const SegmentOptions options = options_for(__func__);
  auto sleeper = make(__func__);
  const LoopBell loop;
  loop.hang_up(*sleeper);
  CHECK(put(*sleeper, "a") == Outcome::kOk);
  Child leaver([&](const Child& here) {
    auto queue = Queue::open(options, Create::kNever);
    Item item;
    if (queue->lease(&item) != Outcome::kOk) return false;
    here.say();
    here.wait_for_word();
    rlimit before;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit none = before;
    none.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    queue->close();
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    return threads_here() == 1;
  });
  leaver.hear();
  sleep_in(*sleeper);
  leaver.tell();
  CHECK(leaver.ends_well());
  sleeper->stop_waiting(kGetters);
  CHECK(get(*sleeper) == "a");
}

// ── the bells of the dead ──────────────────────────────────────────────────

TEST(the_bell_of_the_dead_goes_once_nobody_has_it_open) {
  const SegmentOptions options = options_for(__func__);
  auto queue = make(__func__);
  int word[2];
  CHECK(pipe(word) == 0);
  Child child([&](const Child& here) {
    auto own = Queue::open(options, Create::kNever);
    const LoopBell loop;
    loop.hang_up(*own);
    const pid_t heir = fork();
    if (heir == 0) {
      alarm(kStuckSeconds);
      prctl(PR_SET_PDEATHSIG, 0);
      here.stay();
    }
    if (write(word[1], &heir, sizeof heir) != sizeof heir) return false;
    here.say();
    here.stay();
    return true;
  });
  child.hear();
  pid_t heir = 0;
  CHECK(read(word[0], &heir, sizeof heir) == sizeof heir);
  const uint64_t bell = entry_of(*queue, 2).bell_id;
  child.end();
  CHECK(within(kSoonMs, [&] { return queue->reap() == 1; }));
  CHECK(is_bell_named(bell));  // somebody has it open
  ::kill(heir, SIGKILL);
  CHECK(within(kSoonMs, [&] { return queue->reap() == 0 && !is_bell_named(bell); }));
  for (const int end : word) close(end);
}

// ── forked children ────────────────────────────────────────────────────────

TEST(a_child_that_comes_rings_those_who_sleep) {
  auto queue = make(__func__);
  auto sleeper = make(__func__);
  const LoopBell loop;
  loop.hang_up(*sleeper, 7);
  sleep_in(*sleeper);
  Child child([&](const Child& here) {
    queue->refresh();
    here.say();
    here.wait_for_word();
    return true;
  });
  child.hear();
  CHECK(loop.heard() == Tags{7});
  child.tell();
  CHECK(child.ends_well());
  sleeper->stop_waiting(kGetters);
}

TEST(a_child_watches_for_itself_and_is_heard_at_its_own_loop_only) {
  auto queue = make(__func__);
  const LoopBell loop;
  loop.hang_up(*queue, 7);
  sleep_in(*queue);  // its parent watches
  queue->stop_waiting(kGetters);
  Child child([&](const Child&) {
    const bool alone = threads_here() == 1;
    sleep_in(*queue);
    const bool watches = threads_here() == 2 && !queue->must_poll();
    client(*queue).nudged(true);
    queue->stop_waiting(kGetters);
    queue->close();
    return alone && watches && threads_here() == 1;
  });
  CHECK(child.ends_well() && loop.heard().empty());
}

TEST(a_child_that_closes_what_it_inherited_unmaps_nothing_of_its_own) {
  auto queue = make(__func__);
  const auto maps = mappings_of(queue->segment().path());
  void* from = nullptr;
  size_t length = 0;
  for (const std::string& line : maps) {
    void* start = nullptr;
    void* end = nullptr;
    if (std::sscanf(line.c_str(), "%p-%p ---s", &start, &end) == 2 && line.find(" ---s ") != std::string::npos) {
      from = start;
      length = static_cast<char*>(end) - static_cast<char*>(start);
    }
  }
  CHECK(from != nullptr);  // the page that stands for the life of its process; no child inherits it
  Child child([&](const Child&) {
    const int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    auto* own = mmap(from, length, PROT_READ | PROT_WRITE, how, -1, 0);
    if (own == MAP_FAILED) return false;
    queue->close();
    unsigned char there = 0;
    return mincore(own, length, &there) == 0;
  });
  CHECK(child.ends_well());
}

TEST(a_child_that_is_told_that_its_queue_was_removed_keeps_nothing_for_each_time) {
  const SegmentOptions options = options_for(__func__);
  auto queue = make(__func__);
  Child child([&](const Child& here) {
    here.wait_for_word();
    const auto call = [&] { put(*queue, "a"); };
    if (code_of(call) != "ERR_QUEUE_NOT_FOUND" || !queue->attached().empty()) return false;
    const auto maps = mappings_of(options.name).size();
    const int descriptors = count_of("/proc/self/fd");
    for (int times = 0; times < 10; ++times) code_of(call);
    return mappings_of(options.name).size() == maps && count_of("/proc/self/fd") == descriptors;
  });
  queue->close();
  child.tell();
  CHECK(child.ends_well());
}

int main(int argc, char** argv) { return check::main(argc, argv); }
