// Histories small enough to explore every schedule of, about the end: of all work, of the last producer, and of a queue
// that is shut down at once.
#pragma once

#include "model/suites.h"

namespace model::small {

// ── join ──

/// Two that ack the last two items: one of them tells the joiner.
struct JoinGetGet : Base<JoinGetGet, 3> {
  static constexpr const char* kName = "join; get; get: two items there";
  static Shape shape() { return {2, 4, 1, 2, 2, 4}; }
  void prepare() { world->put(4, 50, 2); }
  void run(int thread) {
    if (thread == 0) {
      world->join(1);
    } else {
      world->get(thread + 1);
    }
  }
};

/// The last item is on lease when two join.
struct JoinJoinAck : Base<JoinJoinAck, 3> {
  static constexpr const char* kName = "join; join; lease, ack, no follow-up";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void prepare() {
    world->put(4, 50);
    world->ignore_follow_up = true;
  }
  void run(int thread) {
    if (thread < 2) return world->join(thread + 1);
    Item item;
    if (world->lease(3, &item)) world->ack(3, &item, 1);
  }
};

/// What is requeued is work still to be done.
struct JoinRequeue : Base<JoinRequeue, 3> {
  static constexpr const char* kName = "join; take, requeue; get";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void prepare() { world->put(4, 50); }
  void run(int thread) {
    if (thread == 0) {
      world->join(1);
    } else if (thread == 1) {
      Item item;
      if (world->take(2, 1, &item) > 0) world->requeue(2, &item, 1);
    } else {
      world->get(3);
    }
  }
  bool fifo() const { return false; }
};

/// A claim that holds nothing in the end was all that was in the way.
struct JoinAbort : Base<JoinAbort, 2> {
  static constexpr const char* kName = "join; claim, abort";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void prepare() { world->path(2).claim(kUnitBytes, 60, &claim_); }
  void run(int thread) {
    if (thread == 0) {
      world->join(1);
    } else {
      world->path(2).abort(claim_);
    }
  }

 private:
  Item claim_;
};

/// Who holds the last item dies over its end.
struct JoinDies : Base<JoinDies, 3> {
  static constexpr const char* kName = "join; ack, dies; recover, get";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void prepare() {
    world->may_die = true;
    world->put(4, 50);
    world->lease(2, &item_);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->join(1);
    } else if (thread == 1) {
      w->mortal(2, [=] { w->ack(2, &item_, 1); });
    } else {
      if (w->died(2)) w->recover(2);
      w->get(3);
    }
  }
  bool fifo() const { return false; }

 private:
  Item item_;
};

// ── producers ──

/// The last of two producers to go ends the queue.
struct LastProducer : Base<LastProducer, 2> {
  static constexpr const char* kName = "produce, leave; produce, leave: two expected";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void run(int thread) {
    world->path(thread + 1).produce(2);
    world->path(thread + 1).leave();
    gone_[thread] = true;
    if (!gone_[0] || !gone_[1]) return;
    expect((world->control().tail.load() & Cursor::kShut) != 0, "all producers have gone, and the queue goes on");
  }

 private:
  bool gone_[2] = {};
};

/// Who waits for an item of the last producer gets it, or learns that there is none.
struct WaitProducer : Base<WaitProducer, 2> {
  static constexpr const char* kName = "wait; produce, put, leave";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) return w->wait(1, kGetters, [=] { return w->get_or_end(1); });
    w->path(2).produce(1);
    w->put(2, 20);
    w->path(2).leave();
  }
};

/// A producer dies at any step; the queue ends all the same, and says so.
struct ProducerDies : Base<ProducerDies, 3> {
  static constexpr const char* kName = "produce, leave, dies; recover; wait";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void prepare() {
    world->may_die = true;
    world->path(1).produce(1);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] { w->path(1).leave(); });
    } else if (thread == 1) {
      if (w->died(1)) w->recover(1);
      expect((w->control().tail.load() & Cursor::kShut) != 0, "the last producer has gone, and the queue goes on");
    } else {
      w->wait(3, kGetters, [=] { return w->get_or_end(3); });
    }
  }
};

/// A recoverer comes late, when the entry it recovers is another producer's: that one is not lost.
struct LateProducer : Base<LateProducer, 2> {
  static constexpr const char* kName = "recover; recover, join in its place, produce";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void prepare() {
    world->leave_empty(2);
    world->dead[1] = true;
  }
  void run(int thread) {
    World* const w = world;
    w->recover(1);
    if (thread == 1 && w->join_at(2, 1, 7)) w->path(2).produce(1);
    gone_[thread] = true;
    if (!gone_[0] || !gone_[1]) return;
    expect((w->control().tail.load() & Cursor::kShut) == 0, "a producer is there, and the queue has ended");
  }

 private:
  bool gone_[2] = {};
};

// ── shut down at once ──

/// What comes back beside the drop is dropped by one of the two.
struct DropRequeue : Base<DropRequeue, 3> {
  static constexpr const char* kName = "requeue; shut down at once; join";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void prepare() {
    world->put(4, 50);
    world->lease(1, &item_);
  }
  void run(int thread) {
    if (thread == 0) {
      world->requeue(1, &item_, 1);
    } else if (thread == 1) {
      world->shut_down_at_once(2);
    } else {
      world->join(3);
    }
  }
  bool fifo() const { return false; }

 private:
  Item item_;
};

/// So is what is committed, and what lay behind a claim that is aborted.
struct DropPut : Base<DropPut, 2> {
  static constexpr const char* kName = "put; shut down at once";
  static Shape shape() { return {2, 4, 1, 2, 2, 3}; }
  void run(int thread) {
    if (thread == 0) {
      world->put(1, 10);
    } else {
      world->shut_down_at_once(2);
    }
  }
};

struct DropBehind : Base<DropBehind, 2> {
  static constexpr const char* kName = "abort a claim in front of an item; shut down at once";
  static Shape shape() { return {2, 4, 1, 2, 2, 3}; }
  void prepare() {
    world->path(1).claim(kUnitBytes, 60, &claim_);
    world->put(3, 50);
  }
  void run(int thread) {
    if (thread == 0) {
      world->path(1).abort(claim_);
    } else {
      world->shut_down_at_once(2);
    }
  }

 private:
  Item claim_;
};

/// Killed between requeueing and dropping, or in the middle of the drop.
struct DropDies : Base<DropDies, 3> {
  static constexpr const char* kName = "requeue, dies; shut down at once; recover";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void prepare() {
    world->may_die = true;
    world->put(4, 50);
    world->lease(1, &item_);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] { w->requeue(1, &item_, 1); });
    } else if (thread == 1) {
      w->shut_down_at_once(2);
    } else {
      if (w->died(1)) w->recover(1);
    }
  }
  bool fifo() const { return false; }

 private:
  Item item_;
};

struct DropperDies : Base<DropperDies, 2> {
  static constexpr const char* kName = "shut down at once, dies; recover: an item there";
  static Shape shape() { return {1, 2, 1, 1, 1, 4}; }
  void prepare() {
    world->may_die = true;
    world->put(4, 50);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->mortal(1, [=] { w->shut_down_at_once(1); });
    } else {
      if (w->died(1)) w->recover(1);
      w->drops = true;
    }
  }
  bool fifo() const { return false; }
};

/// A claim that only skips bytes is the last one of a queue that is shut down.
struct SkipShut : Base<SkipShut, 3> {
  static constexpr const char* kName = "put, skips; shut down, ack; wait";
  static Shape shape() { return {4, 16, 1, 8, 8, 4}; }
  void prepare() {
    world->put(4, 50, 1, 3);
    world->get(4);
    world->put(4, 51);
    world->lease(2, &item_);
    world->put(4, 52, 1, 2);
    world->get(4);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->put(1, 10, 1, 7);
    } else if (thread == 1) {
      w->shut_down();
      w->ack(2, &item_, 1);
    } else {
      w->wait(3, kGetters, [=] { return w->get_or_end(3); });
    }
  }

 private:
  Item item_;
};

}  // namespace model::small
