// Producers that are killed at any point of coming and going: readers are told the end, and never a whole one that is
// not.
#include <sys/wait.h>
#include <unistd.h>

#include "simple.h"

using namespace sage;

namespace {

/// Runs `body` in a process that is killed when it reaches `point`.
template <class Body>
void killed_at(Point point, int skip, Body body) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    failpoint_arm(point, skip, 'K');
    body();
    _exit(17);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

/// What a get says at last.
Outcome end_of(Queue& reader) {
  Item item;
  uint32_t taken = 0;
  Outcome outcome = Outcome::kEmpty;
  for (int attempt = 0; attempt < 5000 && outcome == Outcome::kEmpty; ++attempt) {
    outcome = reader.take(1, &item, &taken);
    if (outcome == Outcome::kEmpty) usleep(1000);
  }
  return outcome;
}

}  // namespace

TEST(a_producer_killed_as_it_came_is_lost) {
  const SegmentOptions options = options_for(__func__);
  auto reader = Queue::open(options, Create::kIfMissing);
  killed_at(Point::kProducerCome, 0, [&] { Queue::open(options, Create::kNever)->produce(1); });
  CHECK(end_of(*reader) == Outcome::kLost);
  auto late = Queue::open(options, Create::kNever);
  CHECK(!late->produce(1) && end_of(*late) == Outcome::kLost);
}

TEST(a_producer_killed_when_it_had_gone_is_not_lost_and_the_end_is_told) {
  for (const Point point : {Point::kProducerGone, Point::kShutHalf}) {
    auto reader = make(__func__);
    const SegmentOptions options = options_for(__func__);
    killed_at(point, 0, [&] {
      auto producer = Queue::open(options, Create::kNever);
      producer->produce(1);
      put(*producer, "a");
      producer->close();
    });
    CHECK(get(*reader) == "a" && end_of(*reader) == Outcome::kShut);
    reader->unlink();
  }
}

TEST(a_producer_killed_as_it_says_that_it_is_lost_is_lost) {
  for (const Point point : {Point::kProducerGone, Point::kShutHalf}) {
    auto reader = make(__func__);
    const SegmentOptions options = options_for(__func__);
    killed_at(point, 0, [&] {
      auto producer = Queue::open(options, Create::kNever);
      producer->produce(2);
      producer->produce(1);
      put(*producer, "a");
      producer->abandon_producers();
    });
    CHECK(get(*reader) == "a" && end_of(*reader) == Outcome::kLost);
    reader->unlink();
  }
}

TEST(one_of_several_producers_of_a_handle_that_is_lost_is_told) {
  auto producers = make(__func__);
  auto reader = make(__func__);
  CHECK(producers->produce(2) && producers->produce(1));
  producers->stop_producing(Producers::kOneLost);
  CHECK(!reader->is_shut());
  producers->close();
  CHECK(end_of(*reader) == Outcome::kLost);
  reader->unlink();
}

TEST(a_forked_child_that_never_took_part_abandons_nothing) {
  auto producer = make(__func__);
  CHECK(producer->produce(1));
  const pid_t child = fork();
  if (child == 0) {
    producer->abandon_producers();
    producer->close();
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  auto reader = make(__func__);
  CHECK(!reader->is_shut());
  producer->abandon_producers();
  CHECK(end_of(*reader) == Outcome::kLost);
  reader->unlink();
}

TEST(who_recovers_a_producer_and_is_killed_changes_nothing) {
  for (const Point point :
       {Point::kRecoverMarked, Point::kRecoverLeases, Point::kRecoverTakes, Point::kShutHalf, Point::kRecoverDone}) {
    auto reader = make(__func__);
    const SegmentOptions options = options_for(__func__);
    killed_at(Point::kClaimWon, 1, [&] {
      auto producer = Queue::open(options, Create::kNever);
      producer->produce(1);
      put(*producer, "a");
      put(*producer, "b");  // killed in this one
    });
    killed_at(point, 0, [&] {
      auto recoverer = Queue::open(options, Create::kNever);
      for (;;) recoverer->reap();
    });
    CHECK(get(*reader) == "a" && end_of(*reader) == Outcome::kLost);
    reader->unlink();
  }
}

TEST(a_queue_that_ended_stays_until_a_reader_has_seen_it) {
  const SegmentOptions options = options_for(__func__);
  const std::string path = Segment::directory() + "/" + Segment::file_of(options.name);
  auto producer = Queue::open(options, Create::kIfMissing);
  CHECK(producer->produce(1));
  producer->close();
  CHECK(access(path.c_str(), F_OK) == 0);
  const auto looking = Queue::inspect(Segment::open_file(Segment::file_of(options.name)));
  CHECK(!looking->remove_if_unused(false));
  auto reader = Queue::open(options, Create::kNever);
  CHECK(end_of(*reader) == Outcome::kShut);
  reader->close();
  CHECK(access(path.c_str(), F_OK) != 0);
}

TEST(several_producers_work_through_one_handle) {
  auto producers = make(__func__);
  CHECK(producers->produce(2) && producers->produce(1) && producers->produce(1));
  auto reader = make(__func__);
  put(*producers, "one");
  producers->stop_producing();
  producers->stop_producing();
  CHECK(get(*reader) == "one" && get(*reader) == "<none>" && !reader->is_shut());
  producers->close();
  CHECK(end_of(*reader) == Outcome::kShut);
  reader->unlink();
}

TEST(who_stops_producing_more_often_than_it_began_ends_nothing) {
  auto producer = make(__func__);
  auto other = make(__func__);
  CHECK(producer->produce(1) && other->produce(1));
  producer->stop_producing();
  producer->stop_producing();
  CHECK(!other->is_shut());
  other->stop_producing();
  CHECK(end_of(*producer) == Outcome::kShut);
  producer->unlink();
}

TEST(a_forked_child_is_a_producer_as_well) {
  auto producer = make(__func__);
  CHECK(producer->produce(1));
  int go[2];
  CHECK(pipe(go) == 0);
  const pid_t child = fork();
  if (child == 0) {
    put(*producer, "child");  // its first call
    char byte;
    (void)!read(go[0], &byte, 1);
    producer->close();
    _exit(0);
  }
  auto reader = make(__func__);
  while (reader->size() == 0) usleep(1000);
  producer->close();
  CHECK(get(*reader) == "child" && get(*reader) == "<none>");
  CHECK(write(go[1], "x", 1) == 1);
  CHECK(end_of(*reader) == Outcome::kShut);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char** argv) { return check::main(argc, argv); }
