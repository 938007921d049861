// What one handle knows of the bytes that leases hold: private to it, and never less than there are. Leases begin where
// reclaim passes a slot that says its item was moved to one; that they ended is found out when somebody is in the way.
// So a claim looks at what lies where it wants to go, however many leases there are elsewhere.
#pragma once

#include <cstdint>
#include <map>

namespace sage {

class LeaseMap {
 public:
  struct Place {
    uint32_t position;  // modulo the area, in units
    uint32_t units;
    uint32_t index;   // of the lease entry …
    uint32_t serial;  // … and which of its lives
  };

  /// All leases of items before this number are known, or known to have ended.
  uint64_t known_up_to = 0;

  uint64_t size() const { return places_.size(); }
  void clear() { places_.clear(); }

  /// A lease. Those it overlaps have ended, or its bytes would not have been claimed.
  template <class Ended>
  void add(const Place& place, uint32_t area_units, Ended ended) {
    Place other{};
    while (place.units > 0 && overlapping(place.position, place.units, area_units, &other)) {
      ended(other);
      remove(other);
    }
    places_[key(place.position, place.index)] = {place.units, place.serial};
  }
  void remove(const Place& place) { places_.erase(key(place.position, place.index)); }

  /// The first one, from `position` on and once around the area, that has bytes among `units` from there.
  bool overlapping(uint32_t position, uint32_t units, uint32_t area_units, Place* found) const {
    const uint32_t at = position & (area_units - 1);
    // It may begin before: those known do not overlap each other, so only the nearest one with any bytes can reach
    // here.
    auto before = places_.lower_bound(key(at, 0));
    for (uint64_t left = places_.size(); left > 0; --left) {
      if (before == places_.begin()) before = places_.end();
      --before;
      if (before->second.units == 0) continue;
      const Place place = place_of(before);
      const uint32_t ahead = (place.position - at) & (area_units - 1);
      if (ahead + place.units > area_units) {
        *found = place;
        return true;
      }
      break;
    }
    return next(at, area_units, found) && ((found->position - at) & (area_units - 1)) < units;
  }

  /// The first one with any bytes that begins at `position` or after it, once around the area.
  bool next(uint32_t position, uint32_t area_units, Place* found) const {
    auto after = places_.lower_bound(key(position & (area_units - 1), 0));
    for (uint64_t left = places_.size(); left > 0; --left, ++after) {
      if (after == places_.end()) after = places_.begin();
      if (after->second.units == 0) continue;
      *found = place_of(after);
      return true;
    }
    return false;
  }

  /// Asks of each whether it has ended, and forgets those that have.
  template <class HasEnded>
  void forget(HasEnded has_ended) {
    for (auto place = places_.begin(); place != places_.end();) {
      place = has_ended(place_of(place)) ? places_.erase(place) : std::next(place);
    }
  }

 private:
  struct Held {
    uint32_t units;
    uint32_t serial;
  };
  using Places = std::map<uint64_t, Held>;
  static uint64_t key(uint32_t position, uint32_t index) { return uint64_t{position} << 32 | index; }
  static Place place_of(Places::const_iterator at) {
    return {static_cast<uint32_t>(at->first >> 32), at->second.units, static_cast<uint32_t>(at->first),
            at->second.serial};
  }

  Places places_;
};

}  // namespace sage
