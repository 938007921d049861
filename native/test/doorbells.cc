// The doorbells of event loops alone: whose they are, who may ring them, how long they stand, and what is rung of them.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bell_entry.h"
#include "check.h"
#include "core/errors.h"
#include "core/os/process.h"
#include "core/segment/layout.h"
#include "core/waiting/doorbell.h"
#include "here.h"

using namespace sage;

namespace {

/// A directory of the test's own.
struct Folder {
  std::string path = "/tmp/sage-doorbells.XXXXXX";
  Folder() { CHECK(mkdtemp(path.data()) != nullptr); }
  ~Folder() {
    for (const std::string& name : names()) unlink((path + "/" + name).c_str());
    rmdir(path.c_str());
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    DIR* stream = opendir(path.c_str());
    CHECK(stream != nullptr);
    while (const dirent* entry = readdir(stream)) {
      if (entry->d_name[0] != '.') found.emplace_back(entry->d_name);
    }
    closedir(stream);
    std::sort(found.begin(), found.end());
    return found;
  }
  std::string of(uint64_t id) const {
    char name[64];
    std::snprintf(name, sizeof name, "/sage-queue-bell+%016llx", static_cast<unsigned long long>(id));
    return path + name;
  }
  bool has(uint64_t id) const {
    struct stat info;
    return lstat(of(id).c_str(), &info) == 0;
  }
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

std::unique_ptr<Doorbell> make_in(const Folder& folder, uint32_t mode = 0600) {
  return Doorbell::make(folder.path, {mode, getegid()});
}

/// Reads what was rung.
std::vector<uint32_t> heard(int read_end) {
  std::vector<uint32_t> tags;
  uint32_t tag = 0;
  while (read(read_end, &tag, sizeof tag) == sizeof tag) tags.push_back(tag);
  return tags;
}

bool is_as_it_should_be(int fd) {
  return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

/// Leaves this process no more than so many new descriptors while it stands.
struct FewDescriptors {
  rlimit before;
  explicit FewDescriptors(rlim_t count) {
    const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(next >= 0 && close(next) == 0 && getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit few = before;
    few.rlim_cur = count == 0 ? 0 : static_cast<rlim_t>(next) + count;
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
  }
  ~FewDescriptors() { CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0); }
};

}  // namespace

// ── making and taking away ─────────────────────────────────────────────────

TEST(a_doorbell_is_a_pipe_that_its_owner_reads_and_its_audience_writes) {
  const Folder folder;
  struct Audience {
    uint32_t segment;
    uint32_t bell;
  };
  const mode_t mask = umask(0);
  for (const Audience& mode : {Audience{0600, 0600}, {0660, 0620}, {0666, 0622}, {0606, 0602}, {0644, 0600}}) {
    const auto bell = make_in(folder, mode.segment);
    struct stat info;
    CHECK(bell->id() != 0 && lstat(folder.of(bell->id()).c_str(), &info) == 0);
    CHECK(S_ISFIFO(info.st_mode) && (info.st_mode & 07777) == mode.bell);
    CHECK(info.st_ino == bell->inode() && info.st_uid == geteuid());
    CHECK(is_as_it_should_be(bell->read_end()) && is_as_it_should_be(bell->write_end()));
    CHECK(heard(bell->read_end()).empty());
    const uint32_t tag = 9;
    CHECK(write(bell->write_end(), &tag, sizeof tag) == sizeof tag);
    CHECK(heard(bell->read_end()) == std::vector<uint32_t>{9});
    close(bell->read_end());
  }
  umask(mask);
  CHECK(folder.names().empty());
}

TEST(a_doorbell_for_a_group_belongs_to_that_group) {
  if (geteuid() != 0) return;  // only root gives a file to any group
  const Folder folder;
  for (const uint32_t mode : {0660U, 0606U}) {
    const auto bell = Doorbell::make(folder.path, {mode, 12345});
    struct stat info;
    CHECK(lstat(folder.of(bell->id()).c_str(), &info) == 0);
    CHECK(info.st_gid == (mode == 0660 ? 12345 : getegid()));
    close(bell->read_end());
  }
}

TEST(a_doorbell_goes_with_its_owner_and_leaves_the_reading_end) {
  const Folder folder;
  const int before = descriptors_here();
  auto bell = make_in(folder);
  const uint64_t id = bell->id();
  const int read_end = bell->read_end();
  CHECK(descriptors_here() == before + 2);
  CHECK(in_child([&] {
    bell.reset();  // what it inherited
    return true;
  }));
  CHECK(folder.has(id));
  bell.reset();
  CHECK(!folder.has(id) && descriptors_here() == before + 1 && fcntl(read_end, F_GETFD) >= 0);
  close(read_end);
}

TEST(where_no_name_can_be_had_it_is_a_pipe_without_one) {
  const Folder folder;
  const auto bell = Doorbell::make(folder.path + "/nowhere", {0600, getegid()});
  CHECK(bell->inode() == 0 && folder.names().empty());
  CHECK(is_as_it_should_be(bell->read_end()) && is_as_it_should_be(bell->write_end()));
  const uint32_t tag = 9;
  CHECK(write(bell->write_end(), &tag, sizeof tag) == sizeof tag);
  CHECK(heard(bell->read_end()) == std::vector<uint32_t>{9});
  close(bell->read_end());
}

TEST(without_descriptors_for_both_ends_there_is_none_and_nothing_stays_of_it) {
  const Folder folder;
  const int before = descriptors_here();
  for (const rlim_t count : {0, 1}) {
    std::string code;
    {
      const FewDescriptors few(count);
      code = code_of([&] { make_in(folder); });
    }
    CHECK(code == "ERR_SEGMENT_RESOURCES" && folder.names().empty() && descriptors_here() == before);
  }
}

TEST(who_exits_takes_its_doorbells_away_and_not_those_that_it_inherited) {
  const Folder folder;
  const auto parents = make_in(folder);
  uint64_t id = 0;
  int word[2];
  CHECK(pipe(word) == 0);
  for (const bool makes_one : {false, true}) {
    const pid_t child = fork();
    if (child == 0) {
      if (makes_one) {
        auto* gone = make_in(folder).release();
        delete gone;
        auto* bell = make_in(folder).release();
        id = bell->id();
        (void)make_in(folder).release();
      }
      if (write(word[1], &id, sizeof id) != sizeof id) _exit(1);
      std::exit(0);
    }
    CHECK(read(word[0], &id, sizeof id) == sizeof id);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(folder.has(parents->id()) && (!makes_one || (id != parents->id() && !folder.has(id))));
    CHECK(folder.names().size() == 1);
  }
  for (const int end : word) close(end);
  close(parents->read_end());
}

// ── those of the dead ──────────────────────────────────────────────────────

TEST(the_doorbell_of_the_dead_is_removed_and_nothing_else) {
  const Folder folder;
  const auto alive = make_in(folder);
  auto* dead = make_in(folder).release();
  const uint64_t id = dead->id();
  CHECK(!Doorbell::remove_left(folder.path, alive->id()) && folder.has(alive->id()));
  CHECK(!Doorbell::remove_left(folder.path, id) && folder.has(id));
  close(dead->read_end());
  // Its writing end alone is nobody who listens.
  CHECK(Doorbell::remove_left(folder.path, id) && !folder.has(id));
  CHECK(Doorbell::remove_left(folder.path, id));  // gone is gone
  // What is no doorbell stays, whatever it is called.
  const std::string file = folder.of(5);
  close(open(file.c_str(), O_CREAT | O_RDWR, 0600));
  CHECK(!Doorbell::remove_left(folder.path, 5) && folder.has(5));  // as if somebody had it open
  CHECK(symlink(folder.of(6).c_str(), folder.of(7).c_str()) == 0 && mkfifo(folder.of(6).c_str(), 0600) == 0);
  Doorbell::remove_left(folder.path, 7);
  CHECK(folder.has(7) && folder.has(6));
  delete dead;
  close(alive->read_end());
}

TEST(a_sweep_removes_those_to_which_nobody_listens_and_counts_them) {
  const Folder folder;
  const int before = descriptors_here();
  const auto alive = make_in(folder);
  for (const uint64_t id : {1, 2, 3}) CHECK(mkfifo(folder.of(id).c_str(), 0600) == 0);
  close(open(folder.of(4).c_str(), O_CREAT | O_RDWR, 0600));
  CHECK(mkfifo((folder.path + "/another").c_str(), 0600) == 0);
  CHECK(Doorbell::sweep(folder.path) == 3);
  CHECK(folder.names().size() == 3 && folder.has(alive->id()) && folder.has(4));
  CHECK(Doorbell::sweep(folder.path) == 0 && Doorbell::sweep(folder.path + "/nowhere") == 0);
  CHECK(descriptors_here() == before + 2);
  close(alive->read_end());
}

// ── ringing ────────────────────────────────────────────────────────────────

TEST(a_ring_is_the_tag_of_who_is_meant_and_its_pipe_is_kept_open) {
  const Folder folder;
  const auto bell = make_in(folder);
  const auto other = make_in(folder);
  {
    Ringer ringer(folder.path);
    Entry first(*bell, 7);
    const Entry second(*bell, 8);
    const int before = descriptors_here();
    CHECK(ringer.ring(1, first) == Ring::kSent && ringer.ring(2, second) == Ring::kSent);
    CHECK((heard(bell->read_end()) == std::vector<uint32_t>{7, 8}));
    CHECK(descriptors_here() == before + 2);
    {
      const FewDescriptors none(0);
      CHECK(ringer.ring(1, first) == Ring::kSent);  // known
    }
    CHECK(heard(bell->read_end()) == std::vector<uint32_t>{7} && descriptors_here() == before + 2);
    // Another one has the entry, or it has another bell: the old one hears nothing of it.
    Entry third(*other, 9);
    CHECK(ringer.ring(1, third) == Ring::kSent);
    CHECK(heard(bell->read_end()).empty() && heard(other->read_end()) == std::vector<uint32_t>{9});
    third.identity.store(Identity::make(2, 1, Identity::kLive));
    CHECK(unlink(folder.of(other->id()).c_str()) == 0);
    CHECK(ringer.ring(1, third) == Ring::kUnheard && heard(other->read_end()).empty());
    CHECK(descriptors_here() == before + 1);  // that of the second entry
    // What was known of one is not taken for what is.
    third.identity.store(Identity::make(1, 1, Identity::kLive));
    CHECK(ringer.ring(1, third) == Ring::kUnheard);
    CHECK(ringer.ring(1, first) == Ring::kSent && heard(bell->read_end()) == std::vector<uint32_t>{7});
    first.bell_inode.store(0);
    CHECK(ringer.ring(1, first) == Ring::kUnheard && heard(bell->read_end()).empty());
  }
  const int after = descriptors_here();
  { Ringer(folder.path).ring(1, Entry(*bell)); }
  CHECK(descriptors_here() == after);
  for (const auto& each : {bell.get(), other.get()}) close(each->read_end());
}

TEST(what_is_not_the_doorbell_that_is_meant_is_not_rung) {
  const Folder folder;
  const auto bell = make_in(folder);
  const int before = descriptors_here();
  Ringer ringer(folder.path);
  const auto rings = [&](const Entry& entry) {
    const Ring ring = ringer.ring(1, entry);
    CHECK(heard(bell->read_end()).empty());
    return ring;
  };
  Entry nameless(*bell);
  nameless.bell_inode.store(0);
  CHECK(rings(nameless) == Ring::kUnheard);
  Entry other_file(*bell);
  other_file.bell_inode.store(bell->inode() + 1);
  CHECK(rings(other_file) == Ring::kUnheard);
  Entry other_user(*bell);
  other_user.uid.store(geteuid() + 1);
  CHECK(rings(other_user) == Ring::kUnheard);
  Entry gone(*bell);
  gone.bell_id.store(1);
  CHECK(rings(gone) == Ring::kUnheard);
  // A file, a link to the bell, and one at which nobody is.
  close(open(folder.of(2).c_str(), O_CREAT | O_RDWR, 0600));
  struct stat info;
  CHECK(stat(folder.of(2).c_str(), &info) == 0);
  Entry file(*bell);
  file.bell_id.store(2);
  file.bell_inode.store(info.st_ino);
  CHECK(rings(file) == Ring::kUnheard && stat(folder.of(2).c_str(), &info) == 0 && info.st_size == 0);
  CHECK(symlink(folder.of(bell->id()).c_str(), folder.of(3).c_str()) == 0);
  Entry link(*bell);
  link.bell_id.store(3);
  CHECK(rings(link) == Ring::kUnheard);
  CHECK(mkfifo(folder.of(4).c_str(), 0600) == 0);
  Entry nobody(*bell);
  nobody.bell_id.store(4);
  CHECK(rings(nobody) == Ring::kSent);
  {
    const FewDescriptors none(0);
    CHECK(rings(Entry(*bell)) == Ring::kLater);
  }
  CHECK(descriptors_here() == before);
  // Where users cannot be compared, the file itself says who it is.
  Entry elsewhere(*bell);
  elsewhere.uid.store(geteuid() + 1);
  elsewhere.user_namespace.store(own_home().user_namespace + 1);
  CHECK(ringer.ring(1, elsewhere) == Ring::kSent && heard(bell->read_end()) == std::vector<uint32_t>{7});
  close(bell->read_end());
}

TEST(a_bell_that_nobody_reads_any_more_or_that_is_full_costs_no_signal_and_no_wait) {
  CHECK(in_child([] {
    signal(SIGPIPE, SIG_DFL);
    const Folder folder;
    const auto bell = make_in(folder);
    Ringer ringer(folder.path);
    const Entry entry(*bell);
    for (int times = 0; times < 20000; ++times) CHECK(ringer.ring(1, entry) == Ring::kSent);  // more than it holds
    close(bell->read_end());
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_BLOCK, nullptr, &before);
    CHECK(ringer.ring(1, entry) == Ring::kSent);
    pthread_sigmask(SIG_BLOCK, nullptr, &after);
    CHECK(sigismember(&before, SIGPIPE) == 0 && sigismember(&after, SIGPIPE) == 0);
    sigset_t pending;
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGPIPE) == 0);
    // One that the program itself is due to get stays due.
    sigset_t pipe_only;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, nullptr);
    raise(SIGPIPE);
    CHECK(ringer.ring(1, entry) == Ring::kSent);
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGPIPE) == 1);
    return true;
  }));
}

TEST(a_program_that_ignores_broken_pipes_is_not_asked_about_them) {
  CHECK(in_child([] {
    signal(SIGPIPE, SIG_IGN);
    const Folder folder;
    const auto bell = make_in(folder);
    Ringer ringer(folder.path);
    const Entry entry(*bell);
    CHECK(ringer.ring(1, entry) == Ring::kSent && heard(bell->read_end()) == std::vector<uint32_t>{7});
    close(bell->read_end());
    return ringer.ring(1, entry) == Ring::kSent;
  }));
}

int main(int argc, char** argv) { return check::main(argc, argv); }
