/* What the link and the executors give each other: work goes to an executor, output comes back.
 *
 * Pieces are moved: the receiver of a piece frees it. The link never sees entities, and an executor
 * never sees connections: it knows a broker only as (endpoint, connection) and by the broker's
 * lease.
 *
 * Threading: a piece belongs to one thread at a time; a frame is shared by the pieces that point
 * into it, a lease is written by the link's thread and read by the executors'.
 */
#ifndef WORKER_WORK_H
#define WORKER_WORK_H

#include <stdatomic.h>

#include "core/ids.h"
#include "core/message.h"

#define WORK_CLUSTER_ID_BYTES 16u

/* The monotonic time until which handlers of a broker's shards may be started. An executor looks at
 * the lease before each start, so that a process which was frozen starts nothing under a lease that
 * ran out meanwhile. The cluster stays the same once there is work under the lease. */
typedef struct work_lease {
    _Atomic uint64_t start_until_ms;
    uint8_t cluster_id[WORK_CLUSTER_ID_BYTES];
} work_lease_t;

/* A received frame, shared by the deliveries that point into it. */
typedef struct work_frame {
    atomic_uint references;
    fabric_bytes_t bytes;
    void (*release)(struct work_frame *frame); /* frees the frame and its bytes; any thread */
} work_frame_t;

/* Makes a frame, in memory of the caller's, of bytes that stay until `release` is called. The
 * caller has one reference. */
void work_frame_init(work_frame_t *frame, fabric_bytes_t bytes,
                     void (*release)(work_frame_t *frame));
/* A frame with a copy of the bytes, and one reference. */
work_frame_t *work_frame_copy(fabric_bytes_t bytes);
/* Adds a reference, which the caller drops. */
work_frame_t *work_frame_share(work_frame_t *frame);
/* Drops a reference; the last one releases the frame. `frame` may be NULL. */
void work_frame_drop(work_frame_t *frame);

/* Where results go: an endpoint's index in the link, and the number of the connection under which
 * the deliveries came. */
typedef struct work_source {
    uint32_t endpoint;
    uint64_t connection;
} work_source_t;

static inline bool work_source_equal(work_source_t a, work_source_t b)
{
    return a.endpoint == b.endpoint && a.connection == b.connection;
}

typedef enum work_kind {
    WORK_BEGIN, /* from now on the worker has the shard's ownership that `token` names */
    /* Stop the entities of that ownership; running handlers may end until `deadline_ms`. */
    WORK_STOP,
    /* The home of that ownership is gone: start nothing more, and keep the entities. */
    WORK_ORPHAN,
    /* The new home gives the orphaned ownership `former` to this worker again, under `token`. Its
     * messages wait for WORK_KEPT. */
    WORK_RESUME,
    /* The results under former tokens of that ownership which the former home may not have
     * committed: deliveries of their messages are answered from them, until `deadline_ms`. */
    WORK_KEPT,
    /* The caller of the message that deliveries[0] names wants it to end. */
    WORK_INTERRUPT,
    WORK_DELIVERIES /* messages for entities */
} work_kind_t;

/* In the flags of a delivery: its caller wants it to end, and it has not begun. Never on the wire.
 */
#define WORK_CANCELLED (1ull << 32)
/* Likewise: it is no message. Its payload is the persisted state with which its entity begins its
 * activation, and `attempt` the version of that. */
#define WORK_STATE (1ull << 33)
/* Beside WORK_STATE: the payload is events (journal_events_put_array), `position` the sequence of
 * the first one, and `attempt` 1 if others follow. Without this flag `position` is the sequence of
 * the last event in the state. */
#define WORK_EVENTS (1ull << 35)
/* The same: no message, but the wish that the entity has an instance. `attempt` has the causes that
 * keep it alive (enum alive_cause). */
#define WORK_WAKE (1ull << 34)

/* The most deliveries of one piece of work. */
#define WORK_DELIVERIES_MAX 256u

typedef struct work {
    struct work *next;
    work_kind_t kind;
    uint32_t executor; /* the executor that gets it */
    work_source_t source;
    shard_id_t shard;               /* all but DELIVERIES */
    token_t token;                  /* likewise */
    token_t former;                 /* RESUME */
    const work_lease_t *lease;      /* BEGIN, RESUME: outlives every executor */
    uint64_t deadline_ms;           /* STOP, KEPT */
    wire_writer_t kept;             /* KEPT: RESULT messages, in order */
    work_frame_t *frame;            /* DELIVERIES, INTERRUPT: what their views point into */
    uint32_t round;                 /* DELIVERIES: see work_output */
    uint32_t count, capacity;       /* DELIVERIES, INTERRUPT */
    message_deliver_t deliveries[]; /* their deadline_ms is a monotonic time, 0: none */
} work_t;

/* Work of a kind with memory for `capacity` deliveries. */
work_t *work_new(work_kind_t kind, uint32_t executor, work_source_t source, uint32_t capacity);
/* Adds a delivery that points into `frame`, where count < WORK_DELIVERIES_MAX. Returns the work,
 * which may have moved. */
FABRIC_MUST_USE work_t *work_add(work_t *work, const message_deliver_t *delivery);
/* Frees one piece of work. */
void work_destroy(work_t **work);
/* Frees a list of works. */
void work_list_destroy(work_t **first);

/* What a home is told of an entity that it has asked to be woken, and that has no instance. */
message_alive_t work_not_woken(const message_deliver_t *wake);
/* The result of a delivery: what names the delivery, and how it ended. */
message_result_t work_result(const message_deliver_t *delivery, uint64_t status, uint64_t error);

/* The result without the state, the events, or the told messages that it brings. */
message_result_t work_result_of_state(const message_result_state_t *result);
message_result_t work_result_of_events(const message_result_events_t *result);
message_result_events_t work_result_of_told(const message_result_told_t *result);
/* The result with what its handler has told others, and with neither a state nor events. */
message_result_told_t work_result_with_told(const message_result_t *result, uint32_t count,
                                            fabric_bytes_t told);

typedef enum work_output_kind {
    OUTPUT_RESULTS, /* encoded messages */
    OUTPUT_STOPPED, /* every entity under the shard's token is stopped; comes after the last of
                       their results */
    OUTPUT_ORPHANED /* nothing is started under the shard's token any more; comes after the last
                       result under it, but for handlers that are pending */
} work_output_kind_t;

/* The end of each delivery is put out once, also where it has no result: in a piece that bears the
 * delivery's round. */
typedef struct work_output {
    struct work_output *next;
    work_output_kind_t kind;
    work_source_t source;
    shard_id_t shard; /* STOPPED, ORPHANED */
    token_t token;    /* STOPPED, ORPHANED */
    /* RESULTS: a frame whose head is not set yet. */
    wire_writer_t results;
    uint32_t round;   /* RESULTS: of the deliveries that have ended */
    uint32_t count;   /* RESULTS: of these deliveries; some may have no result */
    uint32_t durable; /* RESULTS: those of them whose results are kept: they end durable messages */
    uint32_t states; /* RESULTS: those that come with a persisted state, events, or told messages */
} work_output_t;

work_output_t *work_output_new(work_output_kind_t kind, work_source_t source);
/* RESULTS: the messages of the frame. */
fabric_bytes_t work_output_messages(const work_output_t *output);
/* Frees a list of outputs. */
void work_output_list_destroy(work_output_t **first);

#endif
