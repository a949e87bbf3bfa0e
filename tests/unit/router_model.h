/* Models of clients and workers for random tests of the router. They behave as the protocol says,
 * and check what they see. */
#ifndef TESTS_UNIT_ROUTER_MODEL_H
#define TESTS_UNIT_ROUTER_MODEL_H

#include "tests/unit/router_driver.h"

enum {
    CLIENTS = 3,
    WORKERS = 2,
    LANES = 2,
    ENTITIES = 6,
    CALLS = 4096,
    HELD_MAX = 256,
    FOREIGN_MAX = 512
};

typedef enum call_mode { CALL_UNSENT, CALL_SENT, CALL_REFUSED_ONCE, CALL_SETTLED } call_mode_t;

typedef struct model_call {
    call_mode_t mode;
    bool durable, tell, sent_before;
    /* What its client knows: it is certainly not accepted if each send of it was refused. */
    unsigned sends, refusals;
    bool heard_accepted;
    unsigned entity;
    uint64_t floor;
    /* the store's row, and what workers did */
    uint64_t id;
    shard_id_t shard;
    bool ended;
    journal_attempts_t counts;
    unsigned ends; /* processes whose end may be counted as a crash on it */
    unsigned runs;
    bool sound; /* a worker has answered it, in its turn and on no state that is over */
    store_reply_t reply;
} model_call_t;

typedef struct model_client {
    char peer[32];
    uint64_t connection, next, oldest, high_id;
    bool away; /* it is silent */
    model_call_t calls[CALLS];
} model_client_t;

typedef struct model_worker {
    char peer[32];
    unsigned number;
    uint64_t connection;
    bool alive;
    bool supervised;
    uint64_t killed_on; /* a request id that the supervisor has still to report; 0: nothing */
    unsigned killed_number;
    token_t tokens[DRIVER_SHARDS + 1]; /* home_epoch 0: not held */
    uint64_t defect[ENTITIES];         /* activation up to which the entity is broken */
    note_t *queue[HELD_MAX];
    size_t count;
} model_worker_t;

/* What a look-up saw of a call: the id of its message, or 0, and whether that had ended. */
typedef struct model_seen {
    uint64_t id;
    bool ended;
} model_seen_t;

/* A row of a client outside the model. */
typedef struct model_foreign {
    message_t *message;
    journal_attempts_t counts;
    bool ended;
} model_foreign_t;

/* What becomes of the batch of a lane that was dropped. */
typedef enum model_orphan {
    ORPHAN_NONE,   /* there is no such batch */
    ORPHAN_LANDED, /* it is stored, as the last entry before the one of the lane's next holder */
    ORPHAN_LOST
} model_orphan_t;

typedef struct model {
    driver_t *driver;
    uint64_t random;
    model_client_t clients[CLIENTS];
    model_worker_t workers[WORKERS];
    unsigned incarnations;
    bool calm; /* no fault happens any more */
    uint64_t first_run[ENTITIES], ended[ENTITIES];
    token_t newest[DRIVER_SHARDS + 1];
    uint64_t newest_id[LANES]; /* that each lane has stored */
    uint64_t epochs[LANES];    /* the last one of each lane */
    model_orphan_t orphans[LANES];
    bool lookup_running[LANES];
    router_lookup_t lookups[LANES];
    model_seen_t *seen[LANES]; /* by each look-up, of its calls */
    uint64_t accepted;
    /* What the store has taken of batches whose lanes were dropped meanwhile. */
    uint64_t accepted_unseen, ended_unseen;
    uint64_t drops; /* of lanes */
    /* Rows of clients beyond CLIENTS, which a test plays itself; their entities have no model, and
     * their ids do not begin with an e. */
    model_foreign_t foreign[FOREIGN_MAX];
    size_t foreign_count;
} model_t;

/* A router with two lanes, home of both, to which all clients and workers have said hello. It loses
 * and gets back the lanes now and then. */
model_t *model_open(uint64_t random);
void model_close(model_t **model);
/* One random event happens. */
void model_step(model_t *model);
/* Faults end; all that is open must be settled. */
void model_calm_down(model_t *model);

/* A random number below `below`, from the model's seed. */
uint64_t model_pick(model_t *model, uint64_t below);
model_call_t *model_call(model_t *model, uint64_t client, uint64_t sequence);
/* The call that the store has under this id, or NULL. */
model_call_t *model_row(model_t *model, uint64_t id);
/* The call whose message is delivered, NULL: the store has none. One that is delivered early need
 * not be stored. */
model_call_t *model_delivered(model_t *model, const message_deliver_t *delivery);

/* The sequence below which all of the client's calls are settled. */
uint64_t model_settled(model_client_t *client);
void model_client_new_call(model_t *model, model_client_t *client);
/* A new connection: volatile calls are given up, all others sent again. */
void model_client_connect(model_t *model, model_client_t *client);
/* Sends again what was refused. */
void model_client_retry(model_t *model, model_client_t *client);

/* Forgets everything that the worker holds. */
void model_worker_drop(model_worker_t *worker);
/* `anew`: another incarnation; else the same one on another connection. */
void model_worker_connect(model_t *model, model_worker_t *worker, bool anew);
/* Runs the worker's oldest delivery, or hands it back. */
void model_worker_answer(model_t *model, model_worker_t *worker);

/* Lets all models take what the router sent. */
void model_take_notes(model_t *model);

#endif
