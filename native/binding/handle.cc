#include "binding/handle.h"

#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>

#include "binding/hot_calls.h"
#include "core/errors.h"

namespace sage_binding {
namespace {

Handle& handle_of(const Napi::CallbackInfo& info) {
  auto* handle = static_cast<Handle*>(info.Data());
  if (handle->queue == nullptr) {
    Napi::Error error = Napi::Error::New(info.Env(), "the handle was closed");
    error.Set("code", Napi::String::New(info.Env(), "ERR_QUEUE_CLOSED"));
    throw error;
  }
  return *handle;
}

Napi::Value set_pool(const Napi::CallbackInfo& info) {
  Handle& handle = handle_of(info);
  auto pool = info[0].As<Napi::Uint8Array>();
  handle.pool_reference = Napi::Persistent(pool);
  handle.pool = pool.Data();
  handle.pool_bytes = static_cast<uint32_t>(pool.ByteLength());
  return info.Env().Undefined();
}

Napi::Value set_outbox(const Napi::CallbackInfo& info) {
  Handle& handle = handle_of(info);
  auto outbox = info[0].As<Napi::Uint8Array>();
  handle.outbox_reference = Napi::Persistent(outbox);
  handle.outbox = outbox.Data();
  handle.outbox_bytes = static_cast<uint32_t>(outbox.ByteLength());
  return info.Env().Undefined();
}

Napi::Value set_bell(const Napi::CallbackInfo& info) {
  handle_of(info).queue->set_bell(info[0].As<Napi::Number>().Uint32Value(),
                                  static_cast<uint64_t>(info[1].As<Napi::Number>().DoubleValue()),
                                  info[2].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

Napi::Value must_poll(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), handle_of(info).queue->must_poll());
}

/// The payload area as an ArrayBuffer; undefined where the runtime forbids memory that is not its own. It is held
/// weakly, and JavaScript makes it hold the handle: as long as a view of it is left, the memory stays mapped.
Napi::Value mapping(const Napi::CallbackInfo& info) {
  Handle& handle = handle_of(info);
  if (!handle.mapping_reference.IsEmpty()) {
    const Napi::ArrayBuffer known = handle.mapping_reference.Value();
    if (!known.IsEmpty()) return known;
  }
  napi_value buffer;
  const uint64_t bytes = 2 * handle.queue->segment().header().area_bytes;
  if (napi_create_external_arraybuffer(info.Env(), handle.queue->segment().payload(), bytes, nullptr, nullptr,
                                       &buffer) != napi_ok) {
    if (info.Env().IsExceptionPending()) info.Env().GetAndClearPendingException();
    return info.Env().Undefined();
  }
  handle.mapping_reference = Napi::Weak(Napi::ArrayBuffer(info.Env(), buffer));
  return Napi::ArrayBuffer(info.Env(), buffer);
}

Napi::Value qsize(const Napi::CallbackInfo& info) {
  sage::Queue& queue = *handle_of(info).queue;
  queue.refresh();
  return Napi::Number::New(info.Env(), static_cast<double>(queue.size()));
}

Napi::Value full(const Napi::CallbackInfo& info) {
  sage::Queue& queue = *handle_of(info).queue;
  queue.refresh();
  return Napi::Boolean::New(info.Env(), queue.full());
}

Napi::Value is_shut(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), handle_of(info).queue->is_shut());
}

Napi::Value shut_down(const Napi::CallbackInfo& info) {
  handle_of(info).queue->shut_down(info[0].ToBoolean());
  return info.Env().Undefined();
}

/// produce(expected): this handle is a producer's. False: the last one has gone.
Napi::Value produce(const Napi::CallbackInfo& info) {
  sage::Queue& queue = *handle_of(info).queue;
  return Napi::Boolean::New(info.Env(), queue.produce(info[0].As<Napi::Number>().Uint32Value()));
}

/// Whether nothing is left in the queue, nor in anybody's hand.
Napi::Value joined(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), handle_of(info).queue->joined());
}

/// What its items look like, by id: the first has the id 1. Empty where the queue was made without a schema.
Napi::Value schemas(const Napi::CallbackInfo& info) {
  Napi::Array list = Napi::Array::New(info.Env());
  for (const std::string& text : handle_of(info).queue->segment().schemas().list()) {
    list[list.Length()] = Napi::Buffer<char>::Copy(info.Env(), text.data(), text.size());
  }
  return list;
}

/// addSchema(bytes): its id, or 0 where there is no room for it.
Napi::Value add_schema(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const std::string text(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
  return Napi::Number::New(info.Env(), handle_of(info).queue->segment().schemas().add(text));
}

Napi::Value unlink_name(const Napi::CallbackInfo& info) {
  handle_of(info).queue->unlink();
  return info.Env().Undefined();
}

Napi::Value stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  sage::Queue& queue = *handle_of(info).queue;
  queue.refresh();
  const sage::QueueTotals totals = queue.totals();
  const sage::Header& header = queue.segment().header();
  Napi::Object result = Napi::Object::New(env);
  result["qsize"] = static_cast<double>(totals.size);
  result["maxsize"] = static_cast<double>(header.maxsize);
  result["putTotal"] = static_cast<double>(totals.put_total);
  result["getTotal"] = static_cast<double>(totals.get_total);
  result["capacityBytes"] = static_cast<double>(header.capacity_bytes);
  result["usedBytes"] = static_cast<double>(totals.used_bytes);
  result["putBytesTotal"] = static_cast<double>(totals.put_bytes);
  result["waitingGetters"] = totals.waiting_getters;
  result["waitingPutters"] = totals.waiting_putters;
  result["recovered"] = static_cast<double>(totals.recovered);
  result["redelivered"] = static_cast<double>(totals.redelivered);
  result["leased"] = static_cast<double>(totals.leased);
  Napi::Array attached = Napi::Array::New(env);
  for (const sage::Attached& one : queue.attached()) {
    Napi::Object entry = Napi::Object::New(env);
    entry["pid"] = one.pid;
    entry["alive"] = one.alive;
    attached[attached.Length()] = entry;
  }
  result["attached"] = attached;
  return result;
}

/// What the queue was made with, and whether this handle made it.
Napi::Value configuration(const Napi::CallbackInfo& info) {
  const sage::Queue& queue = *handle_of(info).queue;
  const sage::Header& header = queue.segment().header();
  Napi::Object result = Napi::Object::New(info.Env());
  result["created"] = queue.created();
  result["maxsize"] = static_cast<double>(header.maxsize);
  result["capacityBytes"] = static_cast<double>(header.capacity_bytes);
  result["autoCleanup"] = header.auto_cleanup != 0;
  result["mode"] = header.mode;
  return result;
}

Napi::Value close(const Napi::CallbackInfo& info) {
  auto* handle = static_cast<Handle*>(info.Data());
  if (handle->queue == nullptr) return info.Env().Undefined();
  if (!handle->mapping_reference.IsEmpty()) {
    // A view that outlives the mapping must be empty, not a window on memory that is gone.
    Napi::ArrayBuffer known = handle->mapping_reference.Value();
    if (!known.IsEmpty()) known.Detach();
    handle->mapping_reference.Reset();
  }
  handle->close();
  return info.Env().Undefined();
}

/// The open handles of this process. process.exit() ends the main thread without its environment's cleanup hooks, and
/// an uncaught exception does too: then exit() itself is what lets go.
struct OpenHandles {
  std::mutex mutex;
  std::map<Handle*, std::thread::id> owners;

  static OpenHandles& instance() {
    static auto* handles = new OpenHandles;  // outlives every static destructor
    static const int registered = std::atexit([] { instance().close_mine(); });
    (void)registered;
    return *handles;
  }
  void add(Handle* handle) {
    const std::lock_guard<std::mutex> lock(mutex);
    owners.emplace(handle, std::this_thread::get_id());
  }
  void remove(Handle* handle) {
    const std::lock_guard<std::mutex> lock(mutex);
    owners.erase(handle);
  }
  /// Another thread's handle may be in use this very moment: the death of the process gives that one back.
  void close_mine() {
    std::vector<Handle*> mine;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      for (const auto& entry : owners) {
        if (entry.second == std::this_thread::get_id()) mine.push_back(entry.first);
      }
    }
    for (Handle* handle : mine) handle->close();
  }
};

/// A call that need not be fast, with a failure of the core turned into a JavaScript exception.
template <Napi::Value (*Body)(const Napi::CallbackInfo&)>
napi_value cold_call(napi_env env, napi_callback_info arguments) {
  try {
    return Body(Napi::CallbackInfo(env, arguments));
  } catch (const Napi::Error& error) {
    error.ThrowAsJavaScriptException();
  } catch (const std::exception& failure) {
    napi_throw_error(env, code_of(failure), failure.what());
  }
  return nullptr;
}

}  // namespace

void add_calls(napi_env env, napi_value object, Handle* handle, Calls calls) {
  for (const auto& [name, callback] : calls) {
    napi_value function;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, handle, &function);
    napi_set_named_property(env, object, name, function);
  }
}

void Handle::close() {
  OpenHandles::instance().remove(this);
  queue.reset();
  run.forget();
  batch.forget();
  large.reset();
  claim.reset();
}

uint32_t Handle::add_lease(const sage::Item& item) {
  if (free_leases.empty()) {
    leases.push_back(item);
    return static_cast<uint32_t>(leases.size() - 1);
  }
  const uint32_t id = free_leases.back();
  free_leases.pop_back();
  leases[id] = item;
  return id;
}

const char* code_of(const std::exception& failure) {
  const auto* segment = dynamic_cast<const sage::SegmentFailure*>(&failure);
  // What else the core throws are the standard library's own: memory, threads and random numbers it did not get.
  return segment != nullptr ? segment->code() : "ERR_SEGMENT_RESOURCES";
}

Napi::Error error_of(Napi::Env env, const std::exception& failure) {
  Napi::Error error = Napi::Error::New(env, failure.what());
  error.Set("code", Napi::String::New(env, code_of(failure)));
  return error;
}

void fill_handle(Napi::Object object, std::unique_ptr<sage::Queue> queue) {
  const Napi::Env env = object.Env();
  auto* handle = new Handle;
  handle->queue = std::move(queue);
  OpenHandles::instance().add(handle);

  auto registers = Napi::Int32Array::New(env, kRegisters);
  handle->registers = registers.Data();
  handle->registers_reference = Napi::Persistent(registers);
  object["registers"] = registers;

  add_puts(env, object, handle);
  add_gets(env, object, handle);
  add_waiting(env, object, handle);
  add_calls(env, object, handle,
            {
                {"setPool", cold_call<set_pool>},
                {"setOutbox", cold_call<set_outbox>},
                {"setBell", cold_call<set_bell>},
                {"mustPoll", cold_call<must_poll>},
                {"mapping", cold_call<mapping>},
                {"qsize", cold_call<qsize>},
                {"full", cold_call<full>},
                {"isShut", cold_call<is_shut>},
                {"shutDown", cold_call<shut_down>},
                {"produce", cold_call<produce>},
                {"joined", cold_call<joined>},
                {"schemas", cold_call<schemas>},
                {"addSchema", cold_call<add_schema>},
                {"unlink", cold_call<unlink_name>},
                {"stats", cold_call<stats>},
                {"configuration", cold_call<configuration>},
                {"close", cold_call<close>},
            });

  // The environment ends before JavaScript could close: then the hook lets go, and the finalizer that follows frees.
  const auto end_of_environment = [](void* data) { static_cast<Handle*>(data)->close(); };
  napi_add_env_cleanup_hook(env, end_of_environment, handle);
  struct Life {
    Handle* handle;
    napi_env env;
    void (*hook)(void*);
  };
  auto* life = new Life{handle, env, end_of_environment};
  napi_wrap(
      env, object, life,
      [](napi_env, void* data, void*) {
        auto* ending = static_cast<Life*>(data);
        napi_remove_env_cleanup_hook(ending->env, ending->hook, ending->handle);
        ending->handle->close();
        delete ending->handle;
        delete ending;
      },
      nullptr, nullptr);
}

}  // namespace sage_binding
