{
  "variables": {
    "core_sources": [
      "native/core/failpoint.cc",
      "native/core/handle/membership.cc",
      "native/core/handle/queue.cc",
      "native/core/handle/ringing.cc",
      "native/core/os/boot_id.cc",
      "native/core/os/temporary_file.cc",
      "native/core/segment/directory.cc",
      "native/core/segment/failures.cc",
      "native/core/segment/format.cc",
      "native/core/segment/segment.cc",
      "native/core/waiting/doorbell.cc",
      "native/core/waiting/watcher.cc"
    ],
    "linux_sources": ["native/core/os/linux/byte_lock.cc", "native/core/os/linux/futex.cc", "native/core/os/linux/life_lock.cc", "native/core/os/linux/nudges.cc", "native/core/os/linux/platform.cc", "native/core/os/linux/process.cc"],
    "macos_sources": ["native/core/os/macos/byte_lock.cc", "native/core/os/macos/futex.cc", "native/core/os/macos/life_lock.cc", "native/core/os/macos/nudges.cc", "native/core/os/macos/platform.cc", "native/core/os/macos/process.cc"],
    "addon_sources": [
      "native/binding/gets.cc",
      "native/binding/entry.cc",
      "native/binding/environment.cc",
      "native/binding/module.cc",
      "native/binding/puts.cc",
      "native/binding/waiting.cc"
    ]
  }
}
