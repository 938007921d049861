// The schedules that are explored: small histories, each aimed at one promise of docs/sage-queue.md.
#pragma once

#include "model/world.h"

namespace model {

/// A test of Relacy's around one World.
template <class Suite, int kThreads>
struct Base : rl::test_suite<Suite, kThreads> {
  void before() {
    Suite& suite = static_cast<Suite&>(*this);
    for (Plan& death : plan) death = Plan();
    world = static_cast<World*>(std::aligned_alloc(128, (sizeof(World) + 127) / 128 * 128));
    ::new (static_cast<void*>(world)) World(suite.shape());
    suite.prepare();
    world->active = kThreads;
    search.concurrent = true;
  }
  void thread(unsigned index) {
    static_cast<Suite&>(*this).run(static_cast<int>(index));
    world->thread_ended();
  }
  void after() {
    search.concurrent = false;
    world->judge(static_cast<Suite&>(*this).fifo());
    world->~World();
    std::free(world);
  }
  void prepare() {}
  bool fifo() const { return true; }

  /// Thread `thread` dies within its first `steps` steps, or not at all.
  void dies(int slot, int thread, unsigned steps) {
    world->may_die = true;
    plan[slot] = {thread, static_cast<int>(rl::rand(steps))};
  }

  World* world = nullptr;
};

/// put ∥ put ∥ get, room for all.
struct PutPutGet : Base<PutPutGet, 3> {
  static constexpr const char* kName = "put, put, get";
  static Shape shape() { return {4, 8, 1, 8, 8, 4}; }
  void run(int thread) {
    if (thread < 2) {
      for (uint32_t item = 0; item < 2; ++item) world->put(thread + 1, 10 * (thread + 1) + item, 1, 1 + thread);
    } else {
      for (int attempt = 0; attempt < 5; ++attempt) world->get(3);
    }
  }
};

/// put ∥ put ∥ get ∥ get where one item fits, so that slots and bytes are used lap after lap.
struct Laps : Base<Laps, 4> {
  static constexpr const char* kName = "laps of a queue of one";
  static Shape shape() { return {1, 2, 1, 2, 2, 5}; }
  void run(int thread) {
    if (thread < 2) {
      uint32_t item = 0;
      for (int attempt = 0; attempt < 8 && item < 3; ++attempt) {
        item += world->put(thread + 1, 10 * (thread + 1) + item, 1, 1 + thread);
      }
    } else {
      for (int attempt = 0; attempt < 8; ++attempt) world->get(thread + 1);
    }
  }
};

/// The same with two items, and a producer that gives up what it claims now and then.
struct LapsOfTwo : Base<LapsOfTwo, 3> {
  static constexpr const char* kName = "laps of a queue of two, with claims given up";
  static Shape shape() { return {2, 4, 1, 2, 2, 4}; }
  void run(int thread) {
    if (thread < 2) {
      uint32_t item = 0;
      for (int attempt = 0; attempt < 8 && item < 4; ++attempt) {
        if (thread == 1 && attempt % 3 == 0) world->abandon(2, 60);
        item += world->put(thread + 1, 10 * (thread + 1) + item);
      }
    } else {
      for (int attempt = 0; attempt < 10; ++attempt) world->get(3);
    }
  }
};

/// Batches on both sides, released whole or one by one.
struct Batches : Base<Batches, 4> {
  static constexpr const char* kName = "batches put and taken";
  static Shape shape() { return {3, 8, 1, 4, 4, 5}; }
  void run(int thread) {
    Item items[kMaxRun];
    if (thread == 0) {
      uint32_t item = 0;
      for (int attempt = 0; attempt < 5 && item < 6; ++attempt) item += world->put(1, 10 + item, 2);
    } else if (thread == 1) {
      uint32_t item = 0;
      for (int attempt = 0; attempt < 5 && item < 3; ++attempt) item += world->put(2, 20 + item);
    } else {
      for (int attempt = 0; attempt < 4; ++attempt) {
        const uint32_t taken = world->take(thread + 1, 3, items);
        if (taken == 0) continue;
        if (thread == 2) {
          world->finish(3, items, taken);
        } else {
          for (uint32_t index = 0; index < taken; ++index) world->finish_first(4, items + index, taken - index);
        }
      }
    }
  }
};

/// lease, acknowledge ∥ put that needs the room ∥ get.
struct Leases : Base<Leases, 3> {
  static constexpr const char* kName = "leases, and puts around them";
  static Shape shape() { return {3, 8, 2, 4, 4, 4}; }
  void prepare() { world->put(1, 10, 1, 2); }
  void run(int thread) {
    if (thread == 0) {
      uint32_t item = 1;
      for (int attempt = 0; attempt < 10 && item < 5; ++attempt) item += world->put(1, 10 + item, 1, 1 + item % 2);
    } else if (thread == 1) {
      Item item;
      for (int attempt = 0; attempt < 4; ++attempt) {
        if (!world->lease(2, &item)) continue;
        world->hands[2].clear();
        world->finish(2, &item, 1);
      }
    } else {
      for (int attempt = 0; attempt < 5; ++attempt) world->get(3);
    }
  }
};

/// Two producers in front of leased bytes: who loses the race for a claim has looked behind them, and must look again.
struct TwoAroundALease : Base<TwoAroundALease, 3> {
  static constexpr const char* kName = "two puts around a lease";
  static Shape shape() { return {6, 16, 1, 8, 8, 4}; }
  void prepare() {
    Item item;
    world->put(4, 50, 1, 1);
    world->lease(2, &item);
    world->held_lease = item;
    world->put(4, 51, 1, 5);  // up to two units in front of the lease, one lap on
    world->get(3);
  }
  void run(int thread) {
    if (thread == 2) {
      for (int attempt = 0; attempt < 5; ++attempt) world->get(3);
    } else if (thread == 1) {
      for (uint32_t item = 0; item < 2; ++item) world->put(4, 20 + item);
    } else {
      uint32_t item = 0;
      for (int attempt = 0; attempt < 3 && item < 2; ++attempt) item += world->put(1, 10 + item, 2 - item, 2);
    }
  }
};

/// Items given back, from slots and from leases, while others look for them.
struct GiveBack : Base<GiveBack, 3> {
  static constexpr const char* kName = "given back, and looked for";
  static Shape shape() { return {3, 8, 2, 4, 4, 4}; }
  void prepare() {
    for (uint32_t item = 0; item < 3; ++item) world->put(4, 10 + item);
  }
  void run(int thread) {
    Item items[kMaxRun];
    if (thread == 0) {
      for (int attempt = 0; attempt < 3; ++attempt) {
        const uint32_t taken = world->take(1, 2, items);
        if (taken > 0) world->give_back(1, items, taken);
      }
    } else if (thread == 1) {
      for (int attempt = 0; attempt < 2; ++attempt) {
        if (!world->lease(2, items)) continue;
        world->give_back(2, items, 1);
      }
    } else {
      uint32_t item = 0;
      for (int attempt = 0; attempt < 4; ++attempt) {
        world->get(3);
        item += world->put(3, 30 + item, 1, 2);
      }
    }
  }
  bool fifo() const { return false; }
};

/// park, get ∥ put, wake: two sleepers, two putters.
struct Sleepers : Base<Sleepers, 4> {
  static constexpr const char* kName = "sleeping getters";
  static Shape shape() { return {4, 8, 1, 4, 4, 5}; }
  void run(int thread) {
    World* const w = world;
    if (thread < 2) {
      for (int item = 0; item < 2; ++item) {
        w->wait(thread + 1, kGetters, [=] { return w->get(thread + 1); });
        if (w->asleep[thread + 1]) return;
      }
    } else {
      for (uint32_t item = 0; item < 2; ++item) w->put(thread + 1, 10 * (thread + 1) + item);
    }
  }
};

/// One of the two that sleep is too busy to answer; whoever puts last must not rely on it.
struct BusySleeper : Base<BusySleeper, 4> {
  static constexpr const char* kName = "a sleeper that does not answer";
  static Shape shape() { return {4, 8, 1, 4, 4, 5}; }
  void prepare() { world->busy[1] = true; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->parking.park(w->actors[1], kGetters, Bell::kParked);
      w->asleep[1] = true;
    } else if (thread == 1) {
      w->wait(2, kGetters, [=] { return w->get(2); });
    } else {
      w->put(thread + 1, 10 * (thread + 1));
    }
  }
};

/// A queue of one: putters sleep for room that gets, leases and items given back make.
struct SleepingPutters : Base<SleepingPutters, 4> {
  static constexpr const char* kName = "sleeping putters";
  static Shape shape() { return {2, 4, 1, 2, 2, 5}; }
  void prepare() {
    world->put(5, 50);
    world->put(5, 51);
  }
  void run(int thread) {
    World* const w = world;
    if (thread < 2) {
      w->wait(thread + 1, kPutters, [=] { return w->put(thread + 1, 10 * (thread + 1)) != 0; });
    } else if (thread == 2) {
      w->get(3);
    } else {
      Item item;
      if (w->lease(4, &item)) w->finish(4, &item, 1);
    }
  }
};

/// A lease opens room that its holder keeps no part of.
struct LeaseMakesRoom : Base<LeaseMakesRoom, 3> {
  static constexpr const char* kName = "a lease makes room";
  static Shape shape() { return {3, 8, 1, 4, 4, 4}; }
  void prepare() {
    world->put(4, 50, 1, 1);
    world->put(4, 51, 1, 3);
    world->putter_units = 2;
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kPutters, [=] { return w->put(1, 10, 1, 2) != 0; });
    } else if (thread == 1) {
      Item item;
      if (w->lease(2, &item)) w->held_lease = item;
    } else {
      w->get(3);
    }
  }
  bool fifo() const { return false; }
};

/// Given back beside a sleeper.
struct GiveBackWakes : Base<GiveBackWakes, 3> {
  static constexpr const char* kName = "given back beside a sleeper";
  static Shape shape() { return {3, 8, 1, 4, 4, 4}; }
  void prepare() { world->put(4, 50); }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kGetters, [=] { return w->get(1); });
    } else {
      Item item;
      if (thread == 1 ? w->take(2, 1, &item) > 0 : w->lease(3, &item)) w->give_back(thread + 1, &item, 1);
    }
  }
  bool fifo() const { return false; }
};

/// wait ∥ the last items ∥ shutdown: everybody learns of the end.
struct Shutdown : Base<Shutdown, 4> {
  static constexpr const char* kName = "shut down beside sleepers";
  static Shape shape() { return {2, 4, 1, 2, 2, 5}; }
  void prepare() { world->put(5, 50, 2); }
  void run(int thread) {
    World* const w = world;
    if (thread < 2) {
      w->get(thread + 1);
      w->wait(thread + 1, kGetters, [=] { return w->get(thread + 1) || w->shut_seen(); });
    } else if (thread == 2) {
      w->wait(3, kPutters, [=] { return w->put(3, 30, 1, 2) != 0; });
    } else {
      w->shut_down();
    }
  }
};

/// put ∥ death ∥ recover, recover, with others putting and taking at the same slots.
struct ProducerDies : Base<ProducerDies, 5> {
  static constexpr const char* kName = "a producer dies";
  static Shape shape() { return {3, 8, 1, 4, 4, 6}; }
  void prepare() { dies(0, 0, 70); }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] {
        w->put(1, 10, 2);
        w->put(1, 12);
      });
    } else if (thread == 1) {
      for (uint32_t item = 0; item < 2; ++item) w->put(2, 20 + item);
    } else if (thread == 2) {
      for (int attempt = 0; attempt < 3; ++attempt) w->get(3, 2);
    } else if (w->died(1)) {
      w->recover(1);
      if (thread == 3) w->put(4, 40);
    }
  }
};

/// take ∥ death ∥ recover, recover, and a consumer that takes what comes back.
struct ConsumerDies : Base<ConsumerDies, 4> {
  static constexpr const char* kName = "a consumer dies";
  static Shape shape() { return {3, 8, 2, 4, 4, 5}; }
  void prepare() {
    for (uint32_t item = 0; item < 3; ++item) world->put(5, 10 + item);
    dies(0, 0, 70);
  }
  void run(int thread) {
    World* const w = world;
    Item items[kMaxRun];
    if (thread == 0) {
      w->mortal(1, [=] {
        Item mine[kMaxRun];
        const uint32_t taken = w->take(1, 2, mine);
        if (taken == 2) {
          w->finish_first(1, mine, 2);
          w->finish_first(1, mine + 1, 1);
        } else if (taken == 1) {
          w->give_back(1, mine, 1);
        }
        w->get(1, 2);
      });
    } else if (thread == 1) {
      for (int attempt = 0; attempt < 3; ++attempt) {
        const uint32_t taken = w->take(2, 2, items);
        if (taken > 0) w->finish(2, items, taken);
      }
    } else if (w->died(1)) {
      w->recover(1);
      w->get(thread + 1);
    }
  }
  bool fifo() const { return false; }
};

/// A lease holder dies, at every step of a lease's life.
struct HolderDies : Base<HolderDies, 4> {
  static constexpr const char* kName = "a lease holder dies";
  static Shape shape() { return {3, 8, 2, 4, 4, 5}; }
  void prepare() {
    for (uint32_t item = 0; item < 2; ++item) world->put(5, 10 + item);
    dies(0, 0, 90);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] {
        Item item;
        if (w->lease(1, &item)) w->give_back(1, &item, 1);
        if (w->lease(1, &item)) w->finish(1, &item, 1);
      });
    } else if (thread == 1) {
      for (uint32_t item = 0; item < 3; ++item) w->put(2, 20 + item);
    } else if (w->died(1)) {
      w->recover(1);
      Item item;
      if (w->lease(thread + 1, &item)) w->finish(thread + 1, &item, 1);
    }
  }
  bool fifo() const { return false; }
};

/// Whatever a handle can do, in any order, in queues of several sizes; one of the three dies, or none.
struct Anything : Base<Anything, 4> {
  static constexpr const char* kName = "anything, in any order";
  static Shape shape() {
    const uint32_t area = 4u << rl::rand(2);
    const uint64_t slots = 4u << rl::rand(2);
    return {1 + rl::rand(slots / 2), slots, 1 + rl::rand(2), area - rl::rand(area / 2), area, 5};
  }
  void prepare() {
    if (rl::rand(2) == 0) dies(0, 0, 150);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] { act(1); });
    } else if (thread < 3) {
      act(thread + 1);
    } else if (w->died(1)) {
      w->recover(1);
    }
  }
  bool fifo() const { return false; }

 private:
  void act(int who) {
    World* const w = world;
    uint32_t id = 10 * static_cast<uint32_t>(who);
    Item items[kMaxRun];
    for (int step = 0; step < 5; ++step) {
      const uint32_t count = 1 + rl::rand(2);
      switch (rl::rand(8)) {
        case 0:
          w->get(who, count);
          break;
        case 1: {
          const uint32_t taken = w->take(who, 1 + count, items);
          for (uint32_t at = 0; at < taken; ++at) w->finish_first(who, items + at, taken - at);
          break;
        }
        case 2: {
          const uint32_t taken = w->take(who, count, items);
          if (taken > 0) w->give_back(who, items, taken);
          break;
        }
        case 3:
        case 4: {
          if (!w->lease(who, items)) break;
          w->put(who, id, 1, count);  // around it
          ++id;
          if (rl::rand(2) == 0) {
            w->give_back(who, items, 1);
          } else {
            w->finish(who, items, 1);
          }
          break;
        }
        case 5:
          w->abandon(who, 60);
          break;
        default:
          w->put(who, id, count, 1 + rl::rand(2));
          id += count;
      }
    }
  }
};

/// One of the recoverers dies too, the other comes late, and a newcomer uses the entry meanwhile.
struct RecovererDies : Base<RecovererDies, 4> {
  static constexpr const char* kName = "a recoverer dies, its entry is used again";
  static Shape shape() { return {4, 8, 2, 4, 4, 6}; }
  void prepare() {
    world->put(6, 50, 2);
    world->leave_empty(5);
    dies(0, 0, 60);
    dies(1, 1, 120);
  }
  void run(int thread) {
    World* const w = world;
    Item item;
    if (thread == 0) {
      w->mortal(1, [=] {
        Item mine[kMaxRun];
        w->put(1, 10);
        const uint32_t taken = w->take(1, 2, mine);
        w->put(1, 11, 2);
        if (taken > 0) w->finish(1, mine, taken);
      });
    } else if (thread == 1) {
      w->mortal(2, [=] {
        if (w->died(1)) w->recover(1);
      });
    } else if (thread == 2) {
      if (w->died(1)) w->recover(1);
    } else {
      w->put(4, 40);
      for (int attempt = 0; attempt < 4 && !w->join_at(5, 1, 7); ++attempt) {
        if (w->died(1)) w->recover(1);
        w->get(4);
      }
      if (w->actors[5].index != 1) return;
      w->put(5, 30, 2);
      if (w->lease(5, &item)) w->finish(5, &item, 1);
      w->put(5, 32);
      w->get(5, 2);
    }
  }
  bool fifo() const { return false; }
};

/// Whoever dies may have been given the only wake, or have owed one.
struct RingerDies : Base<RingerDies, 4> {
  static constexpr const char* kName = "the one that was rung, or was to ring, dies";
  static Shape shape() { return {3, 8, 1, 4, 4, 5}; }
  void prepare() {
    dies(0, 0, 60);
    if (rl::rand(2) == 0) dies(0, 1, 60);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] { w->wait(1, kGetters, [=] { return w->get(1); }); });
    } else if (thread == 1) {
      w->mortal(2, [=] { w->put(2, 20); });
    } else if (thread == 2) {
      w->wait(3, kGetters, [=] { return w->get(3); });
    } else {
      for (const int who : {1, 2}) {
        if (w->died(who)) w->recover(who);
      }
    }
  }
  bool fifo() const { return false; }
};

/// One ring for two items: who was rung passes it on at once, without waiting for the follow-up.
struct PassedOn : Base<PassedOn, 3> {
  static constexpr const char* kName = "a wake is passed on";
  static Shape shape() { return {4, 8, 1, 4, 4, 4}; }
  void prepare() { world->ignore_follow_up = true; }
  void run(int thread) {
    World* const w = world;
    if (thread < 2) {
      w->wait(thread + 1, kGetters, [=] { return w->get(thread + 1); });
    } else {
      w->put(3, 30, 2);
    }
  }
};

/// Takes that nobody has stamped yet, of items put a moment ago: whoever takes next must see them to stamp them.
struct HolderOfARunDies : Base<HolderOfARunDies, 5> {
  static constexpr const char* kName = "a consumer dies behind producers at work";
  static Shape shape() { return {3, 8, 2, 4, 4, 5}; }
  void prepare() { world->may_die = true; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0 || thread == 4) {
      w->put(thread == 0 ? 1 : 4, thread == 0 ? 10 : 20);
    } else if (thread == 1) {
      w->mortal(2, [=] {
        Item mine[kMaxRun];
        for (int attempt = 0; attempt < 3; ++attempt) {
          if (w->take(2, 1, mine) > 0) throw Died();
        }
      });
    } else if (thread == 2) {
      for (int attempt = 0; attempt < 4; ++attempt) w->get(3);
    } else if (w->died(2)) {
      w->recover(2);
    }
  }
  bool fifo() const { return false; }
};

/// A recoverer that comes late, when the entry it recovers is a newcomer's and others have stamped what that one
/// claims.
struct LateRecoverer : Base<LateRecoverer, 4> {
  static constexpr const char* kName = "a late recoverer beside a newcomer";
  static Shape shape() { return {4, 8, 2, 4, 4, 5}; }
  void prepare() {
    const uint32_t length = kUnitBytes;
    const uint32_t id = 60;
    Item item;
    uint32_t claimed = 0;
    world->may_die = true;
    world->leave_empty(2);
    world->tried[id] = true;
    world->queue.claim(world->actors[1], &length, &id, 1, &item, &claimed);
    world->put(5, 50);
    world->dead[1] = true;
    world->ended[1].store(1);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->recover(1);
    } else if (thread == 1) {
      w->recover(1);
      if (!w->join_at(2, 1, 7)) return;
      w->put(2, 20);
      Item item;
      if (w->take(2, 1, &item) > 0) w->finish(2, &item, 1);
    } else if (thread == 2) {
      w->put(3, 30);
    } else {
      w->get(4);
      w->get(4);
    }
  }
  bool fifo() const { return false; }
};

}  // namespace model
