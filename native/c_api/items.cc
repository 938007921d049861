// Putting, getting and leasing.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "c_api/handle.h"
#include "core/os/process.h"

using sage::Item;
using sage::Queue;
using sage_c::guarded;
using sage_c::status_of;
using sage_c::waiting;

namespace {

void show(const Queue& queue, const Item& item, sq_item* view) {
  view->data = queue.data(item);
  view->bytes = item.length;
  view->codec = item.codec;
  view->deliveries = item.deliveries + 1;
  view->crashes = item.crashes;
  view->reserved[0] = item.number;
  view->reserved[1] = uint64_t{item.position} << 32 | static_cast<uint32_t>(item.lease);
  view->reserved[2] = sage::fork_generation();
}

Item hidden(const sq_item& view) {
  Item item{};
  item.number = view.reserved[0];
  item.position = static_cast<uint32_t>(view.reserved[1] >> 32);
  item.length = view.bytes;
  item.codec = view.codec;
  item.deliveries = view.deliveries - 1;
  item.lease = static_cast<int32_t>(view.reserved[1] & 0xffffffff);
  item.crashes = view.crashes;
  return item;
}

/// What was shown before a fork is the parent's, and to be ended there.
bool are_own(const sq_item* views, uint32_t count) {
  if (views == nullptr) return count == 0;
  const uint64_t forks = sage::fork_generation();
  return std::all_of(views, views + count, [&](const sq_item& view) { return view.reserved[2] == forks; });
}

bool too_large(const Queue& queue, uint64_t bytes) { return bytes > queue.segment().header().capacity_bytes; }

/// memcpy takes no null pointer, however few bytes it copies.
const uint8_t* bytes_at(const void* data) {
  static const uint8_t nothing = 0;
  return data == nullptr ? &nothing : static_cast<const uint8_t*>(data);
}

/// A codec is one byte, and 0 is none.
bool is_codec(uint32_t codec) { return codec > 0 && codec < 256; }

/// The same piece in the words of the core: laid out alike, so that a list of them is copied as it is.
static_assert(sizeof(sq_piece) == sizeof(sage::Piece));
static_assert(offsetof(sq_piece, data) == offsetof(sage::Piece, data));
static_assert(offsetof(sq_piece, bytes) == offsetof(sage::Piece, length));
static_assert(offsetof(sq_piece, codec) == offsetof(sage::Piece, codec));

/// False: one of them is no item. `largest` is how many bytes the longest one has.
bool read_pieces(const sq_piece* pieces, uint32_t count, sage::Piece* list, uint32_t* largest) {
  bool null = false;
  *largest = 0;
  for (uint32_t index = 0; index < count; ++index) {
    const sq_piece& piece = pieces[index];
    if (!is_codec(piece.codec)) return false;
    if (piece.data == nullptr) {
      if (piece.bytes > 0) return false;
      null = true;
    }
    *largest = std::max(*largest, piece.bytes);
  }
  std::memcpy(list, pieces, count * sizeof *list);
  for (uint32_t index = 0; null && index < count; ++index) list[index].data = bytes_at(pieces[index].data);
  return true;
}

/// How many of the first ones could ever go in.
uint32_t possible(const Queue& queue, const sage::Piece* list, uint32_t count, uint32_t largest) {
  if (!too_large(queue, largest)) return count;
  uint32_t fits = 0;
  while (!too_large(queue, list[fits].length)) ++fits;
  return fits;
}

/// Takes or leases into `items`, and shows what it was. On lease and impossible is damage: refused before anybody reads
/// it.
template <class Take>
sq_status take_items(Queue& queue, uint64_t max_bytes, Item* items, sq_item* views, uint32_t* count, Take take) {
  const sq_status status = status_of(take(count, max_bytes == 0 ? ~uint64_t{0} : max_bytes));
  if (status != SQ_OK) return status;
  for (const Item* item = items; item != items + *count; ++item) show(queue, *item, views++);
  return SQ_OK;
}

template <class End>
sq_status end_leases(sq_queue* handle, const sq_item* views, uint32_t count, End end) {
  if (!are_own(views, count)) return SQ_INVALID;
  return guarded(handle, [&](Queue& queue) {
    Item items[sage::kMaxBatch];
    for (uint32_t from = 0; from < count; from += sage::kMaxBatch) {
      const uint32_t some = std::min(count - from, sage::kMaxBatch);
      for (uint32_t index = 0; index < some; ++index) items[index] = hidden(views[from + index]);
      end(queue, items, some);
    }
    return SQ_OK;
  });
}

}  // namespace

extern "C" {

sq_status sq_put(sq_queue* handle, const void* data, size_t bytes, uint32_t codec, uint32_t wait_ms) {
  if ((data == nullptr && bytes > 0) || !is_codec(codec)) return SQ_INVALID;
  return waiting(handle, sage::kPutters, wait_ms, [&](Queue& queue) {
    if (too_large(queue, bytes)) return SQ_ITEM_TOO_LARGE;
    const sage::Piece piece{bytes_at(data), static_cast<uint32_t>(bytes), codec};
    uint32_t accepted = 0;
    return status_of(queue.put(&piece, 1, &accepted));
  });
}

sq_status sq_put_many(sq_queue* handle, const sq_piece* pieces, uint32_t count, uint32_t* accepted, uint32_t wait_ms) {
  if (accepted == nullptr || (pieces == nullptr && count > 0)) return SQ_INVALID;
  *accepted = 0;
  if (count == 0) return SQ_OK;
  count = std::min(count, sage::kMaxBatch);
  sage::Piece list[sage::kMaxBatch];
  uint32_t largest = 0;
  if (!read_pieces(pieces, count, list, &largest)) return SQ_INVALID;
  return waiting(handle, sage::kPutters, wait_ms, [&](Queue& queue) {
    const uint32_t fits = possible(queue, list, count, largest);
    if (fits == 0) return SQ_ITEM_TOO_LARGE;
    return status_of(queue.put(list, fits, accepted));
  });
}

sq_status sq_claim(sq_queue* handle, size_t bytes, uint32_t codec, sq_item* view, uint32_t wait_ms) {
  if (view == nullptr || !is_codec(codec)) return SQ_INVALID;
  return waiting(handle, sage::kPutters, wait_ms, [&](Queue& queue) {
    if (too_large(queue, bytes)) return SQ_ITEM_TOO_LARGE;
    Item item{};
    const sq_status status = status_of(queue.claim(static_cast<uint32_t>(bytes), codec, &item));
    if (status == SQ_OK) show(queue, item, view);
    return status;
  });
}

sq_status sq_commit(sq_queue* handle, const sq_item* view) {
  if (!are_own(view, 1)) return SQ_INVALID;
  return guarded(handle, [&](Queue& queue) {
    if (queue.drops()) {
      queue.abort(hidden(*view));
      return SQ_SHUT_DOWN;
    }
    queue.commit(hidden(*view));
    return SQ_OK;
  });
}

sq_status sq_abort(sq_queue* handle, const sq_item* view) {
  if (!are_own(view, 1)) return SQ_INVALID;
  return guarded(handle, [&](Queue& queue) {
    queue.abort(hidden(*view));
    return SQ_OK;
  });
}

sq_status sq_get(sq_queue* handle, void* buffer, size_t capacity, size_t* bytes, uint32_t* codec, uint32_t wait_ms) {
  if (bytes == nullptr || (buffer == nullptr && capacity > 0)) return SQ_INVALID;
  return waiting(handle, sage::kGetters, wait_ms, [&](Queue& queue) {
    Item item;
    uint32_t taken = 0;
    const sq_status status = status_of(queue.take(1, &item, &taken));
    if (status != SQ_OK) return status;
    const uint8_t* data = queue.data(item);
    *bytes = item.length;
    if (codec != nullptr) *codec = item.codec;
    if (item.length > capacity) {
      queue.requeue(&item, 1);
      return SQ_BUFFER_TOO_SMALL;
    }
    std::copy(data, data + item.length, static_cast<uint8_t*>(buffer));
    queue.ack(&item, 1);
    return SQ_OK;
  });
}

sq_status sq_take(sq_queue* handle, uint32_t max, uint64_t max_bytes, sq_item* views, uint32_t* taken,
                  uint32_t wait_ms) {
  if (views == nullptr || taken == nullptr || max == 0) return SQ_INVALID;
  *taken = 0;
  return waiting(handle, sage::kGetters, wait_ms, [&](Queue& queue) {
    sage_c::LastTake& last = handle->last_take;
    last.count = 0;
    const auto take = [&](uint32_t* count, uint64_t most) {
      return queue.take(std::min(max, sage::kMaxBatch), last.items, count, most);
    };
    const sq_status status = take_items(queue, max_bytes, last.items, views, taken, take);
    if (status == SQ_OK) last.count = *taken;
    return status;
  });
}

sq_status sq_finish(sq_queue* handle, const sq_item* views, uint32_t taken, uint32_t done) {
  if (views == nullptr || taken > sage::kMaxBatch || done > taken || !are_own(views, taken)) return SQ_INVALID;
  if (taken == 0) return SQ_OK;
  return guarded(handle, [&](Queue& queue) {
    Item given[sage::kMaxBatch];
    const Item* items = given;
    if (handle->last_take.is(views, taken)) {
      items = handle->last_take.items;
      handle->last_take.count = 0;
    } else {
      for (uint32_t index = 0; index < taken; ++index) given[index] = hidden(views[index]);
    }
    if (done == taken) {
      queue.ack(items, taken);
      return SQ_OK;
    }
    for (uint32_t index = 0; index < done; ++index) queue.ack_first(items + index, taken - index);
    queue.requeue(items + done, taken - done);
    return SQ_OK;
  });
}

sq_status sq_lease(sq_queue* handle, uint32_t max, uint64_t max_bytes, sq_item* views, uint32_t* leased,
                   uint32_t wait_ms) {
  if (views == nullptr || leased == nullptr || max == 0) return SQ_INVALID;
  *leased = 0;
  return waiting(handle, sage::kGetters, wait_ms, [&](Queue& queue) {
    Item items[sage::kMaxBatch];
    const auto lease = [&](uint32_t* count, uint64_t most) {
      return queue.lease(std::min(max, sage::kMaxBatch), items, count, most);
    };
    return take_items(queue, max_bytes, items, views, leased, lease);
  });
}

sq_status sq_ack(sq_queue* handle, const sq_item* views, uint32_t count) {
  return end_leases(handle, views, count,
                    [](Queue& queue, const Item* items, uint32_t some) { queue.ack(items, some); });
}

sq_status sq_release(sq_queue* handle, const sq_item* views, uint32_t count) {
  return end_leases(handle, views, count,
                    [](Queue& queue, const Item* items, uint32_t some) { queue.release_lease(items, some); });
}

sq_status sq_undo(sq_queue* handle, const sq_item* views, uint32_t count) {
  return end_leases(handle, views, count,
                    [](Queue& queue, const Item* items, uint32_t some) { queue.requeue(items, some, 0); });
}

sq_status sq_peek(sq_queue* handle, void* buffer, size_t capacity, size_t* bytes, uint32_t* codec) {
  if (bytes == nullptr || (buffer == nullptr && capacity > 0)) return SQ_INVALID;
  return guarded(handle, [&](Queue& queue) {
    std::vector<uint8_t> next;
    uint32_t kind = 0;
    if (!queue.peek(&next, &kind)) return SQ_EMPTY;
    *bytes = next.size();
    if (codec != nullptr) *codec = kind;
    if (next.size() > capacity) return SQ_BUFFER_TOO_SMALL;
    std::copy(next.begin(), next.end(), static_cast<uint8_t*>(buffer));
    return SQ_OK;
  });
}

}  // extern "C"
