/* A runner: a worker's membership in the cluster. runners.c owns the struct, but for the parts of
 * poison.c and settlement.c, and the list of entities that wait for credit, which mailbox.c owns.
 */
#ifndef BROKER_ROUTER_RUNNER_STATE_H
#define BROKER_ROUTER_RUNNER_STATE_H

#include "broker/router/peer_state.h"
#include "broker/router/poison_state.h"
#include "broker/router/settlement_state.h"
#include "core/standing.h"

typedef struct entity entity_t;
typedef struct shard shard_t;

typedef enum runner_state {
    RUNNER_ADMITTING, /* the coordinator is asked whether it may join */
    RUNNER_JOINED,
    RUNNER_MISSING, /* not connected; it may come back within the grace time */
    RUNNER_LEAVING  /* it said goodbye and gives its shards back */
} runner_state_t;

struct runner {
    incarnation_t incarnation; /* the public one; the secret one of the hello is not kept */
    uint64_t connection;
    peer_t *peer; /* NULL: not connected */
    runner_state_t state;
    runner_standing_t standing; /* as it has told it */
    uint64_t missing_until_ms;
    uint64_t next_ping_ms;
    uint32_t weight;
    uint64_t app_version; /* of the worker's program; 0: it has none */
    uint32_t window;
    uint32_t outstanding; /* deliveries without result */
    uint32_t owned;       /* ownerships, those being released included */
    bool unreachable; /* its connection is gone: if it does not come back, its process has died */
    bool supervised;  /* a supervisor will report how its process ended */
    runner_poison_t poison;
    runner_settlement_t settlement; /* of its connection */
    uint32_t executors;             /* as the worker has said; 0: it has not */
    uint32_t stuck;                 /* of them */
    uint64_t stuck_ms;              /* with `stuck`: since when the first of these has been */
    bool to_log;                    /* the log has not got the last change of `stuck` */
    char name[256];
    wire_writer_t types; /* names of the types that it brings, each after a byte with its size */
    wire_writer_t persisted; /* likewise of those of them whose states are persisted */
    wire_writer_t appending; /* and of those that append events */
    wire_writer_t early;     /* of its messages with early delivery: type and tag, likewise */
    entity_t *waiting;       /* entities that wait for credit */
    bool holds_back;         /* the first of them waits until it has read what it was sent */
    UT_hash_handle by_incarnation;
};

/* What a worker's hello says about its runner. */
typedef struct runner_description {
    incarnation_t incarnation; /* the public one */
    uint32_t weight;
    uint64_t app_version;
    bool supervised;
    fabric_bytes_t name;
    fabric_bytes_t types; /* as sent, and checked */
} runner_description_t;

runner_t *runner_find(router_t *router, incarnation_t incarnation);
/* A new runner, in state ADMITTING. */
runner_t *runner_add(router_t *router, const runner_description_t *description);
/* From now on the runner is not found any more; runner_destroy frees it. */
void runner_remove(router_t *router, runner_t *runner);
void runner_destroy(runner_t *runner);
/* Whether the runner brings the type, whether or not it takes part. */
bool runner_brings(const runner_t *runner, fabric_bytes_t type);
/* Whether it brings the type with a persisted state. This broker may not have learned of that. */
bool runner_persists(const runner_t *runner, fabric_bytes_t type);
/* The same of a type that appends events. */
bool runner_appends(const runner_t *runner, fabric_bytes_t type);
/* Whether it brings the message with early delivery, and so knows DELIVER_EARLY. */
bool runner_knows_early(const runner_t *runner, fabric_bytes_t type, fabric_bytes_t tag);
/* Whether the runner takes part, or may come back, and may own entities of the type. */
bool runner_may_own(const runner_t *runner, fabric_bytes_t type);
/* The same, and its standing allows that it is given such entities. */
bool runner_is_given(const runner_t *runner, fabric_bytes_t type);
/* The names of the types that it brings, as an array. */
void runner_put_types(const runner_t *runner, wire_writer_t *writer);
/* The name that status documents show. */
const char *runner_state_name(const runner_t *runner);
/* The runner is connected by this peer, and by no other peer any more. */
void runner_connect(runner_t *runner, peer_t *peer, uint64_t connection, uint32_t window);
void runner_disconnect(runner_t *runner);
/* The runner takes part, or takes part again, from now on. */
void runner_join(router_t *router, runner_t *runner);
/* The runner is not connected any more, and may come back before `until_ms`. */
void runner_miss(runner_t *runner, uint64_t until_ms);
/* The runner tells its standing; returns whether it is another one than before. */
bool runner_set_standing(runner_t *runner, runner_standing_t standing);
/* The runner has said goodbye. */
void runner_leave(runner_t *runner);
/* The runner's connection is gone: see `unreachable`. */
void runner_note_unreachable(runner_t *runner);
/* The runner has said how its executors are. */
void runner_set_health(router_t *router, runner_t *runner, const message_runner_health_t *health);
/* For how long the executor that has been stuck longest has been; 0: none is. */
uint64_t runner_stuck_for_ms(const runner_t *runner, uint64_t now_ms);
/* The runner has one ownership more, or one less. */
void runner_gain(runner_t *runner);
void runner_lose(runner_t *runner);
/* A delivery is outstanding, or is not any more. */
static inline void runner_begin_delivery(runner_t *runner)
{
    runner->outstanding++;
}
static inline void runner_end_delivery(runner_t *runner)
{
    runner->outstanding--;
}
/* Sends a ping when the next one is due, and returns whether it did. */
bool runner_ping(router_t *router, runner_t *runner);

#endif
