// Leases that their holder has put aside: what waits there for its turn is not delivered.
#include "handles.h"

using namespace sage;

TEST(what_is_aside_when_its_handle_goes_comes_again_as_if_it_had_not_been_delivered) {
  auto queue = make(__func__);
  CHECK(put(*queue, "a") == Outcome::kOk && put(*queue, "b") == Outcome::kOk);
  Item lease;
  for (uint32_t round = 0; round < 3; ++round) {
    auto other = make(__func__);
    Item both[2];
    uint32_t leased = 0;
    CHECK(other->lease(1, both, &leased) == Outcome::kOk && other->lease(both + 1) == Outcome::kOk);
    CHECK(text_of(*other, both[0]) == "a" && both[0].deliveries == 0 && both[0].crashes == 0);
    CHECK(text_of(*other, both[1]) == "b" && both[1].deliveries == round && both[1].crashes == 0);
    other->set_aside(both, 2, true);
    other->set_aside(both + 1, 1, false);  // its turn has come
    other->close();
  }
  // Whoever sends it back.
  CHECK(queue->lease(&lease) == Outcome::kOk && text_of(*queue, lease) == "a" && lease.deliveries == 0);
  queue->set_aside(&lease, 1, true);
  queue->release_lease(lease);
  CHECK(queue->lease(&lease) == Outcome::kOk && text_of(*queue, lease) == "a" && lease.deliveries == 0);
  queue->release_lease(lease);
  CHECK(queue->lease(&lease) == Outcome::kOk && text_of(*queue, lease) == "a" && lease.deliveries == 1);
  CHECK(lease.codec == 7);
  queue->ack(lease);
  CHECK(queue->lease(&lease) == Outcome::kOk && text_of(*queue, lease) == "b" && lease.deliveries == 3);
  queue->ack(lease);
  // The next life of an entry knows nothing of the last one.
  CHECK(put(*queue, "c") == Outcome::kOk && queue->lease(&lease) == Outcome::kOk && lease.deliveries == 0);
  queue->release_lease(lease);
  CHECK(queue->lease(&lease) == Outcome::kOk && lease.deliveries == 1);
  queue->ack(lease);
}

TEST(no_number_of_deaths_beside_it_takes_away_those_of_the_guilty) {
  Handles handles;
  CHECK(handles.put(4) == Outcome::kOk);
  Item item;
  // The holder dies, and another one comes to its entry.
  const auto dies = [&](bool aside) {
    CHECK(handles.lease(1, &item) == Outcome::kOk);
    handles.path(1).algorithm().set_aside(&item, 1, aside);
    CHECK(handles.recover(2, 1));
    handles.shared.participants[1].identity.store(Identity::make(1, 1, Identity::kLive));
    handles.path(1).join_at(1);
  };
  dies(false);
  for (int death = 0; death < 600; ++death) dies(true);
  dies(false);
  CHECK(handles.lease(3, &item) == Outcome::kOk && item.deliveries == 2 && item.crashes == 2);
}
