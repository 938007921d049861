#include "core/segment/failures.h"

#include <cerrno>
#include <cstring>

#include "core/segment/segment.h"

namespace sage {
namespace {

const char* const kDescriptors =
    "Close what is not needed, or allow more open files (`ulimit -n`, LimitNOFILE= of a systemd unit, "
    "`docker run --ulimit nofile=…`; for all of the system, sysctl fs.file-max).";

std::string resource_cure(int error) {
  switch (error) {
    case EMFILE:
      return std::string("this process has no descriptor left. ") + kDescriptors;
    case ENFILE:
      return std::string("the system has no descriptor left. ") + kDescriptors;
    case ENOMEM:
    case EAGAIN:
      return "no memory or address space is left. Raise the limit of this process (`ulimit -v`, `ulimit -l`; sysctl "
             "vm.max_map_count), or close queues; a queue takes its size and its capacity once more.";
    case EFBIG:
      return "the file is larger than this process may make one. Ask for fewer `capacityBytes`, or allow larger files "
             "(`ulimit -f`, LimitFSIZE= of a systemd unit).";
    case ENOLCK:
      return "the system has no lock left.";
    default:
      return "";
  }
}

}  // namespace

bool passes(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM; }

void fail_corrupt(const std::string& file, const std::string& found) {
  throw SegmentFailure("ERR_SEGMENT_CORRUPT", "segment " + file + " is not a whole sage-queue segment: " + found +
                                                  ". Remove it with `sage-queue rm` once nobody uses it.");
}

void fail_permission(const std::string& file, const std::string& why) {
  throw SegmentFailure(
      "ERR_SEGMENT_PERMISSION",
      "segment " + file + ": " + why + ". Queues are private to their user unless made with another `mode`.");
}

void fail_resources(const std::string& doing, int error) {
  throw SegmentFailure("ERR_SEGMENT_RESOURCES",
                       "cannot " + doing + " (" + std::strerror(error) + "): " + resource_cure(error));
}

void fail_system(const std::string& doing, const std::string& file, int error) {
  const std::string directory = Segment::directory();
  const std::string what = "cannot " + doing + " segment " + file + " in " + directory;
  const std::string said = std::string(" (") + std::strerror(error) + ")";
  switch (error) {
    case EACCES:
    case EPERM:
      fail_permission(file, "the system refuses to " + doing + " it" + said);
    case EROFS:
      throw SegmentFailure("ERR_SEGMENT_PERMISSION", "cannot " + doing + " segment " + file + ": " + directory +
                                                         " is mounted read-only. As root: `mount -o remount,rw " +
                                                         directory + "`.");
    case ENOSPC:
    case EDQUOT:
      throw SegmentFailure("ERR_SEGMENT_NO_SPACE",
                           "no room in " + directory + " for " + file +
                               ". Ask for fewer `capacityBytes`, remove left-over segments (`sage-queue prune`), or "
                               "make it larger (`docker run --shm-size=1g`, `mount -o remount,size=1G /dev/shm`).");
    case ELOOP:
      fail_corrupt(file, "a symbolic link lies under its name");
    case EISDIR:
    case ENXIO:
      fail_corrupt(file, "it is not a regular file");
    case ENOENT:
    case ENOTDIR:
      throw SegmentFailure("ERR_SEGMENT_UNSUPPORTED",
                           what + ": there is no such directory" + said +
                               ". The types shm and sage_queue need one that their processes share; as root: `mkdir "
                               "-m 1777 " +
                               directory + " && mount -t tmpfs -o mode=1777 tmpfs " + directory +
                               "`. Where that cannot be, as in some sandboxes, use the type rpc.");
    default:
      break;
  }
  const std::string cure = resource_cure(error);
  if (!cure.empty()) throw SegmentFailure("ERR_SEGMENT_RESOURCES", what + said + ": " + cure);
  throw SegmentFailure("ERR_SEGMENT_UNSUPPORTED",
                       what + said +
                           ": its file system, or the rules that this process runs under, cannot do what a queue needs "
                           "(shared mappings, locks, files reserved as a whole). A tmpfs can.");
}

}  // namespace sage
