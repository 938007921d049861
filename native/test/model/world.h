// One small queue under the model checker, what its threads do with it, and what must be true of it in the end.
// Past 400 lines: one class, which every history uses.
#pragma once

#include "model/memory.h"
// After it: the core's templates over that memory.
#include "core/handle/item_path.h"

namespace model {

using namespace sage;

constexpr int kMaxHandles = 8;
constexpr int kMaxIds = 64;

inline const char* failure = nullptr;  // of the last schedule that failed by an expectation
inline void fail(const char* what) {
  failure = what;
  rl::ctx().fail_test(what, rl::test_result_user_assert_failed, RL_INFO);
}
inline void expect(bool condition, const char* what) {
  if (!condition) fail(what);
}

struct Shape {
  uint64_t item_limit;
  uint64_t slot_count;
  uint64_t leases;
  uint32_t capacity_units;
  uint32_t area_units;
  int handles;
};

class World {
 public:
  /// What the path of an item asks of the process around it. Nobody is asked after the dead: recover() is.
  struct Host {
    World* world = nullptr;
    int who = 0;
    bool ring(uint32_t index, Direction, uint32_t) { return world->ring(index); }
    bool follow_up_later(Direction direction) {
      if (!follows_up()) world->due[who][direction] = true;  // what is put off further nobody relies on
      return true;
    }
    bool follows_up() const { return world->follower[who] == rl::thread_index() + 1; }
    void newcomers() { world->knows[who] = world->joins; }
    uint32_t wake_ms() const { return world->now_ms; }
    bool found_dead() { return false; }
    void ask_after_dead() {}
  };
  using Path = ItemPath<Memory, Host>;

  explicit World(const Shape& shape)
      : participants_(make<Participant<Memory>>(shape.handles + 1)),
        slots_(make<Slot<Memory>>(shape.slot_count)),
        leases_(make<LeaseEntry<Memory>>(shape.leases)),
        payload_(make<rl::var<uint32_t>>(shape.area_units)),
        shape_(shape),
        queue(shared_of()) {
    shared_of().initialise();
    control_.participant_high.store(static_cast<uint32_t>(shape.handles + 1));
    for (int index = 1; index <= shape.handles; ++index) {
      participants_[index].identity.store(live(index));
      hosts_[index] = {this, index};
      paths_[index] = std::make_unique<Path>(shared_of(), hosts_[index]);
      paths_[index]->join_at(static_cast<uint32_t>(index));
    }
    for (uint32_t unit = 0; unit < shape.area_units; ++unit) payload_[unit](RL_INFO) = 0u;
  }
  ~World() {
    unmake(participants_, shape_.handles + 1);
    unmake(slots_, shape_.slot_count);
    unmake(leases_, shape_.leases);
    unmake(payload_, shape_.area_units);
  }

  static uint64_t live(int index) { return Identity::make(static_cast<uint32_t>(index), 1, Identity::kLive); }

  /// The handle of `who`.
  Path& path(int who) { return *paths_[who]; }
  WakeProtocol<Memory, Host>& waking(int who) { return path(who).waking(); }

  // ── what a handle does, and what is written down of it ──

  /// Puts `count` items with the ids `id`, `id + 1`, … of `units` each. How many went in; -1 shut.
  int put(int who, uint32_t id, uint32_t count = 1, uint32_t units = 1) {
    uint32_t lengths[kMaxBatch];
    uint32_t codecs[kMaxBatch];
    uint32_t claimed = 0;
    for (uint32_t index = 0; index < count; ++index) {
      lengths[index] = units * kUnitBytes;
      codecs[index] = id + index;
      tried[id + index] = true;
    }
    const auto fill = [&](const Item* items, uint32_t fitted) {
      in_use += static_cast<int>(fitted);
      expect(in_use <= static_cast<int>(shape_.item_limit) || may_die, "more items than maxsize");
      for (uint32_t index = 0; index < fitted; ++index) write(items[index]);
      return uint64_t{fitted} * units * kUnitBytes;
    };
    const Outcome outcome = path(who).put(lengths, codecs, count, &claimed, fill);
    expect(outcome != Outcome::kCorrupt, "a claim found the words to contradict each other");
    if (outcome == Outcome::kShut) return -1;
    if (outcome != Outcome::kOk) return 0;
    for (uint32_t index = 0; index < claimed; ++index) acknowledged[id + index] = true;
    return static_cast<int>(claimed);
  }

  /// Claims and aborts.
  void abort(int who, uint32_t id) {
    Item item;
    if (path(who).claim(kUnitBytes, id, &item) != Outcome::kOk) return;
    write(item);
    path(who).abort(item);
  }
  /// A claim that stands when its owner dies, before it wrote down where it ends.
  void claim_and_die(int who, uint32_t id, uint32_t units = 1) {
    const uint32_t length = units * kUnitBytes;
    uint32_t claimed = 0;
    Item item;
    Handle handle;
    handle.index = static_cast<uint32_t>(who);
    may_die = tried[id] = true;
    queue.claim(handle, &length, &id, 1, &item, &claimed);
    dead[who] = true;
  }

  /// Takes up to `max`; the items are in hands[who] then.
  uint32_t take(int who, uint32_t max, Item* items) {
    uint32_t taken = 0;
    outcomes[who] = path(who).take(max, items, &taken, ~uint64_t{0});
    return took(who, items, taken);
  }
  bool lease(int who, Item* item) {
    uint32_t leased = 0;
    outcomes[who] = path(who).lease(1, item, &leased, ~uint64_t{0});
    return took(who, item, 1) > 0;
  }
  void ack(int who, Item* items, uint32_t count) {
    for (uint32_t index = 0; index < count; ++index) read(items[index]);
    in_use -= static_cast<int>(count);
    path(who).ack(items, count);
    delivered_from(who, items, count);
  }
  void ack_first(int who, Item* items, uint32_t left) {
    read(items[0]);
    --in_use;
    path(who).ack_first(items, left);
    delivered_from(who, items, 1);
  }
  /// Takes up to `max` on lease.
  uint32_t lease_many(int who, uint32_t max, Item* items) {
    uint32_t leased = 0;
    outcomes[who] = path(who).lease(max, items, &leased, ~uint64_t{0});
    return took(who, items, leased);
  }
  /// Keeps an item until all is over.
  void keep(int who, const Item& item) {
    kept = item;
    keeper = who;
  }
  void requeue(int who, Item* items, uint32_t count) {
    for (uint32_t index = 0; index < count; ++index) read(items[index]);
    for (uint32_t index = 0; index < count; ++index) {
      returned[items[index].codec] = true;
      from_hand(who, items[index].codec);
    }
    path(who).requeue(items, count);
  }
  bool get(int who, uint32_t max = 1) {
    Item items[kMaxBatch];
    const uint32_t taken = take(who, max, items);
    if (taken > 0) ack(who, items, taken);
    return taken > 0;
  }
  /// A get that ends with the queue.
  bool get_or_end(int who) { return get(who) || outcomes[who] == Outcome::kShut || outcomes[who] == Outcome::kLost; }
  void shut_down() { path(shape_.handles).shut_down(false); }
  /// What is in it is nobody's from here on, and never comes out.
  void shut_down_at_once(int who) {
    drops = true;
    path(who).shut_down(true);
  }
  /// Waits for the end of all work.
  void join(int who) {
    World* const world = this;
    wait(who, kJoiners, [world] { return world->queue.drained(); });
  }

  // ── waiting ──

  bool ring(uint32_t index) {
    step();
    if (search.on) rl::ctx().sched();  // marked, and not yet rung
    rung[index] = true;
    if (sleeps_in[index] > 0 && awaits[sleeps_in[index] - 1] == kRing) unblock(sleeps_in[index] - 1);
    return true;
  }
  /// Sleeps until it is rung, but not for ever: then it lies asleep, and the end of the schedule judges it.
  bool sleep(int who, Direction direction) {
    if (search.on) {
      sleeps_in[who] = rl::thread_index() + 1;
      if (!rung[who] && !over) block(kRing);
    } else {
      for (int patience = 0; patience < (over ? 0 : 10); ++patience) {
        if (rung[who]) break;
        rl::ctx().yield(1, RL_INFO);
      }
    }
    if (!rung[who]) {
      asleep[who] = true;
      sleeps_for[who] = direction;
      return false;
    }
    rung[who] = false;
    return true;
  }

  /// A blocking call: attempt() until it says true, asleep in between. What it needs to go on after the schedule's end
  /// is kept, so attempt() may refer to nothing of the caller's.
  void wait(int who, Direction direction, std::function<bool()> attempt) {
    if (!attempt()) go_on_from(who, direction, waking(who).begin(direction, Bell::kInLoop), attempt);
  }
  /// It sleeps from before the schedule on, and goes on when it is rung.
  void sleeps(int who, Direction direction, std::function<bool()> attempt) {
    waking(who).begin(direction, Bell::kInLoop);
    waking(who).tried(direction, Bell::kInLoop, attempt());
    asleep[who] = true;
    sleeps_for[who] = direction;
    resume[who] = std::move(attempt);
  }
  /// Goes to sleep and comes to nothing any more, rung or not.
  void wait_too_busy_to_answer(int who) {
    busy[who] = asleep[who] = true;
    waking(who).begin(kGetters, Bell::kInLoop);
    waking(who).tried(kGetters, Bell::kInLoop, false);
  }
  /// After the end: whoever was rung goes on, and may ring others.
  void go_on() {
    for (bool moved = true; moved;) {
      moved = false;
      for (const Direction direction : kDirections) {
        for (int who = 1; who <= shape_.handles && !ignore_follow_up; ++who) follow_up(who, direction);
      }
      for (int who = 1; who <= shape_.handles; ++who) {
        if (!asleep[who] || !rung[who] || dead[who] || busy[who]) continue;
        moved = true;
        rung[who] = asleep[who] = false;
        const std::function<bool()> attempt = std::move(resume[who]);
        go_on_from(who, sleeps_for[who], waking(who).rung(sleeps_for[who]), attempt);
      }
    }
  }

  /// What the host of `who` has a thread for.
  void follow_up(int who, Direction direction) {
    if (dead[who] || !std::exchange(due[who][direction], false)) return;
    follower[who] = rl::thread_index() + 1;
    waking(who).follow_up(direction);
    follower[who] = 0;
  }
  /// Somebody joins, whose death matters to all who sleep from then on.
  void come(int who) {
    control_.life.fetch_add(1);
    ++joins;
    waking(who).announce();
  }

  // ── blocked threads, where every schedule is explored ──

  /// The current thread runs no more until unblock(): a waiter at the latest when nobody is left who could ring it.
  void block(int awaited) {
    if (--active == 0) {
      end_of_sleep();
      if (awaited == kRing) {
        ++active;
        return;
      }
    }
    awaits[rl::thread_index()] = awaited;
    // Relacy hides from a thread that yielded what it had already seen to be old. Sleep promises no such thing.
    const rl::timestamp_t yielded = rl::ctx().threadx_->last_yield_;
    rl::ctx().park_current_thread(false, false, false, RL_INFO);
    rl::ctx().threadx_->last_yield_ = yielded;
  }
  void unblock(unsigned thread) {
    awaits[thread] = 0;
    ++active;
    rl::ctx().unpark_thread(static_cast<rl::thread_id_t>(thread), false, RL_INFO);
  }
  void unblock_all(int awaited) {
    for (unsigned thread = 0; thread < kMaxHandles; ++thread) {
      if (awaits[thread] == awaited) unblock(thread);
    }
  }
  void end_of_sleep() { unblock_all(kRing); }
  void thread_ended() {
    if (--active == 0) end_of_sleep();
  }

  // ── death ──

  /// Runs `body` as the thread that may die; remembers that it ended, and how.
  template <class Body>
  void mortal(int who, Body body) {
    const uint32_t self = 1u << rl::thread_index();
    if (search.on) search.mortals |= self;
    try {
      body();
      if (search.on) step();
    } catch (const Died&) {
      dead[who] = true;
    }
    search.mortals &= ~self;
    for (Plan& death : plan) {
      if (death.victim == static_cast<int>(rl::thread_index())) death.victim = -1;
    }
    if (!search.on) return ended[who].store(1, std::memory_order_release);
    rl::ctx().disable_preemption();
    ended[who].exchange(1, std::memory_order_release);
    rl::ctx().enable_preemption();
    has_ended[who] = true;
    unblock_all(who);
  }
  /// Waits for the end of `who`. True: it died, and this caller may recover it.
  bool died(int who) {
    if (!search.on) {
      while (ended[who].load(std::memory_order_acquire) == 0) rl::ctx().yield(1, RL_INFO);
      return dead[who];
    }
    if (!has_ended[who]) block(who);
    rl::ctx().disable_preemption();
    ended[who].exchange(1, std::memory_order_acquire);
    rl::ctx().enable_preemption();
    return dead[who];
  }
  /// Somebody recovers `who`, if its entry is still its own.
  void recover(int who) {
    path(shape_.handles).recover_if_dead(static_cast<uint32_t>(who), [&](uint64_t identity) {
      return identity == live(who);
    });
  }
  /// Closes a handle that holds something.
  void leave_holding(int who) {
    hands[who].clear();
    for (bool& is_due : due[who]) is_due = false;  // its thread ends before it
    path(who).leave();
  }
  /// Takes an handle's own entry away: it will join at somebody else's.
  void leave_empty(int who) {
    participants_[who].identity.store(0);
    path(who).join_at(0);
  }
  /// Joins at an entry that was freed. False: it is not free.
  bool join_at(int who, int index, uint64_t start) {
    uint64_t free = 0;
    auto& identity = participants_[index].identity;
    if (identity.load(std::memory_order_acquire) != 0) return false;
    if (!identity.compare_exchange_strong(free, Identity::make(static_cast<uint32_t>(who), start, Identity::kLive))) {
      return false;
    }
    path(who).join_at(static_cast<uint32_t>(index));
    return true;
  }

  // ── the end ──

  /// Runs after all threads: whoever sleeps must have nothing to do, and everything put must come out once.
  void judge(bool fifo = true) {
    for (Plan& death : plan) death.victim = -1;
    now_ms = 10;
    over = true;
    for (int who = 1; who <= shape_.handles; ++who) {
      if (dead[who]) recover(who);
    }
    go_on();
    for (int who = 1; who <= shape_.handles; ++who) {
      if (!asleep[who] || rung[who] || dead[who] || busy[who]) continue;
      expect(knows[who] == joins, "somebody sleeps beside one who came, and does not know it");
      if (sleeps_for[who] == kGetters) {
        expect(queue.size() == 0, "a getter sleeps beside an item");
        expect(control_.shut.load() == 0 || !queue.drained(), "a getter sleeps in a queue that has ended");
      } else if (sleeps_for[who] == kJoiners) {
        expect(!queue.drained(), "a joiner sleeps beside a queue with nothing in it");
      } else {
        expect((control_.tail.load() & Cursor::kShut) == 0, "a putter sleeps in a queue that is shut down");
        const uint32_t length = putter_units * kUnitBytes;
        uint32_t claimed = 0;
        Item item;
        Handle probe;
        probe.index = static_cast<uint32_t>(shape_.handles);
        expect(queue.claim(probe, &length, &length, 1, &item, &claimed) == Outcome::kFull,
               "a putter sleeps beside free space");
      }
    }
    const bool half_shut = (control_.tail.load() & Cursor::kShut) != 0 && control_.shut.load() == 0;
    expect(!half_shut, "puts are refused, and gets wait for ever");
    const int judge_index = shape_.handles;
    while (get(judge_index, 4)) {
    }
    if (keeper != 0) ack(keeper, &kept, 1);
    std::map<uint32_t, int> seen;
    for (const auto& list : delivered) {
      for (const uint32_t id : list) ++seen[id];
    }
    for (uint32_t id = 0; id < kMaxIds; ++id) {
      bool held = false;
      for (int who = 1; who <= shape_.handles; ++who) {
        held = held || (dead[who] && std::count(hands[who].begin(), hands[who].end(), id) > 0);
      }
      const int times = seen.count(id) ? seen[id] : 0;
      expect(times <= 1, "delivered twice");
      expect(times == 1 || !acknowledged[id] || held || drops, "lost");
      expect(times == 0 || tried[id], "out of nothing");
    }
    if (fifo) {
      for (int who = 1; who <= shape_.handles; ++who) check_order(delivered[who]);
    }
    expect(queue.drained(), "not drained");
    expect(queue.used() == 0 && queue.used_bytes() == 0, "something is left in use");
    if ((control_.tail.load() & Cursor::kShut) != 0) return;
    for (int lap = 0; lap < (search.on ? 1 : 3); ++lap) {  // all of the room came back
      expect(put(judge_index, kMaxIds - 1, 1, shape_.capacity_units) == 1, "the bytes did not come back");
      expect(get(judge_index), "the bytes did not come out");
      for (uint64_t item = 0; item < shape_.item_limit; ++item) {
        expect(put(judge_index, kMaxIds - 1, 1, 0) == 1, "the items did not come back");
      }
      expect(put(judge_index, kMaxIds - 1, 1, 0) == 0, "more than maxsize fits");
      while (get(judge_index)) {
      }
    }
  }

  Control<Memory>& control() { return control_; }

 private:
  template <class T>
  static T* make(uint64_t count) {
    T* list = static_cast<T*>(std::aligned_alloc(128, (sizeof(T) * count + 127) / 128 * 128));
    for (uint64_t index = 0; index < count; ++index) ::new (static_cast<void*>(list + index)) T();
    return list;
  }
  template <class T>
  static void unmake(T* list, uint64_t count) {
    for (uint64_t index = 0; index < count; ++index) list[index].~T();
    std::free(list);
  }

  SharedState<Memory> shared_of() {
    SharedState<Memory> shared;
    shared.control = &control_;
    shared.participants = participants_;
    shared.slots = slots_;
    shared.leases = leases_;
    shared.slot_count = shape_.slot_count;
    shared.item_limit = shape_.item_limit;
    shared.lease_count = shape_.leases;
    shared.capacity_units = shape_.capacity_units;
    shared.area_units = shape_.area_units;
    return shared;
  }

  void go_on_from(int who, Direction direction, Step step, const std::function<bool()>& attempt) {
    const auto sleeping = [&] { return sleep(who, direction); };
    if (!waking(who).run(direction, Bell::kInLoop, step, attempt, sleeping)) resume[who] = attempt;
  }
  uint32_t took(int who, const Item* items, uint32_t taken) {
    expect(outcomes[who] != Outcome::kCorrupt, "a take found the words to contradict each other");
    if (outcomes[who] != Outcome::kOk) return 0;
    for (uint32_t index = 0; index < taken; ++index) {
      read(items[index]);
      hands[who].push_back(items[index].codec);
    }
    return taken;
  }
  void write(const Item& item) {
    for (uint32_t unit = 0; unit < Record::units(item.length); ++unit) {
      step();
      payload_[(item.position + unit) % shape_.area_units](RL_INFO) = item.codec;
    }
  }
  void read(const Item& item) {
    for (uint32_t unit = 0; unit < Record::units(item.length); ++unit) {
      step();
      const uint32_t found = payload_[(item.position + unit) % shape_.area_units](RL_INFO);
      expect(found == item.codec, "the payload is not the item's");
    }
  }
  void delivered_from(int who, const Item* items, uint32_t count) {
    for (uint32_t index = 0; index < count; ++index) {
      delivered[who].push_back(items[index].codec);
      from_hand(who, items[index].codec);
    }
  }
  void from_hand(int who, uint32_t id) {
    auto& hand = hands[who];
    const auto found = std::find(hand.begin(), hand.end(), id);
    if (found != hand.end()) hand.erase(found);
  }
  /// Ids of one producer lie ten apart from those of the next and rise; what was requeued may come late.
  void check_order(const std::vector<uint32_t>& list) {
    std::map<uint32_t, uint32_t> last;
    for (const uint32_t id : list) {
      if (redelivery_possible[id / 10] || returned[id]) continue;
      expect(last[id / 10] <= id, "out of order");
      last[id / 10] = id;
    }
  }

  alignas(128) Control<Memory> control_;
  Participant<Memory>* participants_;
  Slot<Memory>* slots_;
  LeaseEntry<Memory>* leases_;
  rl::var<uint32_t>* payload_;
  Shape shape_;
  Host hosts_[kMaxHandles];
  std::unique_ptr<Path> paths_[kMaxHandles];

 public:
  SageQueue<Memory> queue;
  Outcome outcomes[kMaxHandles] = {};  // of the last take
  std::vector<uint32_t> delivered[kMaxHandles];
  std::vector<uint32_t> hands[kMaxHandles];
  bool tried[kMaxIds] = {};
  bool acknowledged[kMaxIds] = {};
  bool returned[kMaxIds] = {};
  bool redelivery_possible[kMaxIds / 10 + 1] = {};
  bool rung[kMaxHandles] = {};
  bool asleep[kMaxHandles] = {};
  Direction sleeps_for[kMaxHandles] = {};
  bool dead[kMaxHandles] = {};
  Atomic<uint32_t> ended[kMaxHandles];
  bool has_ended[kMaxHandles] = {};
  int active = 0;  // threads that neither ended nor are blocked
  static constexpr int kRing = -1;
  int awaits[kMaxHandles] = {};          // by thread: an handle's end, a ring, or nothing
  unsigned sleeps_in[kMaxHandles] = {};  // by handle: one more than the thread
  bool due[kMaxHandles][3] = {};         // follow-ups, of which handle
  unsigned follower[kMaxHandles] = {};   // one more than the thread that does them now
  int joins = 0;                         // since the schedule began
  int knows[kMaxHandles] = {};           // how many of them
  Item kept;                             // in the hand of `keeper` until the schedule is judged
  int keeper = 0;                        // nobody
  uint32_t now_ms = 0;
  uint32_t putter_units = 1;
  int in_use = 0;
  bool over = false;
  bool ignore_follow_up = false;
  bool may_die = false;
  bool drops = false;           // shut down at once
  bool busy[kMaxHandles] = {};  // rung or not, does not come to it
  std::function<bool()> resume[kMaxHandles];
};

}  // namespace model
