// Threads over one mapping, so that ThreadSanitizer sees both sides of everything: producers, consumers, lease holders,
// and one that dies over and over (it leaves what it holds and is recovered by two others) while its entry is used
// again. Afterwards the history of all rounds is checked; its streams are called SEED.PRODUCER.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>

#include "check.h"
#include "core/algorithm/sage_queue.h"
#include "history.h"
#include "seed.h"

using namespace sage;

namespace {

constexpr uint32_t kProducers = 2;
constexpr uint32_t kConsumers = 2;
constexpr uint32_t kItems = 6000;
constexpr uint32_t kDeaths = 300;
constexpr uint32_t kMaxSlots = 64;
constexpr uint32_t kMaxLeases = 6;
constexpr uint32_t kMaxAreaUnits = 128;
constexpr uint32_t kMortal = 7;  // its participant entry

struct Message {
  uint32_t producer;
  uint32_t number;
};

/// By a consumer, in its order. again: somebody had it before.
struct Received {
  Message message;
  bool again;
};

struct World {
  Control<StdMemory> control;
  Participant<StdMemory> participants[16];
  Slot<StdMemory> slots[kMaxSlots];
  LeaseEntry<StdMemory> leases[kMaxLeases];
  uint8_t payload[kMaxAreaUnits * kUnitBytes];
};

/// A queue's size: powers of two, and limits below them.
struct Shape {
  explicit Shape(uint32_t seed) {
    std::mt19937 random(seed);
    slots = 4u << random() % 5;
    items = 1 + random() % (slots / 2);
    leases = 1 + random() % kMaxLeases;
    area_units = 16u << random() % 4;
    capacity_units = area_units - random() % (area_units / 2);
  }
  uint32_t slots;
  uint32_t items;
  uint32_t leases;
  uint32_t area_units;
  uint32_t capacity_units;
};

class Threads {
 public:
  explicit Threads(uint32_t seed)
      : seed_(seed),
        shape_(seed),
        world_(static_cast<World*>(std::aligned_alloc(128, (sizeof(World) + 127) / 128 * 128))) {
    std::memset(static_cast<void*>(world_), 0, sizeof(World));
    shared_.control = &world_->control;
    shared_.participants = world_->participants;
    shared_.slots = world_->slots;
    shared_.leases = world_->leases;
    shared_.slot_count = shape_.slots;
    shared_.item_limit = shape_.items;
    shared_.lease_count = shape_.leases;
    shared_.capacity_units = shape_.capacity_units;
    shared_.area_units = shape_.area_units;
    shared_.initialise();
    world_->control.participant_high.store(16);
    queue_ = std::make_unique<SageQueue<StdMemory>>(shared_);
  }
  ~Threads() { std::free(world_); }

  void run(FILE* history) {
    std::printf("  seed %u: %u slots, %u items, %u leases, %u of %u units\n", seed_, shape_.slots, shape_.items,
                shape_.leases, shape_.capacity_units, shape_.area_units);
    std::fflush(stdout);
    std::vector<std::thread> producers;
    for (uint32_t index = 0; index < kProducers; ++index) producers.emplace_back([=] { produce(index); });
    std::vector<std::thread> others;
    others.emplace_back([=] { consume(3, false); });
    others.emplace_back([=] { consume(4, true); });
    others.emplace_back([=] { recover_until_the_end(); });
    others.emplace_back([=] { recover_until_the_end(); });
    std::thread mortal([=] { die_over_and_over(); });
    for (std::thread& thread : producers) thread.join();
    produced_.store(true);
    mortal.join();
    while (delivered_.load() < kProducers * kItems) std::this_thread::yield();
    over_.store(true);
    for (std::thread& thread : others) thread.join();
    recover_mortal();  // what it left at its last death, if nobody came to it
    for (uint32_t index = 0; index < kProducers; ++index)
      std::fprintf(history, "ack %u.%u 0 %u\n", seed_, index, kItems);
    for (uint32_t receiver = 0; receiver < kConsumers; ++receiver) {
      for (const Received& one : received_[receiver]) {
        const auto [producer, number] = one.message;
        std::fprintf(history, "%s %u.%u %u.%u %u %u\n", one.again ? "again" : "got", seed_, receiver, seed_, producer,
                     number, number + 1);
      }
    }
    CHECK(queue_->drained() && queue_->used() == 0 && queue_->counted() == 0 && queue_->counted_bytes() == 0);
    std::printf("    %u items, %u deaths, %llu redelivered\n", kProducers * kItems, deaths_.load(),
                static_cast<unsigned long long>(redelivered_.load()));
  }

 private:
  uint8_t* at(const Item& item, uint32_t byte) {
    const uint32_t area_bytes = shape_.area_units * kUnitBytes;
    return world_->payload + (item.position * kUnitBytes + byte) % area_bytes;
  }
  void write(const Item& item, const Message& message) {
    for (uint32_t byte = 0; byte < item.length; byte += sizeof message)
      std::memcpy(at(item, byte), &message, sizeof message);
  }
  Message read(const Item& item) {
    Message message;
    std::memcpy(&message, at(item, 0), sizeof message);
    for (uint32_t byte = 0; byte < item.length; byte += sizeof message) {
      CHECK(std::memcmp(at(item, byte), &message, sizeof message) == 0);
    }
    return message;
  }

  void produce(uint32_t producer) {
    Handle handle;
    handle.index = producer + 1;
    shared_.participants[handle.index].identity.store(Identity::make(handle.index, 1, Identity::kLive));
    std::mt19937 random(seed_ * 16 + producer);
    for (uint32_t number = 0; number < kItems;) {
      uint32_t lengths[4];
      const uint32_t codecs[4] = {};
      Item items[4];
      uint32_t claimed = 0;
      const uint32_t count = std::min<uint32_t>(1 + random() % 4, kItems - number);
      for (uint32_t& length : lengths) length = static_cast<uint32_t>(sizeof(Message) * (1 + random() % 10));
      if (queue_->claim(handle, lengths, codecs, count, items, &claimed) != Outcome::kOk) {
        std::this_thread::yield();
        continue;
      }
      if (random() % 32 == 0) {
        queue_->abort(handle, items, claimed);
        continue;
      }
      for (uint32_t index = 0; index < claimed; ++index) write(items[index], {producer, number + index});
      queue_->commit(handle, items, claimed);
      number += claimed;
    }
  }

  uint32_t take(Handle& handle, uint32_t max, Item* items) {
    uint32_t taken = 0;
    if (queue_->may_be_requeued() && queue_->take_requeued(handle, items) == Outcome::kOk) return 1;
    return queue_->take(handle, max, items, &taken) == Outcome::kOk ? taken : 0;
  }

  void note(const Message& message, const Item& item, std::vector<Received>* received) {
    CHECK(message.producer < kProducers && message.number < kItems);
    received->push_back({message, item.deliveries != 0});
    if (item.deliveries != 0) redelivered_.fetch_add(1);
    delivered_.fetch_add(1);
  }

  void consume(uint32_t index, bool leases) {
    Handle handle;
    handle.index = index;
    shared_.participants[index].identity.store(Identity::make(index, 1, Identity::kLive));
    std::mt19937 random(seed_ * 16 + index);
    std::vector<Received>* received = &received_[leases ? 1 : 0];
    while (!over_.load()) {
      Item items[8];
      const uint32_t taken = take(handle, leases ? 1 : 8, items);
      if (taken == 0) {
        std::this_thread::yield();
        continue;
      }
      if (leases && queue_->lease(handle, items, 1) == 0) {
        std::this_thread::yield();
        if (random() % 8 == 0) {
          queue_->requeue_lease(items[0]);
          continue;
        }
        note(read(items[0]), items[0], received);
        queue_->ack(handle, items, 1);
      } else if (items[0].lease >= 0) {
        note(read(items[0]), items[0], received);
        queue_->ack(handle, items, 1);
      } else if (random() % 16 == 0) {
        queue_->requeue(handle, items, taken);
      } else if (random() % 2 == 0) {
        for (uint32_t at = 0; at < taken; ++at) {
          note(read(items[at]), items[at], received);
          if (at + 1 < taken) {
            queue_->release_first(handle, items[at], taken - at);
          } else {
            queue_->release(handle, items + at, 1);
          }
        }
      } else {
        for (uint32_t at = 0; at < taken; ++at) note(read(items[at]), items[at], received);
        queue_->release(handle, items, taken);
      }
    }
  }

  /// Joins at one entry, again and again, and leaves everything open.
  void die_over_and_over() {
    std::mt19937 random(seed_ * 16 + kMortal);
    auto& identity = shared_.participants[kMortal].identity;
    for (uint32_t life = 1; life <= kDeaths && !produced_.load(); ++life) {
      uint64_t free = 0;
      while (!identity.compare_exchange_strong(free, Identity::make(kMortal, life, Identity::kLive))) {
        if (produced_.load()) return;  // tail may name the last life until somebody claims again, and nobody will
        free = 0;
        std::this_thread::yield();
      }
      Handle handle;
      handle.index = kMortal;
      Item items[8];
      const uint32_t lengths[3] = {16, 40, 80};
      const uint32_t codecs[3] = {};
      uint32_t claimed = 0;
      if (random() % 2 == 0) {
        const uint32_t taken = take(handle, 1 + random() % 3, items);
        if (taken > 0) (void)read(items[0]);
        if (taken == 1 && items[0].lease < 0 && random() % 2 == 0) queue_->lease(handle, items, 1);
      }
      if (random() % 2 == 0 && queue_->claim(handle, lengths, codecs, 3, items, &claimed) == Outcome::kOk) {
        write(items[0], {77, 77});
      }
      deaths_.fetch_add(1);
      identity.store(Identity::make(kMortal, life, Identity::kDead));  // what the kernel would have told
    }
  }

  bool recover_mortal() {
    auto& identity = shared_.participants[kMortal].identity;
    uint64_t dead = identity.load();
    if (Identity::state(dead) == Identity::kDead) {
      const uint64_t then = queue_->recover(kMortal, dead) ? 0 : Identity::with(dead, Identity::kRecovered);
      return identity.compare_exchange_strong(dead, then);
    }
    return Identity::state(dead) == Identity::kRecovered && !queue_->named(kMortal) &&
           identity.compare_exchange_strong(dead, 0);
  }
  void recover_until_the_end() {
    while (!over_.load()) {
      if (!recover_mortal()) std::this_thread::yield();
      CHECK(queue_->counted() <= shape_.items);
    }
  }

  const uint32_t seed_;
  const Shape shape_;
  World* world_;
  SharedState<StdMemory> shared_;
  std::unique_ptr<SageQueue<StdMemory>> queue_;
  std::vector<Received> received_[kConsumers];
  std::atomic<uint64_t> delivered_{0};
  std::atomic<uint64_t> redelivered_{0};
  std::atomic<uint32_t> deaths_{0};
  std::atomic<bool> produced_{false};
  std::atomic<bool> over_{false};
};

}  // namespace

TEST(everything_at_once_over_one_mapping) {
  const char* rounds = std::getenv("SAGE_ROUNDS");
  const auto from = static_cast<uint32_t>(chosen_seed());
  History history;
  for (int round = 0; round < (rounds ? std::atoi(rounds) : 20); ++round) Threads(from + round).run(history.file());
  std::printf("    %s\n", history.checked().c_str());
}

int main(int argc, char** argv) { return check::main(argc, argv); }
