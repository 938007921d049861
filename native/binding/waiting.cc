// Sleeping with an event loop, as JavaScript calls it.
#include "binding/hot_calls.h"

namespace sage_binding {
namespace {

sage::Direction direction_of(uint32_t number) { return number == 0 ? sage::kGetters : sage::kPutters; }

/// park(direction): puts the event loop's bell up. Try once more after it.
napi_value park(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle, [&] {
    call.handle->queue->park(direction_of(call.number(env, 0)), sage::Bell::kParked);
    return integer(env, 0);
  });
}

/// unpark(direction): takes the bell down.
napi_value unpark(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.handle,
                 [&] { return integer(env, call.handle->queue->unpark(direction_of(call.number(env, 0)))); });
}

/// settle(direction, goesOnWaiting): passes on a wake that came to this handle alone, if there is something to wake
/// for.
napi_value settle(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.handle, [&] {
    bool goes_on_waiting = false;
    napi_get_value_bool(env, call.arguments[1], &goes_on_waiting);
    call.handle->queue->settle(direction_of(call.number(env, 0)), goes_on_waiting);
    return integer(env, 0);
  });
}

}  // namespace

void add_waiting(napi_env env, napi_value object, Handle* handle) {
  add_calls(env, object, handle,
            {
                {"park", park},
                {"unpark", unpark},
                {"settle", settle},
            });
}

}  // namespace sage_binding
