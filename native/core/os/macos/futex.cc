#include "core/os/futex.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>

namespace sage {
namespace {

// <os/os_sync_wait_on_address.h>, macOS 14.4. Looked up at run time, so that one binary serves older systems too.
using WaitOnAddress = int (*)(void* address, uint64_t value, size_t size, uint32_t flags, uint32_t clock,
                              uint64_t timeout_ns);
using WakeByAddress = int (*)(void* address, size_t size, uint32_t flags);
constexpr uint32_t kSharedBetweenProcesses = 1;
constexpr uint32_t kMachAbsoluteTime = 32;

// <sys/ulock.h> of XNU, what macOS 11 to 14.3 have: not documented by Apple, but what its own C++ library waits with.
using UlockWait = int (*)(uint32_t operation, void* address, uint64_t value, uint32_t timeout_us);
using UlockWake = int (*)(uint32_t operation, void* address, uint64_t value);
constexpr uint32_t kCompareAndWaitShared = 3;
constexpr uint32_t kWakeAll = 0x100;

constexpr uint32_t kBlindNapUs = 1000;

template <class Function>
Function look_up(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

struct Calls {
  WaitOnAddress wait = look_up<WaitOnAddress>("os_sync_wait_on_address_with_timeout");
  WakeByAddress wake = look_up<WakeByAddress>("os_sync_wake_by_address_all");
  UlockWait ulock_wait = look_up<UlockWait>("__ulock_wait");
  UlockWake ulock_wake = look_up<UlockWake>("__ulock_wake");

  // One family for both directions: each has wait queues of its own that the other does not wake.
  bool documented() const { return wait != nullptr && wake != nullptr; }
  bool fallback() const { return ulock_wait != nullptr && ulock_wake != nullptr; }
};

const Calls& calls() {
  static const Calls found;
  return found;
}

void* address_of(const std::atomic<uint32_t>& word) { return const_cast<std::atomic<uint32_t>*>(&word); }

}  // namespace

void futex_wait(const std::atomic<uint32_t>& word, uint32_t expected, uint32_t timeout_ms) {
  if (timeout_ms == 0) return;  // to these calls 0 means for ever, or is an error
  const Calls& with = calls();
  if (with.documented()) {
    with.wait(address_of(word), expected, sizeof word, kSharedBetweenProcesses, kMachAbsoluteTime,
              uint64_t{timeout_ms} * 1000000);
  } else if (with.fallback()) {
    with.ulock_wait(kCompareAndWaitShared, address_of(word), expected,
                    static_cast<uint32_t>(std::min<uint64_t>(uint64_t{timeout_ms} * 1000, UINT32_MAX)));
  } else if (word.load() == expected) {
    usleep(kBlindNapUs);  // callers look again by themselves
  }
}

void futex_wake(const std::atomic<uint32_t>& word) {
  const Calls& with = calls();
  if (with.documented()) {
    with.wake(address_of(word), sizeof word, kSharedBetweenProcesses);
  } else if (with.fallback()) {
    with.ulock_wake(kCompareAndWaitShared | kWakeAll, address_of(word), 0);
  }
}

}  // namespace sage
