// Histories small enough to explore every schedule of, in which somebody sleeps.
#pragma once

#include "model/suites.h"

namespace model::small {

/// wait ∥ wake.
struct WaitPut : Base<WaitPut, 2> {
  static constexpr const char* kName = "wait; put";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kGetters, [=] { return w->get(1); });
    } else {
      w->put(2, 20);
    }
  }
};

/// wait ∥ wake ∥ shutdown.
struct WaitPutShut : Base<WaitPutShut, 3> {
  static constexpr const char* kName = "wait; put; shut down";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kGetters, [=] { return w->get_or_end(1); });
    } else if (thread == 1) {
      w->put(2, 20);
    } else {
      w->shut_down();
    }
  }
};

/// Two that sleep, one ring for two items.
struct WaitWaitPut : Base<WaitWaitPut, 3> {
  static constexpr const char* kName = "wait; wait; put of two, no follow-up";
  static Shape shape() { return {2, 4, 1, 2, 2, 4}; }
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

/// A putter sleeps for the room that a get makes.
struct PutWaitGet : Base<PutWaitGet, 2> {
  static constexpr const char* kName = "wait to put; get";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void prepare() { world->put(3, 50); }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kPutters, [=] { return w->put(1, 10) != 0; });
    } else {
      w->get(2);
    }
  }
};

/// A putter sleeps for the room that the end of a lease makes.
struct PutWaitLease : Base<PutWaitLease, 2> {
  static constexpr const char* kName = "wait to put; lease, ack";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void prepare() { world->put(3, 50); }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kPutters, [=] { return w->put(1, 10) != 0; });
    } else {
      Item item;
      if (w->lease(2, &item)) w->ack(2, &item, 1);
    }
  }
};

/// A lease opens room of which its holder keeps nothing: what was released behind the leased item.
struct PutWaitMove : Base<PutWaitMove, 2> {
  static constexpr const char* kName = "wait to put; lease: space behind it";
  static Shape shape() { return {3, 8, 1, 4, 4, 3}; }
  void prepare() {
    Item item;
    world->put(3, 50);
    world->put(3, 51, 1, 3);
    world->take(2, 1, &item);
    world->get(3);
    world->requeue(2, &item, 1);
    world->putter_units = 2;
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kPutters, [=] { return w->put(1, 10, 1, 2) != 0; });
    } else {
      Item item;
      if (w->lease(2, &item)) w->keep(2, item);
    }
  }
  bool fifo() const { return false; }
};

/// A commit shows that bytes in front of a lease stayed free.
struct PutWaitPut : Base<PutWaitPut, 2> {
  static constexpr const char* kName = "wait to put; put: past a lease";
  static Shape shape() { return {6, 16, 1, 8, 8, 3}; }
  void prepare() {
    Item item;
    world->put(3, 50);
    world->lease(2, &item);
    world->keep(2, item);
    world->put(3, 51, 1, 5);
    world->get(3);
    world->putter_units = 4;
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kPutters, [=] { return w->put(1, 10, 1, 4) != 0; });
    } else {
      w->put(2, 20, 1, 3);
    }
  }
};

/// Who is rung is too busy to answer; another one sleeps, too.
struct WaitBusy : Base<WaitBusy, 2> {
  static constexpr const char* kName = "wait; put: beside a waiter that does not answer";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void prepare() { world->wait_too_busy_to_answer(1); }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(2, kGetters, [=] { return w->get(2); });
    } else {
      w->put(3, 30);
    }
  }
};

/// Requeued beside a waiter.
struct WaitRequeue : Base<WaitRequeue, 2> {
  static constexpr const char* kName = "wait; take, requeue";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void prepare() { world->put(3, 50); }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kGetters, [=] { return w->get(1); });
    } else {
      Item item;
      if (w->take(2, 1, &item) > 0) w->requeue(2, &item, 1);
    }
  }
  bool fifo() const { return false; }
};

/// The same from a lease.
struct WaitRelease : Base<WaitRelease, 2> {
  static constexpr const char* kName = "wait; lease, requeue";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void prepare() { world->put(3, 50); }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kGetters, [=] { return w->get(1); });
    } else {
      Item item;
      if (w->lease(2, &item)) w->requeue(2, &item, 1);
    }
  }
  bool fifo() const { return false; }
};

/// The first of a batch makes room while the second is still in a hand.
struct PutWaitFirst : Base<PutWaitFirst, 2> {
  static constexpr const char* kName = "wait to put; take of two, ack the first";
  static Shape shape() { return {2, 4, 1, 2, 2, 3}; }
  void prepare() { world->put(3, 50, 2); }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kPutters, [=] { return w->put(1, 10) != 0; });
    } else {
      Item items[kMaxBatch];
      if (w->take(2, 2, items) != 2) return;
      w->ack_first(2, items, 2);
      w->keep(2, items[1]);
    }
  }
};

/// An aborted claim makes room.
struct PutWaitAbort : Base<PutWaitAbort, 2> {
  static constexpr const char* kName = "wait to put; claim, abort";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kPutters, [=] { return w->put(1, 10) != 0; });
    } else {
      w->abort(2, 60);
    }
  }
};

/// An aborted claim shows what was committed behind it.
struct WaitAbort : Base<WaitAbort, 2> {
  static constexpr const char* kName = "wait; abort a claim in front of an item";
  static Shape shape() { return {2, 4, 1, 2, 2, 3}; }
  void prepare() {
    world->path(2).claim(kUnitBytes, 60, &claim_);
    world->put(3, 50);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kGetters, [=] { return w->get(1); });
    } else {
      w->path(2).abort(claim_);
    }
  }

 private:
  Item claim_;
};

/// The last two items of a queue that is shut down: one of the two who ack them tells the waiter.
struct Drained : Base<Drained, 3> {
  static constexpr const char* kName = "get; get; wait: shut down, two items there";
  static Shape shape() { return {2, 4, 1, 2, 2, 4}; }
  void prepare() {
    world->put(4, 50, 2);
    world->shut_down();
  }
  void run(int thread) {
    World* const w = world;
    if (thread < 2) {
      w->get(thread + 1);
    } else {
      w->wait(3, kGetters, [=] { return w->get_or_end(3); });
    }
  }
};

/// A batch whose second item steps past a lease; its first one is gone before the second shows where it lies.
struct BatchPastALease : Base<BatchPastALease, 3> {
  static constexpr const char* kName = "wait to put; put of two, the second past a lease; get";
  static Shape shape() { return {6, 16, 1, 7, 8, 4}; }
  void prepare() {
    Item item;
    world->put(3, 50);
    world->lease(2, &item);
    world->keep(2, item);
    world->put(3, 51, 1, 5);
    world->get(3);
    world->putter_units = 5;
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kPutters, [=] { return w->put(1, 10, 1, 5) != 0; });
    } else if (thread == 1) {
      w->put(2, 20, 2, 2);
    } else {
      w->get(3);
    }
  }
};

/// Room that is too small for the putter that is woken is told to the other one.
struct UnfitPassesOn : Base<UnfitPassesOn, 3> {
  static constexpr const char* kName = "wait to put a large one; wait to put a small one; get";
  static Shape shape() { return {4, 8, 1, 4, 4, 4}; }
  void prepare() {
    world->put(3, 50);
    world->put(3, 51, 1, 3);
    world->ignore_follow_up = true;
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kPutters, [=] { return w->put(1, 10, 1, 3) != 0; });
    } else if (thread == 1) {
      w->wait(2, kPutters, [=] { return w->put(2, 20) != 0; });
    } else {
      w->get(3);
    }
  }
};

/// Two that cannot use the room do not hand it to each other and past the third.
struct UnfitTwoPassOn : Base<UnfitTwoPassOn, 4> {
  static constexpr const char* kName = "wait to put a large one, twice; wait to put a small one; get";
  static Shape shape() { return {4, 8, 1, 4, 4, 5}; }
  void prepare() {
    world->put(4, 50);
    world->put(4, 51, 1, 3);
    world->ignore_follow_up = true;
  }
  void run(int thread) {
    World* const w = world;
    if (thread < 2) {
      w->wait(thread + 1, kPutters, [=] { return w->put(thread + 1, 10 * (thread + 1), 1, 3) != 0; });
    } else if (thread == 2) {
      w->wait(3, kPutters, [=] { return w->put(3, 30) != 0; });
    } else {
      w->get(4);
    }
  }
};

}  // namespace model::small
