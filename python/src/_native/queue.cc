// How a queue is opened, and what a handle tells of it.
#include <algorithm>
#include <vector>

#include "native.h"

namespace sage_python {

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

namespace {

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

}  // namespace

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
