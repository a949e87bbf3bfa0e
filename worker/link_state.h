/* Inside the link: its structures and the functions that its files share. */
#ifndef WORKER_LINK_STATE_H
#define WORKER_LINK_STATE_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "worker/link.h"

#define HASH_FUNCTION(key, size, hash) ((hash) = (unsigned)XXH3_64bits((key), (size)))
#include <uthash.h>

/* How long a hello may go unanswered before it is said again, and how often before the connection
 * is given up. */
#define LINK_HELLO_RETRY_MS 1000u
#define LINK_HELLO_TRIES    5u
/* How long a socket may take to connect. After bytes that are no ZMTP libzmq never connects it again. */
#define LINK_CONNECTING_MS 4000u
/* When to say that no broker is there. */
#define LINK_ABSENT_MS 2000u
/* What leaving may take beyond the grace time. */
#define LINK_LEAVE_MARGIN_MS 2000u
#define LINK_EVENTS_MAX      32u

typedef enum link_phase {
    PHASE_CLOSED,   /* the slot is free */
    PHASE_DOWN,     /* a socket, but no connection */
    PHASE_HELLO,    /* connected, hello said */
    PHASE_WELCOMED, /* part of the cluster */
    PHASE_REFUSED,  /* connected, but refused */
    PHASE_LEFT      /* said good-bye */
} link_phase_t;
#define LINK_PHASES 6

typedef struct link_endpoint {
    link_phase_t phase;
    char name[LIMIT_ENDPOINT_BYTES_MAX + 1];
    bool learned; /* from the map, not from the configuration */
    bool socket_wanted;
    link_socket_t socket_action;
    uint64_t connection; /* of the last hello */
    uint64_t hello_ms;   /* when it was said, or REFUSED: when to say it again */
    uint32_t hello_tries;
    uint64_t reopen_ms;   /* DOWN: when to give the socket up; 0: at the next tick it is known */
    incarnation_t broker; /* WELCOMED */
    uint32_t lease_ms, heartbeat_ms;
    uint64_t heard_ms;
    uint64_t ping_ms; /* when to say the next one */
    uint64_t ping_sequence;
    map_version_t map_wanted; /* the last version that was asked for */
    bool malformed;           /* said so already on this connection */
    work_lease_t lease;
    work_output_t *out_first, *out_last; /* encoded messages to be sent */
} link_endpoint_t;

typedef enum shard_state {
    SHARD_LOST,     /* not ours; the token is remembered */
    SHARD_HELD,     /* ours */
    SHARD_RELEASING /* being stopped, to be given back */
} shard_state_t;

typedef struct link_shard {
    UT_hash_handle hh;
    shard_id_t shard;
    shard_state_t state;
    token_t token; /* the highest that was seen */
    work_source_t source;
} link_shard_t;

struct link {
    link_config_t config; /* its views point to `texts` */
    wire_writer_t texts;
    uint64_t started_ms;
    bool absence_said;
    bool welcomed_once;
    bool leaving;
    uint64_t leave_until_ms;
    wire_writer_t leave_reason;
    uint64_t connection; /* of the latest hello of all */
    uint64_t high_id;
    bool cluster_known;
    uint8_t cluster_id[16];
    uint32_t shards_per_group;
    shard_map_t *map;
    uint32_t endpoint_count; /* slots in use, closed ones in between included */
    link_endpoint_t endpoints[LINK_ENDPOINTS_MAX];
    link_shard_t *shards;
    _Atomic uint64_t held;
    _Atomic uint64_t dropped;
    work_t **staged; /* one for each executor: deliveries being collected, or NULL */
    work_t *works_first, *works_last;
    link_event_t events[LINK_EVENTS_MAX];
    uint32_t event_first, event_count;
};

/* link.c */
void link_set_phase(link_endpoint_t *endpoint, link_phase_t phase);
void link_say_hello(link_t *link, uint32_t index, uint64_t now_ms);
/* The connection is no more: its shards are lost and what waits to be sent is dropped. */
void link_lose(link_t *link, uint32_t index, uint64_t now_ms);
void link_want_socket(link_endpoint_t *endpoint, link_socket_t action);
void link_event(link_t *link, link_event_kind_t kind, const link_endpoint_t *endpoint,
                fabric_error_t error, fabric_bytes_t text);
/* Opens and closes endpoints by the map's brokers. */
void link_follow_map(link_t *link);
/* The writer to which a message for the endpoint is appended. */
wire_writer_t *link_out(link_endpoint_t *endpoint);
void link_out_clear(link_endpoint_t *endpoint);

/* link_shard.c */
void link_assign(link_t *link, uint32_t index, const message_assign_t *message, uint64_t now_ms);
void link_release(link_t *link, uint32_t index, const message_release_t *message, uint64_t now_ms);
/* `frame` is what the delivery's views point into. */
void link_deliver(link_t *link, uint32_t index, work_frame_t *frame,
                  const message_deliver_t *message);
void link_lose_shards(link_t *link, uint32_t index, uint64_t now_ms);
/* Makes the collected deliveries available as work. */
void link_flush_staged(link_t *link);

/* link_receive.c */
/* Whether a hello that was refused so is said again: later for what passes; and where the cluster has welcomed this worker before,
 * as a byte that changed on the way can make any refusal of a good hello. */
bool link_may_retry(const link_t *link, fabric_error_t error);
void link_malformed(link_t *link, uint32_t index, fabric_error_t error);
/* One more was dropped. */
void link_count_dropped(link_t *link);

#endif
