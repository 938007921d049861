#include <time.h>

#include <algorithm>
#include <cmath>

#include "native.h"

namespace sage_python {

State* state_of(PyObject* module) { return static_cast<State*>(PyModule_GetState(module)); }
State* state_of(PyTypeObject* type) { return static_cast<State*>(PyType_GetModuleState(type)); }

PyObject* raise(State* state, const char* code, const char* message) {
  PyObject* none = PyObject_CallFunction(state->fail, "ss", code, message);
  Py_XDECREF(none);
  return nullptr;
}

PyObject* raise(State* state, sq_status status) {
  if (status == SQ_INVALID) {
    PyErr_SetString(PyExc_ValueError, "an argument is out of its range");
    return nullptr;
  }
  return raise(state, sq_code(status), status == SQ_FAILED ? sq_error_message() : "");
}

static int64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

bool Deadline::read(PyObject* seconds) {
  if (seconds == nullptr || seconds == Py_None) return true;
  const double given = PyFloat_AsDouble(seconds);
  if (given == -1.0 && PyErr_Occurred() != nullptr) return false;
  if (std::isnan(given) || given < 0) {
    PyErr_SetString(PyExc_ValueError, "'timeout' must be a non-negative number");
    return false;
  }
  if (given > 1e9) return true;  // longer than anybody waits
  forever_ = false;
  end_ns_ = given == 0 ? 0 : now_ns() + static_cast<int64_t>(given * 1e9);
  return true;
}

uint32_t Deadline::slice_ms() const {
  if (forever_) return kSliceMs;
  const int64_t left = (end_ns_ - now_ns() + 999999) / 1000000;
  return static_cast<uint32_t>(std::clamp<int64_t>(left, 0, kSliceMs));
}

namespace {

PyObject* segment_name(PyObject* module, PyObject* arguments) {
  sq_options options{};
  options.struct_size = sizeof options;
  int kind = 0;
  if (PyArg_ParseTuple(arguments, "iszII", &kind, &options.name, &options.name_space, &options.flags,
                       &options.owner_uid) == 0) {
    return nullptr;
  }
  options.kind = static_cast<sq_kind>(kind);
  char name[1024];
  const sq_status status = sq_segment_name(&options, name, sizeof name);
  return status == SQ_OK ? PyUnicode_FromString(name) : raise(state_of(module), status);
}

PyMethodDef functions[] = {
    {"open", open_handle, METH_VARARGS, nullptr},
    {"text_keys", text_keys, METH_O, nullptr},
    {"segment_name", segment_name, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyTypeObject* add_type(PyObject* module, PyType_Spec* spec, const char* name) {
  PyObject* type = PyType_FromModuleAndSpec(module, spec, nullptr);
  if (type == nullptr || PyModule_AddObjectRef(module, name, type) != 0) return nullptr;
  return reinterpret_cast<PyTypeObject*>(type);
}

int execute(PyObject* module) {
  State* const state = state_of(module);
  PyObject* const errors = PyImport_ImportModule("sage_queue.errors");
  if (errors == nullptr) return -1;
  state->fail = PyObject_GetAttrString(errors, "fail");
  state->cannot_decode = PyObject_GetAttrString(errors, "SerializationError");
  state->unknown = PyObject_GetAttrString(errors, "UnknownSchemaError");
  Py_DECREF(errors);
  if (state->fail == nullptr || state->cannot_decode == nullptr || state->unknown == nullptr) return -1;
  state->handle = add_type(module, &handle_spec, "Handle");
  state->item = add_type(module, &item_spec, "Item");
  state->bell = add_type(module, &bell_spec, "Bell");
  state->waiter = add_type(module, &waiter_spec, "Waiter");
  if (state->handle == nullptr || state->item == nullptr || state->bell == nullptr || state->waiter == nullptr)
    return -1;
  PyTypeObject* const record = add_type(module, &record_spec, "Record");
  if (record == nullptr) return -1;
  Py_DECREF(reinterpret_cast<PyObject*>(record));
  PyModule_AddIntConstant(module, "LAYOUT_VERSION", sq_layout_version());
  return PyModule_AddStringConstant(module, "DIRECTORY", sq_directory());
}

int traverse(PyObject* module, visitproc visit, void* arg) {
  State* const state = state_of(module);
  Py_VISIT(state->fail);
  Py_VISIT(state->cannot_decode);
  Py_VISIT(state->unknown);
  Py_VISIT(state->handle);
  Py_VISIT(state->item);
  Py_VISIT(state->bell);
  Py_VISIT(state->waiter);
  return 0;
}

int clear(PyObject* module) {
  State* const state = state_of(module);
  Py_CLEAR(state->fail);
  Py_CLEAR(state->cannot_decode);
  Py_CLEAR(state->unknown);
  Py_CLEAR(state->handle);
  Py_CLEAR(state->item);
  Py_CLEAR(state->bell);
  Py_CLEAR(state->waiter);
  return 0;
}

// Slots and values that Python 3.12 brought, by their numbers: 3.11 refuses a module that names them.
constexpr int kMultipleInterpreters = 3;
constexpr intptr_t kOwnLockSupported = 2;
constexpr unsigned long kPython312 = 0x030c0000;

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(execute)},
    {0, nullptr},
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "sage_queue._native", nullptr, sizeof(State), functions, slots, traverse, clear, nullptr,
};

}  // namespace
}  // namespace sage_python

extern "C" __attribute__((visibility("default"))) PyObject* PyInit__native(void) {
  using namespace sage_python;
  if (Py_Version >= kPython312) slots[1] = {kMultipleInterpreters, reinterpret_cast<void*>(kOwnLockSupported)};
  return PyModuleDef_Init(&definition);
}
