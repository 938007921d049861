// The seed of what is drawn by chance.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace sage {

/// SEED of the environment, or another for each run; printed, so that what fails can be repeated.
inline uint64_t chosen_seed() {
  const char* given = std::getenv("SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::printf("  SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace sage
