// Putting, getting and leasing.
#include <algorithm>

#include "c_api/handle.h"

using sage::Item;
using sage::Queue;
using sage_c::guarded;
using sage_c::status_of;
using sage_c::waiting;

namespace {

sq_item shown(const Queue& queue, const Item& item) {
  sq_item view{};
  view.data = queue.data(item);
  view.bytes = item.length;
  view.codec = item.codec;
  view.deliveries = item.deliveries + 1;
  view.crashes = item.crashes;
  view.reserved[0] = item.number;
  view.reserved[1] = uint64_t{item.position} << 32 | static_cast<uint32_t>(item.lease);
  return view;
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

bool too_large(const Queue& queue, uint64_t bytes) { return bytes > queue.segment().header().capacity_bytes; }

/// memcpy takes no null pointer, however few bytes it copies.
const uint8_t* bytes_at(const void* data) {
  static const uint8_t nothing = 0;
  return data == nullptr ? &nothing : static_cast<const uint8_t*>(data);
}

/// A codec is one byte, and 0 is none.
bool is_codec(uint32_t codec) { return codec > 0 && codec < 256; }

/// Takes or leases, and shows what it was. On lease and impossible is damage: refused before anybody reads it.
template <class Take>
sq_status take_items(Queue& queue, uint64_t max_bytes, sq_item* views, uint32_t* count, Take take) {
  Item items[sage::kMaxBatch];
  const sq_status status = status_of(take(items, count, max_bytes == 0 ? ~uint64_t{0} : max_bytes));
  if (status != SQ_OK) return status;
  for (uint32_t index = 0; index < *count; ++index) views[index] = shown(queue, items[index]);
  return SQ_OK;
}

template <class End>
sq_status end_leases(sq_queue* handle, const sq_item* views, uint32_t count, End end) {
  if (count > 0 && views == nullptr) return SQ_INVALID;
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
  for (uint32_t index = 0; index < count; ++index) {
    if ((pieces[index].data == nullptr && pieces[index].bytes > 0) || !is_codec(pieces[index].codec)) return SQ_INVALID;
  }
  return waiting(handle, sage::kPutters, wait_ms, [&](Queue& queue) {
    sage::Piece list[sage::kMaxBatch];
    uint32_t fits = 0;
    for (; fits < count && !too_large(queue, pieces[fits].bytes); ++fits) {
      list[fits] = {bytes_at(pieces[fits].data), pieces[fits].bytes, pieces[fits].codec};
    }
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
    if (status == SQ_OK) *view = shown(queue, item);
    return status;
  });
}

sq_status sq_commit(sq_queue* handle, const sq_item* view) {
  if (view == nullptr) return SQ_INVALID;
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
  if (view == nullptr) return SQ_INVALID;
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
    return take_items(queue, max_bytes, views, taken, [&](Item* items, uint32_t* count, uint64_t most) {
      return queue.take(std::min(max, sage::kMaxBatch), items, count, most);
    });
  });
}

sq_status sq_finish(sq_queue* handle, const sq_item* views, uint32_t taken, uint32_t done) {
  if (views == nullptr || taken > sage::kMaxBatch || done > taken) return SQ_INVALID;
  if (taken == 0) return SQ_OK;
  return guarded(handle, [&](Queue& queue) {
    Item items[sage::kMaxBatch];
    for (uint32_t index = 0; index < taken; ++index) items[index] = hidden(views[index]);
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
    return take_items(queue, max_bytes, views, leased, [&](Item* items, uint32_t* count, uint64_t most) {
      return queue.lease(std::min(max, sage::kMaxBatch), items, count, most);
    });
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
