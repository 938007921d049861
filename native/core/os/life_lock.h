// Proof that a participant lives, which its death takes back without anybody's doing.
//
// Linux: a lock on byte kLifeByte + i of the segment's own inode, held by an open file description that one mapping of
// one page refers to and nothing else. The mapping is not inherited by a forked child, so that the lock goes exactly
// with the address space: by exit, kill and exec, in every pid namespace, and with no word from anybody. An overlay's
// mappings refer to the file beneath, whose locks are others: there the descriptor stays open, and a forked child
// closes its copy. A child that was made past libc (a raw clone) and does not exec then keeps the parent's lock for as
// long as it lives: what a dead parent held comes back later, and nobody alive is ever taken for dead.
//
//   1. The byte is locked before the identity is written into the entry, and the identity is cleared before the byte is
//      let go of. So an entry that is not free and whose byte is free is dead; the other way round nothing follows.
//   2. The lock is taken through a file opened for nothing else: the description that the data is mapped from lives on
//      in forked children. Opened by name; device and inode are compared, for another segment may have the name by now.
//   3. Between its opening and its closing no fork passes: the child would hold the parent's lock.
//   4. Only a free byte is death. Stopped, slow, no answer (EBADF, ENOLCK, EINVAL, a filter of system calls): alive.
//   5. An identity is asked about by the index of its entry: two containers' pid 1 look equal. Who has the entry is
//      told by the tenure in it: two tenures never write the same word, so that what was found dead is what is marked.
//
// macOS has no pid namespaces, and its locks of that kind are not documented: there pid and start time are the proof.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "core/segment/layout.h"

namespace sage {

class LifeLock {
 public:
  LifeLock() = default;
  ~LifeLock() { release(); }
  LifeLock(const LifeLock&) = delete;
  LifeLock& operator=(const LifeLock&) = delete;

  /// Prepares to claim entries of the segment that is open at `segment` and has the name `path`. `nameless`: also when
  /// it has lost that. False: it has lost it. Throws SegmentFailure. keep() or release() must follow soon: nobody in
  /// this process forks meanwhile.
  bool open(const std::string& path, int segment, bool nameless);
  /// Claims the byte of a free entry and returns the identity to write there; 0: another one has it.
  uint64_t claim(uint32_t index, Participant<StdMemory>* entry);
  /// The entry was somebody else's after all.
  void give_up(uint32_t index);
  /// From here on the lock ends with this address space, or by release().
  void keep();
  void release();
  /// After a fork: the lock is the parent's.
  void forget();

 private:
  std::string path_;
  int fd_ = -1;
  void* page_ = nullptr;
  bool stays_open_ = false;  // the descriptor alone keeps the lock
  std::unique_lock<std::mutex> no_fork_;
};

/// Proven dead: whoever wrote `identity` (its state apart) into entry `index` of the segment that is open at `segment`.
/// Asked of a word that was read before; it holds only if the word is still there afterwards.
bool is_dead(int segment, uint32_t index, uint64_t identity);

}  // namespace sage
