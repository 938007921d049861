// How a handle joins its queue, leaves it, and takes over what the dead left behind.
#include <unistd.h>

#include <algorithm>

#include "core/handle/queue.h"
#include "core/segment/failures.h"

namespace sage {
namespace {

/// How often a queue is opened anew whose name leads to another file right afterwards, or that was finished.
constexpr int kReplacements = 1000;
/// How often a removal meets another one under way, each for a millisecond, before its remover must be stopped.
constexpr int kRemovalAttempts = 200;

}  // namespace

Queue::Queue(std::unique_ptr<Segment> segment)
    : segment_(std::move(segment)),
      path_(segment_->shared(), *this),
      forks_(fork_generation()),
      ringer_(std::make_unique<Ringer>(Segment::directory())) {}

Queue::~Queue() { close(); }

std::unique_ptr<Queue> Queue::open(const SegmentOptions& options, Create create) {
  for (int attempt = 0; attempt <= kReplacements; ++attempt) {
    bool created = false;
    std::unique_ptr<Segment> segment = Segment::open(options, create, &created);
    if (segment == nullptr) {
      throw SegmentFailure("ERR_QUEUE_NOT_FOUND", "there is no queue " + options.name + " on this host");
    }
    std::unique_ptr<Queue> queue(new Queue(std::move(segment)));
    queue->created_ = created;
    if (!queue->join()) continue;  // its last leaver was faster, or another file has its name
    if (created) return queue;
    queue->reap();
    // A queue that is shut down and drained is finished: the next to come, when nobody is attached, starts a new one.
    // The name of what is retired goes as it is opened again.
    if (queue->is_shut() && queue->retire(queue->drops())) continue;
    if (create == Create::kExclusive) {
      throw SegmentFailure("ERR_QUEUE_EXISTS", "the queue " + options.name + " exists already");
    }
    return queue;
  }
  throw SegmentFailure("ERR_SEGMENT_UNSUPPORTED",
                       "the name of segment " + options.name +
                           " leads to another file each time it is opened. Use a tmpfs, ext4, xfs or btrfs as the "
                           "directory of segments.");
}

std::unique_ptr<Queue> Queue::inspect(std::unique_ptr<Segment> segment) {
  return std::unique_ptr<Queue>(new Queue(std::move(segment)));
}

/// Takes a free participant entry, with the life lock that was opened for it. False: there is none.
bool Queue::take_entry() {
  std::atomic<uint32_t>& high = shared().control->participant_high;
  for (uint32_t index = 1; index < kParticipants; ++index) {
    Participant<StdMemory>& entry = shared().participants[index];
    uint64_t free = 0;
    if (entry.identity.load(std::memory_order_acquire) != 0) continue;
    failpoint(Point::kJoinSeen);
    uint32_t seen = high.load();
    while (seen < index + 1 && !high.compare_exchange_weak(seen, index + 1)) {
    }
    const uint64_t identity = life_.claim(index, &entry);
    if (identity == 0) continue;
    failpoint(Point::kJoinLocked);
    if (!entry.identity.compare_exchange_strong(free, identity)) {
      life_.give_up(index);
      continue;
    }
    life_.keep();
    path_.join_at(index);
    // Its last owner may have died asleep. Recoverers leave the bells alone: one that is late would silence ours.
    for (std::atomic<uint32_t>& bell : entry.bell) bell.store(Bell::kAwake);
    entry.bell_inode.store(0);
    entry.bell_tag.store(0);
    entry.uid.store(geteuid());
    home_ = own_home();
    entry.pid_namespace.store(home_.pid_namespace);
    entry.user_namespace.store(home_.user_namespace);
    joined_ = true;
    failpoint(Point::kJoinEntry);
    return true;
  }
  life_.release();
  return false;
}

/// Rule 1 of life_lock.h: the identity goes first.
void Queue::give_up_entry() {
  self().identity.store(0);
  joined_ = false;
  life_.release();
}

/// Becomes a participant. False: the segment was retired meanwhile, or has lost its name.
bool Queue::join() {
  for (int attempt = 0;; ++attempt) {
    if (!life_.open(segment_->path(), segment_->descriptor(), false)) return false;
    if (take_entry()) {
      if ((shared().control->life.fetch_add(1) & Life::kRetired) == 0) {
        announce();
        return true;
      }
      give_up_entry();
      return false;
    }
    if (attempt > 0) {
      throw SegmentFailure("ERR_SEGMENT_PARTICIPANTS",
                           "the queue " + segment_->name() + " has all of its " + std::to_string(kParticipants - 1) +
                               " entries in use, one for each thread that has it open. Use fewer processes and threads "
                               "on one queue, or let one of them serve it to the others over rpc.");
    }
    reap();
  }
}

void Queue::watch() {
  if (Watcher::is_this_thread() || (watched_ && !Watcher::is_paused())) return;
  watched_ = Watcher::instance().add(this);
}

/// Has the watcher look who has come, before this handle sleeps.
void Queue::newcomers() {
  if (watched_) Watcher::instance().look_again();
}

/// Whether its pid means something here.
bool Queue::is_near(const Participant<StdMemory>& entry) const {
  return home_.pid_namespace != 0 && entry.pid_namespace.load() == home_.pid_namespace;
}

std::vector<Watcher::Peer> Queue::peers() {
  std::vector<Watcher::Peer> peers;
  const auto own = static_cast<uint32_t>(getpid());
  const uint32_t high = waiters().participant_high();
  for (uint32_t index = 1; index < high; ++index) {
    if (joined_ && index == path_.handle().index) continue;
    const Participant<StdMemory>& entry = shared().participants[index];
    const uint64_t identity = entry.identity.load();
    if (identity == 0 || Identity::state(identity) == Identity::kRecovered) continue;
    const bool near = is_near(entry);
    if (near && Identity::pid(identity) == own) continue;
    peers.push_back({Identity::pid(identity), near});
  }
  return peers;
}

uint32_t Queue::reap() {
  uint32_t found = 0;
  remove_doorbells(0);
  const uint32_t high = waiters().participant_high();
  for (uint32_t index = 1; index < high; ++index) {
    if (joined_ && index == path_.handle().index) continue;
    const Participant<StdMemory>& entry = shared().participants[index];
    const uint64_t bell = entry.bell_inode.load() != 0 ? entry.bell_id.load() : 0;
    const bool recovered = path_.recover_if_dead(
        index, [&](uint64_t identity) { return is_dead(segment_->descriptor(), index, identity); });
    if (!recovered) continue;
    ++found;
    if (bell != 0) remove_doorbells(bell);
  }
  return found;
}

/// Of the dead: `another` one, and those that somebody still had open before. An address space goes before its
/// descriptors do.
void Queue::remove_doorbells(uint64_t another) {
  constexpr size_t kMost = 64;  // of names that may be anybody's words
  const std::lock_guard<std::mutex> lock(bells_->mutex);
  if (another != 0 && bells_->left.size() < kMost) bells_->left.push_back(another);
  auto& left = bells_->left;
  left.erase(std::remove_if(left.begin(), left.end(),
                            [](uint64_t id) { return Doorbell::remove_left(Segment::directory(), id); }),
             left.end());
}

bool Queue::others_alive() const {
  const uint32_t high = waiters().participant_high();
  for (uint32_t index = 1; index < high; ++index) {
    if (joined_ && index == path_.handle().index) continue;
    const uint64_t identity = shared().participants[index].identity.load();
    const uint32_t state = Identity::state(identity);
    if (identity != 0 && state != Identity::kRecovered) return true;
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

/// The parent's watcher may have been at them during the fork: they are of no use to the child, nor are their locks.
void Queue::forget_bells() {
  (void)bells_.release();
  bells_ = std::make_unique<Bells>();
  ringer_ = std::make_unique<Ringer>(Segment::directory());
}

void Queue::after_fork() {
  // The entry and everything held through it are the parent's. The roles of producers are the child's as well.
  const uint32_t producers = path_.producers();
  watched_ = false;
  joined_ = false;
  for (int attempt = 0; !joined_; ++attempt) {
    life_.open(segment_->path(), segment_->descriptor(), true);
    if (take_entry()) break;
    if (attempt > 0) throw SegmentFailure("ERR_SEGMENT_PARTICIPANTS", "no handle is left for a forked child");
    reap();
  }
  const uint64_t life = shared().control->life.fetch_add(1);
  if ((life & (Life::kRetired | Life::kUnlinked)) == Life::kRetired) {
    give_up_entry();
    throw SegmentFailure("ERR_QUEUE_NOT_FOUND",
                         "the queue " + segment_->name() +
                             " was removed when its last handle was closed, before this forked child used its own. "
                             "Open it anew in the child.");
  }
  forget_bells();
  forks_ = fork_generation();
  for (uint32_t left = producers; left > 0; --left) path_.produce(1);
  announce();
}

void Queue::close() {
  const bool forked = forks_ != fork_generation();
  // It may be in without our knowing: add() can fail for want of a thread, and a later one to schedule something
  // succeed.
  if (!forked) Watcher::instance().remove(this);
  watched_ = false;
  closing_ = true;  // nothing puts it into the watcher again
  if (joined_ && !forked) leave();
  joined_ = false;
  if (forked) {
    forget_bells();
    life_.forget();
  }
  life_.release();
}

void Queue::leave() {
  path_.leave();
  joined_ = false;
  life_.release();
  failpoint(Point::kLeaveEntry);
  if (segment_->header().auto_cleanup == 0 || segment_->retired()) return;
  reap();
  if (!retire(drops())) return;
  failpoint(Point::kRetireMarked);
  remove_name();
}

// ── questions ──────────────────────────────────────────────────────────────

bool Queue::is_alive(uint32_t index, uint64_t identity) const {
  return identity != 0 && Identity::state(identity) == Identity::kLive &&
         ((joined_ && index == path_.handle().index) || !is_dead(segment_->descriptor(), index, identity));
}

std::vector<Attached> Queue::attached() const {
  std::vector<Attached> list;
  const uint64_t here = own_home().pid_namespace;
  const uint32_t high = waiters().participant_high();
  for (uint32_t index = 1; index < high; ++index) {
    const Participant<StdMemory>& entry = shared().participants[index];
    const uint64_t identity = entry.identity.load();
    if (identity == 0 || Identity::state(identity) == Identity::kRecovered) continue;
    const bool foreign = here == 0 || entry.pid_namespace.load() != here;
    list.push_back({Identity::pid(identity), is_alive(index, identity), foreign});
  }
  return list;
}

}  // namespace sage
