// An item whose content does not matter, put and taken.
#pragma once

#include "core/handle/queue.h"

namespace sage {

inline bool put(Queue& queue) {
  const Piece piece{reinterpret_cast<const uint8_t*>("x"), 1, 0};
  uint32_t accepted = 0;
  return queue.put(&piece, 1, &accepted) == Outcome::kOk;
}

inline bool take(Queue& queue) {
  Item item;
  uint32_t taken = 0;
  if (queue.take(1, &item, &taken) != Outcome::kOk) return false;
  queue.ack(&item, 1);
  return true;
}

}  // namespace sage
