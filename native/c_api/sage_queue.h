/*
 * sage-queue in C: the queues `shm` and `sage_queue` between processes of one host, the same that Node and Python open.
 *
 * Every call says how it ended (sq_status). After SQ_FAILED, sq_error_code() has one of the codes that the packages of
 * all languages share (ERR_SEGMENT_CORRUPT, …; docs/api.md) and sq_error_message() says what to do; both are of the
 * calling thread and good until its next call. Nothing here throws, aborts or prints.
 *
 * Waiting calls take how long they may wait, in milliseconds: 0 does not wait, SQ_FOREVER does until it is done.
 *
 * A handle may be used by any number of threads at once; a lock is held for all but the sleep. Calls of one handle that
 * wait on the same side are served in order. A forked child may go on with its parent's handles: it is a participant of
 * its own from its first call on. What its parent had claimed, taken or leased stays the parent's: the calls that would
 * end it do nothing in the child, and say SQ_INVALID.
 *
 * Where a struct begins with its size, set that and zero the rest: `sq_options options = {.struct_size = sizeof
 * options};`. Later versions only add to the end.
 */
#ifndef SAGE_QUEUE_H
#define SAGE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#if defined(SQ_API) /* by who has the layer for itself, inside another library */
#elif defined(__GNUC__)
#define SQ_API __attribute__((visibility("default")))
#else
#define SQ_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** How a call ended. */
typedef enum sq_status {
  SQ_OK = 0,
  SQ_EMPTY = -1,            /**< ERR_QUEUE_EMPTY: no item, at once or in time */
  SQ_FULL = -2,             /**< ERR_QUEUE_FULL: no room, at once or in time */
  SQ_SHUT_DOWN = -3,        /**< ERR_QUEUE_SHUT_DOWN: nothing goes in any more, or nothing is left */
  SQ_ITEM_TOO_LARGE = -4,   /**< ERR_ITEM_TOO_LARGE: could never fit */
  SQ_BUFFER_TOO_SMALL = -5, /**< the item is still in the queue, and as long as `bytes` says */
  SQ_PRODUCER_LOST = -6,    /**< ERR_QUEUE_PRODUCER_LOST: drained, and a producer ended before it closed */
  SQ_CLOSED = -7,           /**< ERR_QUEUE_CLOSED: this handle was closed, perhaps while the call waited */
  SQ_TIMEOUT = -8,          /**< ERR_QUEUE_TIMEOUT: sq_join() */
  SQ_INVALID = -9,          /**< an argument that no call takes: a mistake of the program */
  SQ_FAILED = -10           /**< see sq_error_code() */
} sq_status;

#define SQ_FOREVER UINT32_MAX
/** So many items are moved by one call at most. */
#define SQ_MAX_BATCH 64u
/** Codecs of items (docs/wire-format.md): bytes as they are, MessagePack, JSON, by the schema of the queue. */
#define SQ_RAW 1u
#define SQ_MSGPACK 2u
#define SQ_JSON 3u
#define SQ_SCHEMA 5u

/** The stable code of a status, "ERR_QUEUE_EMPTY" for SQ_EMPTY; of SQ_FAILED that of the calling thread's last failure.
 */
SQ_API const char* sq_code(sq_status status);
/** Of the calling thread's last SQ_FAILED: its code, and a sentence that says what was found and what to do. */
SQ_API const char* sq_error_code(void);
SQ_API const char* sq_error_message(void);
/** Of the bytes in a segment that this library reads and writes. */
SQ_API uint32_t sq_layout_version(void);
/** Where segments lie: $SAGE_QUEUE_DIR, or the platform's own. */
SQ_API const char* sq_directory(void);

/* ── opening ────────────────────────────────────────────────────────────────────────────────────────────────────────
 */

typedef struct sq_queue sq_queue;

typedef enum sq_kind { SQ_KIND_SHM = 1, SQ_KIND_SAGE = 2 } sq_kind;
typedef enum sq_create { SQ_IF_MISSING = 0, SQ_NEVER = 1, SQ_EXCLUSIVE = 2 } sq_create;

/** The handle is used by one thread at a time; then no lock is held. */
#define SQ_ONE_THREAD 1u
/** sage_queue: the name is shared by all users, instead of being this user's own. */
#define SQ_ALL_USERS 2u
/** The queue outlives its last process also when it is empty. */
#define SQ_KEEP 4u
/** sage_queue: the queue of the user `owner_uid`, instead of this user's own. */
#define SQ_OWNED 8u

/** What to open. All but `name` may stay 0. */
typedef struct sq_options {
  size_t struct_size;
  sq_kind kind;           /**< 0: SQ_KIND_SAGE */
  sq_create create;       /**< SQ_IF_MISSING makes the queue unless it is there */
  const char* name;       /**< the shm_name, or the queue_id: 1 to 255 of A-Z a-z 0-9 . _ - without ".." */
  const char* name_space; /**< sage_queue: sets equal names apart; NULL: none */
  const char* queue_id;   /**< shm: as descriptors say it; NULL: the name */
  uint32_t flags;
  uint32_t mode;           /**< permission bits; 0: 0600 */
  uint64_t maxsize;        /**< items; 0: one for each 64 bytes of capacity; SQ_DEFAULT_MAXSIZE is what Node makes */
  uint64_t capacity_bytes; /**< of payload; 0: as Node makes it, from maxsize */
  uint32_t owner_uid;      /**< see SQ_OWNED */
  const uint32_t* trusted_uids; /**< whose segments are taken for as good as one's own */
  size_t trusted_count;
  const char* schema; /**< of items, canonical text (docs/wire-format.md); NULL: none */
  size_t schema_bytes;
} sq_options;

#define SQ_DEFAULT_MAXSIZE 1000u

/** The full name of what the options name, as `sage+u1000++jobs`; SQ_FAILED (ERR_SEGMENT_NAME): it cannot be one. */
SQ_API sq_status sq_segment_name(const sq_options* options, char* name, size_t capacity);
/** Makes the queue or attaches to it. One that is there keeps its configuration: compare sq_describe(). */
SQ_API sq_status sq_open(const sq_options* options, sq_queue** queue);
/** Ends this handle: what it held goes back, calls that wait get SQ_CLOSED, and so do all later ones. Waits for those.
 */
SQ_API sq_status sq_close(sq_queue* queue);
/** Closes, and forgets the handle: no thread may use it any more. NULL is no mistake. */
SQ_API void sq_free(sq_queue* queue);

/** What the queue was made with. */
typedef struct sq_description {
  size_t struct_size;
  sq_kind kind;
  int created; /**< by this handle */
  int auto_cleanup;
  uint32_t mode;        /**< as asked by its maker */
  uint32_t permissions; /**< of the file now */
  uint32_t group;
  uint64_t maxsize;
  uint64_t capacity_bytes;
  uint64_t area_bytes; /**< what the payload lies in, mapped twice in a row */
} sq_description;
SQ_API sq_status sq_describe(sq_queue* queue, sq_description* description);

/* ── items ──────────────────────────────────────────────────────────────────────────────────────────────────────────
 */

/** An item where it lies. `data` is valid until the item is committed, aborted, finished, given back, acknowledged or
 * released, or its handle is closed. No size in front: they come in arrays, and `reserved` is for what may be added. */
typedef struct sq_item {
  uint8_t* data;
  uint32_t bytes;
  uint32_t codec;
  uint32_t deliveries; /**< this one included: 1 the first time */
  uint32_t crashes;    /**< proved deaths of processes that held it */
  uint64_t reserved[3];
} sq_item;

/** Bytes to put. */
typedef struct sq_piece {
  const void* data;
  uint32_t bytes;
  uint32_t codec;
} sq_piece;

/** Copies an item in. */
SQ_API sq_status sq_put(sq_queue* queue, const void* data, size_t bytes, uint32_t codec, uint32_t wait_ms);
/** Puts up to SQ_MAX_BATCH items, of which `accepted` went in: as many as there was room for, at least one after SQ_OK.
 */
SQ_API sq_status sq_put_many(sq_queue* queue, const sq_piece* pieces, uint32_t count, uint32_t* accepted,
                             uint32_t wait_ms);
/** Room for an item, to be filled at `item->data` and then committed or aborted. */
SQ_API sq_status sq_claim(sq_queue* queue, size_t bytes, uint32_t codec, sq_item* item, uint32_t wait_ms);
/** SQ_SHUT_DOWN: the queue was shut down at once, and the claim is dropped with what lay in it. */
SQ_API sq_status sq_commit(sq_queue* queue, const sq_item* item);
SQ_API sq_status sq_abort(sq_queue* queue, const sq_item* item);

/** Copies the next item out. After SQ_BUFFER_TOO_SMALL it is still there, ahead of all others. */
SQ_API sq_status sq_get(sq_queue* queue, void* buffer, size_t capacity, size_t* bytes, uint32_t* codec,
                        uint32_t wait_ms);
/** Takes up to `max` items (SQ_MAX_BATCH at most, and the last one when they have `max_bytes` together; 0: no limit) to
 * be read in place. sq_finish() with how many are done with follows; the others go back, ahead of all that were not
 * taken. */
SQ_API sq_status sq_take(sq_queue* queue, uint32_t max, uint64_t max_bytes, sq_item* items, uint32_t* taken,
                         uint32_t wait_ms);
/** Ends one sq_take(): the first `done` of its `taken` items are done with. */
SQ_API sq_status sq_finish(sq_queue* queue, const sq_item* items, uint32_t taken, uint32_t done);
/** As sq_take(), each of them on lease: it ends by sq_ack() or sq_release(), alone or with any others. Without
 * either it comes again when the handle is closed or its process dies. */
SQ_API sq_status sq_lease(sq_queue* queue, uint32_t max, uint64_t max_bytes, sq_item* items, uint32_t* leased,
                          uint32_t wait_ms);
SQ_API sq_status sq_ack(sq_queue* queue, const sq_item* items, uint32_t count);
/** They come again in the order that they have here. */
SQ_API sq_status sq_release(sq_queue* queue, const sq_item* items, uint32_t count);
/** Nobody has seen them: leases, or all of one sq_take(), come again as if they had not been taken. */
SQ_API sq_status sq_undo(sq_queue* queue, const sq_item* items, uint32_t count);
/** Copies the next item without taking it; SQ_BUFFER_TOO_SMALL as sq_get(). */
SQ_API sq_status sq_peek(sq_queue* queue, void* buffer, size_t capacity, size_t* bytes, uint32_t* codec);

/* ── questions, and the end ─────────────────────────────────────────────────────────────────────────────────────────
 */

typedef struct sq_totals {
  size_t struct_size;
  uint64_t size;
  uint64_t put_total;
  uint64_t get_total;
  uint64_t put_bytes_total;
  uint64_t used_bytes;
  uint64_t leased;
  uint64_t redelivered;
  uint64_t recovered;
  uint32_t waiting_getters;
  uint32_t waiting_putters;
  uint32_t waiting_joiners;
  int shut_down;
} sq_totals;

typedef struct sq_peer {
  uint32_t pid;
  int alive;
  int foreign; /**< of another pid namespace: its pid means nothing here */
} sq_peer;

SQ_API sq_status sq_size(sq_queue* queue, uint64_t* size);
SQ_API sq_status sq_full(sq_queue* queue, int* full);
SQ_API sq_status sq_is_shut_down(sq_queue* queue, int* shut_down);
SQ_API sq_status sq_stats(sq_queue* queue, sq_totals* totals);
/** Who has it open: up to `capacity` of them; `count` says how many there are. */
SQ_API sq_status sq_peers(sq_queue* queue, sq_peer* peers, size_t capacity, size_t* count);
/** The schemas of its items by their ids, 1 for the first. `text` is good until the calling thread's next call.
 * SQ_EMPTY: none. */
SQ_API sq_status sq_schema(sq_queue* queue, uint32_t id, const char** text, size_t* bytes);
/** Its id; SQ_FULL: there is no room for it. */
SQ_API sq_status sq_add_schema(sq_queue* queue, const char* text, size_t bytes, uint32_t* id);
/** This handle is a producer's. When `expected` of them have come and the last one has closed, the queue is shut down.
 */
SQ_API sq_status sq_produce(sq_queue* queue, uint32_t expected);
/** Before sq_close() or sq_free(), where the work is not done: the producers of this handle are lost, and readers get
 * SQ_PRODUCER_LOST. Without it those two close them. */
SQ_API sq_status sq_abandon(sq_queue* queue);
/** Waits until nothing is in the queue and nothing on lease or taken, anywhere. */
SQ_API sq_status sq_join(sq_queue* queue, uint32_t wait_ms);
/** Nothing goes in any more; what is there can be taken, or with `immediate` is dropped. */
SQ_API sq_status sq_shutdown(sq_queue* queue, int immediate);
/** Takes the name away: those attached go on, whoever comes later starts a new queue. */
SQ_API sq_status sq_unlink(sq_queue* queue);

/* ── event loops ────────────────────────────────────────────────────────────────────────────────────────────────────
 */

/** How a loop is rung: a file to be watched for reading. What comes are tags of four bytes in the order of this
 * machine; 4096 bytes at once or more may stand for tags that were lost. */
typedef struct sq_bell sq_bell;
/** One for each loop and for queues whose writers are the same: `permissions & 022`, and the group where that may
 * write. */
SQ_API sq_status sq_bell_open(uint32_t permissions, uint32_t group, sq_bell** bell);
/** To be read without blocking. It is closed with the bell. */
SQ_API int sq_bell_fd(const sq_bell* bell);
SQ_API void sq_bell_close(sq_bell* bell);

typedef enum sq_side { SQ_GETTERS = 0, SQ_PUTTERS = 1, SQ_JOINERS = 2 } sq_side;
typedef enum sq_step { SQ_TRY = 0, SQ_SLEEP = 1, SQ_DONE = 2 } sq_step;

/** The calls of one loop that wait on one side of a handle. It stands in line with the threads that wait there. */
typedef struct sq_waiter sq_waiter;
/** `tag`, not 0, is what the bell brings when it is to go on. A bell outlives its waiters, and these the handle's
 * sq_free(). */
SQ_API sq_status sq_wait_begin(sq_queue* queue, sq_side side, sq_bell* bell, uint32_t tag, sq_waiter** waiter);
/**
 * What comes next. `*step` is told: SQ_TRY that it begins, or its tag came; SQ_SLEEP that a try brought nothing more
 * and somebody waits still; SQ_DONE that nobody does. It is answered: SQ_TRY to try what the calls wait for, without
 * waiting, and say how that went; SQ_SLEEP to go on with other work until the tag comes, or 10 ms have passed where
 * `*polls` says so; SQ_DONE.
 */
SQ_API sq_status sq_wait_next(sq_waiter* waiter, sq_step* step, int* polls);
/** Leaves the line, whatever it was at. */
SQ_API void sq_wait_end(sq_waiter* waiter);

#ifdef __cplusplus
}
#endif

#endif
