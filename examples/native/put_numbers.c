/* put_numbers QUEUE COUNT: puts the numbers below COUNT, in MessagePack as every language reads it, and ends the queue.
 */
#include <sage_queue.h>
#include <stdio.h>
#include <stdlib.h>

static int failed(const char* what, sq_status status) {
  fprintf(stderr, "%s: %s %s\n", what, sq_code(status), status == SQ_FAILED ? sq_error_message() : "");
  return 1;
}

int main(int count, char** words) {
  if (count != 3) return fprintf(stderr, "usage: %s QUEUE COUNT\n", words[0]), 2;
  const sq_options options = {.struct_size = sizeof options, .name = words[1], .maxsize = SQ_DEFAULT_MAXSIZE};
  sq_queue* queue = NULL;
  sq_status status = sq_open(&options, &queue);
  if (status != SQ_OK) return failed("open", status);
  const unsigned long end = strtoul(words[2], NULL, 10);
  for (unsigned long number = 0; number < end && status == SQ_OK; ++number) {
    const unsigned char item[] = {0xce, (unsigned char)(number >> 24), (unsigned char)(number >> 16),
                                  (unsigned char)(number >> 8), (unsigned char)number};
    status = sq_put(queue, item, sizeof item, SQ_MSGPACK, SQ_FOREVER);
  }
  if (status == SQ_OK) status = sq_shutdown(queue, 0);
  /* Stay until the readers have come and gone: a queue that is drained and that nobody has open is gone. */
  if (status == SQ_OK) status = sq_join(queue, SQ_FOREVER);
  if (status != SQ_OK) failed("put", status);
  sq_free(queue);
  return status == SQ_OK ? 0 : 1;
}
