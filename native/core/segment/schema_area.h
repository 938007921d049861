// The schemas of a queue's items, as texts that the core carries and does not read. They follow each other in an area
// of the segment, each behind a word that says how long it is and whether it is whole; none is ever changed or removed.
// The first is the one that the queue was made with. Whoever dies while it adds one leaves a place that nobody reads.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace sage {

class SchemaArea {
 public:
  SchemaArea() = default;
  SchemaArea(uint8_t* base, uint64_t bytes) : base_(base), bytes_(bytes) {}

  /// The texts by their ids: list()[0] has the id 1. Empty where one is not whole.
  std::vector<std::string> list() const {
    std::vector<std::string> texts;
    for (uint64_t at = 0; at + kWordBytes <= bytes_;) {
      const uint64_t word = word_at(at).load(std::memory_order_acquire);
      const uint64_t length = word >> 8;
      if (word == 0 || length > bytes_ - at - kWordBytes) break;
      const auto* text = reinterpret_cast<const char*>(base_ + at + kWordBytes);
      texts.emplace_back(text, (word & 0xff) == kWhole ? length : 0);
      at = next(at, length);
    }
    return texts;
  }

  /// The id of `text`, which is added unless it is there. 0: there is no room for it.
  uint32_t add(const std::string& text) {
    uint32_t id = 1;
    for (uint64_t at = 0; at + kWordBytes <= bytes_; ++id) {
      uint64_t word = word_at(at).load(std::memory_order_acquire);
      if (word == 0) {
        if (text.size() > bytes_ - at - kWordBytes) return 0;
        const uint64_t length = uint64_t{text.size()} << 8;
        if (word_at(at).compare_exchange_strong(word, length | kWriting, std::memory_order_acq_rel)) {
          std::memcpy(base_ + at + kWordBytes, text.data(), text.size());
          word_at(at).store(length | kWhole, std::memory_order_release);
          return id;
        }
      }
      const uint64_t length = word >> 8;
      if (length > bytes_ - at - kWordBytes) return 0;
      if (word == (uint64_t{text.size()} << 8 | kWhole) &&
          std::memcmp(base_ + at + kWordBytes, text.data(), text.size()) == 0) {
        return id;
      }
      at = next(at, length);
    }
    return 0;
  }

 private:
  enum : uint64_t { kWriting = 1, kWhole = 2 };
  static constexpr uint64_t kWordBytes = sizeof(uint64_t);
  static uint64_t next(uint64_t at, uint64_t length) {
    return at + kWordBytes + (length + kWordBytes - 1) / kWordBytes * kWordBytes;
  }
  std::atomic<uint64_t>& word_at(uint64_t at) const { return *reinterpret_cast<std::atomic<uint64_t>*>(base_ + at); }

  uint8_t* base_ = nullptr;
  uint64_t bytes_ = 0;
};

}  // namespace sage
