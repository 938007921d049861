// The usual item of a schema at once: a record of scalars and texts whose required fields are all there and whose
// optional ones are not. Whatever is not as usual is None, a value that does not fit and bytes that are wrong among it:
// the calls of struct_write.py and struct_read.py take it then, and say what is wrong. Layout: docs/wire-format.md.
#include <cmath>
#include <cstring>
#include <new>
#include <string_view>
#include <vector>

#include "native.h"

namespace sage_python {
namespace {

enum class Kind : uint8_t { kSigned, kUnsigned, kF32, kF64, kBool, kString, kBytes };

struct Scalar {
  std::string_view name;
  Kind kind;
  uint8_t bytes;  // of a string: of its length
  int64_t least;
  uint64_t most;
};

constexpr uint64_t kMaxSafe = (uint64_t{1} << 53) - 1;

constexpr Scalar kScalars[] = {
    {"i8", Kind::kSigned, 1, INT8_MIN, INT8_MAX},
    {"u8", Kind::kUnsigned, 1, 0, UINT8_MAX},
    {"i16", Kind::kSigned, 2, INT16_MIN, INT16_MAX},
    {"u16", Kind::kUnsigned, 2, 0, UINT16_MAX},
    {"i32", Kind::kSigned, 4, INT32_MIN, INT32_MAX},
    {"u32", Kind::kUnsigned, 4, 0, UINT32_MAX},
    {"i64", Kind::kSigned, 8, INT64_MIN, INT64_MAX},
    {"u64", Kind::kUnsigned, 8, 0, UINT64_MAX},
    {"int", Kind::kSigned, 8, -static_cast<int64_t>(kMaxSafe), kMaxSafe},
    {"f32", Kind::kF32, 4, 0, 0},
    {"f64", Kind::kF64, 8, 0, 0},
    {"bool", Kind::kBool, 1, 0, 0},
    {"string", Kind::kString, 4, 0, 0},
    {"bytes", Kind::kBytes, 4, 0, 0},
};

/// The id of the schema stands in front, the number of optional fields behind.
constexpr size_t kFrame = 4 + 1;
constexpr size_t kMostFields = 64;

struct Field {
  PyObject* name;  // owned
  const Scalar* scalar;
};

struct Record {
  PyObject_HEAD uint32_t number;
  std::vector<Field> fields;
};

Record* self_of(PyObject* self) { return reinterpret_cast<Record*>(self); }

void store(uint8_t* at, uint64_t value, size_t bytes) {
  for (size_t index = 0; index < bytes; ++index) at[index] = static_cast<uint8_t>(value >> (8 * index));
}

uint64_t load(const uint8_t* at, size_t bytes) {
  uint64_t value = 0;
  for (size_t index = 0; index < bytes; ++index) value |= uint64_t{at[index]} << (8 * index);
  return value;
}

/// A value on its way into bytes: what it is as a word, or the text of it.
struct Packed {
  uint64_t word;
  const char* text;
};

bool fit_integer(PyObject* value, const Scalar& scalar, uint64_t* word) {
  if (!PyLong_CheckExact(value)) return false;
  int overflow = 0;
  const long long found = PyLong_AsLongLongAndOverflow(value, &overflow);
  if (overflow > 0 && scalar.most > INT64_MAX) {
    *word = PyLong_AsUnsignedLongLong(value);
    return PyErr_Occurred() == nullptr;
  }
  if (overflow != 0 || found < scalar.least || (found > 0 && static_cast<uint64_t>(found) > scalar.most)) return false;
  *word = static_cast<uint64_t>(found);
  return true;
}

bool fit_float(PyObject* value, Kind kind, uint64_t* word) {
  if (!PyFloat_CheckExact(value) && !PyLong_CheckExact(value)) return false;
  const double found = PyFloat_AsDouble(value);
  if (found == -1.0 && PyErr_Occurred() != nullptr) return false;
  *word = 0;
  if (kind == Kind::kF64) {
    std::memcpy(word, &found, sizeof found);
    return true;
  }
  const auto narrow = static_cast<float>(found);
  uint32_t bits = 0;
  std::memcpy(&bits, &narrow, sizeof narrow);
  *word = bits;
  return std::isinf(narrow) == std::isinf(found);
}

bool fit(PyObject* value, const Scalar& scalar, Packed* packed) {
  Py_ssize_t length = 0;
  switch (scalar.kind) {
    case Kind::kSigned:
    case Kind::kUnsigned:
      return fit_integer(value, scalar, &packed->word);
    case Kind::kF32:
    case Kind::kF64:
      return fit_float(value, scalar.kind, &packed->word);
    case Kind::kBool:
      packed->word = value == Py_True ? 1 : 0;
      return PyBool_Check(value);
    case Kind::kString:
      if (!PyUnicode_CheckExact(value)) return false;
      packed->text = PyUnicode_AsUTF8AndSize(value, &length);
      break;
    case Kind::kBytes:
      if (!PyBytes_CheckExact(value)) return false;
      packed->text = PyBytes_AsString(value);
      length = PyBytes_Size(value);
      break;
  }
  packed->word = static_cast<uint64_t>(length);
  return packed->text != nullptr && length <= UINT32_MAX;
}

PyObject* unusual() {
  PyErr_Clear();
  Py_RETURN_NONE;
}

/// pack(value): the whole item, or None.
PyObject* pack(PyObject* self, PyObject* value) {
  const std::vector<Field>& fields = self_of(self)->fields;
  if (!PyDict_CheckExact(value) || PyDict_Size(value) != static_cast<Py_ssize_t>(fields.size())) Py_RETURN_NONE;
  Packed packed[kMostFields];
  size_t bytes = kFrame;
  for (size_t index = 0; index < fields.size(); ++index) {
    const Scalar& scalar = *fields[index].scalar;
    PyObject* const found = PyDict_GetItemWithError(value, fields[index].name);
    packed[index].text = nullptr;
    if (found == nullptr || !fit(found, scalar, &packed[index])) return unusual();
    bytes += scalar.bytes + (packed[index].text != nullptr ? packed[index].word : 0);
  }
  PyObject* const item = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(bytes));
  if (item == nullptr) return unusual();
  auto* at = reinterpret_cast<uint8_t*>(PyBytes_AsString(item));
  store(at, self_of(self)->number, 4);
  at += 4;
  for (size_t index = 0; index < fields.size(); ++index) {
    store(at, packed[index].word, fields[index].scalar->bytes);
    at += fields[index].scalar->bytes;
    if (packed[index].text == nullptr) continue;
    std::memcpy(at, packed[index].text, packed[index].word);
    at += packed[index].word;
  }
  *at = 0;
  return item;
}

/// The value of a word, of texts with what follows; null for what no writer wrote, with an exception or without.
PyObject* value_of(const Scalar& scalar, uint64_t word, const char* text) {
  switch (scalar.kind) {
    case Kind::kSigned: {
      const unsigned shift = 64 - 8 * scalar.bytes;
      const int64_t found = static_cast<int64_t>(word << shift) >> shift;
      if (found < scalar.least || (found > 0 && static_cast<uint64_t>(found) > scalar.most)) return nullptr;
      return PyLong_FromLongLong(found);
    }
    case Kind::kUnsigned:
      return PyLong_FromUnsignedLongLong(word);
    case Kind::kF32: {
      const auto bits = static_cast<uint32_t>(word);
      float found = 0;
      std::memcpy(&found, &bits, sizeof found);
      return PyFloat_FromDouble(found);
    }
    case Kind::kF64: {
      double found = 0;
      std::memcpy(&found, &word, sizeof found);
      return PyFloat_FromDouble(found);
    }
    case Kind::kBool:
      return word > 1 ? nullptr : PyBool_FromLong(static_cast<long>(word));
    case Kind::kString:
      return PyUnicode_DecodeUTF8(text, static_cast<Py_ssize_t>(word), "strict");
    case Kind::kBytes:
      return PyBytes_FromStringAndSize(text, static_cast<Py_ssize_t>(word));
  }
  return nullptr;
}

/// unpack(bytes): the record of a whole item, or None.
PyObject* unpack(PyObject* self, PyObject* item) {
  if (!PyBytes_CheckExact(item)) Py_RETURN_NONE;
  const auto* at = reinterpret_cast<const uint8_t*>(PyBytes_AsString(item));
  const uint8_t* const end = at + PyBytes_Size(item);
  if (end - at < static_cast<Py_ssize_t>(kFrame)) Py_RETURN_NONE;
  at += 4;
  PyObject* const record = PyDict_New();
  for (const Field& field : self_of(self)->fields) {
    const Scalar& scalar = *field.scalar;
    PyObject* value = nullptr;
    if (record != nullptr && end - at >= scalar.bytes) {
      const uint64_t word = load(at, scalar.bytes);
      at += scalar.bytes;
      const bool is_text = scalar.kind == Kind::kString || scalar.kind == Kind::kBytes;
      if (!is_text || word <= static_cast<uint64_t>(end - at)) {
        value = value_of(scalar, word, reinterpret_cast<const char*>(at));
        if (is_text) at += word;
      }
    }
    const bool kept = value != nullptr && PyDict_SetItem(record, field.name, value) == 0;
    Py_XDECREF(value);
    if (kept) continue;
    Py_XDECREF(record);
    return unusual();
  }
  if (record != nullptr && end - at == 1 && *at == 0) return record;
  Py_XDECREF(record);
  return unusual();
}

const Scalar* scalar_named(std::string_view name) {
  for (const Scalar& scalar : kScalars) {
    if (scalar.name == name) return &scalar;
  }
  return nullptr;
}

/// Record(number, ((name, kind), …)): ValueError for a kind that is no scalar, or too many fields.
PyObject* new_record(PyTypeObject* type, PyObject* arguments, PyObject*) {
  unsigned number = 0;
  PyObject* given = nullptr;
  if (PyArg_ParseTuple(arguments, "IO!", &number, &PyTuple_Type, &given) == 0) return nullptr;
  std::vector<Field> fields;
  for (Py_ssize_t index = 0; index < PyTuple_Size(given); ++index) {
    PyObject* name = nullptr;
    const char* kind = nullptr;
    if (PyArg_ParseTuple(PyTuple_GetItem(given, index), "Us", &name, &kind) == 0) return nullptr;
    fields.push_back({name, scalar_named(kind)});
    if (fields.back().scalar == nullptr) return PyErr_Format(PyExc_ValueError, "%s is no kind of a scalar", kind);
  }
  if (fields.size() > kMostFields) return PyErr_Format(PyExc_ValueError, "at most %d fields", (int)kMostFields);
  Record* const record = PyObject_New(Record, type);
  if (record == nullptr) return nullptr;
  record->number = number;
  for (const Field& field : fields) Py_INCREF(field.name);
  new (&record->fields) std::vector<Field>(std::move(fields));
  return reinterpret_cast<PyObject*>(record);
}

void destroy(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  for (const Field& field : self_of(self)->fields) Py_DECREF(field.name);
  self_of(self)->fields.~vector();
  PyObject_Free(self);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"pack", pack, METH_O, nullptr},
    {"unpack", unpack, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_record)},
    {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
    {Py_tp_methods, methods},
    {0, nullptr},
};

}  // namespace

PyType_Spec record_spec = {"sage_queue._native.Record", sizeof(Record), 0, Py_TPFLAGS_DEFAULT, slots};

}  // namespace sage_python
