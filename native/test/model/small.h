// Histories small enough to explore every schedule of: two or three threads with an operation or two each.
#pragma once

#include "model/suites.h"

namespace model::small {

/// put ∥ get, and room for one.
struct PutGet : Base<PutGet, 2> {
  static constexpr const char* kName = "put; get";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void run(int thread) {
    if (thread == 0) {
      world->put(1, 10);
    } else {
      world->get(2);
    }
  }
};

/// Two laps of a queue of one: the second put needs the room of the first item.
struct Laps : Base<Laps, 2> {
  static constexpr const char* kName = "put, put; get, get: room for one";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void run(int thread) {
    if (thread == 0) {
      const int first = world->put(1, 10);
      world->put(1, 10 + static_cast<uint32_t>(first));
    } else {
      world->get(2);
      world->get(2);
    }
  }
};

/// Two producers, one room, and a consumer that makes it.
struct PutPutGet : Base<PutPutGet, 3> {
  static constexpr const char* kName = "put; put; get: room for one, taken";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void prepare() { world->put(4, 50); }
  void run(int thread) {
    if (thread < 2) {
      world->put(thread + 1, 10 * (static_cast<uint32_t>(thread) + 1));
    } else {
      world->get(3);
    }
  }
};

/// Two producers race for the claim, one with a batch.
struct PutPut : Base<PutPut, 2> {
  static constexpr const char* kName = "put of two; put";
  static Shape shape() { return {2, 4, 1, 2, 2, 3}; }
  void run(int thread) {
    if (thread == 0) {
      world->put(1, 10, 2);
    } else {
      world->put(2, 20);
    }
  }
};

/// The second claim of one producer hides where its first one ended from nobody.
struct PutTwicePut : Base<PutTwicePut, 2> {
  static constexpr const char* kName = "put, put; put: of different lengths";
  static Shape shape() { return {3, 8, 1, 4, 4, 3}; }
  void run(int thread) {
    if (thread == 0) {
      world->put(1, 10);
      world->put(1, 11);
    } else {
      world->put(2, 20, 1, 2);
    }
  }
};

/// Two consumers race for two items.
struct GetGet : Base<GetGet, 3> {
  static constexpr const char* kName = "get; get; put: one item there";
  static Shape shape() { return {2, 4, 1, 2, 2, 4}; }
  void prepare() { world->put(4, 50); }
  void run(int thread) {
    if (thread < 2) {
      world->get(thread + 1);
    } else {
      world->put(3, 30);
    }
  }
};

/// A batch, taken as a batch, released one by one, while a put waits for the room.
struct Batch : Base<Batch, 3> {
  static constexpr const char* kName = "put of two; take of two, one by one; put";
  static Shape shape() { return {2, 4, 1, 2, 2, 4}; }
  void run(int thread) {
    if (thread == 0) {
      world->put(1, 10, 2);
    } else if (thread == 1) {
      Item items[kMaxBatch];
      const uint32_t taken = world->take(2, 2, items);
      for (uint32_t index = 0; index < taken; ++index) world->ack_first(2, items + index, taken - index);
    } else {
      world->put(3, 30);
    }
  }
};

/// An aborted claim in front of a put and under a get.
struct Abort : Base<Abort, 3> {
  static constexpr const char* kName = "claim, abort; put; get";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void run(int thread) {
    if (thread == 0) {
      world->abort(1, 60);
    } else if (thread == 1) {
      world->put(2, 20);
    } else {
      world->get(3);
    }
  }
};

/// A lease comes and goes while a put needs its room.
struct LeasePut : Base<LeasePut, 2> {
  static constexpr const char* kName = "lease, ack; put, put: room for two, one taken";
  static Shape shape() { return {2, 4, 1, 2, 2, 3}; }
  void prepare() { world->put(3, 50); }
  void run(int thread) {
    if (thread == 0) {
      Item item;
      if (world->lease(1, &item)) world->ack(1, &item, 1);
    } else {
      const int first = world->put(2, 20);
      world->put(2, 20 + static_cast<uint32_t>(first));
    }
  }
};

/// Two producers around leased bytes: who loses the race looked behind the lease, and has to look again.
struct TwoAroundALease : Base<TwoAroundALease, 2> {
  static constexpr const char* kName = "put of two; put: around a lease";
  static Shape shape() { return {6, 16, 1, 8, 8, 3}; }
  void prepare() {
    Item item;
    world->put(3, 50);
    world->lease(2, &item);
    world->keep(2, item);
    world->put(3, 51, 1, 5);
    world->get(3);
  }
  void run(int thread) {
    if (thread == 0) {
      world->put(1, 10, 2, 2);
    } else {
      world->put(2, 20);
    }
  }
};

/// An entry's second life, under a producer that still looks at its first.
struct LeaseTwice : Base<LeaseTwice, 2> {
  static constexpr const char* kName = "lease, ack, lease; put: where the first lay";
  static Shape shape() { return {3, 8, 1, 2, 2, 3}; }
  void prepare() {
    world->put(3, 50);
    world->put(3, 51);
  }
  void run(int thread) {
    Item item;
    if (thread == 0) {
      if (world->lease(2, &item)) world->ack(2, &item, 1);
      if (world->lease(2, &item)) world->keep(2, item);
    } else {
      world->put(1, 10);
    }
  }
};

/// An item goes into a lease and comes back while somebody looks for it.
struct LeaseRequeue : Base<LeaseRequeue, 2> {
  static constexpr const char* kName = "lease, requeue; get, get";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void prepare() { world->put(3, 50); }
  void run(int thread) {
    if (thread == 0) {
      Item item;
      if (world->lease(1, &item)) world->requeue(1, &item, 1);
    } else {
      world->get(2);
      world->get(2);
    }
  }
  bool fifo() const { return false; }
};

/// Two requeue while a third looks: nobody may lower the mark of what another one requeued.
struct RequeueTwice : Base<RequeueTwice, 3> {
  static constexpr const char* kName = "take, requeue; lease, requeue; get";
  static Shape shape() { return {2, 4, 1, 2, 2, 4}; }
  void prepare() { world->put(4, 50, 2); }
  void run(int thread) {
    Item item;
    if (thread == 0) {
      if (world->take(1, 1, &item) > 0) world->requeue(1, &item, 1);
    } else if (thread == 1) {
      if (world->lease(2, &item)) world->requeue(2, &item, 1);
    } else {
      world->get(3);
    }
  }
  bool fifo() const { return false; }
};

}  // namespace model::small
