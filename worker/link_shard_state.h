/* The shards that the link knows, and which ownerships of them this worker has: one for each entity
 * type, under a token that names one ownership of the shard.
 *
 * An assignment whose token is not above the highest that was seen of the shard is ignored, whoever
 * sends it.
 *
 * When the home of an ownership is gone, its executor starts nothing more under it, and its
 * entities stay until the lease is over. If the next home says that this worker continues, the
 * ownership is resumed under the new token: the executor gets the results that the former home may
 * not have committed, once it has confirmed that no more of them come.
 */
#ifndef WORKER_LINK_SHARD_STATE_H
#define WORKER_LINK_SHARD_STATE_H

#include "core/hash.h"
#include "worker/link_endpoint_state.h"
#include "worker/link_work_state.h"

typedef enum link_ownership_state {
    OWNERSHIP_LOST,      /* not owned */
    OWNERSHIP_HELD,      /* owned */
    OWNERSHIP_RELEASING, /* its entities are being stopped, then it is given back */
    OWNERSHIP_ORPHANED   /* its home is gone; the next one may give it to this worker */
} link_ownership_state_t;

typedef struct link_ownership {
    struct link_ownership *next; /* of its shard */
    link_ownership_state_t state;
    token_t token;
    work_source_t source;
    incarnation_t home; /* ORPHANED: which is gone */
    uint64_t until_ms;  /* ORPHANED: when it is lost */
    token_t former;     /* under which it was orphaned last */
    bool gathering;     /* results under `former` may still come */
    wire_writer_t kept; /* RESULT messages under `former` that may not be committed */
    uint32_t type_size;
    uint8_t type[];
} link_ownership_t;

typedef struct link_shard {
    UT_hash_handle hh;
    shard_id_t shard;
    token_t newest;               /* the highest token that was seen */
    link_ownership_t *ownerships; /* one for each type that was assigned */
} link_shard_t;

typedef struct link_shards {
    link_shard_t *by_id;
    _Atomic uint64_t owned;   /* ownerships HELD and RELEASING; any thread reads it */
    uint64_t gathering;       /* ownerships that gather results */
    bool gather_due;          /* some of them have got nothing yet of what endpoints keep */
    uint64_t now_ms;          /* of the last tick */
    uint64_t orphan_until_ms; /* no ORPHANED one is lost before; 0: there is none */
} link_shards_t;

/* What an ASSIGN, RELEASE or DELIVER names. */
typedef struct shard_claim {
    uint64_t number; /* as received: it may be no shard's */
    token_t token;
} shard_claim_t;

/* A home that is gone, and until when its ownerships stay. */
typedef struct lost_home {
    incarnation_t broker;
    uint64_t until_ms; /* 0: not at all */
} lost_home_t;

/* What an endpoint says of its broker. */
static inline lost_home_t lost_home_of(const link_endpoint_t *endpoint)
{
    return (lost_home_t){endpoint->broker, link_endpoint_orphans_until_ms(endpoint)};
}

void link_shards_free(link_shards_t *shards);
/* Begins to own a type's part of a valid shard, by way of this one of all endpoints. An older
 * ownership of it has until `deadline_ms` to end, or is resumed if it is `continued` and of the
 * home just before. false: the token is not above the highest of the shard. */
FABRIC_MUST_USE bool link_shards_assign(link_shards_t *shards, link_works_t *works,
                                        shard_claim_t claim, fabric_bytes_t type, bool continued,
                                        const link_endpoint_t *endpoints, uint32_t endpoint,
                                        uint64_t now_ms, uint64_t deadline_ms);
/* Begins to give back an ownership. false: this worker does not have it through this endpoint. */
FABRIC_MUST_USE bool link_shards_release(link_shards_t *shards, link_works_t *works,
                                         shard_claim_t claim, uint32_t endpoint,
                                         uint64_t deadline_ms);
/* The home of an ownership gives up its lane. */
void link_shards_move(link_shards_t *shards, link_works_t *works, shard_claim_t claim,
                      uint32_t endpoint, lost_home_t home, uint64_t now_ms);
/* Passes a message on. false: this worker does not own the message's type in the shard under its
 * token through this endpoint. */
FABRIC_MUST_USE bool link_shards_deliver(link_shards_t *shards, link_works_t *works,
                                         uint32_t endpoint, work_frame_t *frame,
                                         const message_deliver_t *message);
/* Passes on that the caller of this message wants it to end; likewise. */
FABRIC_MUST_USE bool link_shards_interrupt(link_shards_t *shards, link_works_t *works,
                                           uint32_t endpoint, work_frame_t *frame,
                                           const message_deliver_t *named);
/* A connection is broken: its ownerships are orphaned; those that are being given back, or cannot
 * be orphaned, end by `deadline_ms`. */
void link_shards_lose(link_shards_t *shards, link_works_t *works, uint32_t endpoint,
                      lost_home_t home, uint64_t now_ms, uint64_t deadline_ms);
/* The broker is there again, and so it was not gone: ends the ownerships that it has orphaned. */
void link_shards_end_orphans(link_shards_t *shards, link_works_t *works, incarnation_t broker,
                             uint64_t deadline_ms);
/* Ends the orphaned ownerships whose time is over. */
void link_shards_tick(link_shards_t *shards, link_works_t *works, uint64_t now_ms,
                      uint64_t deadline_ms);
/* Keeps of these messages the results that belong to ownerships which gather. Returns whether any
 * was kept. */
bool link_shards_gather(link_shards_t *shards, fabric_bytes_t messages);
/* Whether endpoints keep messages that were not gathered yet; they are, now. */
bool link_shards_take_gather_due(link_shards_t *shards);
/* An executor has confirmed that no more results come under the token of an orphaned ownership. */
void link_shards_orphaned(link_shards_t *shards, link_works_t *works, shard_id_t shard,
                          token_t token);
/* An executor has stopped the entities of an ownership. true: it was being given back, and now is.
 */
FABRIC_MUST_USE bool link_shards_stopped(link_shards_t *shards, shard_id_t shard, token_t token);

#endif
