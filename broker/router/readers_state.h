/* Queries of the events of entities (QUERY "events"). readers.c owns the structs.
 *
 * A query asks for the events of one entity behind a sequence. What memory has of them
 * (history_state.h) is joined with rows:
 *   1. Where memory has the next event, the answer is made at once.
 *   2. Else rows are read, one history at a time for each lane, and what memory has behind them is
 *      added as of the read's return. Meanwhile memory keeps what slices settle, so nothing can be
 *      missed between the two: a sequence that neither has was lost with a damaged record.
 *   3. Where there is no event, the query waits for one, if it may, until its time is over.
 *
 * Only what is durable is told. Each query has a deadline, and there are so many at most that they
 * do not matter. All of a lane end with it: they go on at its next home.
 */
#ifndef BROKER_ROUTER_READERS_STATE_H
#define BROKER_ROUTER_READERS_STATE_H

#include "broker/router/peer_state.h"
#include "broker/router/router.h"

typedef struct reader reader_t;

/* Those of one lane. */
typedef struct lane_readers {
    reader_t *wanted;  /* whose rows are to be read, in the order of their coming */
    reader_t *reading; /* whose rows are being read; NULL, too, if it has ended meanwhile */
    reader_t *waiting; /* for an event */
    store_history_t read;
    shard_id_t shard;                        /* of `read` */
    uint8_t names[2 * LIMIT_NAME_BYTES_MAX]; /* likewise */
    bool running;
    bool holding; /* memory keeps what it has of the entity's events */
} lane_readers_t;

/* The peer has sent the query "events". */
void reader_received(router_t *router, peer_t *peer, const message_query_t *query);
/* Events of the entity have become durable, and memory has them. */
void readers_appended(router_t *router, shard_id_t shard, fabric_bytes_t type, fabric_bytes_t id);
/* The lane is dropped. */
void readers_drop(router_t *router, uint32_t lane);
/* Ends those whose time is over, or whose peers are gone. */
void readers_tick(router_t *router);
void readers_destroy(router_t *router);

#endif
