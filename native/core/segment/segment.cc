#include "core/segment/segment.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "core/os/platform.h"
#include "core/os/process.h"
#include "core/segment/directory.h"
#include "core/segment/failures.h"
#include "core/segment/format.h"

namespace sage {
namespace {

constexpr int kRemovalAttempts = 5000;
constexpr uint32_t kRemoverMs = 5000;  // for one who holds the name: on a busy machine each attempt may wait for a core
constexpr uint32_t kRemovalMs = 200;   // for a removal under way, of which only another user can take the rest
constexpr uint32_t kCrowdedMs = 5000;  // for others to give up the room that one of them needs

struct Descriptor {
  int fd;
  explicit Descriptor(int opened) : fd(opened) {}
  /// The caller's from here on.
  int release() { return std::exchange(fd, -1); }
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

/// Whose file it may be. Nothing that lies in the file has a say in this: a squatter writes what he likes there.
void check_owner(const SegmentOptions& options, uint32_t uid, const std::string& file) {
  const uint32_t own = geteuid();
  const auto& trusted = options.trusted_uids;
  if (std::find(trusted.begin(), trusted.end(), uid) != trusted.end()) return;
  const bool shared = options.owner_uid < 0 && (options.mode & 0066) != 0;
  const uint32_t expected = options.owner_uid < 0 ? own : static_cast<uint32_t>(options.owner_uid);
  if (shared || uid == expected) return;
  fail_permission(file,
                  "it belongs to user " + std::to_string(uid) + ", and expected is user " + std::to_string(expected) +
                      ". If that user is to be trusted with what is put here: ask for it with the descriptor of "
                      "its owner or with a `mode` for others, or set SAGE_QUEUE_TRUST_UID=" +
                      std::to_string(uid) + " in this process (in a container users of others may show as 65534)");
}

void check_limits(const SegmentOptions& options) {
  if (options.name.size() > kNameBytes || options.queue_id.size() > kQueueIdBytes) {
    throw SegmentFailure("ERR_SEGMENT_NAME", "a segment's name and queue id have at most 1024 bytes each");
  }
  if (options.schema.size() > kSchemaBytes - sizeof(uint64_t)) {
    throw SegmentFailure("ERR_SEGMENT_NO_SPACE", "the schema of a queue has at most " +
                                                     std::to_string(kSchemaBytes - sizeof(uint64_t)) +
                                                     " bytes, found " + std::to_string(options.schema.size()));
  }
  if (options.maxsize > format::kMaxItems || options.capacity_bytes == 0 ||
      options.capacity_bytes > format::kMaxCapacity) {
    throw SegmentFailure("ERR_SEGMENT_NO_SPACE", "a queue holds at most " + std::to_string(format::kMaxItems) +
                                                     " items and from 1 to " + std::to_string(format::kMaxCapacity) +
                                                     " bytes, found maxsize " + std::to_string(options.maxsize) +
                                                     " and capacityBytes " + std::to_string(options.capacity_bytes) +
                                                     ": ask for less");
  }
}

/// Who may not write may not read either: a lock for reading would stand in the way of others' locks.
uint32_t permissions_of(uint32_t mode) {
  for (const uint32_t shift : {0, 3, 6}) {
    if ((mode >> shift & 2) == 0) mode &= ~(uint32_t{4} << shift);
  }
  return mode;
}

/// -1 and errno. Without waiting for a pipe's other end, and not through a link.
int open_named(const std::string& file, int access) {
  return ::open((Segment::directory() + "/" + file).c_str(), access | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

struct stat stat_of(int fd, const std::string& file) {
  struct stat info;
  if (fstat(fd, &info) != 0) fail_system("examine", file, errno);
  return info;
}

FileId id_of(const struct stat& info) {
  return {static_cast<uint64_t>(info.st_dev), static_cast<uint64_t>(info.st_ino)};
}

/// Long enough for another one to get on, and not the same for all who wait for each other.
void nap() { usleep(1000 + static_cast<useconds_t>(std::random_device()() % 1000)); }

}  // namespace

/// What can be known of the file without mapping it.
void Segment::examine(int fd) {
  const struct stat info = stat_of(fd, file_);
  if (!S_ISREG(info.st_mode)) fail_corrupt(file_, "it is not a regular file");
  const auto bytes = static_cast<uint64_t>(info.st_size);
  if (bytes < sizeof(Header)) fail_corrupt(file_, "it has only " + std::to_string(bytes) + " bytes");
  const ssize_t length = pread(fd, &header_, sizeof header_, 0);
  if (length < 0) fail_system("read", file_, errno);
  if (length != static_cast<ssize_t>(sizeof header_)) fail_corrupt(file_, "it became shorter while it was read");
  format::check_header(header_, bytes, file_);
  if (!platform::is_allocated(info)) fail_corrupt(file_, "some of its bytes were never reserved");
  file_id_ = id_of(info);
  owner_uid_ = info.st_uid;
  permissions_ = info.st_mode & 07777;
  group_ = info.st_gid;
}

uint8_t* Segment::reserve(uint64_t bytes) {
  const int access = PROT_NONE;
  void* reserved = mmap(nullptr, bytes, access, MAP_PRIVATE | MAP_ANONYMOUS | platform::kMapNoReserve, -1, 0);
  if (reserved == MAP_FAILED) fail_system("map", file_, errno);
  mapped_bytes_ = bytes;
  base_ = static_cast<uint8_t*>(reserved);
  return base_;
}

void Segment::map(int fd) {
  reserve(header_.total_bytes + header_.area_bytes);
  if (mmap(base_, header_.total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
      mmap(base_ + header_.total_bytes, header_.area_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
           static_cast<off_t>(header_.payload_offset)) == MAP_FAILED) {
    fail_system("map", file_, errno);
  }
  payload_ = base_ + header_.payload_offset;
  shared_ = format::view(header_, base_);
}

void Segment::copy_words(int fd) {
  reserve(header_.payload_offset);
  if (mprotect(base_, mapped_bytes_, PROT_READ | PROT_WRITE) != 0) fail_system("map", file_, errno);
  for (uint64_t at = header_.control_offset; at < header_.payload_offset;) {
    const ssize_t length = pread(fd, base_ + at, header_.payload_offset - at, static_cast<off_t>(at));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) fail_system("read", file_, errno);
    if (length == 0) fail_corrupt(file_, "it became shorter while it was read");
    at += static_cast<uint64_t>(length);
  }
  payload_ = base_;
  shared_ = format::view(header_, base_);
}

Segment::~Segment() {
  if (base_ != nullptr) munmap(base_, mapped_bytes_);
  if (fd_ >= 0) close(fd_);
  // Only then `removing_` ends.
}

bool Segment::from_earlier_boot() const {
  const BootId now = own_boot();
  const bool known = (now.high | now.low) != 0 && (header_.boot_id[0] | header_.boot_id[1]) != 0;
  return known && (header_.boot_id[0] != now.high || header_.boot_id[1] != now.low);
}

std::unique_ptr<Segment> Segment::create_file(const SegmentOptions& options, const std::string& file) {
  if (options.owner_uid >= 0 && options.owner_uid != static_cast<int64_t>(geteuid())) {
    fail_permission(file, "it does not exist, and only user " + std::to_string(options.owner_uid) + " may create it");
  }
  Header header;
  std::memset(&header, 0, sizeof header);
  header.magic = kMagic;
  header.layout_version = kLayoutVersion;
  header.header_bytes = sizeof(Header);
  header.endian_mark = kEndianMark;
  header.word_bytes = sizeof(void*);
  const BootId boot = own_boot();
  header.boot_id[0] = boot.high;
  header.boot_id[1] = boot.low;
  std::random_device random;
  for (uint64_t& half : header.creation_id) half = (uint64_t{random()} << 32) | random();
  header.kind = static_cast<uint32_t>(options.kind);
  header.mode = options.mode;
  header.owner_uid = geteuid();
  header.auto_cleanup = options.auto_cleanup;
  timeval now;
  gettimeofday(&now, nullptr);
  header.created_us = static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_usec);
  header.maxsize = options.maxsize;
  header.capacity_bytes = options.capacity_bytes;
  header.schema_bytes = options.schema.empty() ? 0 : kSchemaBytes;
  header.name_bytes = static_cast<uint32_t>(options.name.size());
  header.queue_id_bytes = static_cast<uint32_t>(options.queue_id.size());
  std::memcpy(header.name, options.name.data(), options.name.size());
  std::memcpy(header.queue_id, options.queue_id.data(), options.queue_id.size());
  format::lay_out(&header);
  header.checksum = format::checksum(header);

  // The file gets its name only when it is whole: a creator that dies before leaves nothing behind.
  std::string temporary;
  Descriptor unnamed(platform::open_unnamed(directory(), &temporary));
  if (unnamed.fd < 0) fail_system("create", file, errno);
  const int full = platform::allocate(unnamed.fd, header.total_bytes);
  if (full != 0) {
    platform::forget_unnamed(temporary);
    fail_system("create", file, full);
  }
  fchmod(unnamed.fd, permissions_of(options.mode));
  const ssize_t written = pwrite(unnamed.fd, &header, sizeof header, 0);
  if (written != static_cast<ssize_t>(sizeof header)) {
    const int error = written < 0 ? errno : EIO;
    platform::forget_unnamed(temporary);
    fail_system("write", file, error);
  }
  std::unique_ptr<Segment> segment(new Segment(file));
  try {
    segment->examine(unnamed.fd);
    segment->map(unnamed.fd);
  } catch (const SegmentFailure&) {
    platform::forget_unnamed(temporary);
    throw;
  }
  segment->shared_.initialise();
  if (!options.schema.empty()) segment->schemas().add(options.schema);
  failpoint(Point::kCreateFilled);
  if (!platform::give_name(unnamed.fd, temporary, directory() + "/" + file)) {
    const int error = errno;
    if (error == EEXIST) return nullptr;
    fail_system("name", file, error);
  }
  failpoint(Point::kCreateLinked);
  segment->fd_ = unnamed.release();
  return segment;
}

std::unique_ptr<Segment> Segment::open(const SegmentOptions& options, Create create, bool* created) {
  check_place();
  const std::string file = file_of(options.name);
  const uint32_t start = monotonic_ms();
  int alone = 0;
  for (int attempt = 0;; ++attempt) {
    *created = false;
    std::unique_ptr<Segment> segment = open_existing(options, file);
    if (segment != nullptr && segment->retired()) {
      segment->finish_removal(attempt, monotonic_ms() - start);
      continue;
    }
    if (segment != nullptr) {
      if (segment->name() != options.name) {
        throw SegmentFailure("ERR_SEGMENT_NAME", "segment " + file + " belongs to the queue " + segment->name() +
                                                     ", whose shortened name is the same as that of " + options.name);
      }
      format::check_cursors(segment->shared_, file);
      return segment;
    }
    if (create == Create::kNever) {
      check_directory(file);
      return nullptr;
    }
    check_limits(options);
    const RoomMark making;
    try {
      segment = create_file(options, file);
      alone = 0;
    } catch (const SegmentFailure& failure) {
      if (std::strcmp(failure.code(), "ERR_SEGMENT_NO_SPACE") != 0) throw;
      // Others may be making the same queue, each in a file that has no name yet: there is room for one of them. Alone
      // in two tries, with a look for the finished queue in between, means that there is none.
      alone = making.others() ? 0 : alone + 1;
      if (alone == 2 || monotonic_ms() - start > kCrowdedMs) throw;
      nap();
    }
    if (segment != nullptr) {
      *created = true;
      return segment;
    }
  }
}

bool Segment::find(const SegmentOptions& options, FileId* found) {
  const std::string file = file_of(options.name);
  const Descriptor existing(open_named(file, O_RDWR));
  if (existing.fd < 0) return false;
  const struct stat info = stat_of(existing.fd, file);
  check_owner(options, info.st_uid, file);
  *found = id_of(info);
  return true;
}

/// Null: there is none of that name.
std::unique_ptr<Segment> Segment::open_existing(const SegmentOptions& options, const std::string& file) {
  Descriptor existing(open_named(file, O_RDWR));
  if (existing.fd < 0) {
    if (errno == ENOENT) return nullptr;
    fail_system("open", file, errno);
  }
  check_owner(options, stat_of(existing.fd, file).st_uid, file);
  std::unique_ptr<Segment> segment(new Segment(file));
  segment->examine(existing.fd);
  segment->map(existing.fd);
  segment->fd_ = existing.release();
  return segment;
}

/// Of a retired segment under the name of the queue that is asked for: its last leaver died between the two steps of
/// removing it, or somebody is at it.
void Segment::finish_removal(int attempt, uint32_t waited_ms) {
  if (attempt > kRemovalAttempts || waited_ms > kRemoverMs) {
    throw SegmentFailure("ERR_SEGMENT_CORRUPT", "segment " + file_ +
                                                    " is retired, but its name cannot be taken away: another process "
                                                    "that removes it is stopped");
  }
  if (may_unlink()) {
    unlink_name();
    return;
  }
  if (waited_ms >= kRemovalMs) {
    throw SegmentFailure("ERR_SEGMENT_PERMISSION", "segment " + file_ + " is being removed, and only its owner (uid " +
                                                       std::to_string(owner_uid_) +
                                                       ") can finish that: let that user resolve the queue, or prune");
  }
  usleep(1000);
}

std::unique_ptr<Segment> Segment::look_at(const std::string& file, int access) {
  Descriptor existing(open_named(file, access));
  if (existing.fd < 0) {
    if (errno == ENOENT) return nullptr;
    fail_system("open", file, errno);
  }
  struct stat info;
  if (fstat(existing.fd, &info) == 0 && info.st_uid != geteuid() && (info.st_mode & 0066) == 0) {
    fail_permission(file, "it belongs to user " + std::to_string(info.st_uid));
  }
  std::unique_ptr<Segment> segment(new Segment(file));
  segment->examine(existing.fd);
  if (access == O_RDONLY) {
    segment->copy_words(existing.fd);
  } else {
    segment->map(existing.fd);
  }
  segment->fd_ = existing.release();
  format::check_cursors(segment->shared_, file);
  return segment;
}

std::unique_ptr<Segment> Segment::open_file(const std::string& file) { return look_at(file, O_RDWR); }

std::unique_ptr<Segment> Segment::read_file(const std::string& file) { return look_at(file, O_RDONLY); }

bool Segment::may_unlink() const {
  struct stat folder;
  const uint32_t uid = geteuid();
  if (uid == 0 || uid == owner_uid_) return true;
  return stat(directory().c_str(), &folder) != 0 || (folder.st_mode & S_ISVTX) == 0;
}

bool Segment::unlink_name() {
  if (removing_ == nullptr) removing_ = std::make_unique<RoomMark>();
  if (!may_unlink()) return false;  // nor hold the lock against those who may
  const std::string path = directory() + "/" + file_;
  const Descriptor named(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (named.fd < 0) return errno == ENOENT;
  struct stat info;
  if (fstat(named.fd, &info) != 0) return false;
  if (info.st_ino != file_id_.inode) return true;
  // Whoever unlinks holds this inode's lock, so the name cannot pass to another segment between the check and the
  // unlink. The kernel lets go of the lock when its holder dies.
  if (flock(named.fd, LOCK_EX | LOCK_NB) != 0) {
    usleep(1000);
    return false;
  }
  struct stat now;
  if (stat(path.c_str(), &now) != 0) return errno == ENOENT;
  return now.st_ino != file_id_.inode || unlink(path.c_str()) == 0;
}

}  // namespace sage
