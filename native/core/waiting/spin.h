// Looking again for a moment before sleeping: what answers at once is met awake, without the system calls that sleeping
// costs both sides. Wasted on whoever has long to wait, so that it is soon given up, and harmful in a stream, where the
// consumer that sleeps meanwhile lets items gather, and one that keeps looking takes every word from the producer's
// core.
#pragma once

#include <chrono>

#include "core/algorithm/memory.h"

namespace sage {

/// Whether to try what pays only now and then: after four times in a row in vain only every 32nd time.
class Trial {
 public:
  bool worth() { return in_vain_ < kInVain || ++times_ % kSeldom == 0; }
  void paid() { in_vain_ = 0; }
  void in_vain() { in_vain_ += in_vain_ < kInVain; }

 private:
  static constexpr uint32_t kInVain = 4;
  static constexpr uint32_t kSeldom = 32;

  uint32_t in_vain_ = 0;
  uint32_t times_ = 0;
};

class Spin {
 public:
  /// Repeats `attempt`, which says whether it is done, for 50 µs at most: longer than it takes to wake the other side.
  /// `received`: how many items there were in all; more than one since the last wait are a stream.
  template <class Attempt>
  void look_again(uint64_t received, Attempt attempt) {
    const bool stream = received - received_ > 1;
    received_ = received;
    if (stream || !trial_.worth()) return;
    const auto end = Clock::now() + std::chrono::microseconds(50);
    do {
      for (int pauses = 0; pauses < kPauses; ++pauses) StdMemory::pause();
      if (attempt()) return trial_.paid();
    } while (Clock::now() < end);
    trial_.in_vain();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int kPauses = 8;  // between two looks, a fraction of a microsecond

  uint64_t received_ = 0;
  Trial trial_;  // looked in vain: waiting is taken for long
};

}  // namespace sage
