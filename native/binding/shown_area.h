// The payload area as JavaScript sees it: ArrayBuffers over the mapping. What a program moves to one of its own
// (ArrayBuffer.prototype.transfer) cannot be emptied from here. So the mapping stays for as long as there may be such
// a one, and once the entry has ended there is nothing in it.
#pragma once

#include <napi.h>
#include <sys/mman.h>

#include <memory>

#include "core/handle/queue.h"

namespace sage_binding {

class ShownArea {
 public:
  /// One more ArrayBuffer over it; null where the runtime forbids memory that is not its own.
  static napi_value show(napi_env env, const std::shared_ptr<ShownArea>& area, const sage::Segment& segment) {
    auto* const held = new std::shared_ptr<ShownArea>(area);
    napi_value buffer;
    const napi_status status = napi_create_external_arraybuffer(
        env, segment.payload(), bytes_of(segment),
        [](napi_env, void*, void* hint) {
          const std::unique_ptr<std::shared_ptr<ShownArea>> last(static_cast<std::shared_ptr<ShownArea>*>(hint));
          (*last)->collected();
        },
        held, &buffer);
    if (status == napi_ok) {
      ++area->shown_;
      return buffer;
    }
    if (status == napi_no_external_buffers_allowed) delete held;  // else it may have been finalized
    return nullptr;
  }

  /// Empties that one, unless the program has moved what it showed.
  void hide(napi_env env, napi_value buffer) {
    bool moved = false;
    napi_is_detached_arraybuffer(env, buffer, &moved);
    if (moved || napi_detach_arraybuffer(env, buffer) != napi_ok) return;
    --shown_;
    ++hidden_;
  }

  /// The entry of the queue has ended.
  void end(std::unique_ptr<sage::Queue> queue) {
    if (shown_ == 0) return;
    queue->close();
    // Where the system refuses, it is the queue that is seen, which nobody unmaps.
    (void)mmap(queue->segment().payload(), bytes_of(queue->segment()), PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    queue_ = std::move(queue);
  }

 private:
  static uint64_t bytes_of(const sage::Segment& segment) { return 2 * segment.header().area_bytes; }

  /// One of them: which, makes no difference.
  void collected() {
    if (hidden_ > 0) {
      --hidden_;
    } else if (--shown_ == 0) {
      queue_.reset();
    }
  }

  uint32_t shown_ = 0;                  // ArrayBuffers that may be there, and …
  uint32_t hidden_ = 0;                 // … those that are not, of which the collector has not said it yet
  std::unique_ptr<sage::Queue> queue_;  // closed, for its mapping
};

}  // namespace sage_binding
