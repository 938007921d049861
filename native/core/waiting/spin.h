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
template <class Memory, class Clock = SpinClock>
class Gathering {
 public:
  /// Before a take of several: where the one before was close behind the producer, a moment has passed since.
  void let_gather() {
    if (!due_) return;
    due_ = false;
    const auto end = close_since_ + kGathering;
    waited_ = Clock::now() < end;
    while (Clock::now() < end) pause_briefly<Memory>();
  }

  /// A take brought `taken` items of at most `max`; `left()` says how many are left, or about to come.
  template <class Left>
  void took(uint32_t taken, uint32_t max, Left left) {
    since_look_ += taken;
    if (taken == max && since_look_ < kLook && !waited_) return;
    since_look_ = 0;
    const bool close = taken + left() <= kFew;
    if (waited_ && !close) trial_.paid();
    if (waited_ && close) trial_.in_vain();
    waited_ = false;
    due_ = close && trial_.worth();
    if (due_) close_since_ = Clock::now();
  }
  /// A take found nothing: what comes later did not come in that moment.
  void took_nothing() {
    if (waited_) trial_.in_vain();
    waited_ = false;
  }

 private:
  static constexpr uint32_t kFew = 16;    // so close behind, the two are in each other's way
  static constexpr uint32_t kLook = 256;  // takes of so many that all brought what they asked for go by unasked

  uint32_t since_look_ = 0;  // items taken
  bool due_ = false;
  bool waited_ = false;
  typename Clock::time_point close_since_;
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
