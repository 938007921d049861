// The atomics that the queue algorithm is built from, behind a policy, so that the very template that ships can also
// run under a model checker. Every atomic operation whose order matters has a Site: its name in docs/sage-queue.md,
// and the handle by which the model-checking tests weaken one order at a time.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/failpoint.h"

// What is seldom called stays out of the functions that every put and get goes through.
#define SAGE_COLD __attribute__((noinline))

namespace sage {

enum class Site : int {
  kTailLoad,         // claim: acquire, pairs with kTailClaim of the previous claimant
  kTailClaim,        // claim: release, publishes the intent and the owner tag of the previous claim
  kIntentStore,      // claim: release, publishes the records of the claimant's earlier claim
  kIntentLoad,       // claim_end: acquire, pairs with kIntentStore
  kCommit,           // commit of all but the last step: release, publishes payload and record
  kCommitLast,       // commit, last step: sequentially consistent, ordered before the look for waiters
  kSlotLoad,         // take: acquire, pairs with kCommit
  kHeadLoad,         // take: acquire, pairs with kHeadTake
  kHeadTake,         // take: release, publishes the owner tag of the previous take
  kReleaseLast,      // release, last step: sequentially consistent, ordered before the look for waiters
  kReclaimSlotLoad,  // reclaim: acquire, pairs with kRelease
  kReclaimLoad,      // reclaim: acquire, pairs with kReclaimAdvance
  kReclaimAdvance,   // reclaim: release, hands the releases seen on to other producers
  kRequeue,          // requeue or recovery: release, pairs with the claim of whoever takes it again
  kLeaseFill,        // lease: release, the end of the entry's last life lies before its new fields
  kLeaseFieldLoad,   // free space and recovery: acquire, pairs with kLeaseFill
  kLeaseLoad,        // reclaim, take of a requeued item, recovery: acquire, pairs with kLeasePublish
  kLeaseFree,        // ack: release, the payload is no longer read
  kHintBump,         // requeued hint: ordered after kRequeue
  kHintLoad,         // requeued hint: read before the search
  kDrainedFence,     // drained: the own release before the look at the others'
  kDropFence,        // immediate shutdown: the mark before the look at what there is
  kDropLoad,         // publication: the items before the look whether they come too late
  kMarkBump,         // waiting: publishes the bell
  kBellFence,        // waiting: the fence between the bell and the last look
  kMarkLoad,         // wake: read after the publication
  kFollowUpFence,    // follow-up: from here on nobody relies on it, before the look at what there is
  kFollowUpLoad,     // publication: before the look whether a follow-up is due
  kJoinFence,        // newcomer: the join before the look at who sleeps
  kCount
};

/// The memory that ships: std::atomic, and the order each site asks for.
struct StdMemory {
  template <class T>
  using Atomic = std::atomic<T>;
  static constexpr std::memory_order order(Site, std::memory_order asked) { return asked; }
  static void fence(Site) { std::atomic_thread_fence(std::memory_order_seq_cst); }
  /// Between a copy and the look whether it was worth anything.
  static void copy_fence() { std::atomic_thread_fence(std::memory_order_acquire); }
  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
  static void point(Point name) { failpoint(name); }
  static constexpr uint32_t kPatience = 100'000'000;  // looks at words that never agree: the segment is corrupt
};

}  // namespace sage
