// What keeps an item out of a queue, and for how long: only what is really in it. And what it costs to find out.
#include <unistd.h>

#include <cstring>
#include <functional>
#include <vector>

#include "simple.h"

using namespace sage;

namespace {

constexpr unsigned kStuckSeconds = 20;

/// Counts what is read of the words that are shared.
uint64_t reads = 0;

template <class T>
struct Counted : std::atomic<T> {
  using std::atomic<T>::atomic;
  T load(std::memory_order order = std::memory_order_seq_cst) const {
    ++reads;
    return std::atomic<T>::load(order);
  }
};

struct CountingMemory : StdMemory {
  template <class T>
  using Atomic = Counted<T>;
};

/// Several participants of a queue that is in this test's memory.
template <class Memory, uint64_t kSlots, uint64_t kLeases>
struct Words {
  const std::unique_ptr<Block<Memory, kSlots, kLeases>> block = std::make_unique<Block<Memory, kSlots, kLeases>>();
  SageQueue<Memory> queue;
  Handle handles[4];

  Words(uint64_t items, uint32_t units) : queue(block->shared(items, units)) {
    for (uint32_t index = 1; index < 4; ++index) {
      handles[index].index = index;
      block->participants[index].identity.store(Identity::make(index, 1, Identity::kLive));
    }
  }
  /// Claims and does not even say where the items lie, as one that is killed or stopped right then.
  Outcome claim(uint32_t who, uint32_t units, Item* item, uint32_t count = 1) {
    uint32_t lengths[kMaxBatch];
    const uint32_t codecs[kMaxBatch] = {};
    for (uint32_t& length : lengths) length = units * kUnitBytes;
    uint32_t claimed = 0;
    return queue.claim(handles[who], lengths, codecs, count, item, &claimed);
  }
  Outcome put(uint32_t who, uint32_t units) {
    Item item;
    const Outcome outcome = claim(who, units, &item);
    if (outcome == Outcome::kOk) queue.commit(handles[who], &item, 1);
    return outcome;
  }
  bool take(uint32_t who, Item* item) {
    uint32_t taken = 0;
    if (queue.may_be_requeued() && queue.take_requeued(handles[who], item) == Outcome::kOk) return true;
    return queue.take(handles[who], 1, item, &taken) == Outcome::kOk;
  }
  bool get(uint32_t who) {
    Item item;
    if (!take(who, &item)) return false;
    if (item.lease >= 0) {
      queue.ack(handles[who], &item, 1);
    } else {
      queue.release(handles[who], &item, 1);
    }
    return true;
  }
  bool lease(uint32_t who, Item* item) { return take(who, item) && queue.lease(handles[who], item, 1) == 0; }
  void die(uint32_t who) {
    const uint64_t dead = Identity::with(block->participants[who].identity.load(), Identity::kDead);
    block->participants[who].identity.store(dead);
    queue.recover(who, dead);
  }
};

using Small = Words<StdMemory, 32, 8>;

}  // namespace

TEST(a_put_goes_in_beside_an_open_claim_behind_one_whose_owner_died) {
  for (const uint32_t batch : {1, 3}) {
    Small words(16, 64);
    Item dead[kMaxBatch];
    Item open;
    CHECK(words.claim(1, 10, dead, batch) == Outcome::kOk && words.claim(2, 10, &open) == Outcome::kOk);
    words.die(1);
    CHECK(words.put(3, 64 - 10) == Outcome::kOk);  // all of the room that the open claim leaves
    CHECK(words.put(3, 1) == Outcome::kFull);
    words.queue.commit(words.handles[2], &open, 1);
    CHECK(words.get(3) && words.get(3) && !words.get(3) && words.queue.used() == 0);
  }
}

TEST(what_a_producer_committed_before_it_died_does_not_hide_where_its_claim_ends) {
  Small words(16, 64);
  Item dead[3];
  Item open;
  CHECK(words.claim(1, 10, dead, 3) == Outcome::kOk);
  words.queue.describe(dead, 3);
  words.block->shared_state.slot(dead[1].number).word.store(SlotWord::make(dead[1].number, SlotWord::kClaimed, 1, 2));
  words.block->shared_state.slot(dead[0].number).word.store(SlotWord::make(dead[0].number, SlotWord::kCommitted));
  CHECK(words.claim(2, 10, &open) == Outcome::kOk);
  words.die(1);
  CHECK(words.get(3) && !words.get(3));
  CHECK(words.put(3, 64 - 10) == Outcome::kOk && words.put(3, 1) == Outcome::kFull);
}

TEST(one_scribbled_slot_is_damage_and_keeps_no_put_busy) {
  for (const uint64_t ahead : {uint64_t{1}, uint64_t{1} << 20}) {
    Words<StdMemory, 2048, 8> words(1000, 4096);
    for (int index = 0; index < 900; ++index) CHECK(words.put(1, 1) == Outcome::kOk && words.get(1));
    // The last of many that whoever wants room looks at.
    const uint64_t number = words.block->control.reclaim.load() + 899;
    words.block->shared_state.slot(number).word.store(SlotWord::make(number + ahead * 2048, SlotWord::kReleased));
    alarm(kStuckSeconds);
    CHECK(words.put(2, 1) == Outcome::kCorrupt);
    alarm(0);
  }
}

TEST(an_item_that_fits_goes_in_beside_a_small_lease_wherever_the_tail_is) {
  constexpr uint64_t kMiB = 1024 * 1024;
  for (uint64_t before = 0; before < kMiB; before += 100'000) {
    auto queue = make(__func__, 1000, kMiB);
    CHECK(put(*queue, std::string(16, 's')) == Outcome::kOk);
    Item lease;
    CHECK(queue->lease(&lease) == Outcome::kOk);
    if (before > 0) CHECK(put(*queue, std::string(before, 'b')) == Outcome::kOk && get(*queue).size() == before);
    for (const uint64_t size : {uint64_t{600'000}, kMiB - 16}) {
      CHECK(!queue->full() && put(*queue, std::string(size, 'l')) == Outcome::kOk);
      CHECK(get(*queue) == std::string(size, 'l'));
    }
    CHECK(put(*queue, std::string(kMiB, 'x')) == Outcome::kFull);
    CHECK(text_of(*queue, lease) == std::string(16, 's'));
    queue->ack(lease);
    CHECK(put(*queue, std::string(kMiB, 'x')) == Outcome::kOk);
    queue->unlink();
  }
}

TEST(what_a_dead_one_skipped_is_no_ones) {
  Small words(16, 64);
  Item lease;
  CHECK(words.put(1, 1) == Outcome::kOk && words.lease(1, &lease));
  CHECK(words.put(1, 30) == Outcome::kOk && words.get(1));
  Item item;
  CHECK(words.claim(2, 40, &item) == Outcome::kOk);  // behind the lease, after a skip
  words.die(2);
  CHECK(words.put(3, 63) == Outcome::kOk && words.put(3, 1) == Outcome::kFull && words.get(3));
  words.queue.ack(words.handles[1], &lease, 1);
  CHECK(words.put(3, 64) == Outcome::kOk && words.queue.counted() == 1 && words.get(3));
}

/// What a put reads on average, one after the other in a queue that is almost full, beside so many leases; and a lease.
static void cost_beside(uint32_t leases, double* of_put, double* of_lease) {
  Words<CountingMemory, 16384, 8192> words(8192, 16384);
  const auto check = [](bool good) { CHECK(good); };
  Item item;
  for (uint32_t index = 0; index < leases; ++index) {
    check(words.put(1, 1) == Outcome::kOk && words.lease(2, &item));
    // Leases with room between them.
    check(words.put(1, 1) == Outcome::kOk && words.get(3));
  }
  uint32_t in = 0;
  while (words.put(1, 2) == Outcome::kOk) ++in;
  check(in > 100);
  constexpr uint32_t kTurns = 2000;
  uint64_t puts = 0;
  uint64_t moves = 0;
  for (uint32_t turn = 0; turn < kTurns; ++turn) {
    reads = 0;
    check(words.lease(2, &item));
    moves += reads;
    words.queue.ack(words.handles[2], &item, 1);
    reads = 0;
    check(words.put(1, 2) == Outcome::kOk);
    puts += reads;
  }
  *of_put = static_cast<double>(puts) / kTurns;
  *of_lease = static_cast<double>(moves) / kTurns;
}

TEST(a_put_and_a_lease_cost_the_same_however_many_leases_are_held) {
  double few[2];
  double many[2];
  cost_beside(100, &few[0], &few[1]);
  cost_beside(3200, &many[0], &many[1]);
  std::printf("    words read beside 100 and 3200 leases: %.0f and %.0f by a put, %.0f and %.0f by a lease\n", few[0],
              many[0], few[1], many[1]);
  CHECK(many[0] < 4 * few[0] + 50 && many[1] < 2 * few[1] + 20);
}

TEST(counts_stop_at_as_much_as_fits) {
  Small words(16, 64);
  Item item;
  CHECK(words.put(1, 1) == Outcome::kOk && words.lease(1, &item));
  std::atomic<uint64_t>& word = words.block->leases[item.lease].word;
  word.store(LeaseWord::make(LeaseWord::kLeased, 1, LeaseWord::kMaxDeliveries - 1, LeaseWord::kMaxCrashes - 1,
                             LeaseWord::serial(word)));
  for (int turn = 0; turn < 3; ++turn) {
    words.die(1);
    words.block->participants[1].identity.store(Identity::make(1, 2, Identity::kLive));
    CHECK(words.lease(1, &item));
    CHECK(item.deliveries == LeaseWord::kMaxDeliveries && item.crashes == LeaseWord::kMaxCrashes);
    words.queue.requeue_lease(item);
    CHECK(words.lease(1, &item) && item.deliveries == LeaseWord::kMaxDeliveries);
  }
  words.queue.ack(words.handles[1], &item, 1);
  // In a slot they are narrower.
  CHECK(words.put(1, 1) == Outcome::kOk);
  for (uint32_t turn = 1; turn < 200; ++turn) {
    CHECK(words.take(2, &item) && item.lease < 0);
    words.die(2);
    words.block->participants[2].identity.store(Identity::make(2, turn, Identity::kLive));
    CHECK(words.take(2, &item));
    CHECK(item.crashes == std::min(turn, SlotWord::kMaxCrashes));
    CHECK(item.deliveries == std::min(2 * turn - 1, SlotWord::kMaxDeliveries));
    words.queue.requeue(words.handles[2], &item, 1);
  }
}

TEST(deaths_are_counted_and_other_returns_are_not) {
  Small words(16, 64);
  Item items[4];
  for (int index = 0; index < 3; ++index) CHECK(words.put(1, 1) == Outcome::kOk);
  uint32_t taken = 0;
  CHECK(words.queue.take(words.handles[2], 3, items, &taken) == Outcome::kOk && taken == 3);
  words.die(2);
  for (int index = 0; index < 3; ++index) {
    CHECK(words.lease(3, &items[index]) && items[index].deliveries == 1 && items[index].crashes == 1);
  }
  // Who leaves alive lets go of what it holds.
  words.queue.recover(3, words.block->participants[3].identity.load());
  for (int index = 0; index < 3; ++index) {
    CHECK(words.lease(1, &items[index]) && items[index].deliveries == 2 && items[index].crashes == 1);
    words.queue.ack(words.handles[1], &items[index], 1);
  }
}

TEST(numbers_end_and_what_was_put_before_comes_out) {
  Small words(16, 64);
  const uint64_t first = Cursor::kEnd - 40;
  for (uint64_t number = first - 32; number < first; ++number) {
    words.block->shared_state.slot(number).word.store(SlotWord::make(number, SlotWord::kReleased));
  }
  words.block->control.tail.store(Cursor::make(first, 0, 0));
  words.block->control.head.store(Cursor::make(first, 0, 0));
  words.block->control.reclaim.store(first);
  int in = 0;
  int out = 0;
  while (words.put(1, 1) == Outcome::kOk) {
    ++in;
    if (in % 3 != 0) continue;
    while (words.get(2)) ++out;
  }
  CHECK(words.put(1, 1) == Outcome::kCorrupt && words.put(3, 1) == Outcome::kCorrupt);
  while (words.get(2)) ++out;
  CHECK(in == 40 && out == in);
}

TEST(a_limit_that_was_exceeded_can_be_seen) {
  Small words(2, 64);
  for (uint32_t index = 0; index < 5; ++index) {
    words.block->leases[index].record.store(Record::make(index * 20, 20 * kUnitBytes));
    words.block->leases[index].word.store(LeaseWord::make(LeaseWord::kLeased, 1, 0, 0, 1));
  }
  words.block->control.lease_high.store(5);
  CHECK(words.queue.used() == 2 && words.queue.counted() == 5);
  CHECK(words.queue.used_bytes() == 64 * kUnitBytes && words.queue.counted_bytes() == 100 * kUnitBytes);
}
