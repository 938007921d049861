// What a handle has taken together and not acked yet. An empty hand holds nothing; there is no other state.
#pragma once

#include "core/handle/queue.h"

namespace sage {

class Hand {
 public:
  bool empty() const { return next_ == count_; }
  uint32_t left() const { return count_ - next_; }
  /// The items left, the first to be acked first.
  const Item* items() const { return items_ + next_; }
  const Item& first() const { return items_[next_]; }

  /// Takes up to `max` items into the empty hand.
  Outcome take(Queue& queue, uint32_t max, uint64_t max_bytes = ~uint64_t{0}) {
    next_ = count_ = 0;
    uint32_t taken = 0;
    const Outcome outcome = queue.take(max, items_, &taken, max_bytes);
    if (outcome == Outcome::kOk) count_ = taken;
    return outcome;
  }
  /// Acks what is left, and takes up to `max` others where there are any now.
  Outcome take_next(Queue& queue, uint32_t max) {
    ack_all(queue);
    if (max == 0) return Outcome::kEmpty;
    return take(queue, max);
  }
  /// One item that was taken already.
  void hold(const Item& item) {
    items_[0] = item;
    next_ = 0;
    count_ = 1;
  }
  void ack_first(Queue& queue) {
    if (empty()) return;
    queue.ack_first(items(), left());
    ++next_;
  }
  void ack_all(Queue& queue) {
    if (!empty()) queue.ack(items(), left());
    next_ = count_;
  }
  void requeue_all(Queue& queue, uint32_t deliveries) {
    if (!empty()) queue.requeue(items(), left(), deliveries);
    next_ = count_;
  }

 private:
  Item items_[kMaxBatch];
  uint32_t count_ = 0;
  uint32_t next_ = 0;
};

}  // namespace sage
