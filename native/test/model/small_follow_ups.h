// Histories small enough to explore every schedule of, about what comes later: follow-ups, on which wakes that are not
// made rely, and newcomers, whose death those who sleep have watched.
#pragma once

#include "model/suites.h"

namespace model::small {

/// One of many items is taken, beside a putter that sleeps: `Suite::take()` says by whom.
template <class Suite>
struct OneOfSix : Base<Suite, 2> {
  static Shape shape() { return {6, 8, 1, 6, 6, 3}; }
  void prepare() { this->world->put(3, 50, 6); }
  void run(int thread) {
    World* const w = this->world;
    if (thread == 0) {
      w->wait(1, kPutters, [=] { return w->put(1, 10) != 0; });
    } else {
      static_cast<Suite*>(this)->take();
    }
  }
};

/// The putter is told of it by the follow-up.
struct PutWaitGathered : OneOfSix<PutWaitGathered> {
  static constexpr const char* kName = "wait to put; get one of six";
  void take() { world->get(2); }
};

/// Whoever took it leaves before its follow-up comes.
struct PutWaitLeaver : OneOfSix<PutWaitLeaver> {
  static constexpr const char* kName = "wait to put; get one of six and leave, no follow-up";
  void prepare() {
    OneOfSix::prepare();
    world->ignore_follow_up = true;
  }
  void take() {
    world->get(2);
    world->leave_holding(2);
  }
};

/// A follow-up that finds nothing, beside a put that relies on one.
struct FollowUpPut : Base<FollowUpPut, 2> {
  static constexpr const char* kName = "put; follow-up of an earlier one";
  static Shape shape() { return {2, 4, 1, 2, 2, 4}; }
  void prepare() {
    World* const w = world;
    w->wait_too_busy_to_answer(1);  // its ring is under way from here on
    w->sleeps(2, kGetters, [=] { return w->get(2); });
    w->put(3, 30);
    w->get(4);
  }
  void run(int thread) {
    if (thread == 0) {
      world->put(3, 31);
    } else {
      world->follow_up(3, kGetters);
    }
  }
};

/// A follow-up that meets nobody asleep yet, beside a get that relies on one.
struct FollowUpGet : Base<FollowUpGet, 3> {
  static constexpr const char* kName = "wait to put; get one of six; follow-up of an earlier one";
  static Shape shape() { return {6, 8, 1, 6, 6, 3}; }
  void prepare() {
    World* const w = world;
    w->put(3, 50, 6);
    w->sleeps(1, kPutters, [=] { return w->put(1, 10) != 0; });
    w->get(2);
    w->waking(1).stop(kPutters);
    w->asleep[1] = false;
    w->put(3, 56);
  }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kPutters, [=] { return w->put(1, 10) != 0; });
    } else if (thread == 1) {
      w->get(2);
    } else {
      w->follow_up(2, kPutters);
    }
  }
};

/// Who sleeps has the death of a newcomer watched.
struct WaitNewcomer : Base<WaitNewcomer, 2> {
  static constexpr const char* kName = "wait; join";
  static Shape shape() { return {1, 2, 1, 1, 1, 3}; }
  void run(int thread) {
    World* const w = world;
    if (thread == 0) {
      w->wait(1, kGetters, [=] { return w->get(1); });
    } else {
      w->come(2);
    }
  }
};

}  // namespace model::small
