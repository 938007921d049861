// Gets: an item is the queue's until it has become an object, and that is the last thing that may fail.
#include <algorithm>
#include <deque>

#include "native.h"

namespace sage_python {
namespace {

/// Bytes where it is raw, else (bytes, codec).
PyObject* taken_item(const sq_item& item) {
  PyObject* bytes = PyBytes_FromStringAndSize(reinterpret_cast<const char*>(item.data), item.bytes);
  if (bytes == nullptr || item.codec == SQ_RAW) return bytes;
  return Py_BuildValue("NI", bytes, item.codec);
}

/// What an item is to the program: raw bytes as they are, others by decode(bytes, codec). Null, with an exception.
PyObject* read_item(const sq_item& item, PyObject* decode) {
  PyObject* const found = taken_item(item);
  if (found == nullptr || item.codec == SQ_RAW) return found;
  PyObject* const decoded = PyObject_CallObject(decode, found);
  Py_DECREF(found);
  return decoded;
}

/// Whether the exception says that nobody can read the item: else it is a signal's, or there is no memory, and nothing
/// is wrong with the item.
bool is_unreadable(PyObject* self) { return PyErr_ExceptionMatches(state_of(Py_TYPE(self))->cannot_decode) != 0; }

/// Whether it is gone by that: of a schema that nobody here knows, it stays for those who do.
bool is_removed(PyObject* self) {
  return is_unreadable(self) && PyErr_ExceptionMatches(state_of(Py_TYPE(self))->unknown) == 0;
}

/// The items of a get_many, in the pieces in which they were taken. They are the queue's until finish(), and go back
/// without it.
class Taken {
 public:
  explicit Taken(PyObject* handle) : handle_(handle) {}
  Taken(const Taken&) = delete;
  Taken& operator=(const Taken&) = delete;
  ~Taken() { finish(0); }

  /// Up to SQ_MAX_BATCH more. False: none came.
  bool take(uint32_t most, uint32_t wait_ms, sq_status* status) {
    pieces_.emplace_back();
    Piece& piece = pieces_.back();
    *status = sq_take(queue_of(handle_), std::min(most, SQ_MAX_BATCH), 0, piece.items, &piece.count, wait_ms);
    if (*status != SQ_OK) pieces_.pop_back();
    return *status == SQ_OK;
  }

  /// Appends what was taken last to the list. False, with an exception: not all of it.
  bool read(PyObject* list, PyObject* decode) {
    const Piece& piece = pieces_.back();
    for (uint32_t index = 0; index < piece.count; ++index) {
      PyObject* const item = read_item(piece.items[index], decode);
      const bool added = item != nullptr && PyList_Append(list, item) == 0;
      Py_XDECREF(item);
      if (!added) return false;
    }
    return true;
  }

  /// The first `done` items are done with, the others go back.
  void finish(size_t done) {
    size_t before = 0;
    for (const Piece& piece : pieces_) before += piece.count;
    for (; !pieces_.empty(); pieces_.pop_back()) {
      const Piece& piece = pieces_.back();
      before -= piece.count;
      const size_t here = std::clamp<size_t>(done, before, before + piece.count) - before;
      if (here == 0) {
        sq_undo(queue_of(handle_), piece.items, piece.count);
      } else {
        sq_finish(queue_of(handle_), piece.items, piece.count, static_cast<uint32_t>(here));
      }
    }
  }

 private:
  struct Piece {
    sq_item items[SQ_MAX_BATCH];
    uint32_t count = 0;
  };
  PyObject* handle_;
  std::deque<Piece> pieces_;
};

/// Appends what is there, up to `max` items, to the list. The first that cannot be read ends it, without an exception
/// when there are items before it; the next call comes to that one first.
bool read_all(PyObject* self, Taken* taken, PyObject* list, unsigned long max, PyObject* decode) {
  while (taken->read(list, decode)) {
    const auto have = static_cast<unsigned long>(PyList_Size(list));
    uint64_t left = 0;
    sq_status status = SQ_OK;
    if (have >= max || sq_size(queue_of(self), &left) != SQ_OK || left == 0) return true;
    const auto most = static_cast<uint32_t>(std::min<unsigned long>(max - have, SQ_MAX_BATCH));
    if (!taken->take(most, 0, &status)) return true;  // the next call says why
  }
  if (PyList_Size(list) == 0 || !is_unreadable(self)) return false;
  PyErr_Clear();
  return true;
}

}  // namespace

/// get(timeout, decode). The item is the queue's until it is decoded, and goes back when a signal's handler raises.
PyObject* get(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) return PyErr_Format(PyExc_TypeError, "get(timeout, decode)");
  Deadline deadline;
  if (!deadline.read(arguments[0])) return nullptr;
  sq_item item;
  uint32_t taken = 0;
  sq_status status = SQ_OK;
  const auto call = [&](uint32_t wait_ms) { return sq_take(queue_of(self), 1, 0, &item, &taken, wait_ms); };
  const auto undo = [&] { sq_undo(queue_of(self), &item, 1); };
  if (!wait_for(deadline, &status, call, undo)) return nullptr;
  if (status != SQ_OK) return raise_from(self, status);
  PyObject* const result = read_item(item, arguments[1]);
  if (result != nullptr && PyErr_CheckSignals() != 0) {
    undo();
    Py_DECREF(result);
    return nullptr;
  }
  if (result != nullptr || is_removed(self)) {
    sq_finish(queue_of(self), &item, 1, 1);
  } else {
    undo();
  }
  return result;
}

/// get_many(max, timeout, decode): one item at least, and what more is there.
PyObject* get_many(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 3) return PyErr_Format(PyExc_TypeError, "get_many(max, timeout, decode)");
  Deadline deadline;
  const unsigned long max = PyLong_AsUnsignedLong(arguments[0]);
  if (PyErr_Occurred() != nullptr || !deadline.read(arguments[1])) return nullptr;
  Taken taken(self);
  sq_status status = SQ_OK;
  const auto most = static_cast<uint32_t>(std::min<unsigned long>(max, SQ_MAX_BATCH));
  const auto call = [&](uint32_t wait_ms) {
    taken.take(most, wait_ms, &status);
    return status;
  };
  if (!wait_for(deadline, &status, call, [] {})) return nullptr;  // Taken gives back what came meanwhile
  if (status != SQ_OK) return raise_from(self, status);
  PyObject* const list = PyList_New(0);
  if (list == nullptr) return nullptr;
  if (!read_all(self, &taken, list, max, arguments[2]) || PyErr_CheckSignals() != 0) {
    if (PyList_Size(list) == 0 && is_removed(self)) taken.finish(1);  // it is removed
    Py_DECREF(list);
    return nullptr;
  }
  taken.finish(static_cast<size_t>(PyList_Size(list)));
  return list;
}

}  // namespace sage_python
