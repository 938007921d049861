// The schedules that are explored, in which somebody dies.
#pragma once

#include "model/suites.h"

namespace model {

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
    Item items[kMaxBatch];
    if (thread == 0) {
      w->mortal(1, [=] {
        Item mine[kMaxBatch];
        const uint32_t taken = w->take(1, 2, mine);
        if (taken == 2) {
          w->ack_first(1, mine, 2);
          w->ack_first(1, mine + 1, 1);
        } else if (taken == 1) {
          w->requeue(1, mine, 1);
        }
        w->get(1, 2);
      });
    } else if (thread == 1) {
      for (int attempt = 0; attempt < 3; ++attempt) {
        const uint32_t taken = w->take(2, 2, items);
        if (taken > 0) w->ack(2, items, taken);
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
        if (w->lease(1, &item)) w->requeue(1, &item, 1);
        if (w->lease(1, &item)) w->ack(1, &item, 1);
      });
    } else if (thread == 1) {
      for (uint32_t item = 0; item < 3; ++item) w->put(2, 20 + item);
    } else if (w->died(1)) {
      w->recover(1);
      Item item;
      if (w->lease(thread + 1, &item)) w->ack(thread + 1, &item, 1);
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
    Item items[kMaxBatch];
    for (int step = 0; step < 5; ++step) {
      const uint32_t count = 1 + rl::rand(2);
      switch (rl::rand(8)) {
        case 0:
          w->get(who, count);
          break;
        case 1: {
          const uint32_t taken = w->take(who, 1 + count, items);
          for (uint32_t at = 0; at < taken; ++at) w->ack_first(who, items + at, taken - at);
          break;
        }
        case 2: {
          const uint32_t taken = w->take(who, count, items);
          if (taken > 0) w->requeue(who, items, taken);
          break;
        }
        case 3:
        case 4: {
          if (!w->lease(who, items)) break;
          w->put(who, id, 1, count);  // around it
          ++id;
          if (rl::rand(2) == 0) {
            w->requeue(who, items, 1);
          } else {
            w->ack(who, items, 1);
          }
          break;
        }
        case 5:
          w->abort(who, 60);
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
        Item mine[kMaxBatch];
        w->put(1, 10);
        const uint32_t taken = w->take(1, 2, mine);
        w->put(1, 11, 2);
        if (taken > 0) w->ack(1, mine, taken);
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
      if (w->path(5).handle().index != 1) return;
      w->put(5, 30, 2);
      if (w->lease(5, &item)) w->ack(5, &item, 1);
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

/// Takes that nobody has tagged yet, of items put a moment ago: whoever takes next must see them to tag them.
struct HolderOfABatchDies : Base<HolderOfABatchDies, 5> {
  static constexpr const char* kName = "a consumer dies behind producers at work";
  static Shape shape() { return {3, 8, 2, 4, 4, 5}; }
  void prepare() { world->may_die = true; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0 || thread == 4) {
      w->put(thread == 0 ? 1 : 4, thread == 0 ? 10 : 20);
    } else if (thread == 1) {
      w->mortal(2, [=] {
        Item mine[kMaxBatch];
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

/// A recoverer that comes late, when the entry it recovers is a newcomer's and others have tagged what that one
/// claims.
struct LateRecoverer : Base<LateRecoverer, 4> {
  static constexpr const char* kName = "a late recoverer beside a newcomer";
  static Shape shape() { return {4, 8, 2, 4, 4, 5}; }
  void prepare() {
    world->leave_empty(2);
    world->claim_and_die(1, 60);
    world->put(5, 50);
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
      if (w->take(2, 1, &item) > 0) w->ack(2, &item, 1);
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
