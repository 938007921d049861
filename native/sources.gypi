{
  "variables": {
    "core_sources": [
      "native/core/process.cc",
      "native/core/segment.cc"
    ],
    "addon_sources": [
      "native/binding/module.cc"
    ]
  }
}
