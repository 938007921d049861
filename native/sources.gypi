{
  "variables": {
    "core_sources": [
      "native/core/failpoint.cc",
      "native/core/membership.cc",
      "native/core/queue.cc",
      "native/core/segment.cc",
      "native/core/watcher.cc"
    ],
    "linux_sources": ["native/core/linux/futex.cc", "native/core/linux/platform.cc", "native/core/linux/process.cc"],
    "macos_sources": ["native/core/macos/futex.cc", "native/core/macos/platform.cc", "native/core/macos/process.cc"],
    "addon_sources": [
      "native/binding/gets.cc",
      "native/binding/handle.cc",
      "native/binding/module.cc",
      "native/binding/puts.cc",
      "native/binding/waiting.cc"
    ]
  }
}
