// One producer process, one consumer process, 64 B: the core beside the rings of the textbook, and through the C
// interface.
//   throughput spsc_ring|vyukov_mpmc|sage_1|sage_64|c_1|c_64|c_one_thread MILLISECONDS
// Prints one JSON object: {"value": messages per second, "messages": how many were measured}.
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

#include "c_api/sage_queue.h"
#include "core/handle/queue.h"

using namespace sage;

namespace {

double seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

constexpr uint32_t kBytes = 64;

/// Between two tries, the same for everybody: a peer without a core of its own gets this one.
struct Patience {
  uint32_t tries = 0;
  void wait() {
    if (++tries % 256 == 0) {
      sched_yield();
    } else {
      StdMemory::pause();
    }
  }
};

/// The textbook ring: two indices on lines of their own, each side with a copy of the other's.
struct Ring {
  static constexpr uint64_t kSlots = 4096;
  alignas(128) std::atomic<uint64_t> head{0};
  alignas(128) std::atomic<uint64_t> tail{0};
  alignas(128) uint8_t slots[kSlots][kBytes];
};

/// Dmitry Vyukov's bounded MPMC queue: a sequence number in each cell says whose turn it is.
struct Mpmc {
  struct alignas(64) Cell {
    std::atomic<uint64_t> sequence;
    uint8_t bytes[kBytes];
  };
  static constexpr uint64_t kCells = 4096;
  alignas(128) std::atomic<uint64_t> tail{0};
  alignas(128) std::atomic<uint64_t> head{0};
  alignas(128) Cell cells[kCells];

  Mpmc() {
    for (uint64_t index = 0; index < kCells; ++index) cells[index].sequence.store(index);
  }

  bool put(const void* bytes) {
    uint64_t position = tail.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells[position % kCells];
      const auto ahead = static_cast<int64_t>(cell.sequence.load(std::memory_order_acquire) - position);
      if (ahead < 0) return false;
      if (ahead == 0 && tail.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
        std::memcpy(cell.bytes, bytes, kBytes);
        cell.sequence.store(position + 1, std::memory_order_release);
        return true;
      }
      if (ahead > 0) position = tail.load(std::memory_order_relaxed);
    }
  }

  bool get(void* bytes) {
    uint64_t position = head.load(std::memory_order_relaxed);
    for (;;) {
      Cell& cell = cells[position % kCells];
      const auto ahead = static_cast<int64_t>(cell.sequence.load(std::memory_order_acquire) - (position + 1));
      if (ahead < 0) return false;
      if (ahead == 0 && head.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
        std::memcpy(bytes, cell.bytes, kBytes);
        cell.sequence.store(position + kCells, std::memory_order_release);
        return true;
      }
      if (ahead > 0) position = head.load(std::memory_order_relaxed);
    }
  }
};

struct Shared2 {
  Ring ring;
  Mpmc mpmc;
  std::atomic<int> ready{0};
  std::atomic<uint64_t> wrong{0};
};

Shared2* map_shared() {
  void* memory = mmap(nullptr, sizeof(Shared2), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return new (memory) Shared2;
}

template <class Produce, class Consume>
double measure(const char* name, Produce produce, Consume consume) {
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
  munmap(shared, sizeof(Shared2));
  return took;
}

double run_ring(uint64_t messages) {
  return measure(
      "spsc_ring",
      [&](Shared2& shared) {
        Patience patience;
        Ring& ring = shared.ring;
        uint64_t head_seen = 0;
        uint64_t message[kBytes / 8] = {};
        for (uint64_t number = 0; number < messages; ++number) {
          while (number - head_seen >= Ring::kSlots) {
            head_seen = ring.head.load(std::memory_order_acquire);
            if (number - head_seen >= Ring::kSlots) patience.wait();
          }
          message[0] = number;
          std::memcpy(ring.slots[number % Ring::kSlots], message, kBytes);
          ring.tail.store(number + 1, std::memory_order_release);
        }
      },
      [&](Shared2& shared) {
        Patience patience;
        Ring& ring = shared.ring;
        uint64_t tail_seen = 0;
        uint64_t message[kBytes / 8];
        for (uint64_t number = 0; number < messages; ++number) {
          while (number == tail_seen) {
            tail_seen = ring.tail.load(std::memory_order_acquire);
            if (number == tail_seen) patience.wait();
          }
          std::memcpy(message, ring.slots[number % Ring::kSlots], kBytes);
          if (message[0] != number) shared.wrong.fetch_add(1);
          ring.head.store(number + 1, std::memory_order_release);
        }
      });
}

double run_mpmc(uint64_t messages) {
  return measure(
      "vyukov_mpmc",
      [&](Shared2& shared) {
        Patience patience;
        uint64_t message[kBytes / 8] = {};
        for (uint64_t number = 0; number < messages; ++number) {
          message[0] = number;
          while (!shared.mpmc.put(message)) patience.wait();
        }
      },
      [&](Shared2& shared) {
        Patience patience;
        uint64_t message[kBytes / 8];
        for (uint64_t number = 0; number < messages; ++number) {
          while (!shared.mpmc.get(message)) patience.wait();
          if (message[0] != number) shared.wrong.fetch_add(1);
        }
      });
}

double run_sage(uint32_t batch, uint64_t messages) {
  SegmentOptions options;
  options.name = "bench+" + std::to_string(getpid());
  options.maxsize = 4096;
  options.capacity_bytes = 4096 * kBytes;
  auto queue = Queue::open(options, Create::kExclusive);
  return measure(
      "sage_queue",
      [&](Shared2&) {
        Patience patience;
        uint64_t message[64][kBytes / 8] = {};
        Piece pieces[64];
        for (uint64_t number = 0; number < messages;) {
          const uint32_t count = static_cast<uint32_t>(std::min<uint64_t>(batch, messages - number));
          for (uint32_t index = 0; index < count; ++index) {
            message[index][0] = number + index;
            pieces[index] = {reinterpret_cast<uint8_t*>(message[index]), kBytes, 1};
          }
          uint32_t accepted = 0;
          while (queue->put(pieces, count, &accepted) != Outcome::kOk) patience.wait();
          number += accepted;
        }
        queue->close();
      },
      [&](Shared2& shared) {
        Patience patience;
        uint64_t message[kBytes / 8];
        Item items[64];
        for (uint64_t number = 0; number < messages;) {
          uint32_t taken = 0;
          while (queue->take(batch, items, &taken) != Outcome::kOk) patience.wait();
          for (uint32_t index = 0; index < taken; ++index) {
            std::memcpy(message, queue->data(items[index]), kBytes);
            if (message[0] != number + index) shared.wrong.fetch_add(1);
          }
          number += taken;
          queue->ack(items, taken);
        }
      });
}

sq_queue* open_c(uint32_t flags) {
  const std::string name = "bench-c-" + std::to_string(getpid());
  sq_options options{};
  options.struct_size = sizeof options;
  options.name = name.c_str();
  options.maxsize = 4096;
  options.capacity_bytes = 4096 * kBytes;
  options.flags = flags;
  sq_queue* queue = nullptr;
  if (sq_open(&options, &queue) != SQ_OK) {
    std::fprintf(stderr, "%s %s\n", sq_error_code(), sq_error_message());
    std::exit(1);
  }
  return queue;
}

/// One by one the items are copied out, as sq_get() does it; batches are read where they lie.
double run_c(uint32_t batch, uint32_t flags, uint64_t messages) {
  sq_queue* queue = open_c(flags);
  const double took = measure(
      "c",
      [&](Shared2&) {
        Patience patience;
        uint64_t message[64][kBytes / 8] = {};
        sq_piece pieces[64];
        for (uint64_t number = 0; number < messages;) {
          const uint32_t count = static_cast<uint32_t>(std::min<uint64_t>(batch, messages - number));
          for (uint32_t index = 0; index < count; ++index) {
            message[index][0] = number + index;
            pieces[index] = {message[index], kBytes, SQ_RAW};
          }
          uint32_t accepted = 1;
          if (batch == 1) {
            while (sq_put(queue, message[0], kBytes, SQ_RAW, 0) != SQ_OK) patience.wait();
          } else {
            while (sq_put_many(queue, pieces, count, &accepted, 0) != SQ_OK) patience.wait();
          }
          number += accepted;
        }
        sq_close(queue);
      },
      [&](Shared2& shared) {
        Patience patience;
        uint64_t message[kBytes / 8];
        sq_item items[64];
        for (uint64_t number = 0; number < messages;) {
          uint32_t taken = 1;
          if (batch == 1) {
            size_t bytes = 0;
            while (sq_get(queue, message, sizeof message, &bytes, nullptr, 0) != SQ_OK) patience.wait();
            if (message[0] != number || bytes != kBytes) shared.wrong.fetch_add(1);
          } else {
            while (sq_take(queue, batch, 0, items, &taken, 0) != SQ_OK) patience.wait();
            for (uint32_t index = 0; index < taken; ++index) {
              std::memcpy(message, items[index].data, kBytes);
              if (message[0] != number + index) shared.wrong.fetch_add(1);
            }
            sq_finish(queue, items, taken, taken);
          }
          number += taken;
        }
      });
  sq_free(queue);
  return took;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string contender = argc > 1 ? argv[1] : "";
  const double milliseconds = argc > 2 ? std::atof(argv[2]) : 700;
  const auto run = [&](uint64_t messages) -> double {
    if (contender == "spsc_ring") return run_ring(messages);
    if (contender == "vyukov_mpmc") return run_mpmc(messages);
    if (contender == "sage_1") return run_sage(1, messages);
    if (contender == "sage_64") return run_sage(64, messages);
    if (contender == "c_1") return run_c(1, 0, messages);
    if (contender == "c_64") return run_c(64, 0, messages);
    if (contender == "c_one_thread") return run_c(1, SQ_ONE_THREAD, messages);
    std::fprintf(stderr, "usage: throughput spsc_ring|vyukov_mpmc|sage_1|sage_64|c_1|c_64|c_one_thread MILLISECONDS\n");
    std::exit(2);
  };
  // The first run warms up and says how many messages fill the time.
  constexpr uint64_t kTrial = 200'000;
  const auto messages = std::max(kTrial, static_cast<uint64_t>(kTrial / run(kTrial) * milliseconds / 1000));
  std::printf("{\"value\":%.0f,\"messages\":%llu}\n", messages / run(messages),
              static_cast<unsigned long long>(messages));
  return 0;
}
