// What the functions of one environment share: the words that they and JavaScript leave for each other, the entries,
// the doorbells. An environment is Node's word for where an addon was loaded: in a thread, and in one context of it.
#pragma once

#include <napi.h>

#include <atomic>
#include <map>
#include <memory>
#include <vector>

#include "binding/entry.h"
#include "core/waiting/doorbell.h"

namespace sage_binding {

/// The doorbells of one environment, by number. They end with it, where JavaScript did not come to close them.
struct Doorbells {
  std::map<uint32_t, std::unique_ptr<sage::Doorbell>> open;
  uint32_t next = 1;
};

/// What the functions of one environment work on. They are the same for all of its entries, which a word tells apart:
/// where each entry has functions of its own, V8 finds another one at the same place whenever a program uses two
/// queues, and calls it by a way that takes half as long again.
struct Environment {
  int32_t* registers = nullptr;
  Napi::Reference<Napi::Int32Array> registers_reference;
  Doorbells bells;

  Environment();
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  /// The only one that there is in this process, and so the one of whichever call asks; null where there are several.
  static Environment* only() { return only_.load(std::memory_order_relaxed); }

  /// The one whose number stands in kEntry. Most calls are on the same as the one before, and need not wait for the
  /// word.
  Entry& entry() {
    const auto number = static_cast<uint32_t>(registers[kEntry]);
    if (number != current_number_) {
      current_number_ = number;
      current_ = entries_[number < entries_.size() ? number : 0];
    }
    return *current_;
  }
  /// Its number, until it is removed.
  uint32_t add(Entry* entry);
  void remove(uint32_t number);

 private:
  Entry closed_;  // in the place of those that there are not
  Entry* current_ = &closed_;
  uint32_t current_number_ = 0;
  std::vector<Entry*> entries_;
  std::vector<uint32_t> free_;

  // Written by each one that comes or goes. So nobody reads of another one what was written before its own came, and
  // as long as it is there nothing but null or itself is written. Each copy of the addon in a process has its own: no
  // name of it leaves the library.
  static inline std::atomic<Environment*> only_{nullptr};
};

/// That of a call: kept by each of its entries, too, since it is not said which of them ends first.
using SharedEnvironment = std::shared_ptr<Environment>;
inline const SharedEnvironment& environment_of(Napi::Env env) { return *env.GetInstanceData<SharedEnvironment>(); }

}  // namespace sage_binding
