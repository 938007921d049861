// Waiting on a word of shared memory, across processes.
#pragma once

#include <atomic>
#include <cstdint>

namespace sage {

/// Sleeps while `word` holds `expected`, at most `timeout_ms`; may return early for no reason.
void futex_wait(const std::atomic<uint32_t>& word, uint32_t expected, uint32_t timeout_ms);

/// Wakes everybody who sleeps on `word`.
void futex_wake(const std::atomic<uint32_t>& word);

}  // namespace sage
