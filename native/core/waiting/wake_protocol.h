// Who is looked for after what, and how one side of a handle waits. A template over its memory, as the algorithm is:
// what the model explores is what ships, for threads that block and for event loops alike.
//
// Publishing. Whatever makes an item available ends with item_appeared(), whatever makes free space with
// space_appeared(), and what changes things for everybody with all_may_go_on(). Each comes after a sequentially
// consistent publication, so that it sees the bell of every waiter that did not see what was published (waiters.h).
//
// Waiting. The bell of a side of a handle is down, or up:
//
//   begin() puts it up. tried() is told of every try and says what comes next: with the bell down another try, before
//   which the bell goes up; with the bell up sleep; or the end.
//   rung() is for whoever wakes, for whatever reason: it takes the bell down. stop() ends it all at any time.
//   run() is the loop over these steps. An event loop takes the same steps and returns to its other work to sleep.
//
// What holds, and why:
//   1. Who sleeps has looked since its bell is up: only a try with the bell up leads to sleep.
//   2. Whoever was rung alone owes a wake until it has passed it on. It does so when it is done or leaves, to one
//   other;
//      and when it goes to sleep again because it cannot use what there is, to all others, none of whom owes anything
//      then: two that cannot use it would else wake each other for ever. So while there is something to have, and
//      somebody asleep, either a bell is rung, or somebody owes a wake, or a follow-up is due.
//   3. While a wake is under way (waiters.h) what is published relies on it, and on a follow-up: who was rung looks
//   after
//      it has taken its bell down, and passes on what it does not take. Four waiters and four items that come at once
//      are four wakes, each rung by the one before it; and a stream of items rings once for as many as come until the
//      first of the waiters is on its core.
//   4. Who takes items of many does not ring a putter for each of them, but for a quarter of what is there, in one go
//      (items_taken). Until then a follow-up is due: so 2. holds, and whoever stops taking has the putter woken by it.
//   5. Who relies on a follow-up that is due published before that one looks (follow_up), or asks for another. It comes
//      kFollowUpMs after it was asked for: what the one who does it could not bring to an end is tried again later than
//      that, and nobody relies on it.
//   6. A newcomer rings everybody who sleeps, and who is about to sleep asks whether somebody has come: either sees the
//      other, so that nobody sleeps beside one whose death it does not have watched.
//   7. It may die at any step. Rung or owing: its recoverer wakes everybody before its entry is freed, and until then
//      whoever comes upon the entry recovers it again. Ringing: what it marked and did not ring is followed up by the
//      next to wake, and what it published is seen by its recoverer, who looks after the publication.
#pragma once

#include "core/algorithm/sage_queue.h"
#include "core/waiting/spin.h"
#include "core/waiting/waiters.h"

namespace sage {

/// What comes next for one who waits.
enum class Step : int32_t { kTry, kSleep, kDone };

/// `Host` is the process around the queue:
///   bool ring(uint32_t participant, Direction, uint32_t bell)   false: it could not, and has to do it later
///   bool follow_up_later(Direction)   calls follow_up() after kFollowUpMs, or sooner. False: nobody can
///   bool follows_up()                 whether this is the thread that does it: what it asks for comes later than that
///   void newcomers()                  somebody has come whose death matters to those who sleep
///   uint32_t wake_ms()                milliseconds of the monotonic clock
template <class Memory, class Host>
class WakeProtocol {
 public:
  WakeProtocol(const SharedState<Memory>& shared, const SageQueue<Memory>& algorithm, const Handle& handle, Host& host)
      : shared_(shared), algorithm_(algorithm), handle_(handle), host_(host), waiters_(shared) {}

  // ── publishing ─────────────────────────────────────────────────────────

  void item_appeared() {
    if (waiters_.anybody(kGetters)) wake(kGetters, false);
  }

  void space_appeared() {
    if (waiters_.anybody_at_all()) space_for_waiters(0);
  }

  /// The same where `count` items were taken, by one who may take more. A putter that is woken for each of them finds
  /// space for one, sleeps again, and costs both sides two system calls an item.
  void items_taken(uint32_t count) {
    if (waiters_.anybody_at_all()) space_for_waiters(count);
  }

  void all_may_go_on() {
    for (const Direction direction : kDirections) wake(direction, true);
  }

  /// kFollowUpMs after a wake that left others asleep: whoever was rung may be busy, stopped or dead. Called by the one
  /// thread that the host has for it, also while the handle is in use.
  void follow_up(Direction direction) {
    follow_ups_due_.fetch_and(~bit_of(direction));
    // SYNC POINT: between that and the look at what there is. Who published later than that finds none due, and asks
    // for another.
    Memory::fence(Site::kFollowUpFence);
    if (direction == kGetters && algorithm_.size() == 0 && shared_.control->shut.load() == 0) return;
    if (direction == kJoiners && !algorithm_.drained()) return;
    wake(direction, true);
  }

  // ── newcomers ──────────────────────────────────────────────────────────

  /// Rings everybody who sleeps, after this handle's join, so that they have its death watched. False: not all could be
  /// rung.
  bool announce() {
    // SYNC POINT: `life` was raised before the bells are looked at; pairs with the fence in put_up().
    Memory::fence(Site::kJoinFence);
    bool all = true;
    const uint32_t high = waiters_.participant_high();
    for (uint32_t index = 1; index < high; ++index) {
      const Participant<Memory>& entry = shared_.participants[index];
      if (index == handle_.index || entry.identity.load() == 0) continue;
      for (const Direction direction : kDirections) {
        const uint32_t kind = entry.bell[direction].load(std::memory_order_relaxed);
        if (kind != Bell::kAwake) all = host_.ring(index, direction, kind) && all;
      }
    }
    return all;
  }

  // ── waiting ────────────────────────────────────────────────────────────

  /// Somebody begins to wait, having found nothing. The bell that is up may be another kind of sleep's.
  Step begin(Direction direction, uint32_t bell) {
    take_down(direction);
    put_up(direction, bell);
    return Step::kTry;
  }

  /// A try is over: `done` when nobody waits any more.
  Step tried(Direction direction, uint32_t bell, bool done) {
    if (done) {
      stop(direction);
      return Step::kDone;
    }
    if (!up_[direction]) {
      put_up(direction, bell);
      return Step::kTry;
    }
    pass_on(direction, true);
    mind_newcomers();
    return Step::kSleep;
  }

  /// It woke, for whatever reason: rung, late, or looking by itself.
  Step rung(Direction direction) {
    take_down(direction);
    return Step::kTry;
  }

  /// Nobody waits any more.
  void stop(Direction direction) {
    take_down(direction);
    pass_on(direction, false);
  }

  /// The loop: from `step` on until `attempt` says that it is done. False: `sleep` said that it is given up; the bell
  /// is up still.
  template <class Attempt, class Sleep>
  bool run(Direction direction, uint32_t bell, Step step, Attempt attempt, Sleep sleep) {
    while (step != Step::kDone) {
      if (step == Step::kTry) {
        step = tried(direction, bell, attempt());
      } else {
        if (!sleep()) return false;
        step = rung(direction);
      }
    }
    return true;
  }

  /// Leaves without a trace: the bells belong to somebody else now, and so does whoever was to follow up.
  void forget() {
    follow_ups_due_.store(0, std::memory_order_relaxed);
    for (const Direction direction : kDirections) {
      up_[direction] = false;
      owes_[direction] = false;
    }
  }

  /// Lets go of the bells. Whoever this one woke may not have come to it, and its follow-up ends with it: no wake from
  /// here on may need another.
  void leave() {
    for (const Direction direction : kDirections) {
      take_down(direction);
      if (direction == kPutters || worth(direction)) wake(direction, true);
    }
  }

  bool full() const {
    return algorithm_.used() >= shared_.item_limit || algorithm_.used_bytes() / kUnitBytes >= shared_.capacity_units;
  }

  /// Items claimed and not taken.
  uint64_t untaken() const {
    const uint64_t head = Cursor::number(shared_.control->head.load(std::memory_order_seq_cst));
    return Cursor::number(shared_.control->tail.load(std::memory_order_seq_cst)) - head;
  }

  Waiters<Memory>& waiters() { return waiters_; }
  const Waiters<Memory>& waiters() const { return waiters_; }

 private:
  /// What became of a follow-up that was asked for: nobody does it in time, it was due before, or it is due from here
  /// on.
  enum class FollowUp : int32_t { kNone, kDue, kNew };

  static constexpr uint32_t bit_of(Direction direction) { return 1u << direction; }

  /// One that is due follows up everything that was published before it begins: so a stream of wakes costs the host one
  /// of them, and its producer no system call.
  FollowUp follow_up_later(Direction direction) {
    if (host_.follows_up()) {
      host_.follow_up_later(direction);
      return FollowUp::kNone;
    }
    // SYNC POINT: after the publication, pairs with the fence in follow_up().
    const std::memory_order order = Memory::order(Site::kFollowUpLoad, std::memory_order_seq_cst);
    if ((follow_ups_due_.load(order) & bit_of(direction)) != 0) return FollowUp::kDue;
    follow_ups_due_.fetch_or(bit_of(direction));
    if (host_.follow_up_later(direction)) return FollowUp::kNew;
    follow_ups_due_.fetch_and(~bit_of(direction));
    return FollowUp::kNone;
  }

  void mind_newcomers() {
    // SYNC POINT: after the fence in put_up(), pairs with that in announce().
    const uint64_t joins = shared_.control->life.load(std::memory_order_acquire);
    if (joins == joins_seen_) return;
    joins_seen_ = joins;
    host_.newcomers();
  }

  void put_up(Direction direction, uint32_t bell) {
    waiters_.put_up(handle_, direction, bell);
    up_[direction] = true;
  }

  void take_down(Direction direction) {
    up_[direction] = false;
    if (waiters_.take_down(handle_, direction) == Bell::kRung) owes_[direction] = true;
  }

  /// Hands on a wake that came to this one alone, if there still is something to wake for: two waiters would else hand
  /// an idle wake to each other for ever. What this one cannot use may suit any of the others: `all`.
  void pass_on(Direction direction, bool all) {
    if (!owes_[direction]) return;
    owes_[direction] = false;
    if (!waiters_.anybody(direction)) return;
    if (worth(direction)) wake(direction, all, handle_.index);
  }

  /// Whether there is what those waiters wait for. full() looks at every item, and takes their words from the core of
  /// whoever releases them.
  bool worth(Direction direction) const {
    if (direction == kGetters) return algorithm_.size() > 0;
    return direction == kPutters ? algorithm_.knows_space(handle_) || !full() : algorithm_.drained();
  }

  /// The last item ends every join, and every get of a queue that is shut down: all of those are woken, since none of
  /// them takes anything from another.
  [[gnu::noinline]] void space_for_waiters(uint32_t taken) {
    if (waiters_.anybody(kPutters) && !gathers_space(taken)) wake(kPutters, false);
    const bool joiners = waiters_.anybody(kJoiners);
    const bool shut = shared_.control->shut.load() != 0;
    if ((!joiners && !shut) || !algorithm_.drained()) return;
    if (joiners) wake(kJoiners, true);
    if (shut) wake(kGetters, true);
  }

  /// Whether the wake of a putter may wait for more of what `taken` is a part of: a follow-up is due that does it. What
  /// comes so slowly that the follow-up is first gains nothing, and is soon told of at once.
  bool gathers_space(uint32_t taken) {
    if (taken == 0) return false;
    const bool first = gathered_ == 0;
    gathered_ += taken;
    if (uint64_t{gathered_} * kGathered >= untaken()) {
      gathering_.paid();
    } else if (!first || gathering_.worth()) {
      const FollowUp follow_up = follow_up_later(kPutters);
      if (follow_up == FollowUp::kDue || (follow_up == FollowUp::kNew && first)) return true;
      gathering_.in_vain();
    }
    gathered_ = 0;
    return false;
  }

  /// Kept out of the path of those who find nobody asleep.
  [[gnu::noinline]] void wake(Direction direction, bool all, uint32_t except = 0) {
    const auto ring = [&](uint32_t index, uint32_t bell) { return host_.ring(index, direction, bell); };
    if (waiters_.wake(direction, all, host_.wake_ms(), ring, except)) follow_up_later(direction);
  }

  SharedState<Memory> shared_;
  const SageQueue<Memory>& algorithm_;
  const Handle& handle_;
  Host& host_;
  Waiters<Memory> waiters_;
  bool up_[3] = {false, false, false};
  bool owes_[3] = {false, false, false};
  uint64_t joins_seen_ = 0;

  // A bit for each direction, from when a follow-up is asked for until it begins: also the follow-up's thread's.
  typename Memory::template Atomic<uint32_t> follow_ups_due_{0};

  static constexpr uint32_t kGathered = 4;  // one of so many, of what is there
  uint32_t gathered_ = 0;                   // items taken since a putter was seen asleep
  Trial gathering_;
};

}  // namespace sage
