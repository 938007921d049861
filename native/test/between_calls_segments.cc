// A segment's file where a system call fails, is interrupted, or finds that somebody was there since the one before.
// It lies in a directory of the test's own.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "core/segment/segment.h"
#include "here.h"
#include "interposed.h"

using namespace sage;

namespace {

constexpr const char* kDone = "";

SegmentOptions options_for(const char* test) {
  SegmentOptions options;
  options.name = test;
  options.queue_id = test;
  options.maxsize = 8;
  options.capacity_bytes = 4096;
  return options;
}

std::unique_ptr<Segment> open(const SegmentOptions& options, bool* created = nullptr) {
  bool made = false;
  return Segment::open(options, Create::kIfMissing, created == nullptr ? &made : created);
}

std::string path_of(const SegmentOptions& options) {
  return Segment::directory() + "/" + Segment::file_of(options.name);
}

std::string code_of_opening(const SegmentOptions& options) {
  return code_of([&] { open(options); });
}

bool exists(const std::string& path) {
  struct stat info;
  return ::lstat(path.c_str(), &info) == 0;
}

/// Takes the name away when the test is over.
struct Cleared {
  const std::string path;
  explicit Cleared(const SegmentOptions& options) : path(path_of(options)) {}
  ~Cleared() { ::unlink(path.c_str()); }
};

/// Files that have no name of a segment's yet are among what is there.
bool is_empty_here() { return std::filesystem::is_empty(Segment::directory()); }

bool is_mapped(void* at) {
  unsigned char in_memory = 0;
  return mincore(at, 1, &in_memory) == 0;
}

bool is_unnamed(int how) { return (how & O_TMPFILE) == O_TMPFILE; }

/// A file system that knows no files without a name.
void without_unnamed_files(Interposed& system) {
  system->open = [](const char* path, int how, mode_t mode) {
    return is_unnamed(how) ? failing(EOPNOTSUPP) : ::open(path, how, mode);
  };
}

/// Time as the test has it pass: so much with every nap, and no other.
struct Clock {
  uint32_t now_ms = 1000000;
  Clock(Interposed& system, uint32_t nap_ms) {
    system->clock_gettime = [this](clockid_t, timespec* now) {
      *now = {static_cast<time_t>(now_ms / 1000), static_cast<long>(now_ms % 1000) * 1000000};
      return 0;
    };
    system->usleep = [this, nap_ms](useconds_t) {
      now_ms += nap_ms;
      return 0;
    };
  }
};

}  // namespace

// ── looking at a file ──────────────────────────────────────────────────────

TEST(a_file_that_cannot_be_read_or_becomes_shorter_is_refused_for_that) {
  const SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  open(options);
  Interposed system;
  system->pread = [](int, void*, size_t, off_t) { return failing(EIO); };
  CHECK(code_of_opening(options) == "ERR_SEGMENT_UNSUPPORTED");
  system->pread = [](int fd, void* to, size_t bytes, off_t at) { return ::pread(fd, to, bytes - 1, at); };
  CHECK(code_of_opening(options) == "ERR_SEGMENT_CORRUPT");
  system->pread = nullptr;
  CHECK(code_of_opening(options) == kDone);
}

TEST(a_file_that_cannot_be_mapped_is_refused_and_leaves_nothing_mapped) {
  const SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  for (const bool exists_before : {false, true}) {
    if (exists_before) open(options);
    for (const int refused : {1, 2}) {  // the whole file, or its payload behind that
      Interposed system;
      void* reserved = nullptr;
      int parts = 0;
      system->mmap = [&](void* at, size_t bytes, int access, int how, int fd, off_t offset) {
        void* const mapped = ::mmap(at, bytes, access, how, fd, offset);
        if ((how & MAP_FIXED) == 0) {
          reserved = mapped;
          return mapped;
        }
        if (++parts != refused) return mapped;
        errno = ENOMEM;  // though it is there: who goes on all the same is to be found out, not to be killed
        return MAP_FAILED;
      };
      CHECK(code_of_opening(options) == "ERR_SEGMENT_RESOURCES");
      CHECK(parts == refused && reserved != nullptr && !is_mapped(reserved));
    }
    CHECK(exists(path_of(options)) == exists_before);
  }
}

TEST(a_copy_is_whole_or_it_is_said_why_there_is_none) {
  const SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  const auto original = open(options);
  const auto code_of_reading = [&] { return code_of([&] { Segment::read_file(Segment::file_of(options.name)); }); };
  Interposed system;
  system->mprotect = [](void* at, size_t bytes, int access) {
    ::mprotect(at, bytes, access);  // as above
    return failing(ENOMEM);
  };
  CHECK(code_of_reading() == "ERR_SEGMENT_RESOURCES");
  system->mprotect = nullptr;

  // `instead` is what a read of the words comes to, the first of which is number 1.
  int reads = 0;
  const auto words_read = [&](const std::function<ssize_t(int, void*, size_t, off_t)>& instead) {
    reads = 0;
    system->pread = [&, instead](int fd, void* to, size_t bytes, off_t at) {
      if (at == 0) return ::pread(fd, to, bytes, at);  // the header
      CHECK(++reads < 100);
      return instead(fd, to, bytes, at);
    };
  };
  words_read([](int, void*, size_t, off_t) { return failing(EIO); });
  CHECK(code_of_reading() == "ERR_SEGMENT_UNSUPPORTED" && reads == 1);
  words_read([](int, void*, size_t, off_t) { return 0; });
  CHECK(code_of_reading() == "ERR_SEGMENT_CORRUPT" && reads == 1);
  // Interrupted at first, and then piece by piece.
  words_read([&](int fd, void* to, size_t bytes, off_t at) -> ssize_t {
    return reads == 1 ? failing(EINTR) : ::pread(fd, to, (bytes + 1) / 2, at);
  });
  original->shared().control->life = 5;
  std::unique_ptr<Segment> copy;
  CHECK(code_of([&] { copy = Segment::read_file(Segment::file_of(options.name)); }) == kDone);
  CHECK(reads > 3 && copy->shared().control->life.load() == 5);
  const uint64_t words = original->header().control_offset;
  const auto* const own = reinterpret_cast<const uint8_t*>(original->shared().control);
  CHECK(std::memcmp(copy->shared().control, own, original->header().payload_offset - words) == 0);
}

// ── making one ─────────────────────────────────────────────────────────────

TEST(behind_the_texts_of_a_header_there_is_nothing_of_who_made_it) {
  const SegmentOptions options = options_for("name");
  const Cleared cleared(options);
  Interposed system;
  std::vector<Header> written;
  system->pwrite = [&](int fd, const void* from, size_t bytes, off_t at) {
    CHECK(bytes == sizeof(Header) && at == 0);
    written.push_back(*static_cast<const Header*>(from));
    return ::pwrite(fd, from, bytes, at);
  };
  paint_stack(0xa5);
  const std::string code = code_of_opening(options);
  CHECK(written.size() == 1);
  const auto ends_in_nothing = [](const char* text, size_t used, size_t bytes) {
    return std::all_of(text + used, text + bytes, [](char byte) { return byte == 0; });
  };
  const Header& header = written[0];
  CHECK(header.name_bytes == options.name.size() && header.queue_id_bytes == options.queue_id.size());
  CHECK(ends_in_nothing(header.name, header.name_bytes, sizeof header.name));
  CHECK(ends_in_nothing(header.queue_id, header.queue_id_bytes, sizeof header.queue_id));
  CHECK(code == kDone);
}

TEST(a_file_that_did_not_get_finished_leaves_no_name_and_says_what_was_in_its_way) {
  const SegmentOptions options = options_for(__func__);
  const auto fails_with = [&](const char* code) { return code_of_opening(options) == code && is_empty_here(); };
  for (const bool named : {false, true}) {
    Interposed system;
    if (named) without_unnamed_files(system);
    system->posix_fallocate = [](int, off_t, off_t) { return EFBIG; };
    CHECK(fails_with("ERR_SEGMENT_RESOURCES"));
    system->posix_fallocate = nullptr;
    system->pwrite = [](int fd, const void* from, size_t bytes, off_t at) {
      ::pwrite(fd, from, bytes, at);  // as above
      return failing(EIO);
    };
    CHECK(fails_with("ERR_SEGMENT_UNSUPPORTED"));
    system->pwrite = [](int fd, const void* from, size_t bytes, off_t at) {
      const ssize_t written = ::pwrite(fd, from, bytes - 1, at);
      errno = ENOMEM;  // of some earlier call: a short write leaves it as it is
      return written;
    };
    CHECK(fails_with("ERR_SEGMENT_UNSUPPORTED"));
    system->pwrite = nullptr;
    system->pread = [](int, void*, size_t, off_t) { return failing(EIO); };
    CHECK(fails_with("ERR_SEGMENT_UNSUPPORTED"));
  }
}

TEST(a_file_that_may_be_made_and_not_named_is_refused) {
  const SegmentOptions options = options_for(__func__);
  Interposed system;
  int tries = 0;
  system->linkat = [&](int, const char*, int, const char*, int) {
    CHECK(++tries == 1);
    return failing(EPERM);
  };
  CHECK(code_of_opening(options) == "ERR_SEGMENT_PERMISSION");
  CHECK(is_empty_here());
}

TEST(no_room_is_two_tries_in_a_row_without_any) {
  const SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  Interposed system;
  const Clock clock(system, 1);
  // Another maker is first in the second try, and has removed its queue before the third.
  int tries = 0;
  system->posix_fallocate = [&](int fd, off_t at, off_t bytes) {
    ++tries;
    return tries == 1 || tries == 3 ? ENOSPC : ::posix_fallocate(fd, at, bytes);
  };
  system->linkat = [&](int from, const char* old_path, int to, const char* path, int how) {
    return tries == 2 ? failing(EEXIST) : ::linkat(from, old_path, to, path, how);
  };
  bool created = false;
  CHECK(code_of([&] { open(options, &created); }) == kDone && created && tries == 4);
}

TEST(others_who_make_room_are_waited_for_five_seconds) {
  const SegmentOptions options = options_for(__func__);
  Interposed system;
  const Clock clock(system, 100);
  const uint32_t start = clock.now_ms;
  // Who cannot ask takes it that there are others.
  system->open = [](const char* path, int how, mode_t mode) {
    const bool asks = !is_unnamed(how) && path == Segment::directory();
    return asks ? failing(EMFILE) : ::open(path, how, mode);
  };
  system->posix_fallocate = [&](int, off_t, off_t) {
    CHECK(clock.now_ms - start < 6000);
    return ENOSPC;
  };
  CHECK(code_of_opening(options) == "ERR_SEGMENT_NO_SPACE" && clock.now_ms - start > 5000);
}

// ── taking its name away ───────────────────────────────────────────────────

TEST(a_removal_that_another_does_not_finish_is_waited_for_five_seconds_or_so_many_times) {
  const SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  open(options)->shared().control->life = Life::kRetired;
  for (const uint32_t nap_ms : {100, 0}) {  // the second of them where time stands still
    Interposed system;
    const Clock clock(system, nap_ms);
    const uint32_t start = clock.now_ms;
    int tries = 0;
    system->flock = [&](int, int) {
      CHECK(clock.now_ms - start < 6000 && ++tries < 6000);
      return failing(EWOULDBLOCK);
    };
    CHECK(code_of_opening(options) == "ERR_SEGMENT_CORRUPT");
    CHECK(nap_ms == 0 ? tries > 5000 : clock.now_ms - start > 5000);
  }
}

TEST(root_and_who_cannot_look_at_the_directory_may_try_to_unlink) {
  SegmentOptions options = options_for(__func__);
  options.mode = 0666;
  const Cleared cleared(options);
  open(options);
  Interposed system;
  const uid_t another = ::geteuid() + 1;
  uid_t self = another + 1;
  system->geteuid = [&] { return self; };
  system->fstat = [&](int fd, struct stat* info) {
    const int result = ::fstat(fd, info);
    info->st_uid = another;
    return result;
  };
  const auto segment = Segment::open_file(Segment::file_of(options.name));
  int result = 0;
  system->stat = [&](const char* path, struct stat* info) {
    CHECK(path == Segment::directory());
    *info = {};
    info->st_mode = S_IFDIR | S_ISVTX | 0777;
    return result == 0 ? 0 : failing(result);
  };
  CHECK(!segment->may_unlink());
  self = another;
  CHECK(segment->may_unlink());
  self = 0;
  CHECK(segment->may_unlink());
  self = another + 1;
  result = ENOENT;
  CHECK(segment->may_unlink());
}

TEST(a_name_that_another_takes_or_gives_away_under_the_lock_is_left_to_it) {
  const SegmentOptions options = options_for(__func__);
  const Cleared cleared(options);
  const auto segment = open(options);
  const std::string path = path_of(options);
  Interposed system;
  // What the last look at the name comes to; what it says is that of the segment's own file.
  const auto at_last_look = [&](const std::function<int(struct stat*)>& instead) {
    system->stat = [&, instead](const char* asked, struct stat* info) {
      if (asked != path) return ::stat(asked, info);  // the directory
      CHECK(::stat(asked, info) == 0);
      return instead(info);
    };
  };
  at_last_look([](struct stat*) { return failing(EACCES); });
  CHECK(!segment->unlink_name() && exists(path));
  at_last_look([&](struct stat*) {
    CHECK(::unlink(path.c_str()) == 0);
    return failing(ENOENT);
  });
  CHECK(segment->unlink_name());

  system->stat = nullptr;
  const auto next = open(options);
  at_last_look([&](struct stat* info) {
    CHECK(::unlink(path.c_str()) == 0);
    close(::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600));
    return ::stat(path.c_str(), info);
  });
  CHECK(next->unlink_name() && exists(path));
}

int main(int argc, char** argv) {
  char directory[] = "/dev/shm/sage-queue-test.XXXXXX";
  CHECK(mkdtemp(directory) != nullptr && setenv("SAGE_QUEUE_DIR", directory, 1) == 0);
  const int status = check::main(argc, argv);
  if (rmdir(directory) == 0) return status;
  std::perror(directory);  // something is left in it
  return 1;
}
