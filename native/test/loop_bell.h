// An event loop's doorbell, and what is heard of it.
#pragma once

#include <poll.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "check.h"
#include "core/handle/queue.h"
#include "here.h"

namespace sage {

using Tags = std::vector<uint32_t>;

struct LoopBell {
  std::unique_ptr<Doorbell> bell = Doorbell::make(Segment::directory(), {0600, getegid()});
  ~LoopBell() { close(bell->read_end()); }
  bool hang_up(Queue& queue, uint32_t tag = 1) const { return queue.set_bell(*bell, tag); }
  /// Whether it rings within so long.
  bool rings(int milliseconds) const {
    pollfd asked{bell->read_end(), POLLIN, 0};
    return poll(&asked, 1, milliseconds) == 1;
  }
  /// The tags that were rung.
  Tags heard() const {
    Tags tags;
    uint32_t tag = 0;
    while (rings(0) && read(bell->read_end(), &tag, sizeof tag) == sizeof tag) tags.push_back(tag);
    return tags;
  }
};

/// An event loop that waits for items, and has found none.
inline void sleep_in(Queue& queue) {
  Step step = queue.begin_waiting(kGetters);
  while (step == Step::kTry) step = queue.tried(kGetters, false);
  CHECK(step == Step::kSleep && queue.bell(kGetters) == Bell::kInLoop);
}

}  // namespace sage
