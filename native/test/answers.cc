// What a handle says of its queue, and what its calls promise beside the items: whole answers, and waits that end.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/errors.h"
#include "loop_bell.h"
#include "simple.h"

using namespace sage;

namespace {

std::string peeked(Queue& queue) {
  std::vector<uint8_t> bytes;
  uint32_t codec = 0;
  if (!queue.peek(&bytes, &codec)) return "<none>";
  return {bytes.begin(), bytes.end()};
}

Slot<StdMemory>& slot_of(const Queue& queue, uint64_t number) { return queue.segment().shared().slots[number]; }

}  // namespace

TEST(the_totals_are_those_of_all_handles_that_ever_were) {
  auto queue = make(__func__);
  auto other = make(__func__);
  CHECK(put(*queue, "a") == Outcome::kOk && put(*other, "bc") == Outcome::kOk && put(*other, "def") == Outcome::kOk);
  CHECK(get(*queue) == "a");
  Item lease;
  CHECK(queue->lease(&lease) == Outcome::kOk);
  queue->release_lease(lease);
  CHECK(queue->lease(&lease) == Outcome::kOk && text_of(*queue, lease) == "bc");
  other->close();
  auto waiting = make(__func__);
  const auto wait_as = [&](Direction direction) {
    Step step = waiting->begin_waiting(direction);
    while (step == Step::kTry) step = waiting->tried(direction, false);
  };
  wait_as(kPutters);
  const QueueTotals one = queue->totals();
  CHECK(one.put_total == 3 && one.put_bytes == 6 && one.get_total == 1 && one.redelivered == 1);
  CHECK(one.size == 1 && one.leased == 1 && one.used_bytes == 2 * kUnitBytes && one.recovered == 0);
  CHECK(one.waiting_getters == 0 && one.waiting_putters == 1 && one.waiting_joiners == 0 && !one.shut_down);
  waiting->stop_waiting(kPutters);
  wait_as(kJoiners);
  wait_as(kGetters);
  queue->ack(lease);
  CHECK(queue->totals().waiting_joiners == 1 && queue->totals().waiting_putters == 0);
  CHECK(queue->totals().waiting_getters == 1 && queue->totals().get_total == 2);
  waiting->stop_waiting(kJoiners);
  waiting->stop_waiting(kGetters);
  queue->shut_down(true);
  CHECK(queue->totals().shut_down && queue->totals().size == 0);
}

TEST(one_item_more_than_a_batch_is_not_touched) {
  auto queue = make(__func__, 0, 65536);
  const std::string text(kMaxBatch + 1, 'x');
  std::vector<Piece> pieces;
  for (const char& letter : text) pieces.push_back(Piece{reinterpret_cast<const uint8_t*>(&letter), 1, 7});
  pieces.resize(1000, Piece{nullptr, ~uint32_t{0}, ~uint32_t{0}});
  uint32_t accepted = 0;
  CHECK(queue->put(pieces.data(), 1000, &accepted) == Outcome::kOk && accepted == kMaxBatch);
  CHECK(queue->totals().put_bytes == kMaxBatch && queue->size() == kMaxBatch);
  while (get(*queue) != "<none>") continue;
}

TEST(nothing_is_peeked_at_that_was_shut_down_at_once) {
  auto queue = make(__func__);
  const auto onlooker = Queue::inspect(Segment::open_file(Segment::file_of(queue->segment().name())));
  CHECK(put(*queue, "a") == Outcome::kOk && peeked(*onlooker) == "a");
  // As one leaves it who is killed before it drops what is there. An onlooker drops nothing.
  queue->segment().shared().control->shut.store(2);
  CHECK(peeked(*onlooker) == "<none>" && onlooker->size() == 0);
  CHECK(peeked(*queue) == "<none>");
}

TEST(a_peek_at_an_impossible_length_says_that_it_is_damaged_and_at_what_goes_meanwhile_looks_again) {
  auto queue = make(__func__);
  CHECK(put(*queue, "first") == Outcome::kOk && put(*queue, "second") == Outcome::kOk);
  std::atomic<uint64_t>& record = slot_of(*queue, 0).record;
  const uint64_t whole = record;
  record = Record::make(Record::position(whole), 0xfffffff0);
  std::string code;
  try {
    peeked(*queue);
  } catch (const SegmentFailure& failure) {
    code = failure.code();
  }
  CHECK(code == "ERR_SEGMENT_CORRUPT");
  record = whole;
  CHECK(peeked(*queue) == "first");
  CHECK(get(*queue) == "first" && get(*queue) == "second");
}

#if !defined(__SANITIZE_THREAD__)  // it reads what may change, and looks afterwards whether that did
TEST(a_peek_sees_whole_items_only_while_others_go_on) {
  constexpr size_t kShort = 200000;
  constexpr size_t kLong = 300000;
  auto queue = make(__func__, 4, 1 << 20);
  auto onlooker = make(__func__, 4, 1 << 20);
  std::atomic<bool> over{false};
  std::thread traffic([&] {
    for (char letter = 'a'; !over; letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1)) {
      put(*queue, std::string(letter == 'm' ? kLong : kShort, letter));
      if (queue->size() > 1) get(*queue);
    }
  });
  int seen = 0;
  for (const uint32_t start = monotonic_ms(); monotonic_ms() - start < 400 || seen == 0;) {
    const std::string text = peeked(*onlooker);
    if (text == "<none>") continue;
    ++seen;
    const bool is_whole = text.find_first_not_of(text[0]) == std::string::npos;
    CHECK(is_whole && text.size() == (text[0] == 'm' ? kLong : kShort));
  }
  over = true;
  traffic.join();
  while (get(*queue) != "<none>") continue;
}
#endif

// ── waits ──────────────────────────────────────────────────────────────────

TEST(a_wait_of_no_time_tries_once) {
  auto queue = make(__func__);
  for (const Direction direction : kDirections) {
    int tries = 0;
    CHECK(!queue->wait(direction, 0, [&] { return ++tries == 0; }) && tries == 1);
    CHECK(queue->wait(direction, 0, [&] { return ++tries == 2; }) && tries == 2);
    CHECK(queue->wait(direction, kSoonMs, [&] { return ++tries == 3; }) && tries == 3);
    CHECK(queue->bell(direction) == Bell::kAwake);
  }
}

TEST(a_wait_ends_when_its_time_is_over_sleeps_until_then_and_leaves_no_bell_up) {
  auto queue = make(__func__);
  for (const Direction direction : kDirections) {
    int tries = 0;
    bool is_up = false;
    std::atomic<bool> over{false};
    std::thread waiter([&] {
      const uint32_t start = monotonic_ms();
      CHECK(!queue->wait(direction, 300, [&] {
        ++tries;
        is_up = is_up || queue->bell(direction) == Bell::kOnFutex;
        return false;
      }));
      CHECK(monotonic_ms() - start >= 299);
      over = true;
    });
    CHECK(within(kSoonMs, [&] { return over.load(); }));
    waiter.join();
    CHECK(is_up);
    CHECK(direction == kGetters || tries < 10);  // a get looks again for a moment before it sleeps
    CHECK(queue->bell(direction) == Bell::kAwake);
  }
}

TEST(a_wait_that_is_done_as_it_looks_again_tries_no_more) {
  auto queue = make(__func__);
  int tries = 0;
  CHECK(queue->wait(kGetters, kSoonMs, [&] { return ++tries >= 2; }) && tries == 2);
}

TEST(others_have_the_handle_while_one_sleeps_and_it_has_it_when_it_tries) {
  auto queue = make(__func__);
  std::mutex lock;
  int holders = 0;
  std::atomic<bool> over{false};
  std::thread sleeper([&] {
    const std::lock_guard<std::mutex> locked(lock);
    queue->wait(
        kGetters, 60000,
        [&] {
          CHECK(++holders == 1);
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
          --holders;
          return over.load();
        },
        lock);
    CHECK(++holders == 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    --holders;
  });
  const auto hold = [&] {
    std::unique_lock<std::mutex> locked(lock, std::defer_lock);  // ThreadSanitizer knows no lock with a time limit
    CHECK(within(kSoonMs, [&] { return locked.try_lock(); }));
    CHECK(++holders == 1);
    --holders;
    queue->interrupt(kGetters);
  };
  CHECK(within(kSoonMs, [&] { return queue->bell(kGetters) == Bell::kOnFutex; }));
  for (int times = 0; times < 20; ++times) hold();
  over = true;
  hold();
  for (int times = 0; times < 50; ++times) hold();
  sleeper.join();
}

TEST(who_is_interrupted_on_its_way_to_sleep_does_not_sleep_and_a_closed_handle_interrupts_nobody) {
  auto queue = make(__func__);
  sleep_in(*queue);
  queue->interrupt(kGetters);
  CHECK(queue->bell(kGetters) == Bell::kAwake);
  auto keeper = make(__func__);
  const auto& entry = queue->segment().shared().participants[1];
  queue->close();
  auto next = make(__func__);  // at the entry that is free
  sleep_in(*next);
  CHECK(entry.bell[kGetters] == Bell::kInLoop);
  queue->interrupt(kGetters);
  CHECK(entry.bell[kGetters] == Bell::kInLoop);
  next->stop_waiting(kGetters);
}

TEST(who_is_rung_has_the_watcher_back_that_was_paused_meanwhile) {
  auto queue = make(__func__);
  sleep_in(*queue);
  Watcher::instance().pause();
  CHECK(Watcher::is_paused());
  Watcher::instance().resume();
  CHECK(Watcher::is_paused());  // nothing is due
  CHECK(queue->rung(kGetters) == Step::kTry && !Watcher::is_paused());
  queue->stop_waiting(kGetters);
}

TEST(who_is_closed_is_out_of_the_watcher) {
  auto queue = make(__func__);
  const int before = threads_here();
  sleep_in(*queue);
  CHECK(threads_here() == before + 1);
  queue->close();
  CHECK(within(kSoonMs, [&] { return threads_here() == before; }));
}
