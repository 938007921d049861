// How an event loop is rung: a named pipe beside the segments, which its loop reads as it reads any socket. A ring
// writes four bytes into it, the tag of the handle that is meant.
//
// Whoever may write the segment may write its peers' doorbells, and nobody but the owner may read one: who can read can
// take rings away. So there is one for each loop, directory, mode and group, however many queues it waits at.
//
// The name is random and never used again, so that who finds nobody at the other end (ENXIO) may remove it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/segment/layout.h"

namespace sage {

class Doorbell {
 public:
  /// Who may write the segments it is for: their permission bits and their group.
  struct Audience {
    uint32_t mode;
    uint32_t gid;
  };

  /// Where none can have a name there (a directory that this process may not write) it is a pipe without one, of which
  /// others ring by a nudge. Throws SegmentFailure.
  static std::unique_ptr<Doorbell> make(const std::string& directory, const Audience& audience);
  /// Takes the name away. The reading end is the caller's, who closes it.
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  int read_end() const { return read_end_; }
  int write_end() const { return write_end_; }
  uint64_t id() const { return id_; }
  /// 0: it has no name.
  uint64_t inode() const { return inode_; }

  /// Removes the doorbell of somebody dead, if it is one and this process may. False: somebody has it open still.
  static bool remove_left(const std::string& directory, uint64_t id);
  /// Removes all that nobody listens to. Returns how many.
  static uint32_t sweep(const std::string& directory);

 private:
  Doorbell() = default;
  bool make_named(const std::string& directory, const Audience& audience);
  int open_ends(const Audience& audience);

  std::string path_;
  int read_end_ = -1;
  int write_end_ = -1;
  uint64_t id_ = 0;
  uint64_t inode_ = 0;
  uint32_t forks_ = 0;
};

enum class Ring {
  kSent,     // or nobody is there to hear it
  kUnheard,  // this process may not, or finds another thing under the name
  kLater     // no descriptor is left
};

/// The doorbells of others that this handle has rung, by participant. Any thread may ring.
class Ringer {
 public:
  explicit Ringer(std::string directory);
  ~Ringer();
  Ringer(const Ringer&) = delete;
  Ringer& operator=(const Ringer&) = delete;

  Ring ring(uint32_t index, const Participant<StdMemory>& entry);

 private:
  struct Known;
  std::string directory_;
  std::unique_ptr<Known> known_;
};

}  // namespace sage
