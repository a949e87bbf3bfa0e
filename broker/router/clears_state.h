/* Clears: operators remove what an entity has (decision 31). clears.c owns the structs.
 *
 * A clear has an id. It ends the entity's messages with smaller ids, wherever they are, frees their
 * primary keys, and ends the entity's instance; messages that are accepted later have larger ids.
 * It is one record of the journal (CLEAR), and all of its effects follow from that: nothing happens
 * before it is durable.
 *
 *   1. It waits for its append.
 *   2. It is durable. What memory has of the entity ends, and callers are told, those of messages
 *      that only the store has part by part. Then the operator is answered.
 *   3. A checkpoint deletes the entity's rows, however many there are.
 *   4. It is forgotten when no read is under way any more that began before its rows were deleted,
 *      and no request is held that was looked up before.
 *
 * Meanwhile rows of the entity's messages do not count, whatever a load or look-up has read.
 */
#ifndef BROKER_ROUTER_CLEARS_STATE_H
#define BROKER_ROUTER_CLEARS_STATE_H

#include "broker/message_record.h"
#include "broker/router/ownership_state.h"
#include "broker/router/reads.h"

/* Of one lane, at the same time. */
enum { CLEARS_MAX = 256 };

typedef enum clear_stage {
    CLEAR_WAITS,  /* it is not durable yet */
    CLEAR_NOTED,  /* its rows are to be deleted by the lane's next checkpoint */
    CLEAR_TAKEN,  /* the same, by the checkpoint under way */
    CLEAR_DELETED /* the store has none of its rows any more */
} clear_stage_t;

typedef struct entity_clear {
    struct entity_clear *next;
    request_id_t id;
    uint64_t entity_hash;
    shard_id_t shard;
    fabric_bytes_t type,
        entity; /* in `names`; empty: the record is damaged, the hash tells alone */
    clear_stage_t stage;
    uint64_t ended;    /* messages so far */
    uint64_t due_rows; /* rows of scheduled messages that were in memory: not counted as stored */
    bool has_ghosts;   /* callers of messages that only the store has are still to be told */
    bool asked;        /* this client's query is to be answered: */
    uint64_t client, sequence;
    uint64_t
        tell_until_ms;  /* the first owner is told until then to end its instance; 0: it knows */
    lane_reads_t reads; /* DELETED: those that began before */
    uint8_t names[];
} entity_clear_t;

typedef struct lane_clears {
    entity_clear_t *first;   /* by increasing id */
    entity_clear_t *dropped; /* a batch that is being appended names them */
    uint32_t count;
} lane_clears_t;

typedef struct router_lane router_lane_t;

/* A clear of this lane that is not durable, and nobody is to be told of yet. */
entity_clear_t *clears_add(lane_clears_t *clears, request_id_t id, shard_id_t shard,
                           uint64_t entity_hash, fabric_bytes_t type, fabric_bytes_t entity);
/* The clear with this id; NULL: it is forgotten. */
entity_clear_t *clears_find(const lane_clears_t *clears, request_id_t id);
/* Whether the clear ends the message, as far as that says whose it is. */
bool clear_covers(const entity_clear_t *clear, const message_t *message);
/* Whether a durable clear has ended the message with this id, of the entity with this hash. Empty
 * names: they are not known. */
bool clears_cover(const lane_clears_t *clears, uint64_t entity_hash, fabric_bytes_t type,
                  fabric_bytes_t entity, request_id_t id);
static inline bool clears_cover_message(const lane_clears_t *clears, const message_t *message)
{
    return clears->first && clears_cover(clears, message->entity_hash, message->stored.type,
                                         message->stored.entity, message->stored.id);
}
/* The instance of the entity ends at the owner of this ownership, if it has one. */
bool clear_tell_owner(router_t *router, entity_clear_t *clear, const ownership_t *ownership);
/* The ownership has got an owner. */
void clears_owned(router_t *router, const ownership_t *ownership);

/* ---- checkpoints ---- */

/* All changes that wait are for the checkpoint that begins. */
void clears_checkpoint_begins(lane_clears_t *clears);
/* The next clear whose rows the checkpoint has to delete; NULL: there is none. */
const entity_clear_t *clears_next(const lane_clears_t *clears);
/* The clear's rows are deleted. Reads that are under way may have read them before. */
void clear_rows_deleted(const router_lane_t *lane, entity_clear_t *clear);
/* Some read of the lane's rows is over: clears that nothing needs any more are forgotten. */
void clears_read(router_t *router, uint32_t lane);

/* ---- lanes ---- */

/* Takes what the adoption says. */
void clears_adopt(router_t *router, const adoption_t *adoption);
/* The lane is dropped, and all of its clears with it. */
void clears_forget(router_lane_t *lane);
/* A batch of the lane was answered. */
void clears_batch_done(lane_clears_t *clears);
void clears_destroy(router_t *router);

#endif
