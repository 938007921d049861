#include "core/segment/segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>

#include "core/errors.h"
#include "core/os/platform.h"
#include "core/os/process.h"

namespace sage {
namespace {

constexpr uint64_t kControlOffset = 4096;
constexpr uint64_t kParticipantsOffset = 8192;
constexpr uint64_t kPayloadAlignment = 65536;  // no page is larger on the platforms promised
constexpr uint64_t kMaxCapacity = uint64_t{1} << 30;
constexpr uint64_t kMaxItems = uint64_t{1} << 23;
constexpr int kRemovalMs = 200;  // for a removal under way
constexpr int kCrowdedMs = 50;   // for others to give up the room that one of them needs
constexpr const char* kPrefix = "sage-queue+";
static_assert(sizeof(Header) <= kControlOffset);
static_assert(kControlOffset + sizeof(Control<StdMemory>) <= kParticipantsOffset);

uint64_t fnv1a(const void* data, size_t size, uint64_t hash = 0xcbf29ce484222325ULL) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  for (size_t index = 0; index < size; ++index) hash = (hash ^ bytes[index]) * 0x100000001b3ULL;
  return hash;
}

uint64_t checksum(const Header& header) {
  const uint64_t fixed = fnv1a(&header, offsetof(Header, checksum));
  return fnv1a(header.queue_id, sizeof header.queue_id, fnv1a(header.name, sizeof header.name, fixed));
}

uint64_t round_up(uint64_t value, uint64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

uint64_t power_of_two(uint64_t at_least) {
  uint64_t power = 1;
  while (power < at_least) power *= 2;
  return power;
}

/// Fills in every size that follows from what was asked.
void lay_out(Header* header) {
  header->area_bytes = power_of_two(std::max(header->capacity_bytes, kPayloadAlignment));
  // Without a number of its own a queue holds as many items as fit at one cache line each.
  header->item_limit = header->maxsize != 0 ? header->maxsize : header->capacity_bytes / 64;
  header->item_limit = std::max<uint64_t>(header->item_limit, 1);
  header->slot_count = power_of_two(2 * std::max<uint64_t>(header->item_limit, kMaxBatch));
  header->lease_count = header->item_limit;
  header->control_offset = kControlOffset;
  header->participants_offset = kParticipantsOffset;
  header->slots_offset = header->participants_offset + kParticipants * sizeof(Participant<StdMemory>);
  header->leases_offset = header->slots_offset + header->slot_count * sizeof(Slot<StdMemory>);
  header->payload_offset =
      round_up(header->leases_offset + header->lease_count * sizeof(LeaseEntry<StdMemory>), kPayloadAlignment);
  header->total_bytes = header->payload_offset + header->area_bytes;
}

[[noreturn]] void corrupt(const std::string& file, const std::string& found) {
  throw SegmentFailure("ERR_SEGMENT_CORRUPT", "segment " + file + " is not a whole sage-queue segment: " + found +
                                                  ". Remove it with `sage-queue rm` once nobody uses it.");
}

/// Everything read here comes from a file that anybody may have written: nothing is believed before it is checked.
void validate(const Header& header, uint64_t file_bytes, const std::string& file) {
  if (header.magic != kMagic) corrupt(file, "its first eight bytes are not the magic number");
  if (header.layout_version != kLayoutVersion) {
    throw SegmentFailure("ERR_SEGMENT_VERSION",
                         "segment " + file + " has layout version " + std::to_string(header.layout_version) +
                             ", this build reads version " + std::to_string(kLayoutVersion) +
                             ". Use the same major version of sage-queue in every process, or remove the segment.");
  }
  if (header.endian_mark != kEndianMark || header.word_bytes != sizeof(void*) ||
      header.header_bytes != sizeof(Header)) {
    throw SegmentFailure("ERR_SEGMENT_VERSION",
                         "segment " + file + " was made by a build with another word size, byte order or header size.");
  }
  if (header.checksum != checksum(header)) corrupt(file, "its header does not match its checksum");
  if (header.maxsize > kMaxItems || header.capacity_bytes == 0 || header.capacity_bytes > kMaxCapacity ||
      header.name_bytes > kNameBytes || header.queue_id_bytes > kQueueIdBytes ||
      (header.kind != static_cast<uint32_t>(Kind::kShm) && header.kind != static_cast<uint32_t>(Kind::kSage))) {
    corrupt(file, "a size in its header is out of range");
  }
  Header expected = header;
  lay_out(&expected);
  if (std::memcmp(&expected, &header, sizeof header) != 0) corrupt(file, "its sizes contradict each other");
  if (header.total_bytes != file_bytes) {
    corrupt(file, "it has " + std::to_string(file_bytes) + " bytes instead of " + std::to_string(header.total_bytes));
  }
}

void validate_words(const SharedState<StdMemory>& shared, const std::string& file) {
  // Read in an order in which each can only have grown past the one before.
  const uint64_t reclaimed = shared.control->reclaim.load();
  const uint64_t head = Cursor::number(shared.control->head.load());
  const uint64_t tail = Cursor::number(shared.control->tail.load());
  failpoint(Point::kOpenRead);
  // This one is as new as tail or newer, and may have passed it since.
  const uint64_t behind = std::min(tail, shared.control->reclaim.load());
  if (reclaimed < shared.first_number() || tail < head || head < reclaimed || tail - behind > 2 * shared.slot_count ||
      shared.control->lease_high.load() > shared.lease_count ||
      shared.control->participant_high.load() > kParticipants) {
    corrupt(file, "its cursors contradict each other");
  }
}

struct Descriptor {
  int fd;
  explicit Descriptor(int opened) : fd(opened) {}
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

[[noreturn]] void refuse(const std::string& file, const std::string& why) {
  throw SegmentFailure(
      "ERR_SEGMENT_PERMISSION",
      "segment " + file + ": " + why + ". Queues are private to their user unless made with another `mode`.");
}

[[noreturn]] void fail_system(const std::string& doing, const std::string& file, int error) {
  if (error == EACCES || error == EPERM)
    refuse(file, std::string("the system refuses access (") + std::strerror(error) + ")");
  if (error == EROFS) {
    throw SegmentFailure("ERR_SEGMENT_PERMISSION",
                         "cannot " + doing + " segment " + file + ": " + Segment::directory() +
                             " is mounted read-only. As root: `mount -o remount,rw " + Segment::directory() + "`.");
  }
  if (error == ENOSPC || error == ENOMEM || error == EDQUOT) {
    throw SegmentFailure("ERR_SEGMENT_NO_SPACE",
                         "no room in " + Segment::directory() + " for " + file +
                             ". Ask for fewer `capacityBytes`, remove left-over segments (`sage-queue prune`), or make "
                             "it larger (`docker run --shm-size=1g`, `mount -o remount,size=1G /dev/shm`).");
  }
  throw SegmentFailure("ERR_SEGMENT_CORRUPT", "cannot " + doing + " segment " + file + ": " + std::strerror(error));
}

void check_limits(const SegmentOptions& options) {
  if (options.name.size() > kNameBytes || options.queue_id.size() > kQueueIdBytes) {
    throw SegmentFailure("ERR_SEGMENT_NAME", "a segment's name and queue id have at most 1024 bytes each");
  }
  if (options.maxsize > kMaxItems || options.capacity_bytes == 0 || options.capacity_bytes > kMaxCapacity) {
    throw SegmentFailure("ERR_SEGMENT_NO_SPACE",
                         "a queue holds at most " + std::to_string(kMaxItems) + " items and from 1 to " +
                             std::to_string(kMaxCapacity) + " bytes, found maxsize " + std::to_string(options.maxsize) +
                             " and capacityBytes " + std::to_string(options.capacity_bytes) + ": ask for less");
  }
}

}  // namespace

std::string Segment::directory() { return platform::segment_directory(); }

std::string Segment::file_of(const std::string& name) {
  std::string file = kPrefix + name;
  if (file.size() > platform::kMaxFileName) {
    // '~' is in no name, so a shortened one meets no other. The full name stands in the header and is compared.
    char digest[40];
    std::snprintf(digest, sizeof digest, "~%016llx%016llx",
                  static_cast<unsigned long long>(fnv1a(name.data(), name.size())),
                  static_cast<unsigned long long>(fnv1a(name.data(), name.size(), 0x6c62272e07bb0142ULL)));
    file = file.substr(0, platform::kMaxFileName - std::strlen(digest)) + digest;
  }
  return file;
}

std::vector<std::string> Segment::list_files() {
  std::vector<std::string> files;
  DIR* stream = opendir(directory().c_str());
  if (stream == nullptr) return files;
  while (const dirent* entry = readdir(stream)) {
    if (std::strncmp(entry->d_name, kPrefix, std::strlen(kPrefix)) == 0) files.emplace_back(entry->d_name);
  }
  closedir(stream);
  std::sort(files.begin(), files.end());
  return files;
}

void Segment::map(int fd, const std::string& file) {
  struct stat info;
  if (fstat(fd, &info) != 0) fail_system("examine", file, errno);
  if (!S_ISREG(info.st_mode)) corrupt(file, "it is not a regular file");
  if (static_cast<uint64_t>(info.st_size) < sizeof(Header)) {
    corrupt(file, "it has only " + std::to_string(info.st_size) + " bytes");
  }
  Header& header = header_;
  if (pread(fd, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) corrupt(file, "it cannot be read");
  validate(header, static_cast<uint64_t>(info.st_size), file);
  if (header.owner_uid != info.st_uid)
    refuse(file, "it says it belongs to user " + std::to_string(header.owner_uid) + " but the file belongs to user " +
                     std::to_string(info.st_uid));
  if (info.st_uid != geteuid() && (info.st_mode & 0066) == 0) {
    refuse(file, "it belongs to user " + std::to_string(info.st_uid));
  }
  if (header.pid_namespace != pid_namespace()) {
    throw SegmentFailure("ERR_SEGMENT_NAMESPACE",
                         "segment " + file +
                             " belongs to another pid namespace, where nobody here can tell who is "
                             "alive. Run both containers with one pid namespace (`docker run --pid=container:NAME`).");
  }
  mapped_bytes_ = header.total_bytes + header.area_bytes;
  void* reserved =
      mmap(nullptr, mapped_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | platform::kMapNoReserve, -1, 0);
  if (reserved == MAP_FAILED) fail_system("map", file, errno);
  base_ = static_cast<uint8_t*>(reserved);
  if (mmap(base_, header.total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
      mmap(base_ + header.total_bytes, header.area_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
           static_cast<off_t>(header.payload_offset)) == MAP_FAILED) {
    fail_system("map", file, errno);
  }
  file_ = file;
  inode_ = info.st_ino;
  view();
}

void Segment::view() {
  const Header& header = header_;
  payload_ = base_ + header.payload_offset;
  shared_.control = reinterpret_cast<Control<StdMemory>*>(base_ + header.control_offset);
  shared_.participants = reinterpret_cast<Participant<StdMemory>*>(base_ + header.participants_offset);
  shared_.slots = reinterpret_cast<Slot<StdMemory>*>(base_ + header.slots_offset);
  shared_.leases = reinterpret_cast<LeaseEntry<StdMemory>*>(base_ + header.leases_offset);
  shared_.slot_count = header.slot_count;
  shared_.item_limit = header.item_limit;
  shared_.lease_count = header.lease_count;
  shared_.capacity_units = Record::units(header.capacity_bytes);
  shared_.area_units = Record::units(header.area_bytes);
}

Segment::~Segment() {
  if (base_ != nullptr) munmap(base_, mapped_bytes_);
}

std::unique_ptr<Segment> Segment::create_file(const SegmentOptions& options, const std::string& file) {
  if (options.owner_uid >= 0 && options.owner_uid != static_cast<int64_t>(geteuid())) {
    refuse(file, "it does not exist, and only user " + std::to_string(options.owner_uid) + " may create it");
  }
  Header header;
  std::memset(&header, 0, sizeof header);
  header.magic = kMagic;
  header.layout_version = kLayoutVersion;
  header.header_bytes = sizeof(Header);
  header.endian_mark = kEndianMark;
  header.word_bytes = sizeof(void*);
  std::random_device random;
  for (uint64_t& half : header.creation_id) half = (uint64_t{random()} << 32) | random();
  header.kind = static_cast<uint32_t>(options.kind);
  header.mode = options.mode;
  header.owner_uid = geteuid();
  header.auto_cleanup = options.auto_cleanup;
  header.pid_namespace = pid_namespace();
  timeval now;
  gettimeofday(&now, nullptr);
  header.created_us = static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_usec);
  header.maxsize = options.maxsize;
  header.capacity_bytes = options.capacity_bytes;
  header.name_bytes = static_cast<uint32_t>(options.name.size());
  header.queue_id_bytes = static_cast<uint32_t>(options.queue_id.size());
  std::memcpy(header.name, options.name.data(), options.name.size());
  std::memcpy(header.queue_id, options.queue_id.data(), options.queue_id.size());
  lay_out(&header);
  header.checksum = checksum(header);

  // The file gets its name only when it is whole: a creator that dies before leaves nothing behind.
  std::string temporary;
  const Descriptor unnamed(platform::open_unnamed(directory(), file, &temporary));
  if (unnamed.fd < 0) fail_system("create", file, errno);
  const int full = platform::allocate(unnamed.fd, header.total_bytes);
  if (full != 0) {
    platform::forget_unnamed(temporary);
    fail_system("create", file, full);
  }
  fchmod(unnamed.fd, options.mode);
  if (pwrite(unnamed.fd, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) {
    platform::forget_unnamed(temporary);
    fail_system("write", file, errno);
  }
  std::unique_ptr<Segment> segment(new Segment);
  segment->map(unnamed.fd, file);
  segment->shared_.initialise();
  failpoint(Point::kCreateFilled);
  if (!platform::give_name(unnamed.fd, temporary, directory() + "/" + file)) {
    const int error = errno;
    if (error == EEXIST) return nullptr;
    fail_system("name", file, error);
  }
  failpoint(Point::kCreateLinked);
  return segment;
}

std::unique_ptr<Segment> Segment::open(const SegmentOptions& options, Create create, bool* created) {
  const std::string file = file_of(options.name);
  for (int attempt = 0;; ++attempt) {
    if (attempt > 5000) {
      throw SegmentFailure("ERR_SEGMENT_CORRUPT", "segment " + file +
                                                      " is retired, but its name cannot be taken away: "
                                                      "another process that removes it is stopped");
    }
    *created = false;
    std::unique_ptr<Segment> segment;
    const Descriptor existing(::open((directory() + "/" + file).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (existing.fd >= 0) {
      segment.reset(new Segment);
      segment->map(existing.fd, file);
      if (segment->retired()) {
        if (!segment->may_unlink()) {
          if (attempt < kRemovalMs) {  // most probably by somebody who is at it
            usleep(1000);
            continue;
          }
          throw SegmentFailure("ERR_SEGMENT_PERMISSION",
                               "segment " + file + " is being removed, and only its owner (uid " +
                                   std::to_string(segment->header().owner_uid) +
                                   ") can finish that: let that user resolve the queue, or prune");
        }
        segment->unlink_name();  // its last leaver died between the two steps of removing it
        continue;
      }
      if (segment->name() != options.name) {
        throw SegmentFailure("ERR_SEGMENT_NAME", "segment " + file + " belongs to the queue " + segment->name() +
                                                     ", whose shortened name is the same as that of " + options.name);
      }
      validate_words(segment->shared_, file);
      return segment;
    }
    if (errno != ENOENT) fail_system("open", file, errno);
    if (create == Create::kNever) return nullptr;
    check_limits(options);
    try {
      segment = create_file(options, file);
    } catch (const SegmentFailure& failure) {
      // Others may be making the same queue, each in a file that has no name yet: there is room for one of them.
      if (attempt >= kCrowdedMs || std::strcmp(failure.code(), "ERR_SEGMENT_NO_SPACE") != 0) throw;
      usleep(1000);
      continue;
    }
    if (segment != nullptr) {
      *created = true;
      return segment;
    }
  }
}

std::unique_ptr<Segment> Segment::open_file(const std::string& file) {
  const Descriptor existing(::open((directory() + "/" + file).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (existing.fd < 0) {
    if (errno == ENOENT) return nullptr;
    fail_system("open", file, errno);
  }
  std::unique_ptr<Segment> segment(new Segment);
  segment->map(existing.fd, file);
  validate_words(segment->shared_, file);
  return segment;
}

bool Segment::may_unlink() const {
  struct stat folder;
  const uint32_t uid = geteuid();
  if (uid == 0 || uid == header().owner_uid) return true;
  return stat(directory().c_str(), &folder) != 0 || (folder.st_mode & S_ISVTX) == 0;
}

bool Segment::unlink_name() {
  if (!may_unlink()) return false;  // nor hold the lock against those who may
  const std::string path = directory() + "/" + file_;
  const Descriptor named(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (named.fd < 0) return errno == ENOENT;
  struct stat info;
  if (fstat(named.fd, &info) != 0) return false;
  if (info.st_ino != inode_) return true;
  // Whoever unlinks holds this inode's lock, so the name cannot pass to another segment between the check and the
  // unlink. The kernel lets go of the lock when its holder dies.
  if (flock(named.fd, LOCK_EX | LOCK_NB) != 0) {
    usleep(1000);
    return false;
  }
  struct stat now;
  if (stat(path.c_str(), &now) != 0) return errno == ENOENT;
  return now.st_ino != inode_ || unlink(path.c_str()) == 0;
}

}  // namespace sage
