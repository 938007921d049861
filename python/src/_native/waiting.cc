// Doorbells of event loops, and their places in line.
#include "native.h"

namespace sage_python {
namespace {

Bell* bell_of(PyObject* self) { return reinterpret_cast<Bell*>(self); }
Waiter* waiter_of(PyObject* self) { return reinterpret_cast<Waiter*>(self); }

PyObject* new_bell(PyTypeObject* type, PyObject* arguments, PyObject*) {
  unsigned permissions = 0;
  unsigned group = 0;
  if (PyArg_ParseTuple(arguments, "II", &permissions, &group) == 0) return nullptr;
  sq_bell* opened = nullptr;
  const sq_status status = sq_bell_open(permissions, group, &opened);
  if (status != SQ_OK) return raise(state_of(type), status);
  Bell* const bell = PyObject_New(Bell, type);
  if (bell == nullptr) {
    sq_bell_close(opened);
    return nullptr;
  }
  bell->bell = opened;
  return reinterpret_cast<PyObject*>(bell);
}

PyObject* fileno(PyObject* self, PyObject*) { return PyLong_FromLong(sq_bell_fd(bell_of(self)->bell)); }

/// Waiters that were begun at it have ended.
PyObject* close(PyObject* self, PyObject*) {
  sq_bell_close(bell_of(self)->bell);
  bell_of(self)->bell = nullptr;
  Py_RETURN_NONE;
}

void destroy_bell(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  sq_bell_close(bell_of(self)->bell);
  PyObject_Free(self);
  Py_DECREF(type);
}

/// Waiter(handle, side, bell, tag)
PyObject* new_waiter(PyTypeObject* type, PyObject* arguments, PyObject*) {
  State* const state = state_of(type);
  PyObject* handle = nullptr;
  PyObject* bell = nullptr;
  int side = 0;
  unsigned tag = 0;
  if (PyArg_ParseTuple(arguments, "O!iO!I", state->handle, &handle, &side, state->bell, &bell, &tag) == 0)
    return nullptr;
  sq_waiter* begun = nullptr;
  const sq_status status = sq_wait_begin(reinterpret_cast<Handle*>(handle)->queue, static_cast<sq_side>(side),
                                         bell_of(bell)->bell, tag, &begun);
  if (status != SQ_OK) return raise(state, status);
  Waiter* const waiter = PyObject_New(Waiter, type);
  if (waiter == nullptr) {
    sq_wait_end(begun);
    return nullptr;
  }
  Py_INCREF(handle);
  Py_INCREF(bell);
  waiter->handle = reinterpret_cast<Handle*>(handle);
  waiter->bell = bell_of(bell);
  waiter->waiter = begun;
  return reinterpret_cast<PyObject*>(waiter);
}

/// next(step): what comes next, and whether it has to be looked at without being rung.
PyObject* next(PyObject* self, PyObject* argument) {
  const long given = PyLong_AsLong(argument);
  if (given == -1 && PyErr_Occurred() != nullptr) return nullptr;
  auto step = static_cast<sq_step>(given);
  int polls = 0;
  if (waiter_of(self)->waiter == nullptr) return Py_BuildValue("iO", static_cast<int>(SQ_DONE), Py_False);
  const sq_status status = sq_wait_next(waiter_of(self)->waiter, &step, &polls);
  if (status != SQ_OK) return raise(state_of(Py_TYPE(self)), status);
  return Py_BuildValue("iO", static_cast<int>(step), polls != 0 ? Py_True : Py_False);
}

PyObject* end(PyObject* self, PyObject*) {
  sq_wait_end(waiter_of(self)->waiter);
  waiter_of(self)->waiter = nullptr;
  Py_RETURN_NONE;
}

void destroy_waiter(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  sq_wait_end(waiter_of(self)->waiter);
  Py_DECREF(reinterpret_cast<PyObject*>(waiter_of(self)->handle));
  Py_DECREF(reinterpret_cast<PyObject*>(waiter_of(self)->bell));
  PyObject_Free(self);
  Py_DECREF(type);
}

PyMethodDef bell_methods[] = {
    {"fileno", fileno, METH_NOARGS, nullptr},
    {"close", close, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot bell_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_bell)},
    {Py_tp_dealloc, reinterpret_cast<void*>(destroy_bell)},
    {Py_tp_methods, bell_methods},
    {0, nullptr},
};

PyMethodDef waiter_methods[] = {
    {"next", next, METH_O, nullptr},
    {"end", end, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot waiter_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_waiter)},
    {Py_tp_dealloc, reinterpret_cast<void*>(destroy_waiter)},
    {Py_tp_methods, waiter_methods},
    {0, nullptr},
};

}  // namespace

PyType_Spec bell_spec = {"sage_queue._native.Bell", sizeof(Bell), 0, Py_TPFLAGS_DEFAULT, bell_slots};
PyType_Spec waiter_spec = {"sage_queue._native.Waiter", sizeof(Waiter), 0, Py_TPFLAGS_DEFAULT, waiter_slots};

}  // namespace sage_python
