// Questions, the end of a queue, and event loops.
#include <cstring>

#include "c_api/handle.h"
#include "core/os/process.h"

using sage::Queue;
using sage_c::guarded;

namespace {

sq_step step_of(sage::Step step) {
  return step == sage::Step::kTry ? SQ_TRY : step == sage::Step::kSleep ? SQ_SLEEP : SQ_DONE;
}

/// Rings reach the handle at one bell: that of this waiter from here on. It is asked for again where not all do, for
/// want of descriptors.
void take_bell(const sq_waiter& waiter, Queue& queue) {
  sq_queue& handle = *waiter.handle;
  if (handle.bell == waiter.bell && handle.tag == waiter.tag && handle.all_ring) return;
  handle.all_ring = queue.set_bell(*waiter.bell->doorbell, waiter.tag);
  handle.bell = waiter.bell;
  handle.tag = waiter.tag;
}

/// Who waits on the other sides may have been rung at this one's bell, and be of another loop.
void pass_rings_on(const sq_waiter& from, Queue& queue) {
  for (const sage::Direction side : sage::kDirections) {
    const sage_c::Line& line = from.handle->lines[side];
    if (side == from.side || line.waiters.empty()) continue;
    const sq_waiter* const other = line.waiters.front()->loop;
    const uint32_t bell = queue.bell(side);
    if (other == nullptr || !other->begun || (bell != sage::Bell::kRung && bell != sage::Bell::kRungWithAll)) continue;
    other->bell->ring(other->tag);
  }
}

/// It leaves, and with it the bell that others may be rung at.
void leave_bell(const sq_waiter& waiter, Queue& queue) {
  sq_queue& handle = *waiter.handle;
  if (handle.bell != waiter.bell || handle.tag != waiter.tag) return;
  handle.bell = nullptr;
  for (const sage::Direction side : sage::kDirections) {
    const sage_c::Line& line = handle.lines[side];
    const sq_waiter* const other = line.waiters.empty() ? nullptr : line.waiters.front()->loop;
    if (other != nullptr && other != &waiter && other->begun) take_bell(*other, queue);
  }
  pass_rings_on(waiter, queue);
}

/// It begins, or its tag came.
sage::Step go_on(sq_waiter* waiter, Queue& queue) {
  take_bell(*waiter, queue);
  pass_rings_on(*waiter, queue);
  waiter->rung = waiter->begun;
  waiter->begun = true;
  return waiter->rung ? queue.rung(waiter->side) : queue.begin_waiting(waiter->side);
}

/// A try is over.
sage::Step tried(sq_waiter* waiter, Queue& queue, bool done) {
  sage_c::Line& line = waiter->handle->lines[waiter->side];
  if (done || !waiter->rung || line.waiters.size() == 1) return queue.tried(waiter->side, done);
  queue.stop_waiting(waiter->side);
  waiter->begun = waiter->rung = false;
  line.rotate();
  return sage::Step::kSleep;
}

}  // namespace

extern "C" {

sq_status sq_size(sq_queue* handle, uint64_t* size) {
  if (size == nullptr) return SQ_INVALID;
  return guarded(handle, [&](Queue& queue) {
    queue.refresh();
    *size = queue.size();
    return SQ_OK;
  });
}

sq_status sq_full(sq_queue* handle, int* full) {
  if (full == nullptr) return SQ_INVALID;
  return guarded(handle, [&](Queue& queue) {
    queue.refresh();
    *full = queue.full() ? 1 : 0;
    return SQ_OK;
  });
}

sq_status sq_is_shut_down(sq_queue* handle, int* shut_down) {
  if (shut_down == nullptr) return SQ_INVALID;
  return guarded(handle, [&](Queue& queue) {
    *shut_down = queue.is_shut() ? 1 : 0;
    return SQ_OK;
  });
}

sq_status sq_stats(sq_queue* handle, sq_totals* totals) {
  if (totals == nullptr) return SQ_INVALID;
  return guarded(handle, [&](Queue& queue) {
    queue.refresh();
    const sage::QueueTotals found = queue.totals();
    sq_totals all{};
    all.struct_size = sizeof all;
    all.size = found.size;
    all.put_total = found.put_total;
    all.get_total = found.get_total;
    all.put_bytes_total = found.put_bytes;
    all.used_bytes = found.used_bytes;
    all.leased = found.leased;
    all.redelivered = found.redelivered;
    all.recovered = found.recovered;
    all.waiting_getters = found.waiting_getters;
    all.waiting_putters = found.waiting_putters;
    all.waiting_joiners = found.waiting_joiners;
    all.shut_down = found.shut_down ? 1 : 0;
    const size_t size = std::min(totals->struct_size, sizeof all);
    all.struct_size = size;
    std::memcpy(totals, &all, size);
    return SQ_OK;
  });
}

sq_status sq_peers(sq_queue* handle, sq_peer* peers, size_t capacity, size_t* count) {
  if (count == nullptr || (peers == nullptr && capacity > 0)) return SQ_INVALID;
  return guarded(handle, [&](Queue& queue) {
    const std::vector<sage::Attached> list = queue.attached();
    *count = list.size();
    for (size_t index = 0; index < std::min(capacity, list.size()); ++index) {
      peers[index] = {list[index].pid, list[index].alive ? 1 : 0, list[index].foreign ? 1 : 0};
    }
    return SQ_OK;
  });
}

sq_status sq_schema(sq_queue* handle, uint32_t id, const char** text, size_t* bytes) {
  if (text == nullptr || bytes == nullptr || id == 0) return SQ_INVALID;
  return guarded(handle, [&](Queue& queue) {
    thread_local std::string found;
    const std::vector<std::string> all = queue.segment().schemas().list();
    if (id > all.size()) return SQ_EMPTY;
    found = all[id - 1];
    *text = found.data();
    *bytes = found.size();
    return SQ_OK;
  });
}

sq_status sq_add_schema(sq_queue* handle, const char* text, size_t bytes, uint32_t* id) {
  if (text == nullptr || id == nullptr) return SQ_INVALID;
  return guarded(handle, [&](Queue& queue) {
    *id = queue.segment().schemas().add(std::string(text, bytes));
    return *id == 0 ? SQ_FULL : SQ_OK;
  });
}

sq_status sq_produce(sq_queue* handle, uint32_t expected) {
  if (expected == 0) return SQ_INVALID;
  return guarded(handle, [&](Queue& queue) { return queue.produce(expected) ? SQ_OK : SQ_SHUT_DOWN; });
}

sq_status sq_abandon(sq_queue* handle) {
  return guarded(handle, [&](Queue& queue) {
    queue.abandon_producers();
    return SQ_OK;
  });
}

sq_status sq_join(sq_queue* handle, uint32_t wait_ms) {
  const sq_status status =
      sage_c::waiting(handle, sage::kJoiners, wait_ms, [](Queue& queue) { return queue.joined() ? SQ_OK : SQ_EMPTY; });
  return status == SQ_EMPTY ? SQ_TIMEOUT : status;
}

sq_status sq_shutdown(sq_queue* handle, int immediate) {
  return guarded(handle, [&](Queue& queue) {
    queue.shut_down(immediate != 0);
    return SQ_OK;
  });
}

sq_status sq_unlink(sq_queue* handle) {
  return guarded(handle, [](Queue& queue) {
    queue.unlink();
    return SQ_OK;
  });
}

// ── event loops ────────────────────────────────────────────────────────────

sq_status sq_bell_open(uint32_t permissions, uint32_t group, sq_bell** bell) {
  if (bell == nullptr) return SQ_INVALID;
  *bell = nullptr;
  try {
    const auto held = sage_c::Handles::hold();
    auto made = std::make_unique<sq_bell>();
    made->doorbell = sage::Doorbell::make(sage::Segment::directory(), {permissions, group});
    *bell = made.release();
    return SQ_OK;
  } catch (const std::exception& failure) {
    return sage_c::failed(failure);
  }
}

int sq_bell_fd(const sq_bell* bell) { return bell == nullptr ? -1 : bell->doorbell->read_end(); }

void sq_bell_close(sq_bell* bell) { delete bell; }

sq_status sq_wait_begin(sq_queue* handle, sq_side side, sq_bell* bell, uint32_t tag, sq_waiter** waiter) {
  if (waiter == nullptr || bell == nullptr || tag == 0 || side < SQ_GETTERS || side > SQ_JOINERS) return SQ_INVALID;
  *waiter = nullptr;
  return guarded(handle, [&](Queue&) {
    auto made = std::make_unique<sq_waiter>();
    made->handle = handle;
    made->side = sage::kDirections[side];
    made->bell = bell;
    made->tag = tag;
    made->place.loop = made.get();
    made->forks = sage::fork_generation();
    handle->lines[made->side].waiters.push_back(&made->place);
    *waiter = made.release();
    return SQ_OK;
  });
}

sq_status sq_wait_next(sq_waiter* waiter, sq_step* step, int* polls) {
  if (waiter == nullptr || step == nullptr || polls == nullptr) return SQ_INVALID;
  *polls = 0;
  return guarded(waiter->handle, [&](Queue& queue) {
    sage_c::Line& line = waiter->handle->lines[waiter->side];
    if (waiter->forks != sage::fork_generation()) {  // it stands in the parent's line
      *step = SQ_DONE;
      return SQ_OK;
    }
    if (!line.is_first(waiter->place)) {
      *step = *step == SQ_DONE ? SQ_DONE : SQ_SLEEP;
      return SQ_OK;
    }
    *step = step_of(*step == SQ_TRY ? go_on(waiter, queue) : tried(waiter, queue, *step == SQ_DONE));
    *polls = queue.must_poll() || !waiter->handle->all_ring ? 1 : 0;
    return SQ_OK;
  });
}

void sq_wait_end(sq_waiter* waiter) {
  if (waiter == nullptr) return;
  sq_queue& handle = *waiter->handle;
  try {
    const std::lock_guard<sage_c::Lock> locked(handle.lock);
    if (waiter->forks == sage::fork_generation()) {
      sage_c::Line& line = handle.lines[waiter->side];
      if (waiter->begun && handle.queue != nullptr && line.is_first(waiter->place)) {
        handle.queue->stop_waiting(waiter->side);
      }
      line.leave(waiter->place);
      if (handle.queue != nullptr) leave_bell(*waiter, *handle.queue);
    }
  } catch (const std::exception& failure) {
    sage_c::failed(failure);
  }
  delete waiter;
}

}  // extern "C"
