// The worker of the campaign of kills, and the log that outlives it: what it acknowledged, and what it received.
#pragma once

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "core/handle/queue.h"

namespace sage {

constexpr int kStreamItems = 4096;

struct Message {
  uint32_t stream;
  uint32_t number;
  uint32_t length;
  uint32_t check;
};

/// What outlives the workers: who acknowledged what, and who received what.
struct Log {
  std::atomic<uint32_t> stop;
  std::atomic<uint64_t> progress;
  struct Stream {
    std::atomic<uint32_t> acknowledged;  // numbers below it were put for sure
    std::atomic<uint32_t> attempted;     // numbers from here on were never tried
  };
  struct Hand {
    std::atomic<uint32_t> count;  // items that the worker has copied but not yet noted as received
    uint32_t streams[kMaxBatch];
    uint32_t numbers[kMaxBatch];
  };
  Hand hands[1];  // one per life, grown by the mapping
};

inline double seconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

struct Arena {
  Log* log = nullptr;
  Log::Stream* streams = nullptr;
  Log::Hand* hands = nullptr;
  std::atomic<uint8_t>* received = nullptr;  // [stream][number]
  int lives = 0;

  explicit Arena(int count) : lives(count) {
    log = static_cast<Log*>(map(sizeof(Log)));
    streams = static_cast<Log::Stream*>(map(sizeof(Log::Stream) * static_cast<size_t>(count)));
    hands = static_cast<Log::Hand*>(map(sizeof(Log::Hand) * static_cast<size_t>(count)));
    received = static_cast<std::atomic<uint8_t>*>(map(static_cast<size_t>(count) * kStreamItems));
  }
  static void* map(size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
  }
  std::atomic<uint8_t>& got(uint32_t stream, uint32_t number) const {
    CHECK(stream < static_cast<uint32_t>(lives) && number < kStreamItems);
    return received[static_cast<size_t>(stream) * kStreamItems + number];
  }
};

inline uint32_t pattern(const Message& message) { return message.stream * 2654435761U ^ message.number * 40503U; }

inline void fill(uint8_t* bytes, uint32_t stream, uint32_t number, uint32_t length) {
  Message message{stream, number, length, 0};
  message.check = pattern(message);
  std::memcpy(bytes, &message, sizeof message);
  for (uint32_t at = sizeof message; at < length; ++at) bytes[at] = static_cast<uint8_t>(message.check + at);
}

inline Message verify(const uint8_t* bytes, uint32_t length) {
  Message message;
  CHECK(length >= sizeof message);
  std::memcpy(&message, bytes, sizeof message);
  CHECK(message.length == length && message.check == pattern(message));
  for (uint32_t at = sizeof message; at < length; ++at) CHECK(bytes[at] == static_cast<uint8_t>(message.check + at));
  return message;
}

inline SegmentOptions campaign_options() {
  SegmentOptions options;
  options.name = "test+kill." + std::to_string(getppid());
  options.maxsize = 24;
  options.capacity_bytes = 8192;
  options.auto_cleanup = false;
  return options;
}

/// One life of a worker. Its number is also its stream's.
class Worker {
 public:
  Worker(const Arena& arena, int life, uint64_t seed) : arena_(arena), life_(life), random_(seed) {}

  void run(Queue& queue) {
    const bool producer = random_() % 2 == 0;
    if (producer && random_() % 2 == 0) queue.produce(1);  // beside one that never closes
    while (arena_.log->stop.load() == 0 && next_ < kStreamItems - kMaxBatch) {
      const uint32_t choice = random_() % 10;
      if (producer ? choice < 8 : choice < 2) {
        produce(queue);
      } else if (random_() % 64 == 0) {
        queue.wait(kJoiners, 2, [&] { return queue.joined(); });
      } else {
        consume(queue);
      }
    }
  }

  void drain(Queue& queue) {
    while (consume_now(queue)) {
    }
  }

  /// Puts that many items, as an open queue takes them.
  void produce_up_to(Queue& queue, uint32_t count) {
    while (next_ < count) produce(queue);
  }

  /// Takes items until the queue has ended, and says how. Fails when nothing comes within `limit_ms`.
  Outcome consume_to_the_end(Queue& queue, uint32_t limit_ms) {
    for (;;) {
      const uint32_t max = 1 + random_() % 4;
      const bool on_lease = random_() % 2 == 0;
      uint32_t taken = 0;
      Outcome outcome = Outcome::kEmpty;
      CHECK(queue.wait(kGetters, limit_ms, [&] {
        outcome = on_lease ? queue.lease(max, items_, &taken) : queue.take(max, items_, &taken);
        return outcome != Outcome::kEmpty;
      }));
      if (outcome != Outcome::kOk) return outcome;
      if (on_lease) {
        end_leases(queue, taken);
      } else {
        handle(queue, taken);
      }
    }
  }

 private:
  uint32_t some_length() { return sizeof(Message) + random_() % (random_() % 8 == 0 ? 1500 : 100); }

  template <class Try>
  bool wait_for(Queue& queue, Direction direction, Try attempt) {
    return queue.wait(direction, 5, attempt);
  }

  void produce(Queue& queue) {
    Log::Stream& stream = arena_.streams[life_];
    const uint32_t kind = random_() % 8;
    if (kind == 0) {
      Item claim;
      const uint32_t length = some_length();
      if (queue.claim(length, 1, &claim) != Outcome::kOk) return;
      if (random_() % 2 == 0) return queue.abort(claim);
      stream.attempted.store(next_ + 1);
      fill(queue.data(claim), static_cast<uint32_t>(life_), next_, length);
      queue.commit(claim);
      stream.acknowledged.store(++next_);
    } else {
      const uint32_t count = kind < 5 ? 1 : 1 + random_() % 12;
      std::vector<std::vector<uint8_t>> bytes(count);
      std::vector<Piece> pieces(count);
      for (uint32_t index = 0; index < count; ++index) {
        bytes[index].resize(some_length());
        fill(bytes[index].data(), static_cast<uint32_t>(life_), next_ + index,
             static_cast<uint32_t>(bytes[index].size()));
        pieces[index] = {bytes[index].data(), static_cast<uint32_t>(bytes[index].size()), 1};
      }
      stream.attempted.store(next_ + count);
      uint32_t accepted = 0;
      const bool done =
          wait_for(queue, kPutters, [&] { return queue.put(pieces.data(), count, &accepted) == Outcome::kOk; });
      if (done) next_ += accepted;
      stream.acknowledged.store(next_);
    }
    arena_.log->progress.fetch_add(1);
  }

  bool consume_now(Queue& queue) {
    uint32_t taken = 0;
    if (queue.take(1 + random_() % 16, items_, &taken) != Outcome::kOk) return false;
    handle(queue, taken);
    return true;
  }

  void consume(Queue& queue) {
    if (random_() % 4 == 0) return lease(queue);
    uint32_t taken = 0;
    const uint32_t max = random_() % 2 == 0 ? 1 : 1 + random_() % 16;
    if (wait_for(queue, kGetters, [&] { return queue.take(max, items_, &taken) == Outcome::kOk; })) {
      handle(queue, taken);
    }
  }

  void handle(Queue& queue, uint32_t taken) {
    Log::Hand& hand = arena_.hands[life_];
    const uint32_t kind = random_() % 8;
    if (kind == 0) return queue.requeue(items_, taken);
    if (kind == 1) {  // one by one, and the rest goes back
      const uint32_t keep = random_() % (taken + 1);
      for (uint32_t index = 0; index < keep; ++index) {
        note(queue, index, 0);
        hand.count.store(1);
        queue.ack_first(items_ + index, taken - index);
        receive(0);
        hand.count.store(0);
      }
      if (keep < taken) queue.requeue(items_ + keep, taken - keep);
      return;
    }
    for (uint32_t index = 0; index < taken; ++index) note(queue, index, index);
    hand.count.store(taken);
    queue.ack(items_, taken);
    for (uint32_t index = 0; index < taken; ++index) receive(index);
    hand.count.store(0);
  }

  void lease(Queue& queue) {
    uint32_t leased = 0;
    const uint32_t max = random_() % 2 == 0 ? 1 : 1 + random_() % 8;
    if (queue.lease(max, items_, &leased) == Outcome::kOk) end_leases(queue, leased);
  }

  /// Acknowledges some of them, from anywhere among them, and releases the others, one by one or together.
  void end_leases(Queue& queue, uint32_t leased) {
    Log::Hand& hand = arena_.hands[life_];
    Item released[kMaxBatch];
    uint32_t back = 0;
    uint32_t kept = 0;
    const uint32_t way = random_() % 4;  // 0: all go back; 1: some
    for (uint32_t index = 0; index < leased; ++index) {
      note(queue, index, kept);
      if (way == 0 || (way == 1 && random_() % 2 == 0)) {
        released[back++] = items_[index];
      } else {
        items_[kept++] = items_[index];
      }
    }
    if (kept > 0) {
      hand.count.store(kept);
      queue.ack(items_, kept);
      for (uint32_t at = 0; at < kept; ++at) receive(at);
      hand.count.store(0);
    }
    if (random_() % 2 == 0) {
      for (uint32_t index = 0; index < back; ++index) queue.release_lease(released[index]);
    } else if (back > 0) {
      queue.release_lease(released, back);
    }
  }

  /// Checks an item's bytes and order, and writes down that it is in this worker's hand.
  void note(Queue& queue, uint32_t index, uint32_t at) {
    const Message message = verify(queue.data(items_[index]), items_[index].length);
    Log::Hand& hand = arena_.hands[life_];
    hand.streams[at] = message.stream;
    hand.numbers[at] = message.number;
    if (items_[index].deliveries == 0) {
      if (last_.size() <= message.stream) last_.resize(message.stream + 1, -1);
      CHECK(last_[message.stream] < static_cast<int64_t>(message.number));
      last_[message.stream] = message.number;
    }
  }

  void receive(uint32_t at) {
    Log::Hand& hand = arena_.hands[life_];
    CHECK(arena_.got(hand.streams[at], hand.numbers[at]).fetch_add(1) == 0);  // never twice
    arena_.log->progress.fetch_add(1);
  }

  const Arena& arena_;
  int life_;
  std::mt19937_64 random_;
  uint32_t next_ = 0;
  Item items_[kMaxBatch];
  std::vector<int64_t> last_;
};

}  // namespace sage
