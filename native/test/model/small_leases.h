// Histories small enough to explore every schedule of: leases of several items, and what aborted slots say.
#pragma once

#include "model/suites.h"

namespace model::small {

/// Of two leases one ends well, and the other goes back.
struct LeaseTwo : Base<LeaseTwo, 2> {
  static constexpr const char* kName = "lease of two, ack one, requeue one; get, put";
  static Shape shape() { return {2, 4, 2, 2, 2, 3}; }
  void prepare() { world->put(3, 50, 2); }
  void run(int thread) {
    if (thread == 0) {
      Item items[kMaxBatch];
      const uint32_t leased = world->lease_many(1, 2, items);
      if (leased > 1) world->ack(1, items + 1, 1);
      if (leased > 0) world->requeue(1, items, 1);
    } else {
      world->get(2);
      world->put(2, 20);
    }
  }
  bool fifo() const { return false; }
};

/// There is an entry for one of the two: the other one goes back, and a waiter gets it.
struct LeaseOneOfTwo : Base<LeaseOneOfTwo, 2> {
  static constexpr const char* kName = "lease of two, one entry, ack; wait";
  static Shape shape() { return {2, 4, 1, 2, 2, 3}; }
  void prepare() { world->put(3, 50, 2); }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      Item items[kMaxBatch];
      const uint32_t leased = w->lease_many(1, 2, items);
      if (leased > 0) w->ack(1, items, leased);
    } else {
      w->wait(2, kGetters, [=] { return w->get(2); });
    }
  }
  bool fifo() const { return false; }
};

/// A holder of two dies at every step of the move into leases, and of their end.
struct HolderOfTwoDies : Base<HolderOfTwoDies, 3> {
  static constexpr const char* kName = "lease of two, ack both, dies; recover; get";
  static Shape shape() { return {2, 4, 2, 2, 2, 4}; }
  void prepare() {
    world->may_die = true;
    world->put(4, 50, 2);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] {
        Item items[kMaxBatch];
        const uint32_t leased = w->lease_many(1, 2, items);
        if (leased > 0) w->ack(1, items, leased);
      });
    } else if (thread == 1) {
      if (w->died(1)) w->recover(1);
    } else {
      w->get(3);
    }
  }
  bool fifo() const { return false; }
};

/// Where a dead one's claim ended is read from the note beside its slot, by who claims the room of the first lap again.
struct AbortedNote : Base<AbortedNote, 2> {
  static constexpr const char* kName = "recover a claim, dies; recover, put, get, put";
  static Shape shape() { return {1, 2, 1, 3, 4, 4}; }
  void prepare() {
    world->may_die = true;
    world->claim_and_die(1, 60, 2);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) return w->mortal(2, [=] { w->recover(1); });
    w->recover(1);
    w->put(3, 30, 1, 3);
    w->get(3);
    w->put(3, 31, 1, 3);
  }
};

/// A put behind a claim that only skips bytes, which is given up at once: who sleeps is told of it by the one who
/// skipped, also when that one finds no room after all.
struct SkipWait : Base<SkipWait, 3> {
  static constexpr const char* kName = "put, skips; put; wait";
  static Shape shape() { return {4, 16, 1, 8, 8, 4}; }
  void prepare() {
    Item item;
    world->put(4, 50, 1, 3);
    world->get(4);
    world->put(4, 51);
    world->lease(2, &item);
    world->keep(2, item);
    world->put(4, 52, 1, 2);
    world->get(4);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->put(1, 10, 1, 7);
    } else if (thread == 1) {
      w->put(4, 20);
    } else {
      w->wait(3, kGetters, [=] { return w->get(3); });
    }
  }
};

}  // namespace model::small
