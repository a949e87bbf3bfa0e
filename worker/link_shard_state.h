/* The shards that the link knows, and which ownerships of them this worker has: one for each entity
 * type, under a token that names one ownership of the shard.
 *
 * An assignment whose token is not above the highest that was seen of the shard is ignored, whoever
 * sends it.
 */
#ifndef WORKER_LINK_SHARD_STATE_H
#define WORKER_LINK_SHARD_STATE_H

#include "core/hash.h"
#include "worker/link_work_state.h"

typedef enum link_ownership_state {
    OWNERSHIP_LOST,     /* not owned */
    OWNERSHIP_HELD,     /* owned */
    OWNERSHIP_RELEASING /* its entities are being stopped, then it is given back */
} link_ownership_state_t;

typedef struct link_ownership {
    struct link_ownership *next; /* of its shard */
    link_ownership_state_t state;
    token_t token;
    work_source_t source;
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
    _Atomic uint64_t owned; /* ownerships HELD and RELEASING; any thread reads it */
} link_shards_t;

/* What an ASSIGN, RELEASE or DELIVER names. */
typedef struct shard_claim {
    uint64_t number; /* as received: it may be no shard's */
    token_t token;
} shard_claim_t;

void link_shards_free(link_shards_t *shards);
/* Begins to own a type's part of a valid shard; an older ownership of it has until `deadline_ms` to
 * end. false: the token is not above the highest of the shard. */
FABRIC_MUST_USE bool link_shards_assign(link_shards_t *shards, link_works_t *works,
                                        shard_claim_t claim, fabric_bytes_t type,
                                        work_source_t source, const work_lease_t *lease,
                                        uint64_t deadline_ms);
/* Begins to give back an ownership. false: this worker does not have it through this endpoint. */
FABRIC_MUST_USE bool link_shards_release(link_shards_t *shards, link_works_t *works,
                                         shard_claim_t claim, uint32_t endpoint,
                                         uint64_t deadline_ms);
/* Passes a message on. false: this worker does not own the message's type in the shard under its
 * token through this endpoint. */
FABRIC_MUST_USE bool link_shards_deliver(link_shards_t *shards, link_works_t *works,
                                         uint32_t endpoint, work_frame_t *frame,
                                         const message_deliver_t *message);
/* Ends all ownerships of a broken connection. */
void link_shards_lose(link_shards_t *shards, link_works_t *works, uint32_t endpoint,
                      uint64_t deadline_ms);
/* An executor has stopped the entities of an ownership. true: it was being given back, and now is.
 */
FABRIC_MUST_USE bool link_shards_stopped(link_shards_t *shards, shard_id_t shard, token_t token);

#endif
