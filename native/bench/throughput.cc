// One producer process, one consumer process: the core beside a textbook single-producer single-consumer ring.
// Prints one JSON object per line: {"contender", "bytes", "batch", "messages_per_second"}.
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/queue.h"

using namespace sage;

namespace {

double seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

constexpr uint32_t kBytes = 64;

/// The textbook ring: two indices on lines of their own, each side with a copy of the other's.
struct Ring {
  static constexpr uint64_t kSlots = 4096;
  alignas(128) std::atomic<uint64_t> head{0};
  alignas(128) std::atomic<uint64_t> tail{0};
  alignas(128) uint8_t slots[kSlots][kBytes];
};

struct Shared2 {
  Ring ring;
  std::atomic<int> ready{0};
  std::atomic<uint64_t> wrong{0};
};

Shared2* map_shared() {
  void* memory = mmap(nullptr, sizeof(Shared2), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return new (memory) Shared2;
}

template <class Produce, class Consume>
void measure(const char* name, uint32_t batch, uint64_t messages, Produce produce, Consume consume) {
  Shared2* shared = map_shared();
  const pid_t child = fork();
  if (child == 0) {
    shared->ready.fetch_add(1);
    while (shared->ready.load() < 2) sched_yield();
    produce(*shared);
    _exit(0);
  }
  shared->ready.fetch_add(1);
  while (shared->ready.load() < 2) sched_yield();
  const double start = seconds();
  consume(*shared);
  const double took = seconds() - start;
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0 || shared->wrong.load() != 0) {
    std::fprintf(stderr, "%s: wrong: status %d, %llu bad messages\n", name, status,
                 static_cast<unsigned long long>(shared->wrong.load()));
    std::exit(1);
  }
  std::printf("{\"contender\":\"%s\",\"bytes\":%u,\"batch\":%u,\"messages_per_second\":%.0f}\n", name, kBytes, batch,
              messages / took);
  std::fflush(stdout);
  munmap(shared, sizeof(Shared2));
}

void run_ring(uint64_t messages) {
  measure(
      "spsc_ring", 1, messages,
      [&](Shared2& shared) {
        Ring& ring = shared.ring;
        uint64_t head_seen = 0;
        uint64_t message[kBytes / 8] = {};
        for (uint64_t number = 0; number < messages; ++number) {
          while (number - head_seen >= Ring::kSlots) {
            head_seen = ring.head.load(std::memory_order_acquire);
            if (number - head_seen >= Ring::kSlots) StdMemory::pause();
          }
          message[0] = number;
          std::memcpy(ring.slots[number % Ring::kSlots], message, kBytes);
          ring.tail.store(number + 1, std::memory_order_release);
        }
      },
      [&](Shared2& shared) {
        Ring& ring = shared.ring;
        uint64_t tail_seen = 0;
        uint64_t message[kBytes / 8];
        for (uint64_t number = 0; number < messages; ++number) {
          while (number == tail_seen) {
            tail_seen = ring.tail.load(std::memory_order_acquire);
            if (number == tail_seen) StdMemory::pause();
          }
          std::memcpy(message, ring.slots[number % Ring::kSlots], kBytes);
          if (message[0] != number) shared.wrong.fetch_add(1);
          ring.head.store(number + 1, std::memory_order_release);
        }
      });
}

void run_sage(uint32_t batch, uint64_t messages) {
  SegmentOptions options;
  options.name = "bench+" + std::to_string(getpid());
  options.maxsize = 4096;
  options.capacity_bytes = 4096 * kBytes;
  auto queue = Queue::open(options, Create::kExclusive);
  measure(
      "sage_queue", batch, messages,
      [&](Shared2&) {
        uint64_t message[64][kBytes / 8] = {};
        Piece pieces[64];
        for (uint64_t number = 0; number < messages;) {
          const uint32_t count = static_cast<uint32_t>(std::min<uint64_t>(batch, messages - number));
          for (uint32_t index = 0; index < count; ++index) {
            message[index][0] = number + index;
            pieces[index] = {reinterpret_cast<uint8_t*>(message[index]), kBytes, 1};
          }
          uint32_t accepted = 0;
          while (queue->put(pieces, count, &accepted) != Outcome::kOk) StdMemory::pause();
          number += accepted;
        }
        queue->close();
      },
      [&](Shared2& shared) {
        uint64_t message[kBytes / 8];
        Item items[64];
        for (uint64_t number = 0; number < messages;) {
          uint32_t taken = 0;
          while (queue->take(batch, items, &taken) != Outcome::kOk) StdMemory::pause();
          for (uint32_t index = 0; index < taken; ++index) {
            std::memcpy(message, queue->data(items[index]), kBytes);
            if (message[0] != number + index) shared.wrong.fetch_add(1);
          }
          number += taken;
          queue->finish(items, taken);
        }
      });
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 7;
  const uint64_t messages = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 5'000'000;
  for (int round = 0; round < rounds; ++round) {
    run_ring(messages);
    run_sage(1, messages);
    run_sage(64, messages);
  }
  return 0;
}
