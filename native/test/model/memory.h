// The memory policy under which the model checker runs the very templates that ship: every atomic is Relacy's, any one
// order can be weakened, and any thread can be made to die before any of its steps.
#pragma once

// What Relacy's headers redefine has to be seen before them, and given back after them.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#include <relacy/relacy.hpp>
#pragma GCC diagnostic pop
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef $
#undef VAR
#undef CHECK

#include "core/algorithm/memory.h"
#include "model/search.h"

namespace model {

using sage::Point;
using sage::Site;

constexpr const char* kSiteNames[] = {
    "kTailLoad",       "kTailClaim", "kIntentStore",   "kIntentLoad",     "kCommit",          "kCommitLast",
    "kSlotLoad",       "kHeadLoad",  "kHeadTake",      "kReleaseLast",    "kReclaimSlotLoad", "kReclaimLoad",
    "kReclaimAdvance", "kRequeue",   "kLeaseFill",     "kLeaseFieldLoad", "kLeaseLoad",       "kLeaseFree",
    "kHintBump",       "kHintLoad",  "kDrainedFence",  "kDropFence",      "kDropLoad",        "kMarkBump",
    "kBellFence",      "kMarkLoad",  "kFollowUpFence", "kFollowUpLoad",   "kJoinFence",
};
static_assert(sizeof kSiteNames / sizeof kSiteNames[0] == static_cast<int>(Site::kCount));

/// What a thread throws that dies: it runs nothing more.
struct Died {};

/// Which one thing is changed in this run; nothing by default.
struct Mutation {
  int site = -1;  // Site: relaxed instead of what it asks for, acq_rel instead of seq_cst, no fence
};
inline Mutation mutation;

/// The death planned for this schedule.
struct Plan {
  int victim = -1;
  int steps = 0;  // atomic operations and payload accesses that the victim still makes
};
inline Plan plan[2];

inline void step() {
  const int self = static_cast<int>(rl::thread_index());
  if (search.on) {
    if (search.mortals >> self & 1 && search.choose(2) == 1) {
      search.mortals &= ~(1u << self);
      throw Died();
    }
    return;
  }
  for (Plan& death : plan) {
    if (death.victim == self && --death.steps < 0) {
      death.victim = -1;
      throw Died();
    }
  }
}

inline rl::memory_order converted(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return rl::mo_relaxed;
    case std::memory_order_consume:
      return rl::mo_acquire;
    case std::memory_order_acquire:
      return rl::mo_acquire;
    case std::memory_order_release:
      return rl::mo_release;
    case std::memory_order_acq_rel:
      return rl::mo_acq_rel;
    default:
      return rl::mo_seq_cst;
  }
}

/// What comes before an operation on an atomic: a place to die at and, unless nothing that others do can be told apart
/// by it, to be interrupted at.
class Turn {
 public:
  Turn(uint32_t word, bool write) {
    const bool open = !search.on || search.touch(word, rl::thread_index(), write);
    if (open || write) step();
    if (open) return;
    rl::ctx().disable_preemption();
    closed_ = true;
  }
  ~Turn() {
    if (closed_) rl::ctx().enable_preemption();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  bool closed_ = false;
};

template <class T>
class Atomic {
 public:
  explicit Atomic(T value = T{}) : number_(search.words++) { word_.store(value, rl::mo_relaxed, RL_INFO); }

  T load(std::memory_order order = std::memory_order_seq_cst) const {
    const Turn turn(number_, false);
    const rl::memory_order asked = converted(order);
    return word_.load(asked == rl::mo_acq_rel ? rl::mo_acquire : asked, RL_INFO);
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) {
    const Turn turn(number_, true);
    const rl::memory_order asked = converted(order);
    word_.store(value, asked == rl::mo_acq_rel ? rl::mo_release : asked, RL_INFO);
    wrote(asked);
  }
  T exchange(T value, std::memory_order order = std::memory_order_seq_cst) {
    const Turn turn(number_, true);
    const T before = word_.exchange(value, converted(order), RL_INFO);
    wrote(converted(order));
    return before;
  }
  T fetch_add(T value, std::memory_order order = std::memory_order_seq_cst) {
    const Turn turn(number_, true);
    const T before = word_.fetch_add(value, converted(order), RL_INFO);
    wrote(converted(order));
    return before;
  }
  T fetch_or(T value, std::memory_order order = std::memory_order_seq_cst) {
    const Turn turn(number_, true);
    const T before = word_.fetch_or(value, converted(order), RL_INFO);
    wrote(converted(order));
    return before;
  }
  T fetch_and(T value, std::memory_order order = std::memory_order_seq_cst) {
    const Turn turn(number_, true);
    const T before = word_.fetch_and(value, converted(order), RL_INFO);
    wrote(converted(order));
    return before;
  }
  bool compare_exchange_strong(T& expected, T value, std::memory_order success, std::memory_order failure) {
    const Turn turn(number_, true);
    rl::memory_order fail = converted(failure);
    if (converted(success) == rl::mo_release || converted(success) == rl::mo_relaxed) fail = rl::mo_relaxed;
    const bool done = word_.compare_exchange_strong(expected, value, converted(success), RL_INFO, fail, RL_INFO);
    if (done) wrote(converted(success));
    return done;
  }
  bool compare_exchange_strong(T& expected, T value, std::memory_order order = std::memory_order_seq_cst) {
    const Turn turn(number_, true);
    const bool done = word_.compare_exchange_strong(expected, value, converted(order), RL_INFO);
    if (done) wrote(converted(order));
    return done;
  }
  template <class... Orders>
  bool compare_exchange_weak(T& expected, T value, Orders... orders) {
    return compare_exchange_strong(expected, value, orders...);
  }

 private:
  /// C++17 29.3/4: what follows a sequentially consistent fence sees every such write before it. Relacy knows that only
  /// between two fences.
  static void wrote(rl::memory_order order) {
    if (order != rl::mo_seq_cst) return;
    rl::context& context = rl::ctx();
    rl::timestamp_t& seen = context.seq_cst_fence_order_[context.threadx_->index_];
    seen = std::max(seen, context.threadx_->own_acq_rel_order_);
  }

  rl::atomic<T> word_;
  const uint32_t number_;  // in the order of making, the same in every schedule
};

struct Memory {
  template <class T>
  using Atomic = model::Atomic<T>;
  static std::memory_order order(Site site, std::memory_order asked) {
    reached[static_cast<int>(site)] = true;
    if (static_cast<int>(site) != mutation.site) return asked;
    return asked == std::memory_order_seq_cst ? std::memory_order_acq_rel : std::memory_order_relaxed;
  }
  static void fence(Site site) {
    reached[static_cast<int>(site)] = true;
    step();
    if (static_cast<int>(site) != mutation.site) rl::atomic_thread_fence(rl::mo_seq_cst, RL_INFO);
  }
  static void copy_fence() {}
  static void pause() { rl::ctx().yield(1, RL_INFO); }
  static void point(Point) {}  // any step may be the last one, so the named ones need no help
  static constexpr uint32_t kPatience = 2000;

  static inline bool reached[static_cast<int>(Site::kCount)] = {};
};

/// Chooses the next thread at random, but lets it run on for 1, 4 or 16 steps on average: long standstills at an
/// awkward place are what laps and late helpers need.
template <rl::thread_id_t kThreads>
class Scheduler : public rl::scheduler<Scheduler<kThreads>, rl::scheduler_thread_info, kThreads> {
  using Base = rl::scheduler<Scheduler<kThreads>, rl::scheduler_thread_info, kThreads>;

 public:
  using typename Base::shared_context_t;
  struct task_t {};
  Scheduler(rl::test_params& params, shared_context_t& context, rl::thread_id_t dynamic)
      : Base(params, context, dynamic) {}

  rl::thread_id_t iteration_begin_impl() {
    state_ = this->iter_;
    constexpr unsigned kStay[] = {1, 4, 4, 16};
    stay_ = kStay[next() % 4];
    rl::unpark_reason reason;
    return schedule_impl(reason, 1);
  }
  bool iteration_end_impl() { return this->iter_ == this->params_.iteration_count; }
  rl::thread_id_t schedule_impl(rl::unpark_reason& reason, unsigned yield) {
    reason = rl::unpark_reason_normal;
    if (yield == 0 && this->thread_->state_ == rl::thread_state_running && next() % stay_ != 0) {
      return this->thread_->index_;
    }
    return this->running_threads[next() % static_cast<unsigned>(this->running_threads_count)];
  }
  unsigned rand_impl(unsigned limit, rl::sched_type) { return next() % limit; }
  rl::iteration_t iteration_count_impl() { return this->params_.iteration_count; }
  void get_state_impl(std::ostream&) {}
  void set_state_impl(std::istream&) {}
  void on_thread_block(rl::thread_id_t, bool) {}
  void thread_finished_impl() {}
  void purge_blocked_threads() {}

 private:
  unsigned next() {  // splitmix64: neighbouring iterations have nothing in common
    uint64_t mixed = (state_ += 0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return static_cast<unsigned>((mixed ^ (mixed >> 31)) >> 33);
  }

  uint64_t state_ = 0;
  unsigned stay_ = 1;
};

/// Every schedule in turn, depth first: each choice of a thread, of the value that a load returns, and of a death, is
/// made in every way, with up to search.bound preemptions. A preemption is a switch away from a thread that could go
/// on; a switch away from one that has ended, or sleeps, is free.
template <rl::thread_id_t kThreads>
class DepthFirst : public rl::scheduler<DepthFirst<kThreads>, rl::scheduler_thread_info, kThreads> {
  using Base = rl::scheduler<DepthFirst<kThreads>, rl::scheduler_thread_info, kThreads>;

 public:
  using typename Base::shared_context_t;
  struct task_t {};
  DepthFirst(rl::test_params& params, shared_context_t& context, rl::thread_id_t dynamic)
      : Base(params, context, dynamic) {}

  rl::thread_id_t iteration_begin_impl() {
    search.begin();
    left_ = search.bound;
    return any_running();
  }
  bool iteration_end_impl() { return !search.advance() || this->iter_ == this->params_.iteration_count; }
  rl::thread_id_t schedule_impl(rl::unpark_reason& reason, unsigned) {
    reason = rl::unpark_reason_normal;
    const rl::thread_id_t self = this->thread_->index_;
    if (this->thread_->state_ != rl::thread_state_running) return any_running();
    if (this->running_threads_count == 1) return self;
    if (left_ == 0) {
      search.cut = true;
      return self;
    }
    unsigned other = search.choose(static_cast<unsigned>(this->running_threads_count));
    if (other == 0) return self;
    --left_;
    for (rl::thread_id_t index = 0;; ++index) {
      const rl::thread_id_t thread = this->running_threads[index];
      if (thread != self && --other == 0) return thread;
    }
  }
  /// A load asks once for each older value that it may return, 0 meaning that it does not go further back. When freed
  /// memory is used again is no choice: there is none among what the queue shares.
  unsigned rand_impl(unsigned limit, rl::sched_type type) {
    return type == rl::sched_type_mem_realloc ? limit - 1 : search.choose(limit);
  }
  rl::iteration_t iteration_count_impl() { return this->params_.iteration_count; }
  void get_state_impl(std::ostream&) {}
  void set_state_impl(std::istream&) {}
  void on_thread_block(rl::thread_id_t, bool) {}
  void thread_finished_impl() {}
  void purge_blocked_threads() {}

 private:
  rl::thread_id_t any_running() {
    return this->running_threads[search.choose(static_cast<unsigned>(this->running_threads_count))];
  }

  unsigned left_ = 0;  // preemptions
};

}  // namespace model
