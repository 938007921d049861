// Who is dead and who is not: the lock that goes with an address space, whatever else happens to its process.
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "core/handle/queue.h"
#include "core/os/byte_lock.h"
#include "core/segment/failures.h"
#include "here.h"
#include "one_item.h"

using namespace sage;

namespace {

SegmentOptions options_for(const char* test) {
  SegmentOptions options;
  options.name = std::string("test+life.") + test + "." + std::to_string(getpid());
  options.queue_id = test;
  options.maxsize = 8;
  options.capacity_bytes = 4096;
  return options;
}

/// A pipe by which a child says that it is ready.
struct Word {
  int ends[2];
  Word() { CHECK(pipe(ends) == 0); }
  ~Word() {
    for (const int end : ends) close(end);
  }
  void say() const { CHECK(write(ends[1], "w", 1) == 1); }
  void hear() const {
    char byte = 0;
    CHECK(read(ends[0], &byte, 1) == 1);
  }
};

/// A child that holds a lease on the only item, and goes on with `body`. The caller hears when it does.
template <class Body>
pid_t holder(const SegmentOptions& options, const Word& word, Body body) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child > 0) {
    word.hear();
    return child;
  }
  alarm(30);
  auto* queue = Queue::open(options, Create::kNever).release();
  Item item;
  CHECK(queue->lease(&item) == Outcome::kOk);
  body(*queue, item);
  for (;;) pause();
}

void end(pid_t process) {
  kill(process, SIGKILL);
  waitpid(process, nullptr, 0);
}

bool stays_leased(Queue& queue, uint32_t milliseconds = 150) {
  return !within(milliseconds, [&] { return queue.reap() > 0 || take(queue); });
}

bool comes_back(Queue& queue, uint32_t milliseconds = 1000) {
  return within(milliseconds, [&] { return queue.reap() > 0; }) && take(queue);
}

/// From here on this process gets EPERM for every fcntl that asks for or about a lock.
void refuse_locks() {
  const auto number = static_cast<uint32_t>(offsetof(seccomp_data, nr));
  const auto command = static_cast<uint32_t>(offsetof(seccomp_data, args[1]));
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, command),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, F_OFD_GETLK, 0, 2),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, F_OFD_SETLKW, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{static_cast<unsigned short>(sizeof program / sizeof *program), program};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

}  // namespace

TEST(a_killed_holder_is_dead_and_a_stopped_one_is_not) {
  const SegmentOptions options = options_for("stopped");
  auto queue = Queue::open(options, Create::kIfMissing);
  CHECK(put(*queue));
  const Word word;
  const pid_t child = holder(options, word, [&](Queue&, Item&) { word.say(); });
  kill(child, SIGSTOP);
  CHECK(stays_leased(*queue));
  end(child);
  CHECK(comes_back(*queue));
}

TEST(the_death_of_a_holder_counts_for_what_it_had_begun_with_and_not_for_what_was_aside) {
  const SegmentOptions options = options_for("aside");
  auto queue = Queue::open(options, Create::kIfMissing);
  CHECK(put(*queue));
  const Word word;
  Item item;
  uint32_t deaths = 0;
  for (const auto& states :
       std::vector<std::vector<bool>>{{true}, {true}, {false}, {true, false}, {true}, {false, true}}) {
    const pid_t child = holder(options, word, [&](Queue& own, const Item& held) {
      for (const bool aside : states) own.set_aside(&held, 1, aside);
      word.say();
    });
    end(child);
    deaths += states.back() ? 0 : 1;
    CHECK(within(1000, [&] { return queue->reap() > 0; }));
    CHECK(queue->lease(&item) == Outcome::kOk && item.deliveries == deaths && item.crashes == deaths);
    queue->release_lease(&item, 1, 0);
  }
  CHECK(deaths == 2);
  CHECK(queue->lease(&item) == Outcome::kOk);
  queue->ack(item);
}

TEST(a_child_that_was_forked_without_exec_does_not_keep_its_dead_parent_alive) {
  const SegmentOptions options = options_for("orphan");
  auto queue = Queue::open(options, Create::kIfMissing);
  CHECK(put(*queue));
  const Word word;
  const Word orphan;
  const pid_t parent = holder(options, word, [&](Queue&, Item&) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(30);
      word.say();
      const pid_t self = getpid();
      CHECK(write(orphan.ends[1], &self, sizeof self) == sizeof self);
      for (;;) pause();
    }
  });
  pid_t child = 0;
  CHECK(read(orphan.ends[0], &child, sizeof child) == sizeof child);
  CHECK(stays_leased(*queue));
  end(parent);
  CHECK(comes_back(*queue));
  CHECK(kill(child, SIGKILL) == 0);  // and was there until now
}

TEST(the_death_of_a_forked_child_says_nothing_of_its_parent) {
  const SegmentOptions options = options_for("parent");
  auto queue = Queue::open(options, Create::kIfMissing);
  CHECK(put(*queue));
  const Word word;
  const pid_t parent = holder(options, word, [&](Queue& own, Item&) {
    for (const bool uses_it : {false, true}) {
      const pid_t child = fork();
      if (child == 0) {
        if (uses_it) CHECK(put(own));
        kill(getpid(), SIGKILL);
      }
      waitpid(child, nullptr, 0);
    }
    word.say();
  });
  CHECK(take(*queue));  // what the second child put
  for (int looks = 0; looks < 20; ++looks) {
    queue->reap();
    CHECK(!take(*queue));
  }
  end(parent);
  CHECK(comes_back(*queue));
}

TEST(a_raw_clone_has_an_entry_of_its_own) {
  const SegmentOptions options = options_for("clone");
  auto queue = Queue::open(options, Create::kIfMissing);
  const Word word;
  const auto child = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (child == 0) {
    alarm(30);
    CHECK(put(*queue));
    word.say();
    for (;;) pause();
  }
  word.hear();
  CHECK(queue->attached().size() == 2);
  CHECK(take(*queue));
  end(child);
  CHECK(within(1000, [&] { return queue->reap() == 1; }));
}

TEST(exec_ends_what_its_process_held) {
  const SegmentOptions options = options_for("exec");
  auto queue = Queue::open(options, Create::kIfMissing);
  CHECK(put(*queue));
  const Word word;
  const pid_t child = holder(options, word, [&](Queue&, Item&) {
    word.say();
    execlp("sleep", "sleep", "30", nullptr);
  });
  CHECK(comes_back(*queue, 5000));
  CHECK(kill(child, 0) == 0);
  end(child);
}

TEST(without_an_answer_everybody_is_alive) {
  const SegmentOptions options = options_for("silent");
  auto queue = Queue::open(options, Create::kIfMissing);
  CHECK(put(*queue));
  const Word word;
  const Word filtered;
  const pid_t child = holder(options, word, [&](Queue&, Item&) { word.say(); });
  const pid_t asker = fork();
  if (asker == 0) {
    alarm(30);
    auto own = Queue::open(options, Create::kNever);
    refuse_locks();
    CHECK(stays_leased(*own));
    std::string code;
    try {
      Queue::open(options, Create::kNever);
    } catch (const SegmentFailure& failure) {
      code = failure.code();
    }
    CHECK(code == "ERR_SEGMENT_UNSUPPORTED");  // it would look dead itself
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(asker, &status, 0) == asker && status == 0);
  queue->reap();
  CHECK(stays_leased(*queue));
  end(child);
  CHECK(comes_back(*queue));
}

TEST(a_reader_that_locks_the_bytes_makes_nobody_dead) {
  const SegmentOptions options = options_for("reader");
  auto queue = Queue::open(options, Create::kIfMissing);
  CHECK(put(*queue));
  const int reader = open(queue->segment().path().c_str(), O_RDONLY | O_CLOEXEC);
  CHECK(reader >= 0);
  // What is free now nobody can take any more; the entries behind it can be had.
  for (uint32_t index = 2; index < 6; ++index) CHECK(lock_byte(reader, kLifeByte + index, true) == 0);
  const Word word;
  const pid_t child = holder(options, word, [&](Queue&, Item&) { word.say(); });
  CHECK(stays_leased(*queue));
  end(child);
  CHECK(comes_back(*queue));
  close(reader);
}

TEST(without_descriptors_nobody_alive_is_taken_for_dead_and_the_dead_are_found) {
  const SegmentOptions options = options_for("descriptors");
  auto queue = Queue::open(options, Create::kIfMissing);
  CHECK(put(*queue));
  const Word word;
  const pid_t child = holder(options, word, [&](Queue&, Item&) { word.say(); });
  rlimit before;
  CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 0;
  CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
  const bool stayed = stays_leased(*queue);
  end(child);
  const bool came = comes_back(*queue);
  CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(stayed && came);
}

TEST(a_segment_whose_name_another_one_has_is_judged_by_its_own_locks) {
  const SegmentOptions options = options_for("replaced");
  auto queue = Queue::open(options, Create::kIfMissing);
  CHECK(put(*queue));
  const Word word;
  const pid_t child = holder(options, word, [&](Queue&, Item&) { word.say(); });
  const std::string path = queue->segment().path();
  CHECK(rename(path.c_str(), (path + ".moved").c_str()) == 0);
  auto other = Queue::open(options, Create::kIfMissing);
  CHECK(other->created() && other->attached().size() == 1);
  CHECK(stays_leased(*queue));
  end(child);
  CHECK(comes_back(*queue));
  other->close();
  CHECK(rename((path + ".moved").c_str(), path.c_str()) == 0);
}

TEST(an_entry_found_dead_is_not_the_one_taken_since) {
  const SegmentOptions options = options_for("tenure");
  auto queue = Queue::open(options, Create::kIfMissing);
  std::vector<uint64_t> words;
  for (int life = 0; life < 3; ++life) {
    auto other = Queue::open(options, Create::kNever);
    words.push_back(other->segment().shared().participants[2].identity.load());
  }
  std::sort(words.begin(), words.end());
  CHECK(words[0] != 0 && std::unique(words.begin(), words.end()) == words.end());
}

TEST(whoever_is_killed_while_joining_leaves_an_entry_that_can_be_had) {
  const SegmentOptions options = options_for("joining");
  auto queue = Queue::open(options, Create::kIfMissing);
  for (const char* point : {"join_locked", "join_entry"}) {
    const pid_t child = fork();
    if (child == 0) {
      failpoint_arm(failpoint_named(point), 0, 'K');
      Queue::open(options, Create::kNever);
      _exit(1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    auto next = Queue::open(options, Create::kNever);
    CHECK(queue->attached().size() == 2);
  }
}

int main(int argc, char** argv) { return check::main(argc, argv); }
