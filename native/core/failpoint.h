// Named points at which tests kill or stop a process. In a build without SAGE_FAILPOINTS they are nothing at all.
#pragma once

namespace sage {

enum class Point : int {
  kNone,
  kClaimIntent,     // intent announced, tail not yet claimed
  kClaimWon,        // tail claimed, records not yet written
  kClaimTagged,     // previous claim tagged, tail not yet claimed
  kCommitHalf,      // one item of a batch committed
  kCommitBefore,    // payload written, nothing committed
  kCommitAfter,     // committed, waiters not yet looked for
  kTakeTagged,      // previous take tagged, head not yet taken
  kTakeWon,         // head taken, payload not yet copied
  kReleaseBefore,   // payload copied, nothing released
  kReleaseHalf,     // some slots of the batch released
  kReleaseAfter,    // all released, waiters not yet looked for
  kLeaseFilling,    // lease entry taken, not yet published
  kLeasePublished,  // lease published, its slot not yet released
  kLeaseAckBefore,  // lease about to be acked
  kRequeueHalf,     // one item requeued, the hint not yet raised
  kRetakeWon,       // a requeued item taken again
  kRecoverMarked,   // a dead participant marked, nothing recovered
  kRecoverLeases,   // its leases recovered
  kRecoverClaims,   // its claims recovered
  kRecoverTakes,    // its takes recovered
  kRecoverDone,     // its entry about to be freed
  kShutHalf,        // no more claims, gets not yet told
  kProducerCome,    // a producer has come, its handle not yet told
  kProducerGone,    // a producer has gone, the end not yet looked for
  kRingChosen,      // a waiter chosen, not yet rung
  kRingOwed,        // its bell says rung, but it was not rung
  kBellUp,          // a bell is up, about to sleep
  kCreateFilled,    // segment filled, not yet linked
  kCreateLinked,    // segment linked, not yet joined
  kOpenRead,        // the cursors read, not yet compared with each other
  kJoinSeen,        // a free entry seen, its life lock not yet taken
  kJoinLocked,      // life lock of a free entry taken, entry not yet
  kJoinEntry,       // participant entry taken, epoch not yet raised
  kLeaveEntry,      // participant entry freed, removal not yet considered
  kRetireMarked,    // segment retired, name not yet unlinked
  kCount
};

#if defined(SAGE_FAILPOINTS)
/// The status of a process that had to end itself in place of a SIGKILL.
constexpr int kKilledItself = 137;
/// What to do at a point: 'K' SIGKILL, 'S' SIGSTOP; armed by failpoint_arm in the process that shall suffer it.
void failpoint_arm(Point point, int skip, char action);
void failpoint_reached(Point point);
Point failpoint_named(const char* name);
const char* failpoint_name(Point point);
inline void failpoint(Point point) { failpoint_reached(point); }
#else
inline void failpoint(Point) {}
#endif

}  // namespace sage
