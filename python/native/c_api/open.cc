// From options to an open handle, and its end.
#include <unistd.h>

#include <cstring>

#include "c_api/handle.h"
#include "core/errors.h"

using sage_c::guarded;
using sage_c::Handles;

namespace {

constexpr size_t kMaxName = 255;
constexpr uint64_t kMebibyte = 1024 * 1024;

/// The options as far as the caller's version has them.
bool read(const sq_options* given, sq_options* options) {
  if (given == nullptr || given->struct_size < offsetof(sq_options, name_space)) return false;
  *options = {};
  std::memcpy(options, given, std::min(given->struct_size, sizeof *options));
  if (options->kind == 0) options->kind = SQ_KIND_SAGE;
  return options->name != nullptr && (options->kind == SQ_KIND_SAGE || options->kind == SQ_KIND_SHM) &&
         options->create >= SQ_IF_MISSING && options->create <= SQ_EXCLUSIVE;
}

/// A part of a segment's name. Throws SegmentFailure.
std::string checked(const char* what, const std::string& name) {
  const char* const legal = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  if (!name.empty() && name.size() <= kMaxName && name.find_first_not_of(legal) == std::string::npos &&
      name.find("..") == std::string::npos) {
    return name;
  }
  throw sage::SegmentFailure("ERR_SEGMENT_NAME",
                             std::string(what) + " must be 1 to 255 of the characters A-Z a-z 0-9 . _ - without '..'" +
                                 ", found \"" + name.substr(0, kMaxName) + "\".");
}

/// Whose queue it is; -1: the name is shared by all users.
int64_t owner_of(const sq_options& options) {
  if (options.kind == SQ_KIND_SHM || (options.flags & SQ_ALL_USERS) != 0) return -1;
  return (options.flags & SQ_OWNED) != 0 ? options.owner_uid : getuid();
}

/// Parts are joined by '+', which no part may hold, so that no two queues meet by accident.
std::string segment_name(const sq_options& options) {
  if (options.kind == SQ_KIND_SHM) return "shm+" + checked("shm_name", options.name);
  const int64_t owner = owner_of(options);
  const std::string space = options.name_space == nullptr ? "" : checked("namespace", options.name_space);
  return "sage+" + (owner < 0 ? "" : "u" + std::to_string(owner)) + "+" + space + "+" +
         checked("queue_id", options.name);
}

/// 1 MiB, or 1 KiB for each of maxsize items where that is more, at most 16 MiB.
uint64_t default_capacity(uint64_t maxsize) {
  uint64_t capacity = kMebibyte;
  while (capacity < std::min(maxsize * 1024, 16 * kMebibyte)) capacity *= 2;
  return capacity;
}

sage::SegmentOptions core_options(const sq_options& options) {
  sage::SegmentOptions wanted;
  wanted.kind = options.kind == SQ_KIND_SHM ? sage::Kind::kShm : sage::Kind::kSage;
  wanted.name = segment_name(options);
  wanted.queue_id = options.queue_id == nullptr ? options.name : options.queue_id;
  wanted.maxsize = options.maxsize;
  wanted.capacity_bytes = options.capacity_bytes == 0 ? default_capacity(options.maxsize) : options.capacity_bytes;
  wanted.mode = options.mode == 0 ? 0600 : options.mode;
  wanted.auto_cleanup = (options.flags & SQ_KEEP) == 0;
  wanted.owner_uid = owner_of(options);
  if (options.schema != nullptr) wanted.schema.assign(options.schema, options.schema_bytes);
  if (options.trusted_uids != nullptr) {
    wanted.trusted_uids.assign(options.trusted_uids, options.trusted_uids + options.trusted_count);
  }
  return wanted;
}

}  // namespace

extern "C" {

uint32_t sq_layout_version(void) { return sage::kLayoutVersion; }

const char* sq_directory(void) {
  try {
    return sage::Segment::directory().c_str();
  } catch (const std::exception& failure) {
    sage_c::failed(failure);
    return "";
  }
}

sq_status sq_segment_name(const sq_options* given, char* name, size_t capacity) {
  sq_options options;
  if (!read(given, &options) || name == nullptr) return SQ_INVALID;
  try {
    const std::string full = segment_name(options);
    if (full.size() >= capacity) return SQ_BUFFER_TOO_SMALL;
    std::memcpy(name, full.c_str(), full.size() + 1);
    return SQ_OK;
  } catch (const std::exception& failure) {
    return sage_c::failed(failure);
  }
}

sq_status sq_open(const sq_options* given, sq_queue** queue) {
  sq_options options;
  if (!read(given, &options) || queue == nullptr) return SQ_INVALID;
  *queue = nullptr;
  try {
    const sage::Create create = options.create == SQ_NEVER       ? sage::Create::kNever
                                : options.create == SQ_EXCLUSIVE ? sage::Create::kExclusive
                                                                 : sage::Create::kIfMissing;
    const auto held = Handles::hold();
    auto handle = std::make_unique<sq_queue>(sage::Queue::open(core_options(options), create),
                                             (options.flags & SQ_ONE_THREAD) != 0);
    Handles::add(handle.get());
    *queue = handle.release();
    return SQ_OK;
  } catch (const std::exception& failure) {
    return sage_c::failed(failure);
  }
}

sq_status sq_close(sq_queue* handle) {
  if (handle == nullptr) return SQ_INVALID;
  try {
    std::unique_lock<sage_c::Lock> locked(handle->lock);
    handle->closing = true;
    for (const sage::Direction side : sage::kDirections) {
      if (handle->queue != nullptr) handle->queue->interrupt(side);
      for (sage_c::InLine* waiter : handle->lines[side].waiters) {
        if (waiter->loop == nullptr) waiter->moved.notify_all();
      }
    }
    handle->left.wait(locked, [&] { return handle->asleep == 0; });
    handle->queue.reset();
    return SQ_OK;
  } catch (const std::exception& failure) {
    return sage_c::failed(failure);
  }
}

void sq_free(sq_queue* handle) {
  if (handle == nullptr) return;
  sq_close(handle);
  {
    const auto held = Handles::hold();
    Handles::remove(handle);
  }
  delete handle;
}

sq_status sq_describe(sq_queue* handle, sq_description* description) {
  if (description == nullptr) return SQ_INVALID;
  return guarded(handle, [&](sage::Queue& queue) {
    const sage::Header& header = queue.segment().header();
    sq_description all{};
    all.struct_size = sizeof all;
    all.kind = header.kind == static_cast<uint32_t>(sage::Kind::kShm) ? SQ_KIND_SHM : SQ_KIND_SAGE;
    all.created = queue.created() ? 1 : 0;
    all.auto_cleanup = header.auto_cleanup != 0 ? 1 : 0;
    all.mode = header.mode;
    all.permissions = queue.segment().permissions();
    all.group = queue.segment().group();
    all.maxsize = header.maxsize;
    all.capacity_bytes = header.capacity_bytes;
    all.area_bytes = header.area_bytes;
    const size_t size = std::min(description->struct_size, sizeof all);
    all.struct_size = size;
    std::memcpy(description, &all, size);
    return SQ_OK;
  });
}

}  // extern "C"
