// The addon's own functions: open, list and prune segments, and the doorbells of this environment.
#include <unistd.h>

#include "binding/hot_calls.h"
#include "core/errors.h"
#include "core/os/platform.h"

namespace sage_binding {
namespace {

using sage::Create;
using sage::Kind;
using sage::Queue;
using sage::Segment;

std::string text(const Napi::Object& from, const char* key) { return from.Get(key).As<Napi::String>().Utf8Value(); }
double number(const Napi::Object& from, const char* key) { return from.Get(key).As<Napi::Number>().DoubleValue(); }

sage::SegmentOptions options_of(const Napi::Object& asked) {
  sage::SegmentOptions options;
  options.kind = text(asked, "kind") == "shm" ? Kind::kShm : Kind::kSage;
  options.name = text(asked, "name");
  options.queue_id = text(asked, "queueId");
  options.maxsize = static_cast<uint64_t>(number(asked, "maxsize"));
  options.capacity_bytes = static_cast<uint64_t>(number(asked, "capacityBytes"));
  options.mode = static_cast<uint32_t>(number(asked, "mode"));
  options.auto_cleanup = asked.Get("autoCleanup").ToBoolean();
  options.owner_uid = static_cast<int64_t>(number(asked, "ownerUid"));
  const auto trusted = asked.Get("trustedUids").As<Napi::Array>();
  for (uint32_t index = 0; index < trusted.Length(); ++index) {
    options.trusted_uids.push_back(trusted.Get(index).As<Napi::Number>().Uint32Value());
  }
  if (asked.Get("schema").IsTypedArray()) {
    const auto schema = asked.Get("schema").As<Napi::Uint8Array>();
    options.schema.assign(reinterpret_cast<const char*>(schema.Data()), schema.ByteLength());
  }
  return options;
}

/// find(options): which file open() would attach to, as the configuration of an entry says it; undefined: there is
/// none.
Napi::Value find(const Napi::CallbackInfo& info) {
  try {
    sage::FileId file;
    if (!Segment::find(options_of(info[0].As<Napi::Object>()), &file)) return info.Env().Undefined();
    return Napi::String::New(info.Env(), name_of(file));
  } catch (const std::exception& failure) {
    throw error_of(info.Env(), failure);
  }
}

/// calls(registers): the functions of entries, which leave words in that array of kRegisters. Before any is opened.
Napi::Value calls(const Napi::CallbackInfo& info) {
  Environment& environment = *environment_of(info.Env());
  auto registers = info[0].As<Napi::Int32Array>();
  if (registers.ElementLength() != kRegisters) throw Napi::RangeError::New(info.Env(), "not as many words as it takes");
  environment.registers_reference = Napi::Persistent(registers);
  environment.registers = registers.Data();
  Napi::Object functions = Napi::Object::New(info.Env());
  add_entry_calls(functions, environment);
  return functions;
}

/// open(options, object): an entry, which is there for as long as the object is.
Napi::Value open(const Napi::CallbackInfo& info) {
  const Napi::Object asked = info[0].As<Napi::Object>();
  const sage::SegmentOptions options = options_of(asked);
  const std::string create = text(asked, "create");
  try {
    std::unique_ptr<Queue> queue = Queue::open(options, create == "never"       ? Create::kNever
                                                        : create == "exclusive" ? Create::kExclusive
                                                                                : Create::kIfMissing);
    return add_entry(info[1].As<Napi::Object>(), std::move(queue));
  } catch (const std::exception& failure) {
    throw error_of(info.Env(), failure);
  }
}

Napi::Object describe(Napi::Env env, const std::string& file, const Queue& queue) {
  const sage::Header& header = queue.segment().header();
  Napi::Object entry = Napi::Object::New(env);
  entry["file"] = file;
  entry["fullName"] = queue.segment().name();
  entry["kind"] = header.kind == static_cast<uint32_t>(Kind::kShm) ? "shm" : "sage_queue";
  entry["queueId"] = queue.segment().queue_id();
  entry["bytes"] = static_cast<double>(header.total_bytes);
  entry["qsize"] = static_cast<double>(queue.size());
  entry["maxsize"] = static_cast<double>(header.maxsize);
  entry["capacityBytes"] = static_cast<double>(header.capacity_bytes);
  entry["ownerUid"] = queue.segment().owner_uid();
  entry["attached"] = attached_list(env, queue);
  entry["shutDown"] = queue.is_shut();
  entry["layoutVersion"] = header.layout_version;
  entry["createdTimestamp"] = static_cast<double>(header.created_us) / 1e6;
  entry["earlierBoot"] = queue.segment().from_earlier_boot();
  return entry;
}

/// list(beginning?): every segment of this host that can be read, of those whose full names begin so; what cannot comes
/// with `error` and `code` instead.
Napi::Value list(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array found = Napi::Array::New(env);
  const std::string beginning = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
  std::vector<std::string> files;
  try {
    files = Segment::list_files(beginning);
  } catch (const std::exception& failure) {
    throw error_of(env, failure);
  }
  for (const std::string& file : files) {
    try {
      std::unique_ptr<Segment> segment = Segment::read_file(file);
      if (segment == nullptr || segment->name().compare(0, beginning.size(), beginning) != 0) continue;
      if (segment->retired()) {
        segment->unlink_name();  // its last leaver may have died between the two steps of removing it
        continue;
      }
      found[found.Length()] = describe(env, file, *Queue::inspect(std::move(segment)));
    } catch (const std::exception& failure) {
      Napi::Object entry = Napi::Object::New(env);
      entry["file"] = file;
      entry["code"] = code_of(failure);
      entry["error"] = failure.what();
      found[found.Length()] = entry;
    }
  }
  return found;
}

/// prune(file, evenWithItems): whether the segment was removed.
Napi::Value prune(const Napi::CallbackInfo& info) {
  try {
    std::unique_ptr<Segment> segment = Segment::open_file(info[0].As<Napi::String>().Utf8Value());
    if (segment == nullptr || segment->owner_uid() != geteuid()) return Napi::Boolean::New(info.Env(), false);
    const bool removed = Queue::inspect(std::move(segment))->remove_if_unused(info[1].ToBoolean());
    return Napi::Boolean::New(info.Env(), removed);
  } catch (const std::exception& failure) {
    throw error_of(info.Env(), failure);
  }
}

/// createBell(mode, gid): a doorbell of this environment's event loop for the segments with these permissions. The
/// reading end is the caller's.
Napi::Value create_bell(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  try {
    const sage::Doorbell::Audience audience{info[0].As<Napi::Number>().Uint32Value(),
                                            info[1].As<Napi::Number>().Uint32Value()};
    std::unique_ptr<sage::Doorbell> made = sage::Doorbell::make(Segment::directory(), audience);
    Doorbells& bells = environment_of(env)->bells;
    const uint32_t number = bells.next++;
    Napi::Object bell = Napi::Object::New(env);
    bell["number"] = number;
    bell["readFd"] = made->read_end();
    bells.open.emplace(number, std::move(made));
    return bell;
  } catch (const std::exception& failure) {
    throw error_of(env, failure);
  }
}

Napi::Value close_bell(const Napi::CallbackInfo& info) {
  environment_of(info.Env())->bells.open.erase(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

/// Doorbells that nobody listens to any more; returns how many were removed.
Napi::Value sweep_bells(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), sage::Doorbell::sweep(Segment::directory()));
}

/// keepFreedMemory(): memory that the collector gives back is there for the next items.
Napi::Value keep_freed_memory(const Napi::CallbackInfo& info) {
  sage::platform::keep_freed_memory();
  return info.Env().Undefined();
}

/// numbers(): those of this side that lib/transports/shm/addon.ts and lib/codec/codec-ids.ts have too, by their names
/// there.
Napi::Value numbers(const Napi::CallbackInfo& info) {
  const std::pair<const char*, int64_t> all[] = {
      {"EMPTY", kEmpty},
      {"FULL", kFull},
      {"SHUT", kShut},
      {"TOO_LARGE", kTooLarge},
      {"LARGE", kLarge},
      {"PRODUCER_LOST", kProducerLost},
      {"REGISTER_CODEC", kCodec},
      {"REGISTER_LENGTH", kLength},
      {"REGISTER_DELIVERIES", kDeliveries},
      {"REGISTER_HELD", kHeld},
      {"REGISTER_CRASHES", kCrashes},
      {"REGISTER_HOLDER", kHolder},
      {"REGISTER_OFFSET", kOffset},
      {"REGISTER_ENTRY", kEntry},
      {"REGISTER_TABLE", kTable},
      {"REGISTER_LEASE_IDS", kLeaseIds},
      {"REGISTER_LEASE_DELIVERIES", kLeaseDeliveries},
      {"REGISTER_LEASE_CRASHES", kLeaseCrashes},
      {"REGISTERS", kRegisters},
      {"MAX_BATCH", sage::kMaxBatch},
      {"GETTERS", sage::kGetters},
      {"PUTTERS", sage::kPutters},
      {"JOINERS", sage::kJoiners},
      {"TRY", static_cast<int64_t>(sage::Step::kTry)},
      {"SLEEP", static_cast<int64_t>(sage::Step::kSleep)},
      {"CODEC_RAW", kRawCodec},
  };
  Napi::Object result = Napi::Object::New(info.Env());
  for (const auto& [name, value] : all) result[name] = static_cast<double>(value);
  return result;
}

#if defined(SAGE_FAILPOINTS)
/// arm(name, skip, 'K' | 'S'): this process suffers at that point.
Napi::Value arm(const Napi::CallbackInfo& info) {
  sage::failpoint_arm(sage::failpoint_named(info[0].As<Napi::String>().Utf8Value().c_str()),
                      info[1].As<Napi::Number>().Int32Value(), info[2].As<Napi::String>().Utf8Value()[0]);
  return info.Env().Undefined();
}
#endif

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new SharedEnvironment(std::make_shared<Environment>()));
  exports["calls"] = Napi::Function::New(env, calls, "calls");
  exports["find"] = Napi::Function::New(env, find, "find");
  exports["open"] = Napi::Function::New(env, open, "open");
  exports["list"] = Napi::Function::New(env, list, "list");
  exports["prune"] = Napi::Function::New(env, prune, "prune");
  exports["createBell"] = Napi::Function::New(env, create_bell, "createBell");
  exports["sweepBells"] = Napi::Function::New(env, sweep_bells, "sweepBells");
  exports["closeBell"] = Napi::Function::New(env, close_bell, "closeBell");
  exports["keepFreedMemory"] = Napi::Function::New(env, keep_freed_memory, "keepFreedMemory");
  exports["numbers"] = Napi::Function::New(env, numbers, "numbers");
  exports["directory"] = Segment::directory();
  exports["layoutVersion"] = sage::kLayoutVersion;
  exports["napiVersion"] = NAPI_VERSION;
#if defined(SAGE_FAILPOINTS)
  exports["arm"] = Napi::Function::New(env, arm, "arm");
#endif
  return exports;
}

NODE_API_MODULE(sage_queue, initialise)

}  // namespace
}  // namespace sage_binding
