// Segments that somebody scribbles on, and names that somebody holds on to: what is refused, and that nothing hangs.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>

#include <cstring>
#include <vector>

#include "core/errors.h"
#include "handles.h"

using namespace sage;

namespace {

/// The words of a queue's segment, as somebody has them who means it ill.
class Scribbler {
 public:
  explicit Scribbler(const Queue& queue) : header_(queue.segment().header()) {
    const std::string path = Segment::directory() + "/" + Segment::file_of(queue.segment().name());
    const int fd = open(path.c_str(), O_RDWR);
    base_ = mmap(nullptr, header_.total_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(fd >= 0 && base_ != MAP_FAILED);
    close(fd);
  }
  ~Scribbler() { munmap(base_, header_.total_bytes); }
  Header& header() { return *at<Header>(0); }
  Control<StdMemory>& control() { return *at<Control<StdMemory>>(header_.control_offset); }
  Participant<StdMemory>* participants() { return at<Participant<StdMemory>>(header_.participants_offset); }
  LeaseEntry<StdMemory>* leases() { return at<LeaseEntry<StdMemory>>(header_.leases_offset); }
  Slot<StdMemory>* slots() { return at<Slot<StdMemory>>(header_.slots_offset); }

 private:
  template <class Words>
  Words* at(uint64_t offset) {
    return reinterpret_cast<Words*>(static_cast<uint8_t*>(base_) + offset);
  }
  const Header header_;
  void* base_;
};

constexpr unsigned kStuckSeconds = 20;

}  // namespace

TEST(a_header_that_changes_after_it_was_checked_changes_nothing) {
  auto queue = make(__func__);
  CHECK(put(*queue, "abc") == Outcome::kOk);
  const std::string name = queue->segment().name();
  Scribbler scribbler(*queue);
  scribbler.header().name_bytes = 0x7fffffff;
  scribbler.header().queue_id_bytes = 0x7fffffff;
  scribbler.header().capacity_bytes = ~uint64_t{0};
  scribbler.header().area_bytes = ~uint64_t{0};
  CHECK(queue->segment().name() == name && queue->segment().queue_id() == __func__);
  CHECK(queue->segment().header().area_bytes == 65536);
  for (uint64_t index = 0; index < queue->segment().header().slot_count; ++index) {
    std::atomic<uint64_t>& record = scribbler.slots()[index].record;
    record = Record::make(Record::position(record), 0xfffffff0);
  }
  Item item;
  uint32_t taken = 0;
  CHECK(queue->take(1, &item, &taken) == Outcome::kOk);
  std::string code;
  try {
    queue->data(item);
  } catch (const SegmentFailure& failure) {
    code = failure.code();
  }
  CHECK(code == "ERR_SEGMENT_CORRUPT");
  queue->ack(&item, 1);
}

TEST(cursors_further_apart_than_one_lap_are_an_error_and_no_endless_search) {
  for (const bool aborted : {true, false}) {
    auto queue = make(__func__);
    Scribbler scribbler(*queue);
    const uint64_t far = uint64_t{1} << 46;
    scribbler.control().aborted = aborted;
    scribbler.control().head.store(Cursor::make(far - 1, 1, 1));
    scribbler.control().tail.store(Cursor::make(far, 1, 1));
    alarm(kStuckSeconds);
    CHECK(put(*queue, "x") == Outcome::kCorrupt);
    CHECK(queue->full() || queue->size() == 0);
    alarm(0);
    queue->unlink();
  }
}

TEST(leases_that_fill_the_area_end_a_search_that_has_no_end_of_its_own) {
  auto queue = make(__func__, 5000, 65536);
  auto other = make(__func__, 5000, 65536);  // remembers nothing of what is free
  CHECK(put(*queue, std::string(kUnitBytes, 'a')) == Outcome::kOk);
  Scribbler scribbler(*queue);
  constexpr uint32_t kUnits = 65536 / kUnitBytes;
  for (uint32_t index = 0; index < kUnits; ++index) {
    scribbler.leases()[index].record = Record::make(kUnits - 1 - index, kUnitBytes);
    scribbler.leases()[index].word = LeaseWord::make(LeaseWord::kLeased, 2, 0, 0, 1);
  }
  scribbler.control().lease_high = kUnits;
  // The oldest bytes in use begin far behind the last: 2³⁰ units seem to be free.
  const uint64_t tail = scribbler.control().tail;
  const uint64_t number = Cursor::number(tail);
  for (uint64_t index = 0; index < queue->segment().header().slot_count; ++index) {
    if (SlotWord::state(scribbler.slots()[index].word) == SlotWord::kCommitted) {
      scribbler.slots()[index].record = Record::make(uint32_t{1} << 30, kUnitBytes);
    }
  }
  scribbler.control().tail = Cursor::make(number, 3, 1);
  scribbler.participants()[3].intent = number << 32 | 1;
  alarm(kStuckSeconds);
  CHECK(put(*other, std::string(kUnitBytes, 'b')) == Outcome::kFull);
  alarm(0);
  queue->unlink();
}

TEST(a_name_that_another_remover_holds_on_to_is_not_said_to_be_gone) {
  auto queue = make(__func__);
  const std::string file = Segment::file_of(queue->segment().name());
  const auto looking = Queue::inspect(Segment::open_file(file));
  const int remover = open((Segment::directory() + "/" + file).c_str(), O_RDWR);
  CHECK(remover >= 0 && flock(remover, LOCK_EX) == 0);  // stopped between its lock and its unlink
  queue->close();
  CHECK(!looking->remove_if_unused(false) && access((Segment::directory() + "/" + file).c_str(), F_OK) == 0);
  const uint32_t start = monotonic_ms();
  std::string code;
  try {
    make(__func__);
  } catch (const SegmentFailure& failure) {
    code = failure.code();
  }
  CHECK(code == "ERR_SEGMENT_CORRUPT" && monotonic_ms() - start < 20000);
  close(remover);
  CHECK(looking->remove_if_unused(false) && access((Segment::directory() + "/" + file).c_str(), F_OK) != 0);
  CHECK(looking->remove_if_unused(false));
}

TEST(an_entry_that_only_waits_to_be_freed_can_be_had) {
  auto queue = make(__func__);
  std::vector<std::unique_ptr<Queue>> others;
  for (uint32_t index = 2; index < kParticipants; ++index) others.push_back(make(__func__));
  Scribbler scribbler(*queue);
  // As a recoverer leaves the entry of a dead one that tail or head named when it came.
  others.pop_back();
  scribbler.participants()[kParticipants - 1].identity.store(Identity::make(1, 1, Identity::kRecovered));
  CHECK(make(__func__)->totals().waiting_getters == 0);
}

namespace {

/// Whether no compare-and-swap succeeds, whoever is at it.
bool nothing_agrees = false;

template <class T>
struct Disagreeing : std::atomic<T> {
  using std::atomic<T>::atomic;
  template <class... Orders>
  bool compare_exchange_strong(T& expected, T value, Orders... orders) {
    return !nothing_agrees && std::atomic<T>::compare_exchange_strong(expected, value, orders...);
  }
};

struct DamagedMemory : StdMemory {
  template <class T>
  using Atomic = Disagreeing<T>;
  static constexpr uint32_t kPatience = 100;
};

}  // namespace

TEST(a_get_of_words_that_never_agree_says_that_they_are_damaged) {
  const auto block = std::make_unique<Block<DamagedMemory, 8, 2>>();
  Process process;
  ItemPath<DamagedMemory, Process> path(block->shared(4, 64), process);
  path.join_at(1);
  const uint32_t length = 16;
  const uint32_t codec = 1;
  Item item;
  uint32_t count = 0;
  CHECK(path.put(&length, &codec, 1, &count, [](const Item*, uint32_t) { return uint64_t{16}; }) == Outcome::kOk);
  nothing_agrees = true;
  CHECK(path.take(1, &item, &count, ~uint64_t{0}) == Outcome::kCorrupt);
  nothing_agrees = false;
  CHECK(path.take(1, &item, &count, ~uint64_t{0}) == Outcome::kOk);
}
