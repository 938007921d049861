// Looking again for a moment before sleeping: what answers at once is met awake, without the system calls that sleeping
// costs both sides. Wasted on whoever has long to wait, so that it is soon given up, and harmful in a stream, where the
// consumer that sleeps meanwhile lets items gather, and one that keeps looking takes every word from the producer's
// core.
#pragma once

#include <chrono>

#include "core/algorithm/memory.h"

namespace sage {

class Spin {
 public:
  /// Repeats `attempt`, which says whether it is done, for 50 µs at most: longer than it takes to wake the other side.
  /// `received`: how many items there were in all; more than one since the last wait are a stream.
  template <class Attempt>
  void look_again(uint64_t received, Attempt attempt) {
    const bool stream = received - received_ > 1;
    received_ = received;
    if (stream || (misses_ >= kMisses && ++waits_ % kSeldom != 0)) return;
    const auto end = Clock::now() + std::chrono::microseconds(50);
    do {
      for (int pauses = 0; pauses < kPauses; ++pauses) StdMemory::pause();
      if (attempt()) {
        misses_ = 0;
        return;
      }
    } while (Clock::now() < end);
    if (misses_ < kMisses) ++misses_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int kPauses = 8;        // between two looks, a fraction of a microsecond
  static constexpr uint32_t kMisses = 4;   // so many in a row, and waiting is taken for long
  static constexpr uint32_t kSeldom = 32;  // from then on only every so many-th wait tries

  uint64_t received_ = 0;
  uint32_t misses_ = 0;
  uint32_t waits_ = 0;
};

}  // namespace sage
