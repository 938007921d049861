// What the handles of one entry hold: many things by number, where a number is used again once it is free, or one each.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <stdexcept>
#include <vector>

namespace sage_binding {

template <class T>
class OwnedTable {
 public:
  /// The number of a new one, of that holder; what is left in its place of an earlier one is to be overwritten.
  uint32_t add(uint32_t holder) {
    uint32_t id = static_cast<uint32_t>(places_.size());
    if (free_.empty()) {
      places_.emplace_back();
    } else {
      id = free_.back();
      free_.pop_back();
    }
    places_[id].holder = holder;
    if (holder >= counts_.size()) counts_.resize(holder + 1);
    ++counts_[holder];
    return id;
  }

  bool has(uint32_t id) const { return id < places_.size() && places_[id].holder != kNobody; }

  /// Stays where it is until it is removed. Throws std::out_of_range for one that is free.
  T& at(uint32_t id) {
    if (!has(id)) throw std::out_of_range("nothing is held under that number");
    return places_[id].value;
  }

  /// What is held under that number, which is free afterwards. Throws as at() does.
  T take(uint32_t id) {
    T value = at(id);
    remove(id);
    return value;
  }

  void remove(uint32_t id) {
    if (!has(id)) return;
    --counts_[places_[id].holder];
    places_[id].holder = kNobody;
    free_.push_back(id);
  }

  /// Removes all of that holder, one after the other, each before end(value) is called.
  template <class End>
  void remove_all_of(uint32_t holder, End end) {
    for (uint32_t id = 0; holder < counts_.size() && counts_[holder] > 0; ++id) {
      if (places_[id].holder != holder) continue;
      remove(id);
      end(places_[id].value);
    }
  }

  void clear() {
    places_.clear();
    free_.clear();
    counts_.clear();
  }

 private:
  static constexpr uint32_t kNobody = 0;
  struct Place {
    T value;
    uint32_t holder = kNobody;
  };
  std::deque<Place> places_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> counts_;  // by holder
};

/// At most one thing of each holder.
template <class T>
class OneEach {
 public:
  bool has(uint32_t holder) const { return holder < things_.size() && things_[holder].has_value(); }

  /// Throws std::logic_error where that holder has one.
  void check_free(uint32_t holder) const {
    if (has(holder)) throw std::logic_error("one is held already");
  }
  void set(uint32_t holder, const T& thing) {
    if (holder >= things_.size()) things_.resize(holder + 1);
    things_[holder] = thing;
  }

  /// Throws std::out_of_range where that holder has none.
  const T& at(uint32_t holder) const {
    if (!has(holder)) throw std::out_of_range("nothing is held");
    return *things_[holder];
  }
  /// Removes it, too.
  T take(uint32_t holder) {
    const T thing = at(holder);
    things_[holder].reset();
    return thing;
  }

  void clear() { things_.clear(); }

 private:
  std::vector<std::optional<T>> things_;  // by holder
};

}  // namespace sage_binding
