// A segment's file: what it says of itself, whose it may be, what is refused, and how its name comes and goes.
// Past 400 lines: each case changes one thing of the file that the tools at the top make.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/os/process.h"
#include "core/segment/directory.h"
#include "core/segment/format.h"
#include "core/segment/segment.h"
#include "here.h"

using namespace sage;

namespace {

SegmentOptions options_for(const char* test) {
  SegmentOptions options;
  options.name = std::string("test+segments.") + test + "." + std::to_string(getpid());
  options.queue_id = test;
  options.maxsize = 8;
  options.capacity_bytes = 4096;
  return options;
}

std::unique_ptr<Segment> open(const SegmentOptions& options, Create create = Create::kIfMissing) {
  bool created = false;
  return Segment::open(options, create, &created);
}

std::string path_of(const SegmentOptions& options) {
  return Segment::directory() + "/" + Segment::file_of(options.name);
}

bool has_name(const SegmentOptions& options) {
  struct stat info;
  return lstat(path_of(options).c_str(), &info) == 0;
}

/// Takes the name away when the test is over, whatever became of it.
struct Cleared {
  const std::string path;
  explicit Cleared(const SegmentOptions& options) : path(path_of(options)) {}
  ~Cleared() {
    unlink(path.c_str());
    rmdir(path.c_str());
  }
};

int mappings_here() {
#if defined(__SANITIZE_ADDRESS__)
  return 0;  // most of them are AddressSanitizer's own
#endif
  std::ifstream maps("/proc/self/maps");
  int count = 0;
  for (std::string line; std::getline(maps, line);) ++count;
  return count;
}

std::vector<std::string> names_here() {
  std::vector<std::string> names;
  DIR* stream = opendir(Segment::directory().c_str());
  CHECK(stream != nullptr);
  while (const dirent* entry = readdir(stream)) names.emplace_back(entry->d_name);
  closedir(stream);
  return names;
}

bool ends_well(pid_t child) {
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

template <class Body>
pid_t start(Body body) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child != 0) return child;
  alarm(20);
  _exit(body() ? 0 : 1);
}

/// Runs `body` as another user; whether it went well.
template <class Body>
bool as_somebody_else(Body body) {
  return ends_well(start([&] {
    CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    return body();
  }));
}

constexpr const char* kPlace = "SAGE_TEST_PLACE";

/// Runs the case `test` again in a process whose queues lie in `directory`, which a process chooses once; whether it
/// went well.
bool again_in(const std::string& directory, const char* test) {
  return ends_well(start([&] {
    setenv("SAGE_QUEUE_DIR", directory.c_str(), 1);
    setenv(kPlace, directory.c_str(), 1);
    execl("/proc/self/exe", "segments", test, nullptr);
    return false;
  }));
}
bool is_again() { return std::getenv(kPlace) != nullptr; }

/// A directory of the test's own, for queues.
struct Place {
  std::string path = Segment::directory() + "/sage-queue-test.XXXXXX";
  explicit Place(mode_t mode = 0700) { CHECK(mkdtemp(path.data()) != nullptr && chmod(path.c_str(), mode) == 0); }
  ~Place() { rmdir(path.c_str()); }
};

/// The file of a segment, changed byte by byte.
void change(const SegmentOptions& options, const std::function<void(Header&)>& how) {
  const int fd = ::open(path_of(options).c_str(), O_RDWR);
  Header header;
  CHECK(fd >= 0 && pread(fd, &header, sizeof header, 0) == sizeof header);
  how(header);
  CHECK(pwrite(fd, &header, sizeof header, 0) == sizeof header);
  close(fd);
}

}  // namespace

TEST(a_segment_says_what_it_was_made_with) {
  SegmentOptions options = options_for(__func__);
  options.kind = Kind::kShm;
  options.mode = 0640;
  options.auto_cleanup = false;
  options.schema = "what its items look like";
  const Cleared cleared(options);
  const int descriptors = descriptors_here();
  const int mappings = mappings_here();
  {
    bool created = false;
    const auto made = Segment::open(options, Create::kIfMissing, &created);
    CHECK(created);
    const auto found = Segment::open(options, Create::kIfMissing, &created);
    CHECK(!created);
    for (const auto& segment : {made.get(), found.get()}) {
      const Header& header = segment->header();
      CHECK(segment->name() == options.name && segment->queue_id() == options.queue_id);
      CHECK(segment->path() == path_of(options) && segment->descriptor() >= 0);
      CHECK(header.magic == kMagic && header.layout_version == kLayoutVersion && header.kind == 1);
      CHECK(header.mode == 0640 && header.owner_uid == geteuid() && header.auto_cleanup == 0);
      CHECK(header.maxsize == 8 && header.capacity_bytes == 4096 && header.checksum == format::checksum(header));
      CHECK(header.creation_id[0] != 0 && header.creation_id[0] != header.creation_id[1]);
      const auto now = static_cast<uint64_t>(time(nullptr)) * 1000000;
      CHECK(header.created_us > now - 60'000'000 && header.created_us < now + 60'000'000);
      CHECK(header.boot_id[0] == own_boot().high && header.boot_id[1] == own_boot().low);
      CHECK(!segment->from_earlier_boot() && !segment->retired() && segment->may_unlink());
      CHECK(segment->owner_uid() == geteuid() && segment->group() == getegid());
      // The group may not write, and so it may not read either.
      CHECK(segment->permissions() == 0600 && segment->schemas().list() == std::vector<std::string>{options.schema});
      struct stat info;
      CHECK(stat(path_of(options).c_str(), &info) == 0 && info.st_ino == segment->file().inode);
      CHECK(info.st_dev == segment->file().device && (info.st_mode & 07777) == 0600);
      CHECK(static_cast<uint64_t>(info.st_size) == header.total_bytes);
    }
    CHECK(found->header().creation_id[0] == made->header().creation_id[0]);
    // What lies across the end of the payload area is in one piece.
    made->payload()[0] = 'x';
    CHECK(found->payload()[0] == 'x' && found->payload()[found->header().area_bytes] == 'x');
    FileId id;
    CHECK(Segment::find(options, &id) && id.inode == made->file().inode && id.device == made->file().device);
    const auto copy = Segment::read_file(Segment::file_of(options.name));
    CHECK(copy->name() == options.name && copy->shared().control->life == made->shared().control->life);
    copy->shared().control->life = 5;
    CHECK(made->shared().control->life == 0);
    made->shared().control->life = 6;
    CHECK(copy->shared().control->life == 5);
    const auto opened = Segment::open_file(Segment::file_of(options.name));
    CHECK(opened->shared().control->life == 6);
    opened->shared().control->life = 7;
    CHECK(made->shared().control->life == 7 && copy->descriptor() >= 0 && opened->descriptor() >= 0);
  }
  CHECK(descriptors_here() == descriptors && mappings_here() <= mappings + 2);
  const int once = mappings_here();
  for (int times = 0; times < 20; ++times) {
    open(options);
    Segment::open_file(Segment::file_of(options.name));
    Segment::read_file(Segment::file_of(options.name));
  }
  CHECK(descriptors_here() == descriptors && mappings_here() <= once + 2);
}

TEST(of_two_segments_no_two_have_one_creation) {
  const SegmentOptions first = options_for("first");
  const SegmentOptions second = options_for("second");
  const Cleared cleared(first);
  const Cleared cleared_too(second);
  const auto one = open(first);
  const auto other = open(second);
  CHECK(one->header().creation_id[0] != other->header().creation_id[0]);
  CHECK(one->header().creation_id[1] != other->header().creation_id[1]);
  CHECK(one->header().auto_cleanup == 1 && one->schemas().list().empty());
}

TEST(a_segment_of_an_earlier_start_of_the_system_is_known_as_one) {
  const SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  open(options);
  for (const int half : {0, 1}) {
    change(options, [&](Header& header) {
      header.boot_id[half] += 1;
      header.checksum = format::checksum(header);
    });
    CHECK(open(options, Create::kNever)->from_earlier_boot());
    change(options, [&](Header& header) {
      header.boot_id[half] -= 1;
      header.checksum = format::checksum(header);
    });
    CHECK(!open(options, Create::kNever)->from_earlier_boot());
  }
  change(options, [](Header& header) {
    header.boot_id[0] = header.boot_id[1] = 0;
    header.checksum = format::checksum(header);
  });
  CHECK(!open(options, Create::kNever)->from_earlier_boot());  // it does not say
}

TEST(what_nobody_made_is_not_there_unless_it_is_asked_for) {
  const SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  FileId id;
  CHECK(!Segment::find(options, &id) && open(options, Create::kNever) == nullptr);
  CHECK(Segment::open_file(Segment::file_of(options.name)) == nullptr);
  CHECK(Segment::read_file(Segment::file_of(options.name)) == nullptr && !has_name(options));
}

TEST(more_than_a_segment_may_hold_is_refused_before_anything_is_made) {
  struct Case {
    const char* code;
    std::function<void(SegmentOptions&)> how;
  };
  const Case cases[] = {
      {"ERR_SEGMENT_NAME", [](SegmentOptions& options) { options.name = std::string(kNameBytes + 1, 'n'); }},
      {"ERR_SEGMENT_NAME", [](SegmentOptions& options) { options.queue_id = std::string(kQueueIdBytes + 1, 'q'); }},
      {"ERR_SEGMENT_NO_SPACE", [](SegmentOptions& options) { options.schema = std::string(kSchemaBytes - 7, 's'); }},
      {"ERR_SEGMENT_NO_SPACE", [](SegmentOptions& options) { options.maxsize = format::kMaxItems + 1; }},
      {"ERR_SEGMENT_NO_SPACE", [](SegmentOptions& options) { options.capacity_bytes = 0; }},
      {"ERR_SEGMENT_NO_SPACE", [](SegmentOptions& options) { options.capacity_bytes = format::kMaxCapacity + 1; }},
      {"", [](SegmentOptions& options) { options.queue_id = std::string(kQueueIdBytes, 'q'); }},
      {"", [](SegmentOptions& options) { options.schema = std::string(kSchemaBytes - 8, 's'); }},
  };
  for (const Case& one : cases) {
    SegmentOptions options = options_for(__func__);
    one.how(options);
    const Cleared cleared(options);
    CHECK(code_of([&] { open(options); }) == one.code && has_name(options) == (*one.code == 0));
  }
}

TEST(what_is_no_whole_segment_is_refused_and_stays) {
  struct Case {
    const char* what;
    const char* code;
    std::function<void(const SegmentOptions&)> make;
  };
  const auto garbage = [](const SegmentOptions& options, size_t bytes) {
    std::ofstream(path_of(options)) << std::string(bytes, 'g');
  };
  const auto changed = [](const std::function<void(Header&)>& how, bool sum = true) {
    return [how, sum](const SegmentOptions& options) {
      open(options);
      change(options, [&](Header& header) {
        how(header);
        if (sum) header.checksum = format::checksum(header);
      });
    };
  };
  const Case cases[] = {
      {"directory", "ERR_SEGMENT_CORRUPT", [](auto& options) { mkdir(path_of(options).c_str(), 0700); }},
      {"pipe", "ERR_SEGMENT_CORRUPT", [](auto& options) { mkfifo(path_of(options).c_str(), 0600); }},
      {"link", "ERR_SEGMENT_CORRUPT", [](auto& options) { (void)!symlink("/dev/null", path_of(options).c_str()); }},
      {"empty", "ERR_SEGMENT_CORRUPT", [&](auto& options) { garbage(options, 0); }},
      {"short", "ERR_SEGMENT_CORRUPT", [&](auto& options) { garbage(options, sizeof(Header) - 1); }},
      {"garbage", "ERR_SEGMENT_CORRUPT", [&](auto& options) { garbage(options, 100000); }},
      {"cut", "ERR_SEGMENT_CORRUPT",
       [](auto& options) {
         const uint64_t bytes = open(options)->header().total_bytes;
         CHECK(truncate(path_of(options).c_str(), static_cast<off_t>(bytes - 4096)) == 0);
       }},
      {"sparse", "ERR_SEGMENT_CORRUPT",
       [](auto& options) {
         const uint64_t bytes = open(options)->header().total_bytes;
         CHECK(truncate(path_of(options).c_str(), 65536) == 0);
         CHECK(truncate(path_of(options).c_str(), static_cast<off_t>(bytes)) == 0);
       }},
      {"version", "ERR_SEGMENT_VERSION", changed([](Header& header) { header.layout_version += 1; })},
      {"feature", "ERR_SEGMENT_VERSION", changed([](Header& header) { header.incompatible_features = 1; })},
      {"sum", "ERR_SEGMENT_CORRUPT", changed([](Header& header) { header.maxsize += 1; }, false)},
      {"sizes", "ERR_SEGMENT_CORRUPT", changed([](Header& header) { header.slot_count *= 2; })},
      {"cursors", "ERR_SEGMENT_CORRUPT",
       [](auto& options) { open(options)->shared().control->head = Cursor::make(100, 0, 0); }},
  };
  for (const Case& one : cases) {
    const SegmentOptions options = options_for((std::string(__func__) + "." + one.what).c_str());
    const Cleared cleared(options);
    one.make(options);
    const int descriptors = descriptors_here();
    const int mappings = mappings_here();
    for (const Create how : {Create::kNever, Create::kIfMissing, Create::kExclusive}) {
      const std::string code = code_of([&] { open(options, how); });
      if (code != one.code) std::fprintf(stderr, "%s: %s\n", one.what, code.c_str());
      CHECK(code == one.code && has_name(options));
    }
    const std::string file = Segment::file_of(options.name);
    CHECK(code_of([&] { Segment::open_file(file); }) == one.code);
    CHECK(code_of([&] { Segment::read_file(file); }) == one.code);
    CHECK(descriptors_here() == descriptors && mappings_here() <= mappings + 2);
  }
}

TEST(a_segment_under_the_shortened_name_of_another_queue_is_not_taken_for_its_own) {
  SegmentOptions options = options_for(__func__);
  const SegmentOptions other = options_for("another");
  const Cleared cleared(options);
  const Cleared cleared_too(other);
  open(other);
  CHECK(rename(path_of(other).c_str(), path_of(options).c_str()) == 0);
  CHECK(code_of([&] { open(options); }) == "ERR_SEGMENT_NAME" && has_name(options));
}

TEST(the_files_that_are_listed_are_those_whose_segments_may_have_names_that_begin_so) {
  const std::string own = options_for(__func__).name;
  const std::string many(kNameBytes - own.size() - 1, 'm');
  std::vector<SegmentOptions> made;
  std::vector<std::unique_ptr<Cleared>> cleared;
  for (const std::string& end : {std::string(".a"), std::string(".b"), "." + many}) {
    made.push_back(options_for(__func__));
    made.back().name = own + end;
    cleared.push_back(std::make_unique<Cleared>(made.back()));
    open(made.back());
  }
  const auto listed = [](const std::string& beginning) {
    std::string files;
    for (const std::string& file : Segment::list_files(beginning)) files += file + '\n';
    return files;
  };
  const std::string a = Segment::file_of(made[0].name) + '\n';
  const std::string b = Segment::file_of(made[1].name) + '\n';
  const std::string shortened = Segment::file_of(made[2].name) + '\n';
  CHECK(shortened.find('~') != std::string::npos);
  CHECK(listed(own + ".") == a + b + shortened);
  CHECK(listed(own + ".a") == a && listed(own + ".ab").empty());
  CHECK(listed(made[2].name) == shortened && listed(own + "." + many + "m") == shortened);
  CHECK(listed(own + ".n").empty() && listed(own + "." + many.substr(1) + "n") == shortened);
  CHECK(("\n" + listed("")).find("\n" + a) != std::string::npos);
}

TEST(a_retired_segment_is_never_attached_to_and_its_removal_is_finished) {
  const SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  open(options)->shared().control->life = Life::kRetired;
  CHECK(open(options, Create::kNever) == nullptr && !has_name(options));
  open(options)->shared().control->life = Life::kRetired;
  bool created = false;
  const auto fresh = Segment::open(options, Create::kIfMissing, &created);
  CHECK(created && !fresh->retired() && has_name(options));
}

TEST(a_name_is_taken_away_from_its_own_segment_only) {
  const SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  auto first = open(options);
  CHECK(unlink(path_of(options).c_str()) == 0);
  const auto second = open(options);
  CHECK(first->unlink_name() && has_name(options));  // it has no name any more
  const int remover = ::open(path_of(options).c_str(), O_RDWR);
  CHECK(remover >= 0 && flock(remover, LOCK_EX) == 0);
  CHECK(first->unlink_name());  // whoever is at the other one's
  CHECK(!second->unlink_name() && has_name(options));
  close(remover);
  const int descriptors = descriptors_here();
  CHECK(second->unlink_name() && !has_name(options) && second->unlink_name());
  CHECK(descriptors_here() <= descriptors + 1);  // room is being given up until its memory is
  first.reset();
}

TEST(room_is_being_given_up_from_the_loss_of_the_name_until_that_of_the_memory) {
  if (!is_again()) {
    const Place place;  // where nobody else makes queues
    CHECK(again_in(place.path, __func__));
    return;
  }
  const SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  const auto is_given_up = [] { return RoomMark().others(); };
  auto segment = open(options);
  CHECK(!ends_well(start(is_given_up)));
  CHECK(segment->unlink_name() && ends_well(start(is_given_up)));
  segment.reset();
  CHECK(!ends_well(start(is_given_up)));
}

TEST(there_is_room_or_it_is_said_that_there_is_none_and_nothing_is_left) {
  SegmentOptions options = options_for(__func__);
  options.capacity_bytes = format::kMaxCapacity;
  const Cleared cleared(options);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    signal(SIGXFSZ, SIG_IGN);
    const rlimit small{1 << 20, 1 << 20};
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    const auto names = names_here();
    const int descriptors = descriptors_here();
    const std::string code = code_of([&] { open(options); });
    _exit(code == "ERR_SEGMENT_RESOURCES" && names_here() == names && descriptors_here() == descriptors ? 0 : 1);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

TEST(where_there_is_no_address_space_that_is_what_is_said) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return;  // they need all of it
#endif
  SegmentOptions options = options_for(__func__);
  options.capacity_bytes = 16 << 20;
  const Cleared cleared(options);
  CHECK(ends_well(start([&] {
    rlimit used{};
    std::ifstream("/proc/self/statm") >> used.rlim_cur;
    used.rlim_cur = (used.rlim_cur * static_cast<rlim_t>(getpagesize())) + (8 << 20);
    used.rlim_max = RLIM_INFINITY;
    CHECK(setrlimit(RLIMIT_AS, &used) == 0);
    return code_of([&] { open(options); }) == "ERR_SEGMENT_RESOURCES";
  })));
  CHECK(!has_name(options));
}

TEST(no_place_for_queues_is_another_thing_than_no_queue) {
  if (!is_again()) {
    CHECK(again_in(Segment::directory() + "/sage-queue-test.nowhere", __func__));
    CHECK(again_in("nowhere", __func__));
    return;
  }
  const char* const what = Segment::directory()[0] == '/' ? "there is no such directory" : "an absolute path";
  for (const Create how : {Create::kNever, Create::kIfMissing}) {
    std::string told;
    try {
      open(options_for(__func__), how);
    } catch (const SegmentFailure& failure) {
      told = failure.what();
    }
    CHECK(told.find(what) != std::string::npos);
  }
}

#if defined(__linux__)
TEST(where_there_is_no_room_two_tries_alone_say_so_and_none_beside_others_who_make_room) {
  if (!is_again()) {
    const Place place;
    const char* const test = __func__;
    const auto inside = [&] {
      // In a file system that is smaller than the queue.
      if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
          mount("small", place.path.c_str(), "tmpfs", 0, "size=256k") != 0)
        return true;  // only root may
      return again_in(place.path, test);
    };
    CHECK(ends_well(start(inside)));
    return;
  }
  SegmentOptions options = options_for(__func__);
  options.capacity_bytes = 1 << 20;
  const auto is_told = [&] { return code_of([&] { open(options); }) == "ERR_SEGMENT_NO_SPACE"; };
  const uint32_t start_ms = monotonic_ms();
  CHECK(is_told() && monotonic_ms() - start_ms < 3000);
  int go[2];
  int done[2];
  CHECK(pipe(go) == 0 && pipe(done) == 0);
  const pid_t child = start([&] {
    char word = 0;
    if (read(go[0], &word, 1) != 1 || !is_told()) return false;
    return write(done[1], &word, 1) == 1;
  });
  pollfd end{done[0], POLLIN, 0};
  {
    const RoomMark other;
    CHECK(write(go[1], "g", 1) == 1);
    CHECK(poll(&end, 1, 300) == 0);
  }
  CHECK(poll(&end, 1, 3000) == 1 && ends_well(child));
  for (const int fd : {go[0], go[1], done[0], done[1]}) close(fd);
}
#endif

#if defined(SAGE_FAILPOINTS)
TEST(who_comes_second_with_a_finished_file_takes_the_queue_of_the_first) {
  const SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  const pid_t second = start([&] {
    failpoint_arm(Point::kCreateFilled, 0, 'S');
    bool created = true;
    const auto segment = Segment::open(options, Create::kIfMissing, &created);
    const auto found = Segment::read_file(Segment::file_of(options.name));
    return !created && segment->header().creation_id[0] == found->header().creation_id[0];
  });
  int status = 0;
  CHECK(waitpid(second, &status, WUNTRACED) == second && WIFSTOPPED(status));
  const auto first = open(options);
  CHECK(kill(second, SIGCONT) == 0 && ends_well(second));
}
#endif

// ── whose it may be ────────────────────────────────────────────────────────

TEST(a_segment_of_another_user_is_attached_to_only_where_that_is_wanted) {
  if (geteuid() != 0) return;  // only root gives files away
  SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  open(options);
  CHECK(chown(path_of(options).c_str(), 12345, 23456) == 0);
  const auto refuses = [&](const SegmentOptions& asked) {
    FileId id;
    const std::string code = code_of([&] { Segment::find(asked, &id); });
    CHECK(code == code_of([&] { open(asked); }) && code == code_of([&] { open(asked, Create::kNever); }));
    return code == "ERR_SEGMENT_PERMISSION";
  };
  CHECK(refuses(options));
  SegmentOptions trusting = options;
  trusting.trusted_uids = {1, 12345};
  CHECK(!refuses(trusting));
  SegmentOptions shared = options;
  shared.mode = 0660;
  CHECK(!refuses(shared));
  shared.owner_uid = 0;  // whoever else may use it: it is to be root's
  CHECK(refuses(shared));
  SegmentOptions his = options;
  his.owner_uid = 12345;
  CHECK(!refuses(his) && open(his)->owner_uid() == 12345 && open(his)->group() == 23456);
  // To look at, it is as private as its permissions say.
  const std::string file = Segment::file_of(options.name);
  CHECK(code_of([&] { Segment::open_file(file); }) == "ERR_SEGMENT_PERMISSION");
  CHECK(code_of([&] { Segment::read_file(file); }) == "ERR_SEGMENT_PERMISSION");
  CHECK(chmod(path_of(options).c_str(), 0660) == 0);
  CHECK(Segment::open_file(file)->permissions() == 0660 && Segment::read_file(file) != nullptr);
}

TEST(only_its_owner_may_create_it) {
  SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  options.owner_uid = static_cast<int64_t>(geteuid()) + 1;
  CHECK(open(options, Create::kNever) == nullptr);
  CHECK(code_of([&] { open(options); }) == "ERR_SEGMENT_PERMISSION" && !has_name(options));
  options.owner_uid = geteuid();
  CHECK(open(options) != nullptr);
}

TEST(where_the_directory_is_not_sticky_whoever_may_write_it_takes_the_name_away) {
  if (geteuid() != 0) return;
  if (!is_again()) {
    const Place place(0777);
    CHECK(again_in(place.path, __func__));
    return;
  }
  SegmentOptions options = options_for(__func__);
  options.mode = 0666;
  const Cleared cleared(options);
  const auto own = open(options);
  CHECK(as_somebody_else([&] {
    const auto other = Segment::open_file(Segment::file_of(options.name));
    return other->may_unlink() && other->unlink_name();
  }));
  CHECK(!has_name(options));
}

TEST(where_the_directory_is_sticky_only_the_owner_takes_the_name_away) {
  struct stat folder;
  CHECK(stat(Segment::directory().c_str(), &folder) == 0);
  if (geteuid() != 0 || (folder.st_mode & S_ISVTX) == 0) return;
  SegmentOptions options = options_for(__func__);
  options.mode = 0666;
  const Cleared cleared(options);
  const auto own = open(options);
  CHECK(own->may_unlink());
  own->shared().control->life = Life::kRetired;
  CHECK(as_somebody_else([&] {
    const auto other = Segment::open_file(Segment::file_of(options.name));
    const bool may = other->may_unlink() || other->unlink_name();
    const uint32_t start = monotonic_ms();
    const bool told = code_of([&] { open(options); }) == "ERR_SEGMENT_PERMISSION";
    return !may && told && monotonic_ms() - start >= 190 && has_name(options);
  }));
  CHECK(open(options, Create::kNever) == nullptr && !has_name(options));
  SegmentOptions his = options;
  CHECK(as_somebody_else(
      [&] { return open(his)->header().owner_uid == 65534 && open(his)->may_unlink() && open(his)->unlink_name(); }));
  CHECK(!has_name(options));
}

int main(int argc, char** argv) { return check::main(argc, argv); }
