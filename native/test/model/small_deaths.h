// Histories small enough to explore every schedule of, in which somebody dies.
#pragma once

#include "model/suites.h"

namespace model::small {

/// put ∥ death ∥ recover: at every step of a put, and a put behind it.
struct PutDies : Base<PutDies, 3> {
  static constexpr const char* kName = "put, dies; recover; put";
  static Shape shape() { return {2, 4, 1, 2, 2, 4}; }
  void prepare() { world->may_die = true; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] { w->put(1, 10); });
    } else if (thread == 1) {
      if (w->died(1)) w->recover(1);
    } else {
      w->put(3, 30);
    }
  }
};

/// The same in a batch, with a get.
struct BatchDies : Base<BatchDies, 3> {
  static constexpr const char* kName = "put of two, dies; recover; get";
  static Shape shape() { return {2, 4, 1, 2, 2, 4}; }
  void prepare() { world->may_die = true; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] { w->put(1, 10, 2); });
    } else if (thread == 1) {
      if (w->died(1)) w->recover(1);
    } else {
      w->get(3);
    }
  }
};

/// take ∥ death ∥ recover, and a get that takes what comes back or what follows.
struct GetDies : Base<GetDies, 3> {
  static constexpr const char* kName = "take of two, dies; recover; get";
  static Shape shape() { return {3, 8, 1, 4, 4, 4}; }
  void prepare() {
    world->may_die = true;
    world->put(4, 50, 3);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] { w->get(1, 2); });
    } else if (thread == 1) {
      if (w->died(1)) w->recover(1);
    } else {
      w->get(3);
    }
  }
  bool fifo() const { return false; }
};

/// A take that nobody has tagged, of an item put a moment ago: who takes next must see that item to tag the take.
struct TakerDies : Base<TakerDies, 4> {
  static constexpr const char* kName = "put; put; take, dies; get";
  static Shape shape() { return {2, 4, 1, 2, 2, 5}; }
  void prepare() { world->may_die = true; }
  void run(int thread) {
    World* const w = world;
    if (thread < 2) {
      w->put(thread + 1, 10 * (static_cast<uint32_t>(thread) + 1));
    } else if (thread == 2) {
      Item item;
      w->dead[3] = w->take(3, 1, &item) > 0;
    } else {
      w->get(4);
    }
  }
  bool fifo() const { return false; }
};

/// A lease holder dies at every step of the lease's life.
struct HolderDies : Base<HolderDies, 3> {
  static constexpr const char* kName = "lease, ack, dies; recover; get";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void prepare() {
    world->may_die = true;
    world->put(4, 50);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] {
        Item item;
        if (w->lease(1, &item)) w->ack(1, &item, 1);
      });
    } else if (thread == 1) {
      if (w->died(1)) w->recover(1);
    } else {
      w->get(3);
    }
  }
  bool fifo() const { return false; }
};

/// Who rings dies between the item and the ring; who recovers it wakes.
struct RingerDies : Base<RingerDies, 3> {
  static constexpr const char* kName = "wait; put, dies; recover";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void prepare() { world->may_die = true; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kGetters, [=] { return w->get(1); });
    } else if (thread == 1) {
      w->mortal(2, [=] { w->put(2, 20); });
    } else {
      if (w->died(2)) w->recover(2);
    }
  }
};

/// Two recover one that is dead already, behind a claim and a take; one of the two dies in it.
struct RecoverRecover : Base<RecoverRecover, 2> {
  static constexpr const char* kName = "recover, dies; recover: a claim and a take";
  static Shape shape() { return {3, 8, 1, 4, 4, 4}; }
  void prepare() {
    Item item;
    world->put(4, 50);
    world->take(1, 1, &item);
    world->claim_and_die(1, 60);
    world->put(4, 51);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(2, [=] { w->recover(1); });
    } else {
      w->recover(1);
      w->get(3);
    }
  }
  bool fifo() const { return false; }
};

/// A recoverer comes late, when the entry it recovers is a newcomer's.
struct LateRecoverer : Base<LateRecoverer, 2> {
  static constexpr const char* kName = "recover; recover, join in its place, put, take";
  static Shape shape() { return {4, 8, 1, 4, 4, 4}; }
  void prepare() {
    world->leave_empty(2);
    world->claim_and_die(1, 60);
    world->put(4, 50);
  }
  void run(int thread) {
    World* const w = world;
    w->recover(1);
    if (thread == 0 || !w->join_at(2, 1, 7)) return;
    w->put(2, 20);
    w->get(2);
  }
  bool fifo() const { return false; }
};

/// A commit behind an aborted slot shows room; the recoverer that aborted it has woken everybody before.
struct CommitBehindAborted : Base<CommitBehindAborted, 3> {
  static constexpr const char* kName = "wait to put; put; recover a claim in front";
  static Shape shape() { return {2, 4, 1, 4, 4, 4}; }
  void prepare() {
    world->claim_and_die(1, 60, 3);
    world->putter_units = 3;
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(2, kPutters, [=] { return w->put(2, 10, 1, 3) != 0; });
    } else if (thread == 1) {
      w->put(3, 20);
    } else {
      w->recover(1);
    }
  }
};

/// Who shuts down dies beside a sleeping getter.
struct ShutDies : Base<ShutDies, 3> {
  static constexpr const char* kName = "wait; shut down, dies; recover";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void prepare() { world->may_die = true; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kGetters, [=] { return w->get_or_end(1); });
    } else if (thread == 1) {
      w->mortal(2, [=] { w->shut_down(); });
    } else {
      if (w->died(2)) w->recover(2);
    }
  }
  bool fifo() const { return false; }
};

/// A handle is closed with an item in hand, and dies over it; another one gets what it requeues.
struct LeaverDies : Base<LeaverDies, 3> {
  static constexpr const char* kName = "leave with a lease, dies; get; recover";
  static Shape shape() { return {2, 4, 1, 2, 2, 4}; }
  void prepare() {
    Item item;
    world->may_die = true;
    world->put(3, 50, 2);
    world->lease(1, &item);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] { w->leave_holding(1); });
    } else if (thread == 1) {
      w->get(2);
    } else {
      if (w->died(1)) w->recover(1);
    }
  }
  bool fifo() const { return false; }
};

/// A holder puts its item aside, begins with it after all, and dies at any step: the death counts if it had begun.
struct AsideDies : Base<AsideDies, 2> {
  static constexpr const char* kName = "lease, put aside, begin, ack, dies; recover, lease";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void prepare() {
    world->may_die = true;
    world->put(3, 50);
  }
  void run(int thread) {
    World* const w = world;
    Item item;
    if (thread == 0) {
      w->mortal(1, [&] {
        if (!w->lease(1, &item)) return;
        w->queue.set_aside(&item, 1, true);
        is_aside_ = true;
        begins_ = true;
        w->queue.set_aside(&item, 1, false);
        begun_ = true;
        w->ack(1, &item, 1);
      });
    } else if (w->died(1)) {
      w->recover(1);
      if (!w->lease(2, &item)) return;
      expect(item.deliveries == item.crashes && item.crashes <= 1, "deliveries and crashes of one death differ");
      expect(!begun_ || item.crashes == 1, "a death counts for nothing of what had begun");
      expect(!is_aside_ || begins_ || item.crashes == 0, "a death counts for what was aside");
      w->ack(2, &item, 1);
    }
  }
  bool fifo() const { return false; }

 private:
  bool is_aside_ = false;
  bool begins_ = false;
  bool begun_ = false;
};

/// Whoever took one of many dies, and its follow-up with it.
struct GathererDies : Base<GathererDies, 3> {
  static constexpr const char* kName = "wait to put; get one of six, dies; recover";
  static Shape shape() { return {6, 8, 1, 6, 6, 4}; }
  void prepare() {
    world->may_die = true;
    world->put(4, 50, 6);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kPutters, [=] { return w->put(1, 10) != 0; });
    } else if (thread == 1) {
      w->mortal(2, [=] { w->get(2); });
    } else if (w->died(2)) {
      w->recover(2);
    }
  }
  bool fifo() const { return false; }
};

}  // namespace model::small
