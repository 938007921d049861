// One handle on one queue: a participant of its segment. What the binding and the C++ tests use.
// A handle belongs to one thread; only the watcher's thread reaches into it, and only by Watcher::Client.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/handle/item_path.h"
#include "core/os/futex.h"
#include "core/os/life_lock.h"
#include "core/os/process.h"
#include "core/segment/segment.h"
#include "core/waiting/doorbell.h"
#include "core/waiting/spin.h"
#include "core/waiting/watcher.h"

namespace sage {

/// Bytes to put.
struct Piece {
  const uint8_t* data;
  uint32_t length;
  uint32_t codec;
};

struct QueueTotals {
  uint64_t size = 0;
  uint64_t put_total = 0;
  uint64_t get_total = 0;
  uint64_t put_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t redelivered = 0;
  uint64_t leased = 0;
  uint64_t recovered = 0;
  uint32_t waiting_getters = 0;
  uint32_t waiting_putters = 0;
  uint32_t waiting_joiners = 0;
  bool shut_down = false;
};

struct Attached {
  uint32_t pid;
  bool alive;
  bool foreign;  // of another pid namespace, or of one that cannot be told: the pid means nothing here
};

/// Of a handle that one thread has for itself.
struct NoLock {
  void lock() {}
  void unlock() {}
};
inline NoLock no_lock;

/// Everything it shares with others lies in its segment, and its place there is held by a life lock.
class Queue final : public Watcher::Client {
 public:
  /// Makes or attaches. Throws SegmentFailure; ERR_QUEUE_NOT_FOUND and ERR_QUEUE_EXISTS are among its codes.
  static std::unique_ptr<Queue> open(const SegmentOptions& options, Create create);
  ~Queue() override;

  const Segment& segment() const { return *segment_; }
  bool created() const { return created_; }

  // Puts. kFull, kShut or kCorrupt when nothing was done.
  /// Copies up to kMaxBatch pieces in; `accepted` says how many.
  Outcome put(const Piece* pieces, uint32_t count, uint32_t* accepted);
  /// Space for one item, to be filled at data(item) and committed or aborted.
  Outcome claim(uint32_t length, uint32_t codec, Item* item);
  void commit(const Item& item);
  void abort(const Item& item);

  // Gets. kEmpty, kShut or kCorrupt when nothing was taken.
  /// Takes up to `max` items; each is read at data(item) and then acked or requeued with all of its batch. Who takes
  /// several again and again, close behind a fast producer, lets items gather for a moment.
  Outcome take(uint32_t max, Item* items, uint32_t* taken, uint64_t max_bytes = ~uint64_t{0});
  void ack(const Item* items, uint32_t count);
  /// Acks the first of the `left` items that remain of a batch.
  void ack_first(const Item* items, uint32_t left);
  /// `deliveries`: 1, or 0 for items that nobody has seen.
  void requeue(const Item* items, uint32_t count, uint32_t deliveries = 1);
  /// Takes one item on lease.
  Outcome lease(Item* item);
  /// Takes up to `max` items on lease, each of which ends alone or with any others.
  Outcome lease(uint32_t max, Item* items, uint32_t* leased, uint64_t max_bytes = ~uint64_t{0});
  /// Items on lease that wait here for their turn (aside), or whose turn has come: the death of this process, or the
  /// end of this handle, is a delivery and a crash of the latter alone.
  void set_aside(const Item* items, uint32_t count, bool aside) { algorithm().set_aside(items, count, aside); }
  void ack(const Item& item) { ack(&item, 1); }
  void release_lease(const Item& item) { release_lease(&item, 1); }
  /// The items come again in the order that they have here.
  void release_lease(const Item* items, uint32_t count, uint32_t deliveries = 1);
  /// Copies the next item without taking it.
  bool peek(std::vector<uint8_t>* bytes, uint32_t* codec);

  /// The item's bytes, contiguous. Throws SegmentFailure on an impossible length.
  uint8_t* data(const Item& item) const {
    if (item.length > segment_->header().capacity_bytes) refuse(item);
    return segment_->at(item.position);
  }

  // Waiting, by the steps of WakeProtocol.
  /// Blocks until `attempt` says that it is done, for `limit_ms` at most. A get looks again for a moment before it
  /// sleeps. False: it was not done in time. Where several threads have a handle, each under a lock, `lock` is let go
  /// of while this one sleeps; no other may wait in that direction meanwhile.
  template <class Attempt, class Lock = NoLock>
  bool wait(Direction direction, uint32_t limit_ms, Attempt attempt, Lock& lock = no_lock);
  /// Has the one who sleeps in wait(), which let go of its lock, try again.
  void interrupt(Direction direction);
  /// The same, step by step, for an event loop, whose doorbell is rung.
  Step begin_waiting(Direction direction);
  Step tried(Direction direction, bool done);
  Step rung(Direction direction);
  void stop_waiting(Direction direction);
  /// What the bell says: Bell::kAwake, that it is up, or how it was rung.
  uint32_t bell(Direction direction) const { return self().bell[direction].load(std::memory_order_acquire); }
  /// How rings reach this handle's event loop: `tag`, which is not 0, is written into its doorbell. False: no
  /// descriptor was left for the nudges of those who cannot open that.
  bool set_bell(const Doorbell& bell, uint32_t tag);
  /// Whether nobody else looks after this handle's peers, so that it has to look by itself now and then.
  bool must_poll() const { return !watched_; }

  void shut_down(bool immediate);
  /// Shut down at once: what is put from here on is dropped.
  bool drops() const { return shared().control->shut.load(std::memory_order_acquire) > 1; }
  bool is_shut() const { return shared().control->shut.load(std::memory_order_acquire) != 0; }
  /// One more producer works through this handle: once `expected` of them have come and the last one has closed, the
  /// queue is shut down. False: that has happened already.
  bool produce(uint32_t expected) {
    current();
    return path_.produce(expected);
  }
  /// One of them has closed, or is lost; close() is the end of those that are left.
  void stop_producing(uint64_t how = Producers::kOneClosed) {
    current();
    if (path_.producers() > 0) path_.stop_producing(how);
  }
  /// Before close(), where the program did not ask for that: those that are left are lost. In a forked child that never
  /// used this handle they are its parent's.
  void abandon_producers() {
    if (forks_ == fork_generation()) path_.abandon_producers();
  }
  /// Nothing is in the queue, and nothing is on lease or taken and not acked.
  bool joined() {
    refresh();
    return algorithm().drained();
  }
  /// Takes the name away; those attached keep working.
  void unlink();
  /// Lets go: claims aborted, takes and leases requeued, entry freed, and the segment removed if it was the last.
  void close();
  /// Looks for dead peers and recovers what they held. Returns how many.
  uint32_t reap();

  /// Before a question: what the dead held counts among what there is.
  void refresh();
  uint64_t size() const;
  bool full() const;
  /// Items claimed and not taken.
  uint64_t untaken() const { return path_.waking().untaken(); }
  /// How many items this handle has acked.
  uint64_t received() const { return self().get_total.load(std::memory_order_relaxed); }
  QueueTotals totals() const;
  std::vector<Attached> attached() const;

  /// For listing and pruning: looks at a segment without joining it.
  static std::unique_ptr<Queue> inspect(std::unique_ptr<Segment> segment);
  /// Retires and unlinks a segment that nobody alive is attached to. False: somebody is, items are left, or the
  /// name still stands, because another process that removes it is stopped.
  bool remove_if_unused(bool even_with_items);

 private:
  explicit Queue(std::unique_ptr<Segment> segment);
  friend class ItemPath<StdMemory, Queue>;
  friend class WakeProtocol<StdMemory, Queue>;
  const SharedState<StdMemory>& shared() const { return segment_->shared(); }
  const SageQueue<StdMemory>& algorithm() const { return path_.algorithm(); }
  const Waiters<StdMemory>& waiters() const { return path_.waking().waiters(); }
  Participant<StdMemory>& self() const { return path_.self(); }

  // What the path of an item asks of the process around it.
  bool ring(uint32_t index, Direction direction, uint32_t bell);
  bool follow_up_later(Direction direction);
  bool follows_up() const { return Watcher::is_this_thread(); }
  void newcomers();
  uint32_t wake_ms() const { return monotonic_ms(); }
  bool found_dead() { return reap_if_due(kReapEveryMs); }
  void ask_after_dead();

  bool take_entry();
  void give_up_entry();
  bool join();
  void after_fork();
  void forget_bells();
  /// A forked child is a participant of its own.
  void current() {
    if (forks_ != fork_generation()) after_fork();
  }
  bool others_alive() const;
  bool is_alive(uint32_t index, uint64_t identity) const;
  bool is_near(const Participant<StdMemory>& entry) const;
  void remove_doorbells(uint64_t another);
  bool remove_name();
  bool retire(bool even_with_items);
  template <class Lock>
  void sleep(Direction direction, uint32_t timeout_ms, Lock& lock);
  void watch();
  void announce();
  void leave();
  bool reap_if_due(uint32_t every_ms);
  Outcome gather_many(uint32_t max, Item* items, uint32_t* taken, uint64_t max_bytes);
  uint64_t fill(const Item* items, const Piece* pieces, uint32_t count);
  [[noreturn]] void refuse(const Item& item) const;

  std::vector<Watcher::Peer> peers() override;
  void look_after_peers() override { reap(); }
  void follow_up(int direction) override;
  void nudged(bool told) override;
  int segment_descriptor() const override { return segment_->descriptor(); }

  /// What is scheduled beside the follow-ups of the directions.
  static constexpr int kAnnouncement = 3;
  /// How often calls that find nothing, and questions, ask after the dead.
  static constexpr uint32_t kReapEveryMs = 10;

  /// What the watcher's thread also uses.
  struct Bells {
    std::mutex mutex;
    int own = -1;  // this handle's way to its own event loop
    uint32_t tag = 0;
    std::vector<uint64_t> left;  // doorbells of the dead, whose descriptors were not closed yet
    ~Bells();
  };

  std::unique_ptr<Segment> segment_;  // outlives what is locked and mapped beside it
  ItemPath<StdMemory, Queue> path_;
  Spin spin_;
  Gathering<StdMemory> gathering_;
  bool created_ = false;
  bool joined_ = false;
  bool watched_ = false;
  bool closing_ = false;
  uint32_t forks_ = 0;
  uint32_t last_reap_ms_ = 0;
  uint32_t last_take_ms_ = 0;
  uint32_t quick_takes_ = 0;  // so many may go by without a look at the clock
  Home home_{0, 0};
  LifeLock life_;
  std::unique_ptr<Ringer> ringer_;
  std::unique_ptr<Bells> bells_ = std::make_unique<Bells>();
};

/// Undoes a lock for as long as it stands.
template <class Lock>
class Unlocked {
 public:
  explicit Unlocked(Lock& lock) : lock_(lock) { lock_.unlock(); }
  ~Unlocked() { lock_.lock(); }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  Lock& lock_;
};

template <class Attempt, class Lock>
bool Queue::wait(Direction direction, uint32_t limit_ms, Attempt attempt, Lock& lock) {
  bool done = attempt();
  if (done || limit_ms == 0) return done;
  if (direction == kGetters) {
    const uint64_t before = received();
    const Unlocked<Lock> unlocked(lock);
    spin_.look_again(before, [&] {
      const std::lock_guard<Lock> locked(lock);
      return done = attempt();
    });
  }
  if (done) return true;
  current();
  watch();
  struct Stop {  // also where an attempt throws
    Queue& queue;
    Direction direction;
    ~Stop() { queue.stop_waiting(direction); }
  } const stop{*this, direction};
  const uint32_t start = monotonic_ms();
  const auto sleep_on = [&] {
    const uint32_t passed = monotonic_ms() - start;
    if (passed < limit_ms) sleep(direction, limit_ms - passed, lock);
    return passed < limit_ms;
  };
  return path_.waking().run(direction, Bell::kOnFutex, path_.waking().begin(direction, Bell::kOnFutex), attempt,
                            sleep_on);
}

template <class Lock>
void Queue::sleep(Direction direction, uint32_t timeout_ms, Lock& lock) {
  const std::atomic<uint32_t>& bell = self().bell[direction];
  const Unlocked<Lock> unlocked(lock);
  futex_wait(bell, Bell::kOnFutex, timeout_ms);
}

}  // namespace sage
