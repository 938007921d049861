#include "binding/entry.h"

#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>

#include "binding/hot_calls.h"
#include "core/errors.h"

namespace sage_binding {
namespace {

Entry& entry_of(const Napi::CallbackInfo& info) {
  Entry& entry = static_cast<Environment*>(info.Data())->entry();
  if (entry.queue == nullptr) {
    Napi::Error error = Napi::Error::New(info.Env(), "the queue was closed");
    error.Set("code", Napi::String::New(info.Env(), "ERR_QUEUE_CLOSED"));
    throw error;
  }
  return entry;
}

/// set…(array): from now on `memory` is that.
template <KnownMemory Entry::*memory>
Napi::Value set_memory(const Napi::CallbackInfo& info) {
  KnownMemory& known = entry_of(info).*memory;
  auto array = info[0].As<Napi::Uint8Array>();
  known.reference = Napi::Persistent(array);
  known.data = array.Data();
  known.bytes = static_cast<uint32_t>(array.ByteLength());
  return info.Env().Undefined();
}

/// setBell(number, tag): this entry is rung at that doorbell, by that tag. False: not by everybody, for want of
/// descriptors.
Napi::Value set_bell(const Napi::CallbackInfo& info) {
  const Doorbells& bells = environment_of(info.Env())->bells;
  const auto bell = bells.open.find(info[0].As<Napi::Number>().Uint32Value());
  const bool whole = bell != bells.open.end() &&
                     entry_of(info).queue->set_bell(*bell->second, info[1].As<Napi::Number>().Uint32Value());
  return Napi::Boolean::New(info.Env(), whole);
}

/// setSchema(id): items with that id JavaScript can read.
Napi::Value set_schema(const Napi::CallbackInfo& info) {
  entry_of(info).schema = info[0].As<Napi::Number>().Uint32Value();
  return info.Env().Undefined();
}

Napi::Value must_poll(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), entry_of(info).queue->must_poll());
}

/// join(): the number of one more holder.
Napi::Value join(const Napi::CallbackInfo& info) {
  Entry& entry = entry_of(info);
  if (entry.free_holders.empty()) return Napi::Number::New(info.Env(), ++entry.holders);
  const uint32_t holder = entry.free_holders.back();
  entry.free_holders.pop_back();
  return Napi::Number::New(info.Env(), holder);
}

/// leave(holder): what it held goes back; its number is free.
Napi::Value leave(const Napi::CallbackInfo& info) {
  Entry& entry = entry_of(info);
  const uint32_t holder = info[0].As<Napi::Number>().Uint32Value();
  entry.leave(holder);
  entry.free_holders.push_back(holder);
  return info.Env().Undefined();
}

/// The payload area as an ArrayBuffer of the caller's own; undefined where the runtime forbids memory that is not its
/// own. detach() has to come before the entry is closed.
Napi::Value mapping(const Napi::CallbackInfo& info) {
  Entry& entry = entry_of(info);
  if (entry.shown == nullptr) entry.shown = std::make_shared<ShownArea>();
  napi_value buffer = ShownArea::show(info.Env(), entry.shown, entry.queue->segment());
  if (buffer == nullptr) {
    if (info.Env().IsExceptionPending()) info.Env().GetAndClearPendingException();
    return info.Env().Undefined();
  }
  return Napi::ArrayBuffer(info.Env(), buffer);
}

/// detach(buffer): a view that outlives what it shows must be empty, not a window on memory that is somebody else's.
Napi::Value detach(const Napi::CallbackInfo& info) {
  entry_of(info).shown->hide(info.Env(), info[0]);
  return info.Env().Undefined();
}

Napi::Value qsize(const Napi::CallbackInfo& info) {
  sage::Queue& queue = *entry_of(info).queue;
  queue.refresh();
  return Napi::Number::New(info.Env(), static_cast<double>(queue.size()));
}

Napi::Value full(const Napi::CallbackInfo& info) {
  sage::Queue& queue = *entry_of(info).queue;
  queue.refresh();
  return Napi::Boolean::New(info.Env(), queue.full());
}

Napi::Value untaken(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(entry_of(info).queue->untaken()));
}

/// Whether nobody can come to this segment by its name any more.
Napi::Value is_retired(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), entry_of(info).queue->segment().retired());
}

Napi::Value shut_down(const Napi::CallbackInfo& info) {
  entry_of(info).queue->shut_down(info[0].ToBoolean());
  return info.Env().Undefined();
}

/// produce(expected): one of the handles is a producer's. False: the last one has gone.
Napi::Value produce(const Napi::CallbackInfo& info) {
  sage::Queue& queue = *entry_of(info).queue;
  return Napi::Boolean::New(info.Env(), queue.produce(info[0].As<Napi::Number>().Uint32Value()));
}

/// stopProducing(closed): one of them has closed, or else is lost.
Napi::Value stop_producing(const Napi::CallbackInfo& info) {
  const bool closed = info[0].ToBoolean();
  entry_of(info).queue->stop_producing(closed ? sage::Producers::kOneClosed : sage::Producers::kOneLost);
  return info.Env().Undefined();
}

/// Whether nothing is left in the queue, nor in anybody's hand.
Napi::Value joined(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), entry_of(info).queue->joined());
}

/// What its items look like, by id: the first has the id 1. Empty where the queue was made without a schema.
Napi::Value schemas(const Napi::CallbackInfo& info) {
  Napi::Array list = Napi::Array::New(info.Env());
  for (const std::string& text : entry_of(info).queue->segment().schemas().list()) {
    list[list.Length()] = Napi::Buffer<char>::Copy(info.Env(), text.data(), text.size());
  }
  return list;
}

/// addSchema(bytes): its id, or 0 where there is no room for it.
Napi::Value add_schema(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const std::string text(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
  return Napi::Number::New(info.Env(), entry_of(info).queue->segment().schemas().add(text));
}

Napi::Value unlink_name(const Napi::CallbackInfo& info) {
  entry_of(info).queue->unlink();
  return info.Env().Undefined();
}

Napi::Value stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  sage::Queue& queue = *entry_of(info).queue;
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
  result["attached"] = attached_list(env, queue);
  return result;
}

/// Which file it is, and what the queue was made with.
Napi::Object configuration(Napi::Env env, const sage::Segment& segment) {
  const sage::Header& header = segment.header();
  Napi::Object result = Napi::Object::New(env);
  result["file"] = name_of(segment.file());
  result["maxsize"] = static_cast<double>(header.maxsize);
  result["capacityBytes"] = static_cast<double>(header.capacity_bytes);
  result["autoCleanup"] = header.auto_cleanup != 0;
  result["mode"] = header.mode;
  result["permissions"] = segment.permissions();
  result["group"] = segment.group();
  result["hasSchema"] = header.schema_bytes > 0;
  return result;
}

Napi::Value close(const Napi::CallbackInfo& info) {
  Entry& entry = static_cast<Environment*>(info.Data())->entry();
  if (entry.queue != nullptr) entry.close();
  return info.Env().Undefined();
}

/// The open entries of this process. process.exit() ends the main thread without its environment's cleanup hooks, and
/// an uncaught exception does too: then exit() itself is what lets go.
struct OpenEntries {
  std::mutex mutex;
  std::map<Entry*, std::thread::id> owners;

  static OpenEntries& instance() {
    static auto* entries = new OpenEntries;  // outlives every static destructor
    static const int registered = std::atexit([] { instance().close_mine(); });
    (void)registered;
    return *entries;
  }
  void add(Entry* entry) {
    const std::lock_guard<std::mutex> lock(mutex);
    owners.emplace(entry, std::this_thread::get_id());
  }
  void remove(Entry* entry) {
    const std::lock_guard<std::mutex> lock(mutex);
    owners.erase(entry);
  }
  /// Another thread's entry may be in use this very moment: the death of the process gives that one back.
  void close_mine() {
    std::vector<Entry*> mine;
    {
      const std::lock_guard<std::mutex> lock(mutex);
      for (const auto& entry : owners) {
        if (entry.second == std::this_thread::get_id()) mine.push_back(entry.first);
      }
    }
    for (Entry* entry : mine) entry->abandon();
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

void add_calls(napi_env env, napi_value object, Environment& environment, Calls calls) {
  for (const auto& [name, callback] : calls) {
    napi_value function;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, &environment, &function);
    napi_set_named_property(env, object, name, function);
  }
}

Napi::Array attached_list(Napi::Env env, const sage::Queue& queue) {
  Napi::Array list = Napi::Array::New(env);
  for (const sage::Attached& one : queue.attached()) {
    Napi::Object entry = Napi::Object::New(env);
    entry["pid"] = one.pid;
    entry["alive"] = one.alive;
    if (one.foreign) entry["foreign"] = true;
    list[list.Length()] = entry;
  }
  return list;
}

void Entry::leave(uint32_t holder) {
  if (claims.has(holder)) queue->abort(claims.take(holder));
  hands.remove_all_of(holder, [&](sage::Hand& hand) { hand.requeue_all(*queue, 1); });
  leases.remove_all_of(holder, [&](const sage::Item& item) { queue->release_lease(item); });
}

/// The queue takes back what is held.
void Entry::close() {
  OpenEntries::instance().remove(this);
  if (shown != nullptr) shown->end(std::move(queue));
  shown.reset();
  queue.reset();
  claims.clear();
  hands.clear();
  leases.clear();
}

void Entry::abandon() {
  if (queue != nullptr) queue->abandon_producers();
  close();
}

std::string name_of(const sage::FileId& file) { return std::to_string(file.device) + ":" + std::to_string(file.inode); }

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

void add_entry_calls(Napi::Object object, Environment& environment) {
  const Napi::Env env = object.Env();
  add_puts(env, object, environment);
  add_gets(env, object, environment);
  add_waiting(env, object, environment);
  add_calls(env, object, environment,
            {
                {"setReceiveBuffer", cold_call<set_memory<&Entry::received>>},
                {"setSendBuffer", cold_call<set_memory<&Entry::sent>>},
                {"setEncoderMemory", cold_call<set_memory<&Entry::encoded>>},
                {"setSchema", cold_call<set_schema>},
                {"setBell", cold_call<set_bell>},
                {"mustPoll", cold_call<must_poll>},
                {"join", cold_call<join>},
                {"leave", cold_call<leave>},
                {"mapping", cold_call<mapping>},
                {"detach", cold_call<detach>},
                {"qsize", cold_call<qsize>},
                {"full", cold_call<full>},
                {"untaken", cold_call<untaken>},
                {"isRetired", cold_call<is_retired>},
                {"shutDown", cold_call<shut_down>},
                {"produce", cold_call<produce>},
                {"stopProducing", cold_call<stop_producing>},
                {"joined", cold_call<joined>},
                {"schemas", cold_call<schemas>},
                {"addSchema", cold_call<add_schema>},
                {"unlink", cold_call<unlink_name>},
                {"stats", cold_call<stats>},
                {"close", cold_call<close>},
            });
}

Napi::Object add_entry(Napi::Object object, std::unique_ptr<sage::Queue> queue) {
  /// Whoever has the object may use the number. What is closed keeps it, so that it does not come to mean another one.
  struct Life {
    SharedEnvironment environment;
    Entry entry;
    uint32_t number = 0;
    napi_env env = nullptr;
  };
  const Napi::Env env = object.Env();
  auto* life = new Life{environment_of(env), {}, 0, env};
  life->entry.queue = std::move(queue);
  life->entry.registers = life->environment->registers;
  life->number = life->environment->add(&life->entry);
  OpenEntries::instance().add(&life->entry);

  // The environment ends before JavaScript could close: then the hook lets go, and the finalizer that follows frees.
  static const auto end_of_environment = [](void* data) { static_cast<Entry*>(data)->abandon(); };
  napi_add_env_cleanup_hook(env, end_of_environment, &life->entry);
  napi_wrap(
      env, object, life,
      [](napi_env, void* data, void*) {
        const std::unique_ptr<Life> ending(static_cast<Life*>(data));
        napi_remove_env_cleanup_hook(ending->env, end_of_environment, &ending->entry);
        ending->environment->remove(ending->number);
        ending->entry.abandon();
      },
      nullptr, nullptr);
  Napi::Object made = configuration(env, life->entry.queue->segment());
  made["number"] = life->number;
  return made;
}

}  // namespace sage_binding
