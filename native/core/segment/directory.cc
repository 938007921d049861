#include "core/segment/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/os/byte_lock.h"
#include "core/os/platform.h"
#include "core/segment/failures.h"
#include "core/segment/format.h"
#include "core/segment/segment.h"

namespace sage {
namespace {

constexpr uint64_t kRoomByte = 0;  // of the directory, for RoomMark
constexpr const char* kPrefix = "sage-queue+";
/// In no name, so a shortened one meets no other: what follows stands for the rest. The full name is in the header and
/// is compared.
constexpr char kShortened = '~';

}  // namespace

void check_place() {
  static const std::string file_system = platform::unsuitable_file_system(Segment::directory());
  if (Segment::directory()[0] != '/') {
    throw SegmentFailure("ERR_SEGMENT_UNSUPPORTED",
                         "SAGE_QUEUE_DIR is an absolute path of a directory; found " + Segment::directory() + ".");
  }
  if (!file_system.empty()) {
    throw SegmentFailure("ERR_SEGMENT_UNSUPPORTED",
                         "queues cannot lie in " + Segment::directory() + ", whose file system is " + file_system +
                             ": processes must share its memory and see each other's locks. Use a directory on tmpfs, "
                             "ext4, xfs, btrfs or overlay (SAGE_QUEUE_DIR), or the type rpc.");
  }
}

void check_directory(const std::string& file) {
  struct stat info;
  if (stat(Segment::directory().c_str(), &info) != 0) fail_system("find", file, errno);
}

RoomMark::RoomMark() : folder_(::open(Segment::directory().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (folder_ >= 0) lock_byte(folder_, kRoomByte, true);
}

RoomMark::~RoomMark() {
  if (folder_ >= 0) close(folder_);
}

bool RoomMark::others() const { return folder_ < 0 || byte_state(folder_, kRoomByte) != ByteState::kFree; }

const std::string& Segment::directory() {
  static const std::string chosen = [] {
    const char* asked = std::getenv("SAGE_QUEUE_DIR");
    std::string path = asked != nullptr && *asked != 0 ? asked : platform::segment_directory();
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
  }();
  return chosen;
}

std::string Segment::file_of(const std::string& name) {
  std::string file = kPrefix + name;
  if (file.size() > platform::kMaxFileName) {
    char digest[40];
    std::snprintf(digest, sizeof digest, "%c%016llx%016llx", kShortened,
                  static_cast<unsigned long long>(format::fnv1a(name.data(), name.size())),
                  static_cast<unsigned long long>(format::fnv1a(name.data(), name.size(), 0x6c62272e07bb0142ULL)));
    file = file.substr(0, platform::kMaxFileName - std::strlen(digest)) + digest;
  }
  return file;
}

std::vector<std::string> Segment::list_files(const std::string& beginning) {
  const std::string wanted = kPrefix + beginning;
  std::vector<std::string> files;
  DIR* stream = opendir(directory().c_str());
  if (stream == nullptr) {
    if (errno == ENOENT) return files;  // no directory, no queue
    fail_system("list", "files", errno);
  }
  while (const dirent* entry = readdir(stream)) {
    const std::string file = entry->d_name;
    const size_t told = std::min(wanted.size(), file.find(kShortened));
    if (told >= std::strlen(kPrefix) && file.compare(0, told, wanted, 0, told) == 0) files.push_back(file);
  }
  closedir(stream);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace sage
