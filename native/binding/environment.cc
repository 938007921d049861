#include "binding/environment.h"

#include <algorithm>
#include <mutex>

namespace sage_binding {
namespace {

/// Those of all threads.
struct Environments {
  std::mutex mutex;
  std::vector<Environment*> all;

  static Environments& instance() {
    static auto* environments = new Environments;  // outlives every static destructor
    return *environments;
  }
  Environment* only() const { return all.size() == 1 ? all.front() : nullptr; }
};

}  // namespace

Environment::Environment() {
  entries_.push_back(&closed_);
  const std::lock_guard<std::mutex> lock(Environments::instance().mutex);
  Environments::instance().all.push_back(this);
  only_ = Environments::instance().only();
}

Environment::~Environment() {
  const std::lock_guard<std::mutex> lock(Environments::instance().mutex);
  auto& all = Environments::instance().all;
  all.erase(std::find(all.begin(), all.end(), this));
  only_ = Environments::instance().only();
}

uint32_t Environment::add(Entry* entry) {
  auto number = static_cast<uint32_t>(entries_.size());
  if (free_.empty()) {
    entries_.push_back(entry);
  } else {
    number = free_.back();
    free_.pop_back();
    entries_[number] = entry;
  }
  if (number == current_number_) current_ = entry;
  return number;
}

void Environment::remove(uint32_t number) {
  entries_[number] = &closed_;
  if (number == current_number_) current_ = &closed_;
  free_.push_back(number);
}

}  // namespace sage_binding
