// One handle: puts, gets, leases and questions.
#include <algorithm>
#include <vector>

#include "native.h"

namespace sage_python {
namespace {

Handle* self_of(PyObject* self) { return reinterpret_cast<Handle*>(self); }
sq_queue* queue_of(PyObject* self) { return self_of(self)->queue; }
PyObject* raise_from(PyObject* self, sq_status status) { return raise(state_of(Py_TYPE(self)), status); }

/// None, or the exception of the status.
PyObject* none_or(PyObject* self, sq_status status) {
  if (status == SQ_OK) Py_RETURN_NONE;
  return raise_from(self, status);
}

const auto nothing_to_undo = [] {};

/// Bytes of any object that has some, for as long as this stands.
class View {
 public:
  bool read(PyObject* object) {
    if (PyBytes_Check(object) != 0) {
      char* data = nullptr;
      if (PyBytes_AsStringAndSize(object, &data, &bytes_) != 0) return false;
      data_ = data;
      return true;
    }
    if (PyObject_GetBuffer(object, &view_, PyBUF_SIMPLE) != 0) return false;
    viewed_ = true;
    data_ = view_.buf;
    bytes_ = view_.len;
    return true;
  }
  ~View() {
    if (viewed_) PyBuffer_Release(&view_);
  }
  const void* data() const { return data_; }
  size_t bytes() const { return static_cast<size_t>(bytes_); }

 private:
  Py_buffer view_;
  const void* data_ = nullptr;
  Py_ssize_t bytes_ = 0;
  bool viewed_ = false;
};

/// put(bytes, codec, timeout)
PyObject* put(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 3) return PyErr_Format(PyExc_TypeError, "put(bytes, codec, timeout)");
  View view;
  Deadline deadline;
  const unsigned long codec = PyLong_AsUnsignedLong(arguments[1]);
  if (PyErr_Occurred() != nullptr || !view.read(arguments[0]) || !deadline.read(arguments[2])) return nullptr;
  sq_status status = SQ_OK;
  const auto call = [&](uint32_t wait_ms) {
    return sq_put(queue_of(self), view.data(), view.bytes(), static_cast<uint32_t>(codec), wait_ms);
  };
  // An item that went in while a signal came is in: the signal is for the interpreter to raise, later.
  if (!wait_for(deadline, &status, call, nothing_to_undo)) return nullptr;
  return none_or(self, status);
}

/// put_some(items, from, timeout): how many of the (bytes, codec) pairs from `from` on went in.
PyObject* put_some(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 3) return PyErr_Format(PyExc_TypeError, "put_some(items, from, timeout)");
  Deadline deadline;
  const Py_ssize_t from = PyLong_AsSsize_t(arguments[1]);
  if (PyErr_Occurred() != nullptr || !deadline.read(arguments[2])) return nullptr;
  const Py_ssize_t size = PyList_Size(arguments[0]);
  if (size < 0) return nullptr;
  View views[SQ_MAX_BATCH];
  sq_piece pieces[SQ_MAX_BATCH];
  const auto some = static_cast<uint32_t>(std::clamp<Py_ssize_t>(size - from, 0, SQ_MAX_BATCH));
  for (uint32_t index = 0; index < some; ++index) {
    PyObject* const pair = PyList_GetItem(arguments[0], from + index);
    PyObject* bytes = nullptr;
    unsigned codec = 0;
    if (pair == nullptr || PyArg_ParseTuple(pair, "OI", &bytes, &codec) == 0 || !views[index].read(bytes))
      return nullptr;
    if (views[index].bytes() > UINT32_MAX) return raise_from(self, SQ_ITEM_TOO_LARGE);
    pieces[index] = {views[index].data(), static_cast<uint32_t>(views[index].bytes()), codec};
  }
  uint32_t accepted = 0;
  sq_status status = SQ_OK;
  const auto call = [&](uint32_t wait_ms) { return sq_put_many(queue_of(self), pieces, some, &accepted, wait_ms); };
  if (!wait_for(deadline, &status, call, nothing_to_undo)) return nullptr;
  return status == SQ_OK ? PyLong_FromUnsignedLong(accepted) : raise_from(self, status);
}

/// Bytes where it is raw, else (bytes, codec).
PyObject* taken_item(const sq_item& item) {
  PyObject* bytes = PyBytes_FromStringAndSize(reinterpret_cast<const char*>(item.data), item.bytes);
  if (bytes == nullptr || item.codec == SQ_RAW) return bytes;
  return Py_BuildValue("NI", bytes, item.codec);
}

/// get(timeout)
PyObject* get(PyObject* self, PyObject* timeout) {
  Deadline deadline;
  if (!deadline.read(timeout)) return nullptr;
  sq_item item;
  uint32_t taken = 0;
  sq_status status = SQ_OK;
  const auto call = [&](uint32_t wait_ms) { return sq_take(queue_of(self), 1, 0, &item, &taken, wait_ms); };
  const auto undo = [&] { sq_finish(queue_of(self), &item, 1, 0); };
  if (!wait_for(deadline, &status, call, undo)) return nullptr;
  if (status != SQ_OK) return raise_from(self, status);
  PyObject* const result = taken_item(item);
  sq_finish(queue_of(self), &item, 1, result != nullptr ? 1 : 0);
  return result;
}

/// get_some(max, timeout, decode): up to SQ_MAX_BATCH items, those that are not raw by decode(bytes, codec). From the
/// one that it refuses on they go back, unless it is the first, which is removed.
PyObject* get_some(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 4) return PyErr_Format(PyExc_TypeError, "get_some(max, timeout, decode, keep)");
  const bool keep = PyObject_IsTrue(arguments[3]) == 1;
  Deadline deadline;
  const unsigned long max = PyLong_AsUnsignedLong(arguments[0]);
  if (PyErr_Occurred() != nullptr || !deadline.read(arguments[1])) return nullptr;
  sq_item items[SQ_MAX_BATCH];
  uint32_t taken = 0;
  sq_status status = SQ_OK;
  const auto most = static_cast<uint32_t>(std::min<unsigned long>(max, SQ_MAX_BATCH));
  const auto call = [&](uint32_t wait_ms) { return sq_take(queue_of(self), most, 0, items, &taken, wait_ms); };
  const auto undo = [&] { sq_finish(queue_of(self), items, taken, 0); };
  if (!wait_for(deadline, &status, call, undo)) return nullptr;
  if (status != SQ_OK) return raise_from(self, status);
  PyObject* list = PyList_New(0);
  uint32_t done = 0;
  for (; list != nullptr && done < taken; ++done) {
    PyObject* item = taken_item(items[done]);
    if (item != nullptr && items[done].codec != SQ_RAW) {
      PyObject* const decoded = PyObject_CallObject(arguments[2], item);
      Py_DECREF(item);
      item = decoded;
    }
    const bool added = item != nullptr && PyList_Append(list, item) == 0;
    Py_XDECREF(item);
    if (!added) break;
  }
  const bool failed = done < taken;
  if (failed && PyErr_ExceptionMatches(state_of(Py_TYPE(self))->cannot_decode) == 0) {
    // Of a handler of signals, or no memory: nothing is wrong with the items.
    sq_finish(queue_of(self), items, taken, 0);
    Py_XDECREF(list);
    return nullptr;
  }
  if (failed && done == 0 && !keep) {
    sq_finish(queue_of(self), items, taken, 1);
    Py_XDECREF(list);
    return nullptr;
  }
  if (failed) PyErr_Clear();
  sq_finish(queue_of(self), items, taken, done);
  return list;
}

/// lease(max, timeout): a list of items.
PyObject* lease(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) return PyErr_Format(PyExc_TypeError, "lease(max, timeout)");
  Deadline deadline;
  const unsigned long max = PyLong_AsUnsignedLong(arguments[0]);
  if (PyErr_Occurred() != nullptr || !deadline.read(arguments[1])) return nullptr;
  sq_item items[SQ_MAX_BATCH];
  uint32_t leased = 0;
  sq_status status = SQ_OK;
  const auto most = static_cast<uint32_t>(std::min<unsigned long>(max, SQ_MAX_BATCH));
  const auto call = [&](uint32_t wait_ms) { return sq_lease(queue_of(self), most, 0, items, &leased, wait_ms); };
  const auto undo = [&] { sq_release(queue_of(self), items, leased); };
  if (!wait_for(deadline, &status, call, undo)) return nullptr;
  if (status != SQ_OK) return raise_from(self, status);
  PyObject* const list = PyList_New(leased);
  for (uint32_t index = 0; index < leased; ++index) {
    PyObject* const item =
        list == nullptr ? nullptr : make_item(state_of(Py_TYPE(self)), self_of(self), items[index], false);
    if (item == nullptr || PyList_SetItem(list, index, item) != 0) {
      sq_release(queue_of(self), items + index + (list == nullptr ? 0 : 1), leased - index - (list == nullptr ? 0 : 1));
      Py_XDECREF(list);
      return nullptr;
    }
  }
  return list;
}

/// end_all(items, ack): those of a list of leases that are still open, together.
PyObject* end_all(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) return PyErr_Format(PyExc_TypeError, "end_all(items, ack)");
  const Py_ssize_t size = PyList_Size(arguments[0]);
  if (size < 0) return nullptr;
  std::vector<sq_item> open;
  open.reserve(static_cast<size_t>(size));
  for (Py_ssize_t index = 0; index < size; ++index) {
    auto* const item = reinterpret_cast<Item*>(PyList_GetItem(arguments[0], index));
    if (!item->open) continue;
    if (item->exports > 0) {
      PyErr_SetString(PyExc_BufferError, "views of the items' bytes are still in use: release them first");
      return nullptr;
    }
    open.push_back(item->item);
  }
  for (Py_ssize_t index = 0; index < size; ++index) {
    reinterpret_cast<Item*>(PyList_GetItem(arguments[0], index))->open = false;
  }
  const bool ack = PyObject_IsTrue(arguments[1]) == 1;
  const auto some = static_cast<uint32_t>(open.size());
  const sq_status status =
      ack ? sq_ack(queue_of(self), open.data(), some) : sq_release(queue_of(self), open.data(), some);
  if (status == SQ_CLOSED && !ack) Py_RETURN_NONE;
  return none_or(self, status);
}

/// claim(bytes, timeout)
PyObject* claim(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) return PyErr_Format(PyExc_TypeError, "claim(bytes, timeout)");
  Deadline deadline;
  const Py_ssize_t bytes = PyLong_AsSsize_t(arguments[0]);
  if (PyErr_Occurred() != nullptr || !deadline.read(arguments[1])) return nullptr;
  if (bytes < 0) return PyErr_Format(PyExc_ValueError, "a claim is for a non-negative number of bytes");
  sq_item item;
  sq_status status = SQ_OK;
  const auto call = [&](uint32_t wait_ms) {
    return sq_claim(queue_of(self), static_cast<size_t>(bytes), SQ_RAW, &item, wait_ms);
  };
  const auto undo = [&] { sq_abort(queue_of(self), &item); };
  if (!wait_for(deadline, &status, call, undo)) return nullptr;
  if (status != SQ_OK) return raise_from(self, status);
  return make_item(state_of(Py_TYPE(self)), self_of(self), item, true);
}

PyObject* join(PyObject* self, PyObject* timeout) {
  Deadline deadline;
  if (!deadline.read(timeout)) return nullptr;
  sq_status status = SQ_OK;
  const auto call = [&](uint32_t wait_ms) { return sq_join(queue_of(self), wait_ms); };
  if (!wait_for(deadline, &status, call, nothing_to_undo)) return nullptr;
  return none_or(self, status);
}

PyObject* size(PyObject* self, PyObject*) {
  uint64_t found = 0;
  const sq_status status = sq_size(queue_of(self), &found);
  return status == SQ_OK ? PyLong_FromUnsignedLongLong(found) : raise_from(self, status);
}

PyObject* flag(PyObject* self, sq_status (*question)(sq_queue*, int*)) {
  int answer = 0;
  const sq_status status = question(queue_of(self), &answer);
  return status == SQ_OK ? PyBool_FromLong(answer) : raise_from(self, status);
}
PyObject* full(PyObject* self, PyObject*) { return flag(self, sq_full); }
PyObject* is_shut_down(PyObject* self, PyObject*) { return flag(self, sq_is_shut_down); }

PyObject* shutdown(PyObject* self, PyObject* immediate) {
  return none_or(self, sq_shutdown(queue_of(self), PyObject_IsTrue(immediate)));
}

PyObject* produce(PyObject* self, PyObject* expected) {
  const unsigned long number = PyLong_AsUnsignedLong(expected);
  if (PyErr_Occurred() != nullptr) return nullptr;
  return none_or(self, sq_produce(queue_of(self), static_cast<uint32_t>(number)));
}

PyObject* unlink_name(PyObject* self, PyObject*) { return none_or(self, sq_unlink(queue_of(self))); }

PyObject* close(PyObject* self, PyObject*) {
  if (self_of(self)->exports > 0) {
    PyErr_SetString(PyExc_BufferError, "views of items or claims are still in use: release them, then close");
    return nullptr;
  }
  PyThreadState* const saved = PyEval_SaveThread();
  const sq_status status = sq_close(queue_of(self));
  PyEval_RestoreThread(saved);
  return none_or(self, status);
}

PyObject* describe(PyObject* self, PyObject*) {
  sq_description found{};
  found.struct_size = sizeof found;
  const sq_status status = sq_describe(queue_of(self), &found);
  if (status != SQ_OK) return raise_from(self, status);
  return Py_BuildValue("{s:O,s:O,s:I,s:I,s:I,s:K,s:K}", "created", found.created != 0 ? Py_True : Py_False,
                       "auto_cleanup", found.auto_cleanup != 0 ? Py_True : Py_False, "mode", found.mode, "permissions",
                       found.permissions, "group", found.group, "maxsize", (unsigned long long)found.maxsize,
                       "capacity_bytes", (unsigned long long)found.capacity_bytes);
}

PyObject* attached_list(PyObject* self) {
  sq_peer peers[256];
  size_t count = 0;
  const sq_status status = sq_peers(queue_of(self), peers, 256, &count);
  if (status != SQ_OK) return raise_from(self, status);
  PyObject* const list = PyList_New(0);
  for (size_t index = 0; list != nullptr && index < std::min<size_t>(count, 256); ++index) {
    PyObject* const entry =
        Py_BuildValue("{s:I,s:O,s:O}", "pid", peers[index].pid, "alive", peers[index].alive != 0 ? Py_True : Py_False,
                      "foreign", peers[index].foreign != 0 ? Py_True : Py_False);
    if (entry != nullptr) PyList_Append(list, entry);
    Py_XDECREF(entry);
  }
  return list;
}

PyObject* stats(PyObject* self, PyObject*) {
  sq_totals found{};
  found.struct_size = sizeof found;
  const sq_status status = sq_stats(queue_of(self), &found);
  if (status != SQ_OK) return raise_from(self, status);
  PyObject* const attached = attached_list(self);
  if (attached == nullptr) return nullptr;
  const auto wide = [](uint64_t number) { return static_cast<unsigned long long>(number); };
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:I,s:I,s:O,s:N}", "qsize", wide(found.size), "put_total",
                       wide(found.put_total), "get_total", wide(found.get_total), "put_bytes_total",
                       wide(found.put_bytes_total), "used_bytes", wide(found.used_bytes), "leased", wide(found.leased),
                       "redelivered", wide(found.redelivered), "recovered", wide(found.recovered), "waiting_getters",
                       found.waiting_getters, "waiting_putters", found.waiting_putters, "shut_down",
                       found.shut_down != 0 ? Py_True : Py_False, "attached", attached);
}

PyObject* schemas(PyObject* self, PyObject*) {
  PyObject* const list = PyList_New(0);
  for (uint32_t id = 1; list != nullptr; ++id) {
    const char* text = nullptr;
    size_t bytes = 0;
    const sq_status status = sq_schema(queue_of(self), id, &text, &bytes);
    if (status == SQ_EMPTY) return list;
    PyObject* const entry =
        status == SQ_OK ? PyBytes_FromStringAndSize(text, static_cast<Py_ssize_t>(bytes)) : raise_from(self, status);
    if (entry == nullptr || PyList_Append(list, entry) != 0) {
      Py_XDECREF(entry);
      Py_DECREF(list);
      return nullptr;
    }
    Py_DECREF(entry);
  }
  return nullptr;
}

/// add_schema(text): its id, 0 where there is no room for it.
PyObject* add_schema(PyObject* self, PyObject* text) {
  char* data = nullptr;
  Py_ssize_t bytes = 0;
  if (PyBytes_AsStringAndSize(text, &data, &bytes) != 0) return nullptr;
  uint32_t id = 0;
  const sq_status status = sq_add_schema(queue_of(self), data, static_cast<size_t>(bytes), &id);
  if (status != SQ_OK && status != SQ_FULL) return raise_from(self, status);
  return PyLong_FromUnsignedLong(id);
}

void destroy(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyThreadState* const saved = PyEval_SaveThread();
  sq_free(queue_of(self));
  PyEval_RestoreThread(saved);
  PyObject_Free(self);
  Py_DECREF(type);
}

template <class Function>
PyCFunction fast(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)(void)>(function));
}

PyMethodDef methods[] = {
    {"put", fast(put), METH_FASTCALL, nullptr},
    {"put_some", fast(put_some), METH_FASTCALL, nullptr},
    {"get", get, METH_O, nullptr},
    {"get_some", fast(get_some), METH_FASTCALL, nullptr},
    {"lease", fast(lease), METH_FASTCALL, nullptr},
    {"end_all", fast(end_all), METH_FASTCALL, nullptr},
    {"claim", fast(claim), METH_FASTCALL, nullptr},
    {"join", join, METH_O, nullptr},
    {"size", size, METH_NOARGS, nullptr},
    {"full", full, METH_NOARGS, nullptr},
    {"is_shut_down", is_shut_down, METH_NOARGS, nullptr},
    {"shutdown", shutdown, METH_O, nullptr},
    {"produce", produce, METH_O, nullptr},
    {"unlink", unlink_name, METH_NOARGS, nullptr},
    {"close", close, METH_NOARGS, nullptr},
    {"describe", describe, METH_NOARGS, nullptr},
    {"stats", stats, METH_NOARGS, nullptr},
    {"schemas", schemas, METH_NOARGS, nullptr},
    {"add_schema", add_schema, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
    {Py_tp_methods, methods},
    {0, nullptr},
};

}  // namespace

PyType_Spec handle_spec = {"sage_queue._native.Handle", sizeof(Handle), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

/// open(kind, create, name, namespace, queue_id, flags, mode, maxsize, capacity_bytes, owner_uid, trusted_uids, schema)
PyObject* open_handle(PyObject* module, PyObject* arguments) {
  State* const state = state_of(module);
  sq_options options{};
  options.struct_size = sizeof options;
  int kind = 0;
  int create = 0;
  unsigned long long maxsize = 0;
  unsigned long long capacity = 0;
  PyObject* trusted = nullptr;
  Py_ssize_t schema_bytes = 0;
  if (PyArg_ParseTuple(arguments, "iiszzIIKKIOz#", &kind, &create, &options.name, &options.name_space,
                       &options.queue_id, &options.flags, &options.mode, &maxsize, &capacity, &options.owner_uid,
                       &trusted, &options.schema, &schema_bytes) == 0) {
    return nullptr;
  }
  std::vector<uint32_t> uids;
  for (Py_ssize_t index = 0; index < PyTuple_Size(trusted); ++index) {
    uids.push_back(static_cast<uint32_t>(PyLong_AsUnsignedLong(PyTuple_GetItem(trusted, index))));
  }
  if (PyErr_Occurred() != nullptr) return nullptr;
  options.kind = static_cast<sq_kind>(kind);
  options.create = static_cast<sq_create>(create);
  options.maxsize = maxsize;
  options.capacity_bytes = capacity;
  options.schema_bytes = static_cast<size_t>(schema_bytes);
  options.trusted_uids = uids.data();
  options.trusted_count = uids.size();
  sq_queue* queue = nullptr;
  PyThreadState* const saved = PyEval_SaveThread();
  const sq_status status = sq_open(&options, &queue);
  PyEval_RestoreThread(saved);
  if (status != SQ_OK) return raise(state, status);
  Handle* const handle = PyObject_New(Handle, state->handle);
  if (handle == nullptr) {
    sq_free(queue);
    return nullptr;
  }
  handle->queue = queue;
  handle->exports = 0;
  return reinterpret_cast<PyObject*>(handle);
}

}  // namespace sage_python
