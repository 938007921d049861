// Sleeping with an event loop, as JavaScript calls it.
#include "binding/hot_calls.h"

namespace sage_binding {
namespace {

sage::Direction direction_of(uint32_t number) { return sage::kDirections[std::min(number, 2u)]; }

napi_value step_of(napi_env env, sage::Step step) { return integer(env, static_cast<int32_t>(step)); }

/// beginWaiting(direction): somebody begins to wait, and has found nothing. Returns the next step.
napi_value begin_waiting(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.entry,
                 [&] { return step_of(env, call.entry->queue->begin_waiting(direction_of(call.number(env, 0)))); });
}

/// tried(direction, done): a try is over; `done` when nobody waits any more. Returns the next step.
napi_value tried(napi_env env, napi_callback_info info) {
  const Call<2> call(env, info);
  return guarded(env, call.entry, [&] {
    bool done = false;
    napi_get_value_bool(env, call.arguments[1], &done);
    return step_of(env, call.entry->queue->tried(direction_of(call.number(env, 0)), done));
  });
}

/// rung(direction): the doorbell rang, or it is time to look again. Returns the next step.
napi_value rung(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.entry,
                 [&] { return step_of(env, call.entry->queue->rung(direction_of(call.number(env, 0)))); });
}

/// stopWaiting(direction): nobody waits any more.
napi_value stop_waiting(napi_env env, napi_callback_info info) {
  const Call<1> call(env, info);
  return guarded(env, call.entry, [&] {
    call.entry->queue->stop_waiting(direction_of(call.number(env, 0)));
    return integer(env, 0);
  });
}

}  // namespace

void add_waiting(napi_env env, napi_value object, Environment& environment) {
  add_calls(env, object, environment,
            {
                {"beginWaiting", begin_waiting},
                {"tried", tried},
                {"rung", rung},
                {"stopWaiting", stop_waiting},
            });
}

}  // namespace sage_binding
