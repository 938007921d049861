// Whether every key of every dict in a value is a text, which nearly all are: asked of each item that is put.
#include "native.h"

namespace sage_python {
namespace {

/// The packer refuses what is nested deeper.
constexpr int kMostLevels = 1100;
constexpr unsigned long kHolders = Py_TPFLAGS_DICT_SUBCLASS | Py_TPFLAGS_LIST_SUBCLASS | Py_TPFLAGS_TUPLE_SUBCLASS;

bool has_text_keys(PyObject* value, int level);

bool dict_has_text_keys(PyObject* dict, int level) {
  PyObject* key = nullptr;
  PyObject* entry = nullptr;
  Py_ssize_t at = 0;
  while (PyDict_Next(dict, &at, &key, &entry) != 0) {
    if (PyUnicode_Check(key) == 0 || !has_text_keys(entry, level)) return false;
  }
  return true;
}

bool has_text_keys(PyObject* value, int level) {
  const unsigned long kind = PyType_GetFlags(Py_TYPE(value));
  if ((kind & kHolders) == 0 || level > kMostLevels) return true;
  if ((kind & Py_TPFLAGS_DICT_SUBCLASS) != 0) return dict_has_text_keys(value, level + 1);
  if ((kind & Py_TPFLAGS_LIST_SUBCLASS) != 0) {
    for (Py_ssize_t index = 0; index < PyList_Size(value); ++index) {
      if (!has_text_keys(PyList_GetItem(value, index), level + 1)) return false;
    }
    return true;
  }
  for (Py_ssize_t index = 0; index < PyTuple_Size(value); ++index) {
    if (!has_text_keys(PyTuple_GetItem(value, index), level + 1)) return false;
  }
  return true;
}

}  // namespace

PyObject* text_keys(PyObject*, PyObject* value) { return PyBool_FromLong(has_text_keys(value, 0) ? 1 : 0); }

}  // namespace sage_python
