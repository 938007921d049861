// A named piece of shared memory holding one queue: made whole or not at all, attached by name, removed by state.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/algorithm/shared_state.h"
#include "core/segment/directory.h"
#include "core/segment/schema_area.h"

namespace sage {

struct SegmentOptions {
  Kind kind = Kind::kSage;
  std::string name;      // full name, unique on this host: kind, owner, namespace and id joined by '+'
  std::string queue_id;  // as the descriptor says it
  uint64_t maxsize = 0;
  uint64_t capacity_bytes = 0;
  uint32_t mode = 0600;
  bool auto_cleanup = true;
  std::string schema;                  // of its items; empty: none, and no room for any
  int64_t owner_uid = -1;              // the only user who may create it, and whose it may be; -1: the caller's own
  std::vector<uint32_t> trusted_uids;  // whose it may also be: the caller's word, never a descriptor's or a segment's
};

enum class Create { kIfMissing, kNever, kExclusive };

/// Which file: as long as anybody has it open, no other is called the same.
struct FileId {
  uint64_t device = 0;
  uint64_t inode = 0;
};

class Segment {
 public:
  /// Whether there is a file of that name, and which: what open() would attach to now. Throws SegmentFailure where it
  /// would refuse its owner.
  static bool find(const SegmentOptions& options, FileId* file);

  /// Attaches to the segment of that name, or makes it. `created` tells which.
  /// Throws SegmentFailure; never returns a half-built or a retired one.
  static std::unique_ptr<Segment> open(const SegmentOptions& options, Create create, bool* created);

  /// Attaches to a file of directory(), whatever its name says and whosever it is. Throws SegmentFailure; null when it
  /// is gone.
  static std::unique_ptr<Segment> open_file(const std::string& file);

  /// The same from a copy of the words, without the payload: to look at. Nothing that is done to the file meanwhile
  /// reaches this process, and nothing done to the copy reaches the file.
  static std::unique_ptr<Segment> read_file(const std::string& file);

  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  const Header& header() const { return header_; }
  /// Made before the system was started the last time, as a file on disk may be. Nothing follows from it: who had it
  /// then holds no lock, and so is dead (docs/adr/0008).
  bool from_earlier_boot() const;
  /// The open file, through which nothing is locked; -1 for a copy.
  int descriptor() const { return fd_; }
  FileId file() const { return file_id_; }
  std::string path() const { return directory() + "/" + file_; }
  /// Who may write it.
  uint32_t permissions() const { return permissions_; }
  uint32_t group() const { return group_; }
  /// Of the file, as this process sees users; what the header says of it has no meaning in another user namespace.
  uint32_t owner_uid() const { return owner_uid_; }
  std::string name() const { return {header_.name, header_.name_bytes}; }
  std::string queue_id() const { return {header_.queue_id, header_.queue_id_bytes}; }
  /// What its items look like. Without room where the queue was made without a schema.
  SchemaArea schemas() const { return {base_ + header_.schema_offset, header_.schema_bytes}; }
  const SharedState<StdMemory>& shared() const { return shared_; }
  /// The payload area, mapped twice back to back: an item is contiguous wherever it starts.
  uint8_t* payload() const { return payload_; }
  uint8_t* at(uint32_t position) const { return payload_ + uint64_t{position & (shared_.area_units - 1)} * kUnitBytes; }

  bool retired() const { return (shared_.control->life.load() & Life::kRetired) != 0; }
  /// Takes the name away from this segment, if it still has it. Only for a retired one. False: the name still stands,
  /// because somebody else is at it or the system refuses.
  bool unlink_name();
  /// Whether this process may do that: where the directory has the sticky bit, as /dev/shm, it is the owner's right.
  bool may_unlink() const;

  /// $SAGE_QUEUE_DIR of this process, or the platform's own.
  static const std::string& directory();
  static std::string file_of(const std::string& name);
  /// Files of this package in directory() whose segments may have names that begin so: of a shortened one only the
  /// header says it. No file is opened.
  static std::vector<std::string> list_files(const std::string& beginning = "");

 private:
  explicit Segment(std::string file) : file_(std::move(file)) {}
  void examine(int fd);
  void map(int fd);
  void copy_words(int fd);
  uint8_t* reserve(uint64_t bytes);
  static std::unique_ptr<Segment> create_file(const SegmentOptions& options, const std::string& file);
  static std::unique_ptr<Segment> open_existing(const SegmentOptions& options, const std::string& file);
  static std::unique_ptr<Segment> look_at(const std::string& file, int access);
  void finish_removal(int attempt, uint32_t waited_ms);

  Header header_{};  // as it was checked: in the mapping anybody who may write it can change it afterwards
  uint8_t* base_ = nullptr;
  uint8_t* payload_ = nullptr;
  uint64_t mapped_bytes_ = 0;
  std::string file_;
  FileId file_id_;
  uint32_t owner_uid_ = 0;
  uint32_t permissions_ = 0;
  uint32_t group_ = 0;
  int fd_ = -1;
  SharedState<StdMemory> shared_;
  std::unique_ptr<RoomMark> removing_;
};

}  // namespace sage
