// Items where they lie: on lease and read-only, or claimed and to be filled.
#include <unistd.h>

#include "native.h"

namespace sage_python {
namespace {

Item* self_of(PyObject* self) { return reinterpret_cast<Item*>(self); }

/// Ends it by a call of the C layer. Once ended, or in a forked child's copy, there is nothing to end.
PyObject* end(Item* item, sq_status (*how)(sq_queue*, const sq_item*)) {
  if (!item->open) Py_RETURN_FALSE;
  if (item->exports > 0) {
    PyErr_SetString(PyExc_BufferError, "views of the item's bytes are still in use: release them first");
    return nullptr;
  }
  item->open = false;
  if (!is_own(item)) Py_RETURN_FALSE;
  const sq_status status = how(item->handle->queue, &item->item);
  if (status == SQ_OK) Py_RETURN_TRUE;
  return raise(state_of(Py_TYPE(reinterpret_cast<PyObject*>(item))), status);
}

sq_status ack_one(sq_queue* queue, const sq_item* item) { return sq_ack(queue, item, 1); }
sq_status release_one(sq_queue* queue, const sq_item* item) {
  const sq_status status = sq_release(queue, item, 1);
  return status == SQ_CLOSED ? SQ_OK : status;  // it went back when the handle was closed
}
sq_status undo_one(sq_queue* queue, const sq_item* item) {
  const sq_status status = sq_undo(queue, item, 1);
  return status == SQ_CLOSED ? SQ_OK : status;
}
sq_status abort_one(sq_queue* queue, const sq_item* item) {
  const sq_status status = sq_abort(queue, item);
  return status == SQ_CLOSED ? SQ_OK : status;
}

/// ack() of a lease, commit of a claim.
PyObject* finish(PyObject* self, PyObject*) { return end(self_of(self), self_of(self)->claim ? sq_commit : ack_one); }
/// release() of a lease, abort of a claim.
PyObject* release(PyObject* self, PyObject*) {
  return end(self_of(self), self_of(self)->claim ? abort_one : release_one);
}
/// Of a lease that nobody has seen, abort of a claim.
PyObject* undo(PyObject* self, PyObject*) { return end(self_of(self), self_of(self)->claim ? abort_one : undo_one); }

PyObject* copy(PyObject* self, PyObject*) {
  const Item* const item = self_of(self);
  if (!item->open) {
    PyErr_SetString(PyExc_BufferError, "the item has ended: its bytes belong to the queue");
    return nullptr;
  }
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(item->item.data), item->item.bytes);
}

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  Item* const item = self_of(self);
  if (!item->open || !is_own(item)) {
    PyErr_SetString(PyExc_BufferError, "the item has ended: its bytes belong to the queue");
    return -1;
  }
  if (PyBuffer_FillInfo(view, self, item->item.data, item->item.bytes, item->claim ? 0 : 1, flags) != 0) return -1;
  ++item->exports;
  ++item->handle->exports;
  return 0;
}

void release_buffer(PyObject* self, Py_buffer*) {
  --self_of(self)->exports;
  --self_of(self)->handle->exports;
}

void destroy(PyObject* self) {
  Item* const item = self_of(self);
  PyTypeObject* const type = Py_TYPE(self);
  if (item->open && is_own(item)) (item->claim ? abort_one : release_one)(item->handle->queue, &item->item);
  Py_DECREF(reinterpret_cast<PyObject*>(item->handle));
  PyObject_Free(self);
  Py_DECREF(type);
}

PyObject* get_codec(PyObject* self, void*) { return PyLong_FromUnsignedLong(self_of(self)->item.codec); }
PyObject* get_deliveries(PyObject* self, void*) { return PyLong_FromUnsignedLong(self_of(self)->item.deliveries); }
PyObject* get_crashes(PyObject* self, void*) { return PyLong_FromUnsignedLong(self_of(self)->item.crashes); }
PyObject* get_open(PyObject* self, void*) { return PyBool_FromLong(self_of(self)->open ? 1 : 0); }
Py_ssize_t length(PyObject* self) { return self_of(self)->item.bytes; }

PyObject* enter(PyObject* self, PyObject*) {
  Py_INCREF(self);
  return self;
}

PyObject* leave(PyObject* self, PyObject*) {
  PyObject* const undone = release(self, nullptr);
  Py_XDECREF(undone);
  if (undone == nullptr) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"finish", finish, METH_NOARGS, nullptr},
    {"ack", finish, METH_NOARGS, "Forgotten from now on. BufferError while views of its bytes are in use."},
    {"release", release, METH_NOARGS, "It comes again. BufferError while views of its bytes are in use."},
    {"__enter__", enter, METH_NOARGS, nullptr},
    {"__exit__", leave, METH_VARARGS, nullptr},
    {"undo", undo, METH_NOARGS, nullptr},
    {"copy", copy, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef getters[] = {
    {"codec", get_codec, nullptr, nullptr, nullptr},     {"deliveries", get_deliveries, nullptr, nullptr, nullptr},
    {"crashes", get_crashes, nullptr, nullptr, nullptr}, {"open", get_open, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
    {Py_tp_methods, methods},
    {Py_tp_getset, getters},
    {Py_sq_length, reinterpret_cast<void*>(length)},
    {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(release_buffer)},
    {0, nullptr},
};

}  // namespace

PyType_Spec item_spec = {"sage_queue._native.Item", sizeof(Item), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

PyObject* make_item(State* state, Handle* handle, const sq_item& found, bool claim) {
  Item* const item = PyObject_New(Item, state->item);
  if (item == nullptr) {
    (claim ? abort_one : release_one)(handle->queue, &found);
    return nullptr;
  }
  item->handle = handle;
  Py_INCREF(reinterpret_cast<PyObject*>(handle));
  item->item = found;
  item->exports = 0;
  item->pid = getpid();
  item->claim = claim;
  item->open = true;
  return reinterpret_cast<PyObject*>(item);
}

}  // namespace sage_python
