// The state of an exhaustive search: the choices that lead to the present schedule, and which words make a difference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace model {

struct Search {
  static constexpr size_t kMaxChoices = 1 << 16;
  static constexpr uint32_t kMaxWords = 1 << 12;

  struct Choice {
    uint32_t count;
    uint32_t index;
  };

  bool on = false;          // explore every schedule, not some at random
  unsigned bound = 0;       // preemptions in one schedule
  bool replay = false;      // only the schedule that `path` says
  bool concurrent = false;  // threads run: not what comes before or after them
  bool cut = false;         // the bound has forbidden a preemption somewhere
  bool grown = false;       // a word turned out to be shared: begin anew
  uint32_t mortals = 0;     // threads that may die before any step
  uint32_t words = 0;       // atomics made in this schedule

  /// As though nothing had been explored, and nothing were known of which words are shared.
  void reset() {
    length = 0;
    cut = false;
    for (uint32_t word = 0; word < kMaxWords; ++word) shared[word] = readers[word] = writers[word] = 0;
  }
  /// A new search that knows the words that the one before found to be shared.
  void again() {
    length = 0;
    cut = grown = replay = false;
  }
  void begin() {
    depth = 0;
    words = 0;
    mortals = 0;
  }
  /// Which of `count` ways this schedule goes.
  unsigned choose(unsigned count) {
    if (count < 2) return 0;
    if (depth == length) {
      if (length == kMaxChoices) give_up("a schedule has too many choices");
      path[length++] = {count, 0};
    }
    if (path[depth].count != count) give_up("a schedule cannot be repeated: something in it is not chosen here");
    return path[depth++].index;
  }
  /// On to the next schedule. False: there is none, or none worth it.
  bool advance() {
    if (replay || grown) return false;
    length = depth;
    while (length > 0 && path[length - 1].index + 1 == path[length - 1].count) --length;
    if (length == 0) return false;
    ++path[length - 1].index;
    return true;
  }

  /// Every schedule was explored.
  bool ended() const { return length == 0; }

  /// Notes an access. Whether the thread may be interrupted before it: not when only one thread uses the word, or none
  /// writes it, in the whole search; then being interrupted before the next other operation comes to the same.
  bool touch(uint32_t word, unsigned thread, bool write) {
    if (!concurrent) return true;
    if (word >= kMaxWords) give_up("too many words");
    (write ? writers : readers)[word] |= static_cast<uint8_t>(1u << thread);
    const unsigned all = readers[word] | writers[word];
    if (shared[word] == 0 && writers[word] != 0 && (all & (all - 1)) != 0) {
      shared[word] = 1;
      grown = true;
    }
    return shared[word] != 0;
  }

 private:
  [[noreturn]] static void give_up(const char* why) {
    std::fprintf(stderr, "the search cannot go on: %s\n", why);
    std::abort();
  }

  Choice path[kMaxChoices];
  size_t depth = 0;
  size_t length = 0;
  uint8_t shared[kMaxWords] = {};
  uint8_t readers[kMaxWords] = {};
  uint8_t writers[kMaxWords] = {};
};
inline Search search;

}  // namespace model
