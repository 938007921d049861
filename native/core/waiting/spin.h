// Waiting awake. Looking again for a moment before sleeping: what answers at once is met awake, without the system
// calls that sleeping costs both sides. Wasted on whoever has long to wait, so that it is soon given up, and harmful in
// a stream, where the consumer that sleeps meanwhile lets items gather, and one that keeps looking takes every word
// from the producer's core.
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

using SpinClock = std::chrono::steady_clock;
constexpr auto kGathering = std::chrono::microseconds(10);

/// A fraction of a microsecond, in which nothing shared is looked at.
template <class Memory>
void pause_briefly() {
  for (int pauses = 0; pauses < 8; ++pauses) Memory::pause();
}

/// Has a consumer that keeps pace with a fast producer fall behind. Where it takes each item as soon as it is there,
/// both sides wait for each other's core at every word, and at words that the core fetched ahead; some tens of items
/// behind it reads what was written long ago, many in one go. So it does not look at what there is meanwhile, either.
/// Given up where items come too slowly for that.
template <class Memory>
class Gathering {
 public:
  /// Before a take of up to `max` items right after another one, with nothing in hand: waits for a moment where that
  /// one left nothing behind.
  void let_gather(uint32_t max) {
    waited_ = keeps_pace_ && max > 1 && trial_.worth();
    if (!waited_) return;
    const auto end = SpinClock::now() + kGathering;
    do pause_briefly<Memory>();
    while (SpinClock::now() < end);
  }
  /// That take brought `taken` items.
  void took(uint32_t taken, uint32_t max) {
    keeps_pace_ = taken > 0 && taken <= kFew && taken < max;
    if (!waited_) return;
    if (taken > kFew) {
      trial_.paid();
    } else {
      trial_.in_vain();
    }
  }

 private:
  static constexpr uint32_t kFew = 16;  // so close behind, the two are in each other's way

  bool keeps_pace_ = false;
  bool waited_ = false;
  Trial trial_;  // in vain: few came meanwhile
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
    const auto end = SpinClock::now() + std::chrono::microseconds(50);
    do {
      pause_briefly<StdMemory>();
      if (attempt()) return trial_.paid();
    } while (SpinClock::now() < end);
    trial_.in_vain();
  }

 private:
  uint64_t received_ = 0;
  Trial trial_;  // looked in vain: waiting is taken for long
};

}  // namespace sage
