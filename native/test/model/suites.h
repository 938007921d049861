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

/// The same with two items, and a producer that aborts what it claims now and then.
struct LapsOfTwo : Base<LapsOfTwo, 3> {
  static constexpr const char* kName = "laps of a queue of two, with aborted claims";
  static Shape shape() { return {2, 4, 1, 2, 2, 4}; }
  void run(int thread) {
    if (thread < 2) {
      uint32_t item = 0;
      for (int attempt = 0; attempt < 8 && item < 4; ++attempt) {
        if (thread == 1 && attempt % 3 == 0) world->abort(2, 60);
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
    Item items[kMaxBatch];
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
          world->ack(3, items, taken);
        } else {
          for (uint32_t index = 0; index < taken; ++index) world->ack_first(4, items + index, taken - index);
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
        world->ack(2, &item, 1);
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
    world->keep(2, item);
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

/// Items requeued, from slots and from leases, while others look for them.
struct Requeue : Base<Requeue, 3> {
  static constexpr const char* kName = "requeued, and looked for";
  static Shape shape() { return {3, 8, 2, 4, 4, 4}; }
  void prepare() {
    for (uint32_t item = 0; item < 3; ++item) world->put(4, 10 + item);
  }
  void run(int thread) {
    Item items[kMaxBatch];
    if (thread == 0) {
      for (int attempt = 0; attempt < 3; ++attempt) {
        const uint32_t taken = world->take(1, 2, items);
        if (taken > 0) world->requeue(1, items, taken);
      }
    } else if (thread == 1) {
      for (int attempt = 0; attempt < 2; ++attempt) {
        if (!world->lease(2, items)) continue;
        world->requeue(2, items, 1);
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

/// wait, get ∥ put, wake: two waiters, two putters.
struct WaitingGetters : Base<WaitingGetters, 4> {
  static constexpr const char* kName = "waiting getters";
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
struct BusyWaiter : Base<BusyWaiter, 4> {
  static constexpr const char* kName = "a waiter that does not answer";
  static Shape shape() { return {4, 8, 1, 4, 4, 5}; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait_too_busy_to_answer(1);
    } else if (thread == 1) {
      w->wait(2, kGetters, [=] { return w->get(2); });
    } else {
      w->put(thread + 1, 10 * (thread + 1));
    }
  }
};

/// A queue of one: putters sleep for room that gets, leases and items requeued make.
struct WaitingPutters : Base<WaitingPutters, 4> {
  static constexpr const char* kName = "waiting putters";
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
      if (w->lease(4, &item)) w->ack(4, &item, 1);
    }
  }
};

/// A lease opens room that its holder keeps no part of.
struct LeaseMakesSpace : Base<LeaseMakesSpace, 3> {
  static constexpr const char* kName = "a lease makes space";
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
      if (w->lease(2, &item)) w->keep(2, item);
    } else {
      w->get(3);
    }
  }
  bool fifo() const { return false; }
};

/// Requeued beside a waiter.
struct RequeueWakes : Base<RequeueWakes, 3> {
  static constexpr const char* kName = "requeued beside a waiter";
  static Shape shape() { return {3, 8, 1, 4, 4, 4}; }
  void prepare() { world->put(4, 50); }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kGetters, [=] { return w->get(1); });
    } else {
      Item item;
      if (thread == 1 ? w->take(2, 1, &item) > 0 : w->lease(3, &item)) w->requeue(thread + 1, &item, 1);
    }
  }
  bool fifo() const { return false; }
};

/// wait ∥ the last items ∥ shutdown: everybody learns of the end.
struct Shutdown : Base<Shutdown, 4> {
  static constexpr const char* kName = "shut down beside waiters";
  static Shape shape() { return {2, 4, 1, 2, 2, 5}; }
  void prepare() { world->put(5, 50, 2); }
  void run(int thread) {
    World* const w = world;
    if (thread < 2) {
      w->get(thread + 1);
      w->wait(thread + 1, kGetters, [=] { return w->get_or_end(thread + 1); });
    } else if (thread == 2) {
      w->wait(3, kPutters, [=] { return w->put(3, 30, 1, 2) != 0; });
    } else {
      w->shut_down();
    }
  }
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

/// put ∥ requeue ∥ shut down at once, beside a joiner: nothing stays.
struct ShutdownAtOnce : Base<ShutdownAtOnce, 4> {
  static constexpr const char* kName = "shut down at once";
  static Shape shape() { return {3, 8, 2, 4, 4, 5}; }
  void prepare() {
    Item item;
    world->put(5, 50, 2);
    world->lease(1, &item);
    item_ = item;
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->requeue(1, &item_, 1);
    } else if (thread == 1) {
      Item item;
      w->put(2, 20);
      if (w->lease(2, &item)) w->requeue(2, &item, 1);
    } else if (thread == 2) {
      w->shut_down_at_once(3);
    } else {
      w->join(4);
    }
  }
  bool fifo() const { return false; }

 private:
  Item item_;
};

}  // namespace model
