// The steady state of the core without its peers: rounds of puts and gets in one process, with nobody waiting.
//   steady ROUNDS BATCH
// Prints one JSON object: {"messages", "allocations"}: allocations made by the rounds. test/perf/ runs it under
// callgrind and strace.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "core/handle/queue.h"

namespace {
unsigned long long allocations = 0;
}

void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

int main(int argc, char** argv) {
  using namespace sage;
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 100;
  const uint32_t batch = argc > 2 ? static_cast<uint32_t>(std::atoi(argv[2])) : 1;
  constexpr uint32_t kBytes = 64;
  constexpr uint32_t kPerRound = 64;
  SegmentOptions options;
  options.name = "steady+" + std::to_string(getpid());
  options.maxsize = 1000;
  options.capacity_bytes = 1 << 20;
  auto queue = Queue::open(options, Create::kExclusive);
  uint8_t bytes[kBytes] = {};
  Piece pieces[kPerRound];
  for (Piece& piece : pieces) piece = {bytes, kBytes, 1};
  Item items[kPerRound];
  const unsigned long long before = allocations;
  for (int round = 0; round < rounds; ++round) {
    for (uint32_t done = 0; done < kPerRound; done += batch) {
      uint32_t accepted = 0;
      if (queue->put(pieces, batch, &accepted) != Outcome::kOk || accepted != batch) return 1;
    }
    for (uint32_t done = 0; done < kPerRound; done += batch) {
      uint32_t taken = 0;
      if (queue->take(batch, items, &taken) != Outcome::kOk || taken != batch) return 1;
      for (uint32_t index = 0; index < taken; ++index) std::memcpy(bytes, queue->data(items[index]), kBytes);
      queue->ack(items, taken);
    }
  }
  std::printf("{\"messages\":%u,\"allocations\":%llu}\n", rounds * kPerRound, allocations - before);
  queue->unlink();
  queue->close();
  return 0;
}
