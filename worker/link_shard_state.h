/* The shards that the link knows, and under which tokens this worker owns them.
 *
 * A smaller token than the highest that was seen of a shard is ignored, whoever sends it.
 */
#ifndef WORKER_LINK_SHARD_STATE_H
#define WORKER_LINK_SHARD_STATE_H

#include "core/hash.h"
#include "worker/link_work_state.h"

typedef enum shard_state {
    SHARD_LOST,     /* not owned; its highest token is remembered */
    SHARD_OWNED,    /* owned */
    SHARD_RELEASING /* its entities are being stopped, then the shard is given back */
} shard_state_t;

typedef struct link_shard {
    UT_hash_handle hh;
    shard_id_t shard;
    shard_state_t state;
    token_t token; /* the highest that was seen */
    work_source_t source;
} link_shard_t;

typedef struct link_shards {
    link_shard_t *by_id;
    _Atomic uint64_t owned; /* OWNED and RELEASING; any thread reads it */
} link_shards_t;

/* What an ASSIGN, RELEASE or DELIVER names. */
typedef struct shard_claim {
    uint64_t number; /* as received: it may be no shard's */
    token_t token;
} shard_claim_t;

void link_shards_free(link_shards_t *shards);
/* Begins to own a valid shard; an older ownership has until `deadline_ms` to end. false: the token
 * is not newer. */
FABRIC_MUST_USE bool link_shards_assign(link_shards_t *shards, link_works_t *works,
                                        shard_claim_t claim, work_source_t source,
                                        const work_lease_t *lease, uint64_t deadline_ms);
/* Begins to give back a shard. false: the shard is not owned under this token through this
 * endpoint. */
FABRIC_MUST_USE bool link_shards_release(link_shards_t *shards, link_works_t *works,
                                         shard_claim_t claim, uint32_t endpoint,
                                         uint64_t deadline_ms);
/* Passes a message on. false: the shard is not owned under its token through this endpoint. */
FABRIC_MUST_USE bool link_shards_deliver(link_shards_t *shards, link_works_t *works,
                                         uint32_t endpoint, work_frame_t *frame,
                                         const message_deliver_t *message);
/* Ends the ownership of all shards of a broken connection. */
void link_shards_lose(link_shards_t *shards, link_works_t *works, uint32_t endpoint,
                      uint64_t deadline_ms);
/* An executor has stopped a shard's entities. true: the shard was being given back, and now is. */
FABRIC_MUST_USE bool link_shards_stopped(link_shards_t *shards, shard_id_t shard, token_t token);

#endif
