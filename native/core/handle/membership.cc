// How a handle joins its queue, leaves it, and takes over what the dead left behind.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/handle/queue.h"
#include "core/os/futex.h"
#include "core/segment/failures.h"

namespace sage {
namespace {

/// How often a removal meets another one under way, each for a millisecond, before its remover must be stopped.
constexpr int kRemovalAttempts = 200;

}  // namespace

Queue::Queue(std::unique_ptr<Segment> segment)
    : segment_(std::move(segment)), path_(segment_->shared(), *this), forks_(fork_generation()) {}

Queue::~Queue() { close(); }

std::unique_ptr<Queue> Queue::open(const SegmentOptions& options, Create create) {
  for (;;) {
    bool created = false;
    std::unique_ptr<Segment> segment = Segment::open(options, create, &created);
    if (segment == nullptr) {
      throw SegmentFailure("ERR_QUEUE_NOT_FOUND", "there is no queue " + options.name + " on this host");
    }
    std::unique_ptr<Queue> queue(new Queue(std::move(segment)));
    queue->created_ = created;
    if (!queue->join()) {  // its last leaver was faster
      queue->segment_->unlink_name();
      continue;
    }
    if (created) return queue;
    queue->reap();
    // A queue that is shut down and drained is finished: the next to come, when nobody is attached, starts a new one.
    if (queue->is_shut() && queue->retire(queue->drops())) {
      queue->segment_->unlink_name();
      continue;
    }
    if (create == Create::kExclusive) {
      throw SegmentFailure("ERR_QUEUE_EXISTS", "the queue " + options.name + " exists already");
    }
    return queue;
  }
}

std::unique_ptr<Queue> Queue::inspect(std::unique_ptr<Segment> segment) {
  return std::unique_ptr<Queue>(new Queue(std::move(segment)));
}

/// Takes a free participant entry. False: there is none.
bool Queue::take_entry() {
  std::atomic<uint32_t>& high = shared().control->participant_high;
  for (uint32_t index = 1; index < kParticipants; ++index) {
    Participant<StdMemory>& entry = shared().participants[index];
    uint64_t free = 0;
    if (entry.identity.load(std::memory_order_acquire) != 0) continue;
    uint32_t seen = high.load();
    while (seen < index + 1 && !high.compare_exchange_weak(seen, index + 1)) {
    }
    // Pid and start time in one word, so there is no instant at which an entry is taken by nobody knows whom.
    if (!entry.identity.compare_exchange_strong(free, self_identity())) continue;
    path_.join_at(index);
    // Its last owner may have died asleep. Recoverers leave the bells alone: one that is late would silence ours.
    for (std::atomic<uint32_t>& bell : entry.bell) bell.store(Bell::kAwake);
    entry.bell_inode.store(0);
    entry.watching.store(0);
    entry.uid.store(geteuid());
    joined_ = true;
    failpoint(Point::kJoinEntry);
    return true;
  }
  return false;
}

/// Becomes a participant. False: the segment was retired meanwhile.
bool Queue::join() {
  for (int attempt = 0;; ++attempt) {
    if (take_entry()) {
      if ((shared().control->life.fetch_add(1) & Life::kRetired) == 0) {
        announce();
        return true;
      }
      joined_ = false;
      self().identity.store(0);
      return false;
    }
    if (attempt > 0) {
      throw SegmentFailure("ERR_SEGMENT_PARTICIPANTS",
                           "the queue " + segment_->name() + " has all of its " + std::to_string(kParticipants - 1) +
                               " handles in use. Share one handle per thread, or close some.");
    }
    reap();
  }
}

/// Tells the watchers of those attached that there is somebody new to watch; later, where that cannot be now.
void Queue::announce() {
  if (announce_once()) return;
  watch();
  Watcher::instance().schedule(this, kAnnouncement);
}

/// False: this process has no descriptor left to do it with.
bool Queue::announce_once() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const uint32_t high = parking().participant_high();
  const char byte = 0;
  for (uint32_t index = 1; index < high; ++index) {
    const Participant<StdMemory>& entry = shared().participants[index];
    const uint64_t identity = entry.identity.load();
    if (identity == 0 || identity == self_identity() || entry.watching.load() == 0) continue;
    const int pipe = open_pipe_of(identity, entry.watch_fd.load(), entry.watch_inode.load());
    if (pipe < 0 && passes(errno)) return false;
    if (pipe < 0) continue;
    (void)!::write(pipe, &byte, 1);
    ::close(pipe);
  }
  return true;
}

void Queue::watch() {
  if (Watcher::is_this_thread() || watched_) return;
  watched_ = Watcher::instance().add(this);
}

void Queue::watched_by(uint32_t fd, uint64_t inode) {
  self().watch_fd.store(fd);
  self().watch_inode.store(inode);
  self().watching.store(1);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

std::vector<uint64_t> Queue::peers() {
  std::vector<uint64_t> identities;
  const uint64_t own = self_identity();
  const uint32_t high = parking().participant_high();
  for (uint32_t index = 1; index < high; ++index) {
    const uint64_t identity = shared().participants[index].identity.load();
    if (identity == 0 || identity == own || Identity::state(identity) == Identity::kSettled) continue;
    identities.push_back(Identity::with(identity, Identity::kLive));
  }
  return identities;
}

void Queue::peer_died() { reap(); }

uint32_t Queue::reap() {
  uint32_t found = 0;
  const uint64_t own = self_identity();
  const uint32_t high = parking().participant_high();
  for (uint32_t index = 1; index < high; ++index) {
    if (shared().participants[index].identity.load() == own) continue;
    found += path_.recover_if_dead(index, is_dead);
  }
  return found;
}

bool Queue::others_alive() const {
  const uint32_t high = parking().participant_high();
  for (uint32_t index = 1; index < high; ++index) {
    if (joined_ && index == path_.actor().index) continue;
    const uint64_t identity = shared().participants[index].identity.load();
    const uint32_t state = Identity::state(identity);
    if (identity != 0 && state != Identity::kSettled) return true;
  }
  return false;
}

/// Moves the segment from "nobody attached, nothing in it" to retired in one step: any join in between changes `life`.
/// Not what this process could not remove then: it would be of use to nobody.
bool Queue::retire(bool even_with_items) {
  const uint32_t ending = shared().control->ending.load();
  if (!even_with_items && (ending & Ending::kEnded) != 0 && (ending & Ending::kSeen) == 0) return false;
  if (!segment_->may_unlink()) return false;
  std::atomic<uint64_t>& life = shared().control->life;
  uint64_t seen = life.load();
  if ((seen & Life::kRetired) != 0 || others_alive()) return false;
  if (!even_with_items && !algorithm().drained()) return false;
  return life.compare_exchange_strong(seen, seen | Life::kRetired);
}

bool Queue::remove_if_unused(bool even_with_items) {
  reap();
  if (!segment_->retired() && !retire(even_with_items)) return false;
  return remove_name();
}

/// Another one who is at it may be killed with its lock.
bool Queue::remove_name() {
  for (int attempt = 0; attempt < kRemovalAttempts; ++attempt) {
    if (segment_->unlink_name()) return true;
  }
  return false;
}

void Queue::unlink() {
  if (!segment_->may_unlink()) {
    throw SegmentFailure("ERR_SEGMENT_PERMISSION", "only the owner of the queue " + segment_->name() + " (uid " +
                                                       std::to_string(segment_->owner_uid()) + ") can remove it");
  }
  shared().control->life.fetch_or(Life::kRetired | Life::kUnlinked);
  remove_name();
}

/// The parent's watcher may have been at them during the fork: they are of no use to the child, nor is their lock.
void Queue::forget_pipes() {
  (void)pipes_.release();
  pipes_ = std::make_unique<Pipes>();
}

void Queue::after_fork() {
  // The entry and everything held through it are the parent's. The role of a producer is the child's as well.
  const bool produces = path_.produces();
  watched_ = false;
  joined_ = false;
  if (!take_entry()) {
    reap();
    if (!take_entry()) throw SegmentFailure("ERR_SEGMENT_PARTICIPANTS", "no handle is left for a forked child");
  }
  const uint64_t life = shared().control->life.fetch_add(1);
  if ((life & (Life::kRetired | Life::kUnlinked)) == Life::kRetired) {
    self().identity.store(0);
    joined_ = false;
    throw SegmentFailure("ERR_QUEUE_NOT_FOUND",
                         "the queue " + segment_->name() +
                             " was removed when its last handle was closed, before this forked child used its own. "
                             "Open it anew in the child.");
  }
  forget_pipes();
  forks_ = fork_generation();
  if (produces) path_.produce(1);
  announce();
}

void Queue::close() {
  // It may be in without our knowing: add() can fail for want of a thread, and a later one to schedule something
  // succeed.
  if (forks_ == fork_generation()) Watcher::instance().remove(this);
  watched_ = false;
  closing_ = true;  // nothing puts it into the watcher again
  if (joined_ && forks_ == fork_generation()) leave();
  joined_ = false;
  if (forks_ != fork_generation()) forget_pipes();
  for (CachedPipe& pipe : pipes_->cached) {
    if (pipe.fd >= 0) ::close(pipe.fd);
    pipe.fd = -1;
  }
}

void Queue::leave() {
  path_.leave();
  joined_ = false;
  failpoint(Point::kLeaveEntry);
  if (segment_->header().auto_cleanup == 0 || segment_->retired()) return;
  reap();
  if (!retire(drops())) return;
  failpoint(Point::kRetireMarked);
  remove_name();
}

// ── ringing ────────────────────────────────────────────────────────────────

/// False: it is still to be rung.
bool Queue::ring(uint32_t index, Direction direction, uint32_t kind) {
  Participant<StdMemory>& entry = shared().participants[index];
  if (kind != Bell::kParked) futex_wake(entry.bell[direction]);
  if (kind == Bell::kSleeping) return true;
  const uint32_t tag = entry.bell_tag.load(std::memory_order_relaxed);
  return write_to(index, entry.bell_fd.load(std::memory_order_relaxed),
                  entry.bell_inode.load(std::memory_order_acquire), &tag, sizeof tag);
}

/// False: this process has no descriptor left to do it with.
bool Queue::write_to(uint32_t index, uint32_t fd, uint64_t inode, const void* bytes, uint32_t count) {
  if (inode == 0) return true;
  const uint64_t identity = shared().participants[index].identity.load(std::memory_order_acquire);
  const std::lock_guard<std::mutex> lock(pipes_->mutex);
  CachedPipe& pipe = pipes_->cached[index];
  if (pipe.fd < 0 || pipe.identity != identity || pipe.inode != inode) {
    if (pipe.fd >= 0) ::close(pipe.fd);
    pipe = {identity, inode, open_pipe_of(identity, fd, inode)};
    if (pipe.fd < 0) return !passes(errno);
  }
  // A full pipe is readable already.
  (void)!::write(pipe.fd, bytes, count);
  return true;
}

bool Queue::must_poll() const {
  if (!can_ring_pipes() || !watched_) return true;
  const uint32_t high = parking().participant_high();
  const uint32_t uid = geteuid();
  for (uint32_t index = 1; index < high; ++index) {
    const Participant<StdMemory>& entry = shared().participants[index];
    if (entry.identity.load() != 0 && entry.uid.load() != uid) return true;
  }
  return false;
}

bool Queue::is_alive(uint64_t identity) {
  return identity != 0 && Identity::state(identity) == Identity::kLive && !is_dead(identity);
}

std::vector<Attached> Queue::attached() const {
  std::vector<Attached> list;
  const uint32_t high = parking().participant_high();
  for (uint32_t index = 1; index < high; ++index) {
    const uint64_t identity = shared().participants[index].identity.load();
    if (identity == 0 || Identity::state(identity) == Identity::kSettled) continue;
    list.push_back({Identity::pid(identity), is_alive(identity)});
  }
  return list;
}

}  // namespace sage
