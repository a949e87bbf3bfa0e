/* What the coordinator's core wants the router to do, and the queue in which these effects wait. */
#ifndef BROKER_COORDINATOR_EFFECTS_H
#define BROKER_COORDINATOR_EFFECTS_H

#include "broker/broker_proof.h"
#include "core/limits.h"
#include "core/shard_map.h"
#include "core/store.h"

typedef enum coordinator_effect_kind {
    COORDINATOR_FENCED,  /* this incarnation is over: drop everything */
    COORDINATOR_ELECTED, /* `number` is our term; for people */
    COORDINATOR_READY,   /* once: our lanes are adopted or damaged; other brokers have the rest */
    COORDINATOR_MEMBERS, /* router_members(credentials), the mesh; whenever they change */
    COORDINATOR_HOLDER,  /* router_holder(broker), whenever another broker holds the term */
    COORDINATOR_LANES,   /* router_lanes_held(holds) */
    COORDINATOR_NO_HEIR, /* router_close(); once: no other broker takes a draining one's lanes */
    COORDINATOR_LEASE,   /* router_lease(number, id_mark) */
    COORDINATOR_TYPE,    /* router_type(group, bytes) */
    COORDINATOR_TYPE_FORGOTTEN, /* router_type_forgotten(bytes) */
    COORDINATOR_FORGET_DONE,    /* router_forget_done(type, error, bytes as text) */
    COORDINATOR_TYPE_OPENED,    /* router_type_opened(bytes) */
    COORDINATOR_REGISTERED,     /* router_registered(number); once, when the store says so */
    COORDINATOR_ADMITTED,       /* router_admitted(runner, error, bytes as text) */
    COORDINATOR_DESIRE,         /* router_desire(bytes as text, shard, runner) */
    COORDINATOR_MAP,            /* router_map(bytes), and to all subscribers */
    COORDINATOR_MAP_REVISED,    /* router_map(bytes), which no other process is to get */
    COORDINATOR_MAP_WANTED, /* a snapshot is to be asked of `broker`; `version` is the one held */
    /* router_types_read(`number` is 1): after this broker's election, and whenever a type is to be
     * stored and may have been. */
    COORDINATOR_TYPES_READ,
    COORDINATOR_TYPES_LISTED, /* router_types_listed() */
    COORDINATOR_OWNERS        /* coordinator_owners(this broker, bytes), at `broker` */
} coordinator_effect_kind_t;

typedef struct coordinator_effect {
    coordinator_effect_kind_t kind;
    fabric_error_t error;
    uint64_t number;
    incarnation_t broker;
    incarnation_t runner;
    shard_id_t shard;
    uint16_t group;
    uint64_t id_mark;
    char type[LIMIT_NAME_BYTES_MAX + 1]; /* FORGET_DONE */
    store_hold_t *holds;                 /* owned by the effect */
    size_t hold_count;
    map_broker_t *brokers; /* owned by the effect, like the credentials of the same brokers */
    broker_credential_t *credentials;
    size_t broker_count;
    uint8_t *bytes; /* owned by the effect; a text has its terminator at bytes[size] */
    size_t size;
    map_version_t version; /* MAP, MAP_REVISED, MAP_WANTED */
} coordinator_effect_t;

/* Frees what the effect owns. */
void coordinator_effect_clear(coordinator_effect_t *effect);
/* Gives the effect a copy of the bytes. */
void coordinator_effect_set_bytes(coordinator_effect_t *effect, fabric_bytes_t bytes);

/* ---- the queue ---- */

typedef struct coordinator_effects coordinator_effects_t;

coordinator_effects_t *coordinator_effects_new(void);
void coordinator_effects_destroy(coordinator_effects_t **effects);
/* A new effect at the end of the queue, whose other fields are zero. The pointer is valid until the
 * next call for this queue. */
coordinator_effect_t *coordinator_effects_add(coordinator_effects_t *effects,
                                              coordinator_effect_kind_t kind);
/* Takes out the oldest effect, which becomes the caller's. false: there is none. */
bool coordinator_effects_take(coordinator_effects_t *effects, coordinator_effect_t *effect);

#endif
