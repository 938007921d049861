// One thread, one process: what each call promises.
#include <unistd.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "core/errors.h"
#include "here.h"
#include "simple.h"

using namespace sage;

TEST(items_come_out_in_order) {
  auto queue = make(__func__);
  for (int lap = 0; lap < 100; ++lap) {
    CHECK(put(*queue, "a") == Outcome::kOk);
    CHECK(put(*queue, "") == Outcome::kOk);
    CHECK(put(*queue, "ccc") == Outcome::kOk);
    CHECK(queue->size() == 3);
    CHECK(get(*queue) == "a" && get(*queue).empty() && get(*queue) == "ccc" && get(*queue) == "<none>");
  }
}

TEST(a_put_takes_64_pieces_and_says_so) {
  auto queue = make(__func__, 0, 65536);
  const std::string text = "a";
  const std::vector<Piece> pieces(100, Piece{reinterpret_cast<const uint8_t*>(text.data()), 1, 7});
  uint32_t accepted = 0;
  CHECK(queue->put(pieces.data(), 100, &accepted) == Outcome::kOk && accepted == kMaxBatch && queue->size() == 64);
  queue->shut_down(true);
  std::vector<uint8_t> bytes;
  uint32_t codec = 0;
  CHECK(!queue->peek(&bytes, &codec));
}

TEST(maxsize_is_exact) {
  for (const int maxsize : {1, 2, 3, 7, 64, 100}) {
    auto queue = make(__func__, maxsize, 65536);
    for (int lap = 0; lap < 3; ++lap) {
      for (int index = 0; index < maxsize; ++index) CHECK(put(*queue, std::to_string(index)) == Outcome::kOk);
      CHECK(put(*queue, "x") == Outcome::kFull && queue->full());
      for (int index = 0; index < maxsize; ++index) CHECK(get(*queue) == std::to_string(index));
    }
  }
}

TEST(bytes_are_bounded_as_asked) {
  auto queue = make(__func__, 100, 4096);
  const std::string kilobyte(1024, 'k');
  for (int index = 0; index < 4; ++index) CHECK(put(*queue, kilobyte) == Outcome::kOk);
  CHECK(put(*queue, kilobyte) == Outcome::kFull && put(*queue, "x") == Outcome::kFull);
  CHECK(get(*queue) == kilobyte && put(*queue, kilobyte) == Outcome::kOk);
  while (get(*queue) != "<none>") {
  }
  CHECK(put(*queue, std::string(4096, 'w')) == Outcome::kOk);
  CHECK(put(*queue, "") == Outcome::kOk);
  CHECK(get(*queue).size() == 4096 && get(*queue).empty());
}

TEST(odd_sizes_wrap_intact) {
  auto queue = make(__func__, 50, 10000);
  std::mt19937 random(1);
  std::vector<std::string> expected;
  size_t next = 0;
  for (int step = 0; step < 20000; ++step) {
    std::string text(random() % 1500, static_cast<char>(random()));
    for (size_t index = 0; index + 4 < text.size(); index += 97) text[index] = static_cast<char>(random());
    while (put(*queue, text) != Outcome::kOk) CHECK(get(*queue) == expected[next++]);
    expected.push_back(text);
  }
  while (next < expected.size()) CHECK(get(*queue) == expected[next++]);
}

TEST(a_batch_fits_as_far_as_it_can) {
  auto queue = make(__func__, 5, 4096);
  const Piece piece{reinterpret_cast<const uint8_t*>("abc"), 3, 0};
  const std::vector<Piece> pieces(8, piece);
  uint32_t accepted = 0;
  CHECK(queue->put(pieces.data(), 8, &accepted) == Outcome::kOk && accepted == 5);
  Item items[8];
  uint32_t taken = 0;
  CHECK(queue->take(8, items, &taken) == Outcome::kOk && taken == 5);
  CHECK(put(*queue, "x") == Outcome::kFull);  // what is taken and not acked counts
  queue->ack(items, 5);
  CHECK(put(*queue, "x") == Outcome::kOk && get(*queue) == "x");
}

TEST(an_aborted_claim_is_passed_over_and_costs_nothing) {
  auto queue = make(__func__, 3);
  CHECK(put(*queue, "a") == Outcome::kOk);
  Item claim;
  CHECK(queue->claim(10, 0, &claim) == Outcome::kOk);
  CHECK(queue->size() == 1);
  queue->abort(claim);
  CHECK(put(*queue, "b") == Outcome::kOk && put(*queue, "c") == Outcome::kOk && put(*queue, "d") == Outcome::kFull);
  CHECK(get(*queue) == "a" && get(*queue) == "b" && get(*queue) == "c");
  for (int index = 0; index < 50; ++index) {
    CHECK(queue->claim(10, 0, &claim) == Outcome::kOk);
    queue->abort(claim);
  }
  CHECK(put(*queue, "e") == Outcome::kOk && get(*queue) == "e" && queue->size() == 0);
}

TEST(peek_looks_past_what_was_aborted) {
  auto queue = make(__func__);
  Item claim;
  CHECK(queue->claim(5, 1, &claim) == Outcome::kOk);
  queue->abort(claim);
  std::vector<uint8_t> bytes;
  uint32_t codec = 0;
  CHECK(!queue->peek(&bytes, &codec));
  CHECK(put(*queue, "a") == Outcome::kOk);
  CHECK(queue->peek(&bytes, &codec) && bytes == std::vector<uint8_t>{'a'});
  CHECK(get(*queue) == "a" && !queue->peek(&bytes, &codec));
}

TEST(a_claim_is_filled_in_place) {
  auto queue = make(__func__);
  Item claim;
  CHECK(queue->claim(5, 3, &claim) == Outcome::kOk);
  std::memcpy(queue->data(claim), "hello", 5);
  CHECK(get(*queue) == "<none>");
  CHECK(put(*queue, "behind") == Outcome::kOk && get(*queue) == "<none>");  // the order of claims is the order
  queue->commit(claim);
  CHECK(get(*queue) == "hello" && get(*queue) == "behind");
}

TEST(what_is_requeued_comes_first) {
  auto queue = make(__func__);
  for (const char* text : {"a", "b", "c", "d"}) CHECK(put(*queue, text) == Outcome::kOk);
  Item items[4];
  uint32_t taken = 0;
  CHECK(queue->take(3, items, &taken) == Outcome::kOk && taken == 3);
  queue->ack_first(items, 3);
  queue->requeue(items + 1, 2);
  CHECK(queue->size() == 3);
  CHECK(queue->take(4, items, &taken) == Outcome::kOk && taken == 1 && text_of(*queue, items[0]) == "b");
  CHECK(items[0].deliveries == 1);
  queue->ack(items, 1);
  CHECK(get(*queue) == "c" && get(*queue) == "d" && queue->totals().redelivered == 2);
}

TEST(a_lease_counts_and_comes_back) {
  auto queue = make(__func__, 3);
  for (const char* text : {"a", "b", "c"}) CHECK(put(*queue, text) == Outcome::kOk);
  Item lease;
  CHECK(queue->lease(&lease) == Outcome::kOk && text_of(*queue, lease) == "a");
  CHECK(put(*queue, "d") == Outcome::kFull);
  CHECK(get(*queue) == "b" && put(*queue, "d") == Outcome::kOk && put(*queue, "e") == Outcome::kFull);
  queue->release_lease(lease);
  CHECK(put(*queue, "e") == Outcome::kFull);
  CHECK(queue->lease(&lease) == Outcome::kOk && text_of(*queue, lease) == "a" && lease.deliveries == 1);
  queue->ack(lease);
  CHECK(put(*queue, "e") == Outcome::kOk);
  CHECK(get(*queue) == "c" && get(*queue) == "d" && get(*queue) == "e");
}

TEST(a_lease_that_nobody_saw_comes_back_as_if_it_had_not_been_delivered) {
  auto queue = make(__func__);
  for (const char* text : {"a", "b"}) CHECK(put(*queue, text) == Outcome::kOk);
  Item lease;
  CHECK(queue->lease(&lease) == Outcome::kOk);
  queue->release_lease(&lease, 1, 0);
  CHECK(queue->lease(&lease) == Outcome::kOk && text_of(*queue, lease) == "a" && lease.deliveries == 0);
  queue->release_lease(lease);
  CHECK(queue->lease(&lease) == Outcome::kOk && lease.deliveries == 1);
  queue->release_lease(&lease, 1, 0);
  CHECK(queue->lease(&lease) == Outcome::kOk && text_of(*queue, lease) == "a" && lease.deliveries == 1);
  queue->ack(lease);
  CHECK(get(*queue) == "b" && get(*queue) == "<none>");
}

TEST(a_held_lease_does_not_stop_the_traffic) {
  auto queue = make(__func__, 16, 8192);
  std::mt19937 random(2);
  std::vector<Item> held;
  std::vector<std::string> held_texts;
  uint64_t bytes = 0;
  int number = 0;
  while (bytes < 200 * 8192) {
    std::string text(random() % 600, static_cast<char>('a' + number++ % 26));
    if (put(*queue, text) == Outcome::kOk) {
      bytes += text.size();
      if (held.size() < 5 && random() % 20 == 0 && queue->size() == 1) {
        Item lease;
        CHECK(queue->lease(&lease) == Outcome::kOk);
        held.push_back(lease);
        held_texts.push_back(text);
      } else {
        CHECK(get(*queue) == text);
      }
    }
    for (size_t index = 0; index < held.size(); ++index) CHECK(text_of(*queue, held[index]) == held_texts[index]);
  }
  CHECK(!held.empty());
  for (const Item& lease : held) queue->release_lease(lease);
  for (const std::string& text : held_texts) CHECK(get(*queue) == text);
}

TEST(shut_down_drains_and_then_ends) {
  auto queue = make(__func__);
  CHECK(put(*queue, "a") == Outcome::kOk && put(*queue, "b") == Outcome::kOk);
  Item lease;
  CHECK(queue->lease(&lease) == Outcome::kOk);
  queue->shut_down(false);
  CHECK(put(*queue, "c") == Outcome::kShut);
  CHECK(get(*queue) == "b" && get(*queue) == "<none>");
  queue->release_lease(lease);
  CHECK(get(*queue) == "a" && get(*queue) == "<shut>");
  auto again = make(__func__);  // somebody is attached: it is still the finished one
  CHECK(get(*again) == "<shut>");
  again->close();
  queue->close();
  auto fresh = make(__func__);
  CHECK(fresh->created() && put(*fresh, "new") == Outcome::kOk && get(*fresh) == "new");
}

TEST(shut_down_at_once_drops_what_is_left) {
  auto queue = make(__func__);
  CHECK(put(*queue, "a") == Outcome::kOk);
  queue->shut_down(true);
  CHECK(get(*queue) == "<shut>" && queue->size() == 0);
}

TEST(two_handles_share_one_queue_and_the_last_removes_it) {
  const SegmentOptions options = options_for(__func__);
  const std::string path = Segment::directory() + "/" + Segment::file_of(options.name);
  auto first = Queue::open(options, Create::kIfMissing);
  auto second = Queue::open(options, Create::kNever);
  CHECK(first->created() && !second->created());
  CHECK(put(*first, "a") == Outcome::kOk && second->size() == 1 && get(*second) == "a");
  CHECK(code_of([&] { Queue::open(options, Create::kExclusive); }) == "ERR_QUEUE_EXISTS");
  first->close();
  CHECK(access(path.c_str(), F_OK) == 0);
  CHECK(put(*second, "left") == Outcome::kOk);
  second->close();
  CHECK(access(path.c_str(), F_OK) == 0);  // an item is left
  auto third = Queue::open(options, Create::kNever);
  CHECK(get(*third) == "left");
  third->close();
  CHECK(access(path.c_str(), F_OK) != 0);
  CHECK(code_of([&] { Queue::open(options, Create::kNever); }) == "ERR_QUEUE_NOT_FOUND");
}

TEST(an_unlinked_queue_lives_on_for_those_attached) {
  auto old = make(__func__);
  CHECK(put(*old, "old") == Outcome::kOk);
  old->unlink();
  auto fresh = make(__func__);
  CHECK(fresh->created() && get(*fresh) == "<none>" && get(*old) == "old");
}

TEST(closing_requeues_what_the_handle_held) {
  auto keeper = make(__func__);
  auto leaver = make(__func__);
  for (const char* text : {"a", "b", "c"}) CHECK(put(*keeper, text) == Outcome::kOk);
  Item lease;
  Item taken_item;
  Item claim;
  uint32_t taken = 0;
  CHECK(leaver->lease(&lease) == Outcome::kOk);
  CHECK(leaver->take(1, &taken_item, &taken) == Outcome::kOk);
  CHECK(leaver->claim(10, 0, &claim) == Outcome::kOk);
  leaver->close();
  CHECK(get(*keeper) == "a" && get(*keeper) == "b" && get(*keeper) == "c" && get(*keeper) == "<none>");
  CHECK(put(*keeper, "d") == Outcome::kOk && get(*keeper) == "d");
}

TEST(peek_takes_nothing) {
  auto queue = make(__func__);
  std::vector<uint8_t> bytes;
  uint32_t codec = 0;
  CHECK(!queue->peek(&bytes, &codec));
  CHECK(put(*queue, "seen") == Outcome::kOk);
  CHECK(queue->peek(&bytes, &codec) && std::string(bytes.begin(), bytes.end()) == "seen" && codec == 7);
  CHECK(queue->size() == 1 && get(*queue) == "seen");
}

TEST(a_lease_that_ends_where_the_area_ends_is_stepped_over) {
  auto queue = make(__func__, 16, 65536);
  const std::string small(2 * kUnitBytes, 's');
  const std::string large(65536 - small.size(), 'l');
  CHECK(put(*queue, small) == Outcome::kOk && put(*queue, large) == Outcome::kOk);
  CHECK(get(*queue) == small);
  Item lease;
  CHECK(queue->lease(&lease) == Outcome::kOk && lease.length == large.size());
  CHECK(put(*queue, std::string(4 * kUnitBytes, 'x')) == Outcome::kFull);
  CHECK(put(*queue, small) == Outcome::kOk && get(*queue) == small);
  queue->ack(lease);
  CHECK(put(*queue, large) == Outcome::kOk && get(*queue) == large);
}

TEST(numbers_tags_and_positions_may_wrap) {
  const auto block = std::make_unique<Block<StdMemory, 16, 2>>();
  const SharedState<StdMemory> shared = block->shared(6, 64);
  const uint64_t first = (uint64_t{1} << 40) - 100;  // the tags wrap soon, and so do the 32 bits of an intent
  const uint32_t position = 0u - 500;
  for (uint64_t number = first - 16; number < first; ++number) {
    shared.slot(number).word.store(SlotWord::make(number, SlotWord::kReleased));
  }
  block->control.tail.store(Cursor::make(first, 1, 0));
  block->control.head.store(Cursor::make(first, 0, 0));
  block->control.reclaim.store(first);
  block->participants[1].intent.store(first << 32 | position);
  SageQueue<StdMemory> queue(shared);
  Handle handles[2];
  handles[0].index = 1;
  handles[1].index = 2;
  std::mt19937 random(3);
  uint64_t put_numbers = first;
  std::vector<uint32_t> waiting;
  const Item none{0, 0, 0, 0, 0, -1, 0};
  Item lease = none;
  for (int step = 0; step < 4000; ++step) {
    const uint32_t lengths[2] = {static_cast<uint32_t>(random() % 200), static_cast<uint32_t>(random() % 200)};
    const uint32_t codecs[2] = {static_cast<uint32_t>(2 * step), static_cast<uint32_t>(2 * step + 1)};
    Item items[6];
    uint32_t count = 0;
    if (queue.claim(handles[step % 2], lengths, codecs, 2, items, &count) == Outcome::kOk) {
      CHECK(items[0].number == put_numbers);
      put_numbers += count;
      queue.commit(handles[step % 2], items, count);
      waiting.insert(waiting.end(), codecs, codecs + count);
    } else {
      CHECK(!waiting.empty() || lease.lease >= 0);
    }
    CHECK(queue.size() == waiting.size() && queue.used() <= 6 && queue.used_bytes() <= 64 * kUnitBytes);
    if (step % 50 == 49 && lease.lease >= 0) {
      queue.ack(handles[0], &lease, 1);
      lease = none;
    } else if (step % 50 == 10 && queue.take(handles[0], 1, items, &count) == Outcome::kOk) {
      CHECK(items[0].codec == waiting.front());
      waiting.erase(waiting.begin());
      CHECK(queue.lease(handles[0], items, 1) == 0);
      lease = items[0];
    } else if (random() % 3 != 0 && queue.take(handles[1], 3, items, &count) == Outcome::kOk) {
      for (uint32_t index = 0; index < count; ++index) CHECK(items[index].codec == waiting[index]);
      waiting.erase(waiting.begin(), waiting.begin() + count);
      queue.release(handles[1], items, count);
    }
  }
  CHECK(put_numbers > (uint64_t{1} << 40) + 1000);
}

int main(int argc, char** argv) { return check::main(argc, argv); }
