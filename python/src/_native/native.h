// The queues of sage_queue.h as Python objects: bytes in and out, statuses as exceptions. What items mean, and how
// asyncio waits, is for the Python above it.
#pragma once

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <unistd.h>

#include "sage_queue.h"

namespace sage_python {

/// What one module object (one interpreter) has for itself.
struct State {
  PyObject* fail;           // sage_queue.errors.fail(code, message): raises
  PyObject* cannot_decode;  // sage_queue.errors.SerializationError
  PyObject* unknown;        // sage_queue.errors.UnknownSchemaError
  PyTypeObject* handle;
  PyTypeObject* item;
  PyTypeObject* bell;
  PyTypeObject* waiter;
};

State* state_of(PyObject* module);
State* state_of(PyTypeObject* type);

/// Sets the exception of a status; always null.
PyObject* raise(State* state, sq_status status);
PyObject* raise(State* state, const char* code, const char* message);

struct Handle {
  PyObject_HEAD sq_queue* queue;
  Py_ssize_t exports;  // views of items and claims that are out
};

/// An item on lease, or room that was claimed: bytes where they lie in shared memory.
struct Item {
  PyObject_HEAD Handle* handle;
  sq_item item;
  Py_ssize_t exports;
  long pid;  // whose it is: a forked child's copy is nobody's
  bool claim;
  bool open;
};

struct Bell {
  PyObject_HEAD sq_bell* bell;
};

struct Waiter {
  PyObject_HEAD Handle* handle;
  Bell* bell;
  sq_waiter* waiter;
};

extern PyType_Spec handle_spec;
extern PyType_Spec item_spec;
extern PyType_Spec bell_spec;
extern PyType_Spec waiter_spec;
extern PyType_Spec record_spec;

/// A forked child has nothing to end.
inline bool is_own(const Item* item) { return item->pid == getpid(); }
PyObject* make_item(State* state, Handle* handle, const sq_item& item, bool claim);

inline sq_queue* queue_of(PyObject* self) { return reinterpret_cast<Handle*>(self)->queue; }
inline PyObject* raise_from(PyObject* self, sq_status status) { return raise(state_of(Py_TYPE(self)), status); }

// Functions of the module.
PyObject* open_handle(PyObject* module, PyObject* arguments);
PyObject* text_keys(PyObject* module, PyObject* value);
// Methods of a handle (gets.cc).
PyObject* get(PyObject* self, PyObject* const* arguments, Py_ssize_t count);
PyObject* get_many(PyObject* self, PyObject* const* arguments, Py_ssize_t count);
// Methods of a handle that only tell.
PyObject* describe(PyObject* self, PyObject*);
PyObject* stats(PyObject* self, PyObject*);
PyObject* schemas(PyObject* self, PyObject*);
PyObject* add_schema(PyObject* self, PyObject* text);

/// Seconds, or None for ever, as a wait that ends at a moment of the monotonic clock.
class Deadline {
 public:
  /// False, with an exception: it is no time.
  bool read(PyObject* seconds);
  bool is_now() const { return !forever_ && end_ns_ == 0; }
  /// The next slice, 0 when the time is over.
  uint32_t slice_ms() const;

 private:
  bool forever_ = true;
  int64_t end_ns_ = 0;
};

/// A wait comes back this often, so that signals get through.
constexpr uint32_t kSliceMs = 100;

/// `call(wait_ms)` with the interpreter, and then without it in slices, until it brings something else than EMPTY, FULL
/// or TIMEOUT, the time is over, or a signal's handler raises. False: that, and `undo()` was called if the call had
/// brought something meanwhile. `keep()` is called before it sleeps; false, with an exception: it cannot.
template <class Call, class Undo, class Keep>
bool wait_for(const Deadline& deadline, sq_status* status, Call call, Undo undo, Keep keep) {
  const auto pending = [&] { return *status == SQ_EMPTY || *status == SQ_FULL || *status == SQ_TIMEOUT; };
  *status = call(0);
  if (!pending() || deadline.is_now()) return true;
  if (!keep()) return false;
  do {
    const uint32_t slice = deadline.slice_ms();
    if (slice == 0) return true;
    PyThreadState* const saved = PyEval_SaveThread();
    *status = call(slice);
    PyEval_RestoreThread(saved);
    if (PyErr_CheckSignals() != 0) {
      if (*status == SQ_OK) undo();
      return false;
    }
  } while (pending());
  return true;
}

template <class Call, class Undo>
bool wait_for(const Deadline& deadline, sq_status* status, Call call, Undo undo) {
  return wait_for(deadline, status, call, undo, [] { return true; });
}

}  // namespace sage_python
