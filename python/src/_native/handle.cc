// One handle: puts, leases and its end. Gets: gets.cc. How one is opened, and what it tells of its queue: queue.cc.
#include <algorithm>
#include <vector>

#include "native.h"

namespace sage_python {
namespace {

Handle* self_of(PyObject* self) { return reinterpret_cast<Handle*>(self); }

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
    Py_XDECREF(kept_);
  }

  /// As they are now, whatever becomes of an object that may change. False, with an exception: there is no memory.
  bool keep() {
    if (!viewed_) return true;
    kept_ = PyBytes_FromStringAndSize(static_cast<const char*>(data_), bytes_);
    if (kept_ == nullptr) return false;
    PyBuffer_Release(&view_);
    viewed_ = false;
    data_ = PyBytes_AsString(kept_);
    return true;
  }
  const void* data() const { return data_; }
  size_t bytes() const { return static_cast<size_t>(bytes_); }
  /// Null where nothing had to be kept.
  PyObject* kept() const { return kept_; }

 private:
  Py_buffer view_;
  PyObject* kept_ = nullptr;
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
  if (!wait_for(deadline, &status, call, nothing_to_undo, [&] { return view.keep(); })) return nullptr;
  return none_or(self, status);
}

/// Bytes are raw; anything else is a pair (bytes, codec). False, with an exception: it is neither.
bool read_piece(PyObject* item, View* view, unsigned* codec) {
  *codec = SQ_RAW;
  if (PyBytes_Check(item) != 0) return view->read(item);
  PyObject* bytes = nullptr;
  return PyArg_ParseTuple(item, "OI", &bytes, codec) != 0 && view->read(bytes);
}

/// put_some(items, from, timeout): how many of the items of the list from `from` on went in. Those that had to wait are
/// in the list as they were then.
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
    PyObject* const item = PyList_GetItem(arguments[0], from + index);
    unsigned codec = 0;
    if (item == nullptr || !read_piece(item, &views[index], &codec)) return nullptr;
    if (views[index].bytes() > UINT32_MAX) return raise_from(self, SQ_ITEM_TOO_LARGE);
    pieces[index] = {views[index].data(), static_cast<uint32_t>(views[index].bytes()), codec};
  }
  uint32_t accepted = 0;
  sq_status status = SQ_OK;
  const auto call = [&](uint32_t wait_ms) { return sq_put_many(queue_of(self), pieces, some, &accepted, wait_ms); };
  const auto keep = [&] {
    for (uint32_t index = 0; index < some; ++index) {
      if (!views[index].keep()) return false;
      pieces[index].data = views[index].data();
      if (views[index].kept() == nullptr) continue;
      PyObject* const item = Py_BuildValue("OI", views[index].kept(), pieces[index].codec);
      if (item == nullptr || PyList_SetItem(arguments[0], from + index, item) != 0) return false;
    }
    return true;
  };
  if (!wait_for(deadline, &status, call, nothing_to_undo, keep)) return nullptr;
  return status == SQ_OK ? PyLong_FromUnsignedLong(accepted) : raise_from(self, status);
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
    if (is_own(item)) open.push_back(item->item);
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
  if (number == 0 || number > UINT32_MAX) return raise_from(self, SQ_INVALID);
  return none_or(self, sq_produce(queue_of(self), static_cast<uint32_t>(number)));
}

PyObject* abandon(PyObject* self, PyObject*) { return none_or(self, sq_abandon(queue_of(self))); }

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

/// Nobody closed it: as a producer it is lost.
void destroy(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyThreadState* const saved = PyEval_SaveThread();
  sq_abandon(queue_of(self));
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
    {"get", fast(get), METH_FASTCALL, nullptr},
    {"get_many", fast(get_many), METH_FASTCALL, nullptr},
    {"lease", fast(lease), METH_FASTCALL, nullptr},
    {"end_all", fast(end_all), METH_FASTCALL, nullptr},
    {"claim", fast(claim), METH_FASTCALL, nullptr},
    {"join", join, METH_O, nullptr},
    {"size", size, METH_NOARGS, nullptr},
    {"full", full, METH_NOARGS, nullptr},
    {"is_shut_down", is_shut_down, METH_NOARGS, nullptr},
    {"shutdown", shutdown, METH_O, nullptr},
    {"produce", produce, METH_O, nullptr},
    {"abandon", abandon, METH_NOARGS, nullptr},
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

}  // namespace sage_python
