/* Strict C: what each call of sage_queue.h promises, in one thread. */
#define _POSIX_C_SOURCE 200809L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sage_queue.h"

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                                  \
    }                                                                           \
  } while (0)

static char name[64];

static sq_options options_for(const char* test) {
  sq_options options = {.struct_size = sizeof options};
  snprintf(name, sizeof name, "c.%s.%d", test, (int)getpid());
  options.name = name;
  options.maxsize = 8;
  options.capacity_bytes = 4096;
  return options;
}

static sq_queue* make(const char* test) {
  const sq_options options = options_for(test);
  sq_queue* queue = NULL;
  CHECK(sq_open(&options, &queue) == SQ_OK);
  return queue;
}

static void put_text(sq_queue* queue, const char* text) {
  CHECK(sq_put(queue, text, strlen(text), SQ_RAW, 0) == SQ_OK);
}

static int next_is(sq_queue* queue, const char* text) {
  char buffer[4096];
  size_t bytes = 0;
  return sq_get(queue, buffer, sizeof buffer, &bytes, NULL, 0) == SQ_OK && bytes == strlen(text) &&
         memcmp(buffer, text, bytes) == 0;
}

static void items_come_out_in_order(void) {
  sq_queue* queue = make(__func__);
  uint32_t codec = 0;
  char buffer[8];
  size_t bytes = 0;
  put_text(queue, "a");
  CHECK(sq_put(queue, NULL, 0, 200, 0) == SQ_OK);
  put_text(queue, "ccc");
  CHECK(next_is(queue, "a"));
  CHECK(sq_get(queue, buffer, sizeof buffer, &bytes, &codec, 0) == SQ_OK && bytes == 0 && codec == 200);
  CHECK(next_is(queue, "ccc"));
  CHECK(sq_get(queue, buffer, sizeof buffer, &bytes, &codec, 0) == SQ_EMPTY);
  CHECK(sq_get(queue, buffer, sizeof buffer, &bytes, &codec, 20) == SQ_EMPTY);
  sq_free(queue);
}

static sq_status end_of(sq_queue* reader) {
  sq_item item;
  uint32_t taken = 0;
  return sq_take(reader, 1, 0, &item, &taken, 0);
}

/* closing is an end, also by sq_free(); to abandon is none */
static void who_abandons_is_a_producer_lost(void) {
  for (int abandons = 0; abandons < 2; ++abandons) {
    sq_queue* reader = make(__func__);
    sq_queue* producer = make(__func__);
    CHECK(sq_produce(producer, 1) == SQ_OK);
    if (abandons) CHECK(sq_abandon(producer) == SQ_OK);
    CHECK(end_of(reader) == (abandons ? SQ_PRODUCER_LOST : SQ_EMPTY));
    sq_free(producer);
    CHECK(end_of(reader) == (abandons ? SQ_PRODUCER_LOST : SQ_SHUT_DOWN));
    sq_free(reader);
  }
  CHECK(sq_abandon(NULL) == SQ_INVALID);
}

static void what_does_not_fit_into_a_buffer_stays(void) {
  sq_queue* queue = make(__func__);
  char small[2];
  size_t bytes = 0;
  put_text(queue, "first");
  put_text(queue, "second");
  CHECK(sq_peek(queue, small, sizeof small, &bytes, NULL) == SQ_BUFFER_TOO_SMALL && bytes == 5);
  CHECK(sq_get(queue, small, sizeof small, &bytes, NULL, 0) == SQ_BUFFER_TOO_SMALL && bytes == 5);
  CHECK(next_is(queue, "first") && next_is(queue, "second"));
  sq_free(queue);
}

static void batches_go_in_as_far_as_they_fit(void) {
  sq_queue* queue = make(__func__);
  sq_piece pieces[10];
  sq_item items[SQ_MAX_BATCH];
  uint32_t accepted = 0;
  uint32_t taken = 0;
  for (int index = 0; index < 10; ++index) {
    pieces[index].data = "0123456789" + index;
    pieces[index].bytes = 1;
    pieces[index].codec = SQ_RAW;
  }
  CHECK(sq_put_many(queue, pieces, 10, &accepted, 0) == SQ_OK && accepted == 8);
  CHECK(sq_put_many(queue, pieces, 1, &accepted, 0) == SQ_FULL && accepted == 0);
  CHECK(sq_take(queue, SQ_MAX_BATCH, 0, items, &taken, 0) == SQ_OK && taken == 8);
  for (uint32_t index = 0; index < taken; ++index) CHECK(items[index].data[0] == '0' + index);
  /* Three are done with, the others come again, ahead of what was put since. */
  CHECK(sq_finish(queue, items, taken, 3) == SQ_OK);
  put_text(queue, "x");
  for (char digit = '3'; digit < '8'; ++digit) CHECK(next_is(queue, (const char[]){digit, 0}));
  CHECK(next_is(queue, "x"));
  sq_free(queue);
}

static void takes_end_in_any_order(void) {
  sq_queue* queue = make(__func__);
  sq_item first[2];
  sq_item second[2];
  sq_item third[2];
  uint32_t taken = 0;
  for (char digit = '0'; digit < '6'; ++digit) put_text(queue, (const char[]){digit, 0});
  CHECK(sq_take(queue, 2, 0, first, &taken, 0) == SQ_OK && taken == 2);
  CHECK(sq_take(queue, 2, 0, second, &taken, 0) == SQ_OK && taken == 2);
  CHECK(sq_take(queue, 2, 0, third, &taken, 0) == SQ_OK && taken == 2);
  CHECK(sq_finish(queue, second, 2, 0) == SQ_OK);
  CHECK(sq_finish(queue, third, 2, 1) == SQ_OK);
  CHECK(sq_finish(queue, first, 2, 2) == SQ_OK);
  CHECK(next_is(queue, "2") && next_is(queue, "3") && next_is(queue, "5"));
  CHECK(sq_join(queue, 0) == SQ_OK);
  sq_free(queue);
}

static void a_list_goes_in_up_to_what_could_never_fit(void) {
  sq_queue* queue = make(__func__);
  static const char large[5000];
  sq_piece pieces[4] = {{"a", 1, SQ_RAW}, {NULL, 0, SQ_MSGPACK}, {large, sizeof large, SQ_RAW}, {"b", 1, SQ_RAW}};
  sq_item items[4];
  uint32_t accepted = 0;
  uint32_t taken = 0;
  CHECK(sq_put_many(queue, pieces, 4, &accepted, 0) == SQ_OK && accepted == 2);
  CHECK(sq_put_many(queue, pieces + 2, 2, &accepted, 0) == SQ_ITEM_TOO_LARGE && accepted == 0);
  CHECK(sq_take(queue, 4, 0, items, &taken, 0) == SQ_OK && taken == 2);
  CHECK(items[0].data[0] == 'a' && items[1].bytes == 0 && items[1].codec == SQ_MSGPACK);
  CHECK(sq_finish(queue, items, taken, taken) == SQ_OK);
  pieces[3].data = NULL;
  CHECK(sq_put_many(queue, pieces + 3, 1, &accepted, 0) == SQ_INVALID);
  pieces[3] = (sq_piece){"b", 1, 256};
  CHECK(sq_put_many(queue, pieces + 3, 1, &accepted, 0) == SQ_INVALID);
  CHECK(sq_put_many(queue, NULL, 1, &accepted, 0) == SQ_INVALID && sq_put_many(queue, NULL, 0, &accepted, 0) == SQ_OK);
  sq_free(queue);
}

static void claims_are_filled_in_place(void) {
  sq_queue* queue = make(__func__);
  sq_item claim;
  CHECK(sq_claim(queue, 5, SQ_RAW, &claim, 0) == SQ_OK && claim.bytes == 5);
  memcpy(claim.data, "claim", 5);
  CHECK(sq_commit(queue, &claim) == SQ_OK);
  CHECK(sq_claim(queue, 5, SQ_RAW, &claim, 0) == SQ_OK);
  CHECK(sq_abort(queue, &claim) == SQ_OK);
  CHECK(next_is(queue, "claim"));
  CHECK(sq_claim(queue, 5000, SQ_RAW, &claim, 0) == SQ_ITEM_TOO_LARGE);
  sq_free(queue);
}

static void leases_come_again_until_they_are_acked(void) {
  sq_queue* queue = make(__func__);
  sq_item leases[3];
  uint32_t leased = 0;
  put_text(queue, "a");
  put_text(queue, "b");
  put_text(queue, "c");
  CHECK(sq_lease(queue, 3, 0, leases, &leased, 0) == SQ_OK && leased == 3);
  CHECK(leases[0].deliveries == 1 && leases[0].data[0] == 'a');
  CHECK(sq_ack(queue, &leases[1], 1) == SQ_OK);
  CHECK(sq_release(queue, &leases[0], 1) == SQ_OK && sq_release(queue, &leases[2], 1) == SQ_OK);
  CHECK(sq_join(queue, 10) == SQ_TIMEOUT);
  CHECK(sq_lease(queue, 3, 0, leases, &leased, 0) == SQ_OK && leases[0].data[0] == 'a' && leases[0].deliveries == 2);
  CHECK(sq_ack(queue, leases, leased) == SQ_OK);
  CHECK(next_is(queue, "c"));
  CHECK(sq_join(queue, 0) == SQ_OK);
  sq_free(queue);
}

static void what_nobody_has_seen_comes_again_as_if_it_had_not_been_taken(void) {
  sq_queue* queue = make(__func__);
  sq_item items[2];
  uint32_t count = 0;
  put_text(queue, "a");
  put_text(queue, "b");
  CHECK(sq_take(queue, 2, 0, items, &count, 0) == SQ_OK && count == 2);
  CHECK(sq_undo(queue, items, count) == SQ_OK);
  CHECK(sq_lease(queue, 2, 0, items, &count, 0) == SQ_OK && items[0].data[0] == 'a' && items[0].deliveries == 1);
  CHECK(sq_undo(queue, items, count) == SQ_OK);
  CHECK(sq_undo(queue, items, 0) == SQ_OK && sq_undo(queue, NULL, 1) == SQ_INVALID);
  CHECK(sq_lease(queue, 1, 0, items, &count, 0) == SQ_OK && items[0].data[0] == 'a' && items[0].deliveries == 1);
  CHECK(sq_ack(queue, items, count) == SQ_OK);
  CHECK(next_is(queue, "b"));
  sq_free(queue);
}

static void an_end_is_seen_by_everybody(void) {
  sq_queue* queue = make(__func__);
  const sq_options options = options_for(__func__);
  sq_queue* other = NULL;
  sq_totals totals = {.struct_size = sizeof totals};
  size_t bytes = 0;
  char buffer[8];
  size_t peers = 0;
  CHECK(sq_open(&options, &other) == SQ_OK);
  CHECK(sq_peers(queue, NULL, 0, &peers) == SQ_OK && peers == 2);
  put_text(queue, "last");
  CHECK(sq_shutdown(other, 0) == SQ_OK);
  CHECK(sq_put(queue, "x", 1, SQ_RAW, 0) == SQ_SHUT_DOWN);
  CHECK(sq_stats(queue, &totals) == SQ_OK && totals.size == 1 && totals.put_total == 1 && totals.shut_down == 1);
  CHECK(next_is(other, "last"));
  CHECK(sq_get(other, buffer, sizeof buffer, &bytes, NULL, SQ_FOREVER) == SQ_SHUT_DOWN);
  CHECK(sq_close(other) == SQ_OK && sq_close(other) == SQ_OK);
  CHECK(sq_get(other, buffer, sizeof buffer, &bytes, NULL, 0) == SQ_CLOSED);
  sq_free(other);
  sq_free(queue);
}

static void names_are_those_of_every_language(void) {
  sq_options options = options_for(__func__);
  char full[300];
  char expected[300];
  options.name = "jobs";
  snprintf(expected, sizeof expected, "sage+u%u++jobs", (unsigned)getuid());
  CHECK(sq_segment_name(&options, full, sizeof full) == SQ_OK && strcmp(full, expected) == 0);
  options.name_space = "site";
  options.flags = SQ_ALL_USERS;
  CHECK(sq_segment_name(&options, full, sizeof full) == SQ_OK && strcmp(full, "sage++site+jobs") == 0);
  options.kind = SQ_KIND_SHM;
  CHECK(sq_segment_name(&options, full, sizeof full) == SQ_OK && strcmp(full, "shm+jobs") == 0);
  options.name = "../jobs";
  CHECK(sq_segment_name(&options, full, sizeof full) == SQ_FAILED);
  CHECK(strcmp(sq_error_code(), "ERR_SEGMENT_NAME") == 0 && strcmp(sq_code(SQ_FAILED), "ERR_SEGMENT_NAME") == 0);
}

static void failures_have_the_codes_of_every_language(void) {
  sq_options options = options_for(__func__);
  sq_queue* queue = NULL;
  sq_queue* again = NULL;
  options.create = SQ_NEVER;
  CHECK(sq_open(&options, &queue) == SQ_FAILED && queue == NULL);
  CHECK(strcmp(sq_error_code(), "ERR_QUEUE_NOT_FOUND") == 0 && strlen(sq_error_message()) > 0);
  options.create = SQ_EXCLUSIVE;
  CHECK(sq_open(&options, &queue) == SQ_OK);
  CHECK(sq_open(&options, &again) == SQ_FAILED && strcmp(sq_error_code(), "ERR_QUEUE_EXISTS") == 0);
  CHECK(sq_put(queue, "x", 1, 0, 0) == SQ_INVALID && sq_put(NULL, "x", 1, SQ_RAW, 0) == SQ_INVALID);
  CHECK(sq_open(NULL, &again) == SQ_INVALID);
  sq_free(queue);
  sq_free(NULL);
}

static void an_older_program_has_shorter_structs(void) {
  sq_queue* queue = make(__func__);
  struct {
    sq_description description;
    uint32_t behind;
  } place = {.behind = 7};
  place.description.struct_size = offsetof(sq_description, maxsize);
  place.description.maxsize = 99;
  CHECK(sq_describe(queue, &place.description) == SQ_OK);
  CHECK(place.description.created == 1 && place.description.maxsize == 99 && place.behind == 7);
  place.description.struct_size = sizeof place.description;
  CHECK(sq_describe(queue, &place.description) == SQ_OK && place.description.maxsize == 8);
  sq_free(queue);
}

static void schemas_are_kept(void) {
  sq_options options = options_for(__func__);
  sq_queue* queue = NULL;
  const char* text = NULL;
  size_t bytes = 0;
  uint32_t id = 0;
  options.schema = "\"u32\"";
  options.schema_bytes = 5;
  CHECK(sq_open(&options, &queue) == SQ_OK);
  CHECK(sq_schema(queue, 1, &text, &bytes) == SQ_OK && bytes == 5 && memcmp(text, "\"u32\"", 5) == 0);
  CHECK(sq_schema(queue, 2, &text, &bytes) == SQ_EMPTY);
  CHECK(sq_add_schema(queue, "\"i32\"", 5, &id) == SQ_OK && id == 2);
  sq_free(queue);
}

int main(void) {
  items_come_out_in_order();
  who_abandons_is_a_producer_lost();
  what_does_not_fit_into_a_buffer_stays();
  batches_go_in_as_far_as_they_fit();
  takes_end_in_any_order();
  a_list_goes_in_up_to_what_could_never_fit();
  claims_are_filled_in_place();
  leases_come_again_until_they_are_acked();
  what_nobody_has_seen_comes_again_as_if_it_had_not_been_taken();
  an_end_is_seen_by_everybody();
  names_are_those_of_every_language();
  failures_have_the_codes_of_every_language();
  an_older_program_has_shorter_structs();
  schemas_are_kept();
  printf("12 passed, 0 failed\n");
  return 0;
}
