/* The frames with results of durable messages that were sent on one connection, and that the broker
 * has not said to be settled: durable, or refused. If the shards of such results get another home,
 * the results answer what that home delivers again.
 *
 * Frames are numbered from 1 as they are sent after the hello; brokers count likewise. What is over
 * LIMIT_KEPT_RESULT_BYTES_MAX is let go, oldest first.
 */
#ifndef WORKER_LINK_KEPT_STATE_H
#define WORKER_LINK_KEPT_STATE_H

#include "core/message.h"

typedef struct kept_frame {
    struct kept_frame *next;
    uint64_t number;
    size_t size;
    uint8_t messages[];
} kept_frame_t;

typedef struct link_kept {
    kept_frame_t *first, *last;
    uint64_t sent;    /* frames on this connection */
    uint64_t settled; /* of them, as the broker has said */
    uint64_t let_go;  /* the last one that was let go */
    uint64_t bytes;
} link_kept_t;

/* A new connection begins: nothing is kept of the one before. */
void link_kept_begin(link_kept_t *kept);
/* A frame is sent; `messages` are kept, unless they are empty; but none with persisted states,
 * events or told messages, if there are such `states`. true: some were let go, for the first time.
 */
FABRIC_MUST_USE bool link_kept_add(link_kept_t *kept, fabric_bytes_t messages, bool states);
/* So many frames are settled. false: fewer were sent. */
FABRIC_MUST_USE bool link_kept_settle(link_kept_t *kept, uint64_t frames);
/* Whether no unsettled result was let go. */
bool link_kept_is_whole(const link_kept_t *kept);

#endif
