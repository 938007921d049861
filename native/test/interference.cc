// Questions of one who is off its core after every word it reads, for as long as the others need to go all the way
// around: what it says must have been true at some instant in between.
#include <functional>
#include <utility>

#include "core/handle/item_path.h"
#include "simple.h"

using namespace sage;

namespace {

/// What all the others do whenever a word was read, so many times.
std::function<void()> others;
int times = 0;

template <class T>
struct SlowlyRead : std::atomic<T> {
  using std::atomic<T>::atomic;
  T load(std::memory_order order = std::memory_order_seq_cst) const {
    const T value = std::atomic<T>::load(order);
    if (times > 0) {
      const int left = std::exchange(times, 0) - 1;
      others();
      times = left;
    }
    return value;
  }
};

struct SlowMemory : StdMemory {
  template <class T>
  using Atomic = SlowlyRead<T>;
};

/// A queue that holds two items whenever nobody is at it, and three in between, of the sixteen that it has room for.
struct Busy {
  const std::unique_ptr<Block<SlowMemory, 32, 2>> block = std::make_unique<Block<SlowMemory, 32, 2>>();
  SageQueue<SlowMemory> queue{block->shared(16, 64)};
  Handle handle;

  Busy() {
    handle.index = 1;
    put();
    put();
    others = [this] {
      for (int lap = 0; lap < 40; ++lap) {
        put();
        get();
      }
    };
  }
  ~Busy() { times = 0; }
  void put() {
    const uint32_t length = 64;
    const uint32_t codec = 1;
    Item item;
    uint32_t claimed = 0;
    CHECK(queue.claim(handle, &length, &codec, 1, &item, &claimed) == Outcome::kOk);
    queue.commit(handle, &item, 1);
  }
  void get() {
    Item item;
    uint32_t taken = 0;
    CHECK(queue.take(handle, 1, &item, &taken) == Outcome::kOk);
    queue.release(handle, &item, 1);
  }
};

}  // namespace

TEST(a_queue_that_is_never_empty_never_has_the_size_0) {
  Busy busy;
  for (int reads = 0; reads < 400; ++reads) {
    times = reads;
    const uint64_t size = busy.queue.size();
    CHECK(size >= 2 && size <= 16);
  }
}

TEST(a_queue_that_is_never_empty_has_something_to_peek_at) {
  Busy busy;
  for (int reads = 0; reads < 200; ++reads) {
    times = reads;
    Item item;
    uint64_t seen = 0;
    CHECK(busy.queue.peek(&item, &seen) == Outcome::kOk);
  }
}

TEST(what_is_used_is_neither_forgotten_nor_counted_a_lap_late) {
  Busy busy;
  for (int reads = 0; reads < 28; ++reads) {  // eight looks read more words than that
    times = reads;
    const uint64_t used = busy.queue.used();
    CHECK(used >= 2 && used <= 4);
    times = reads;
    const uint64_t bytes = busy.queue.used_bytes();
    CHECK(bytes >= 2 * 64 && bytes <= 4 * 2 * 64);
  }
}

TEST(a_wake_that_another_one_overtook_leaves_the_mark_up) {
  const auto block = std::make_unique<Block<SlowMemory, 32, 2>>();
  const SharedState<SlowMemory> shared = block->shared(16, 64);
  shared.control->participant_high.store(2);
  shared.participants[1].identity.store(Identity::make(1, 1, Identity::kLive));
  Waiters<SlowMemory> waiters(shared);
  Handle waiter;
  waiter.index = 1;
  for (int reads = 1; reads < 10; ++reads) {
    waiters.put_up(waiter, kGetters, Bell::kInLoop);
    // The other one has the bell say that it was rung, and cannot ring it.
    int left = reads;
    others = [&] {
      if (--left == 0) CHECK(waiters.wake(kGetters, false, 1000, [](uint32_t, uint32_t) { return false; }));
    };
    int rung = 0;
    times = reads;
    const bool follow_up = waiters.wake(kGetters, false, 1000, [&](uint32_t, uint32_t) { return ++rung > 0; });
    times = 0;
    CHECK(rung > 0 || (follow_up && waiters.anybody(kGetters)));
    waiters.take_down(waiter, kGetters);
  }
}

TEST(one_that_wakes_by_itself_while_it_is_looked_at_needs_no_follow_up) {
  for (int reads = 1; reads < 10; ++reads) {
    const auto block = std::make_unique<Block<SlowMemory, 32, 2>>();
    const SharedState<SlowMemory> shared = block->shared(16, 64);
    shared.control->participant_high.store(2);
    shared.participants[1].identity.store(Identity::make(1, 1, Identity::kLive));
    Waiters<SlowMemory> waiters(shared);
    Handle waiter;
    waiter.index = 1;
    waiters.put_up(waiter, kGetters, Bell::kInLoop);
    int left = reads;
    others = [&] {
      if (--left == 0) waiters.take_down(waiter, kGetters);
    };
    times = reads;
    const bool follow_up = waiters.wake(kGetters, false, 1000, [](uint32_t, uint32_t) { return true; });
    times = 0;
    CHECK(!follow_up && !waiters.anybody(kGetters));
  }
}

/// Nobody waits, and nobody dies.
struct Alone {
  bool ring(uint32_t, Direction, uint32_t) { return true; }
  bool follow_up_later(Direction) { return true; }
  bool follows_up() const { return false; }
  void newcomers() {}
  uint32_t wake_ms() const { return 0; }
  bool found_dead() { return false; }
  void ask_after_dead() {}
};

TEST(who_passes_on_free_space_that_it_knows_of_does_not_look_at_every_item) {
  const auto block = std::make_unique<Block<SlowMemory, 32, 2>>();
  const SharedState<SlowMemory> shared = block->shared(16, 64);
  shared.control->participant_high.store(3);
  for (const uint32_t index : {1, 2})
    shared.participants[index].identity.store(Identity::make(index, 1, Identity::kLive));
  Alone alone;
  ItemPath<SlowMemory, Alone> path(shared, alone);
  path.join_at(1);
  const uint32_t length = 16;
  const uint32_t codec = 1;
  uint32_t accepted = 0;
  for (int item = 0; item < 14; ++item) {
    CHECK(path.put(&length, &codec, 1, &accepted, [](const Item*, uint32_t) { return 16; }) == Outcome::kOk);
  }
  Handle waiter;
  waiter.index = 2;
  path.waking().waiters().put_up(waiter, kPutters, Bell::kInLoop);
  path.waking().begin(kPutters, Bell::kInLoop);
  shared.participants[1].bell[kPutters].store(Bell::kRung);
  int reads = 0;
  others = [&] { ++reads; };
  times = 1000;
  path.waking().stop(kPutters);
  times = 0;
  CHECK(shared.participants[2].bell[kPutters].load() == Bell::kRung);
  CHECK(reads < 20);
}

TEST(a_get_finds_what_was_requeued_while_it_looked_at_what_was_never_taken) {
  for (int reads = 1; reads < 40; ++reads) {
    const auto block = std::make_unique<Block<SlowMemory, 32, 2>>();
    SageQueue<SlowMemory> queue(block->shared(16, 64));
    Alone host;
    ItemPath<SlowMemory, Alone> path(block->shared(16, 64), host);
    path.join_at(1);
    Handle peers[2];
    peers[0].index = 2;
    peers[1].index = 3;
    const uint32_t lengths[] = {64, 64};
    const uint32_t codecs[] = {1, 2};
    Item items[2];
    uint32_t count = 0;
    CHECK(queue.claim(peers[0], lengths, codecs, 2, items, &count) == Outcome::kOk && count == 2);
    queue.commit(peers[0], items, 2);
    // One takes the first item and requeues it, then another one takes the second, having looked for what was requeued
    // before: at every instant there is something.
    int left = reads;
    others = [&] {
      if (--left != 0) return;
      Item item;
      uint32_t taken = 0;
      if (queue.take(peers[0], 1, &item, &taken) != Outcome::kOk) return;  // the get was faster
      queue.requeue(peers[0], &item, 1);
      queue.take(peers[1], 1, &item, &taken);
    };
    times = reads;
    Item item;
    uint32_t taken = 0;
    CHECK(path.take(1, &item, &taken, ~uint64_t{0}) == Outcome::kOk);
    times = 0;
  }
}
