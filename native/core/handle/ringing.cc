// How a handle rings others, makes itself known to them, and is rung.
#include <fcntl.h>
#include <unistd.h>

#include "core/handle/queue.h"
#include "core/os/futex.h"
#include "core/os/nudges.h"

namespace sage {

Queue::Bells::~Bells() {
  if (own >= 0) ::close(own);
}

/// False: it is still to be rung, because this process has no descriptor left to do it with.
bool Queue::ring(uint32_t index, Direction direction, uint32_t kind) {
  Participant<StdMemory>& entry = shared().participants[index];
  if (kind != Bell::kInLoop) futex_wake(entry.bell[direction]);
  if (kind == Bell::kOnFutex) return true;
  if (entry.bell_tag.load(std::memory_order_relaxed) == 0) return true;  // no event loop ever waited there
  switch (ringer_->ring(index, entry)) {
    case Ring::kSent:
      return true;
    case Ring::kUnheard:
      return nudge(segment_->descriptor());
    case Ring::kLater:
      break;
  }
  return false;
}

/// Later, where not all can be rung now.
void Queue::announce() {
  if (!path_.waking().announce()) Watcher::instance().schedule(this, kAnnouncement);
}

bool Queue::set_bell(const Doorbell& bell, uint32_t tag) {
  current();
  bool whole = false;
  {
    const std::lock_guard<std::mutex> lock(bells_->mutex);
    if (bells_->own >= 0) ::close(bells_->own);
    bells_->own = fcntl(bell.write_end(), F_DUPFD_CLOEXEC, 0);
    bells_->tag = tag;
    whole = bells_->own >= 0;
  }
  Participant<StdMemory>& entry = self();
  entry.uid.store(geteuid(), std::memory_order_relaxed);  // the doorbell's, should that have changed since
  entry.bell_id.store(bell.id(), std::memory_order_relaxed);
  entry.bell_tag.store(tag, std::memory_order_relaxed);
  entry.bell_inode.store(bell.inode(), std::memory_order_release);
  return whole;
}

void Queue::nudged(bool told) {
  for (const Direction direction : kDirections) {
    const uint32_t kind = self().bell[direction].load();
    const bool up = kind == Bell::kOnFutex || kind == Bell::kInLoop;
    if (kind == Bell::kAwake || (up && !told)) continue;
    if (kind != Bell::kInLoop) futex_wake(self().bell[direction]);
    const std::lock_guard<std::mutex> lock(bells_->mutex);
    if (bells_->own >= 0) (void)!::write(bells_->own, &bells_->tag, sizeof bells_->tag);
  }
}

}  // namespace sage
