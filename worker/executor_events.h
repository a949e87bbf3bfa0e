/* The events of an entity at its worker. Until there is an instance: the snapshot and the events
 * that its home has given, of which it is built. With one: how far it has come, and what the
 * message at hand has appended. See rule 13 of <fabric/worker.h>.
 *
 * The home's part of an activation begins with a snapshot, or with the word that there is none, and
 * goes on with the events behind it, in one or more parts. What does not follow that beginning is
 * not taken: without all of it nothing is built, and the home gives it again.
 */
#ifndef WORKER_EXECUTOR_EVENTS_H
#define WORKER_EXECUTOR_EVENTS_H

#include "core/journal/events.h"
#include "worker/executor_entity_state.h"

typedef struct entity_events {
    bool complete;                   /* all are here */
    bool applied;                    /* the instance has them; until then: */
    uint64_t home_epoch, activation; /* as of which they were given, and by which home */
    uint64_t gap_first, gap_last;    /* what is missing among them; 0: nothing is */
    bool unreadable;     /* the instance could not be built, as the snapshot is not read */
    uint32_t version;    /* of the snapshot */
    wire_writer_t state; /* the snapshot; empty: there is none */
    /* In any case: */
    uint64_t sequence;  /* of the last event here; 0: there is none */
    uint64_t snapshot;  /* of the last event in the newest snapshot; 0: there is none */
    uint32_t count;     /* of the list */
    wire_writer_t list; /* what was given, then what was appended; see core/journal/events.h */
} entity_events_t;

/* The entity, which has no instance, begins an activation with a snapshot: see WORK_STATE. */
void events_begin(entity_t *entity, const message_deliver_t *snapshot);
/* The events behind it, or a part of them: see WORK_EVENTS. */
void events_add(entity_t *entity, const message_deliver_t *part);
void events_forget(entity_t *entity);
/* Whether an instance is there, or can be built. */
static inline bool events_are_here(const entity_t *entity)
{
    return entity->events && entity->events->complete;
}

/* Fills the zeroed memory of an instance: builds it, or restores the snapshot, and applies all
 * events behind it. false: it cannot be built, and table->instance says why. */
FABRIC_MUST_USE bool events_build(entity_table_t *table, entity_t *entity,
                                  const type_entry_t *entry, void *memory);
/* Whether the last build has failed as the snapshot cannot be read. */
static inline bool events_were_unreadable(const entity_t *entity)
{
    return entity->events && entity->events->unreadable;
}

/* What the handler at hand appends, applied at once. false: the fault says why it could not be. */
FABRIC_MUST_USE bool events_append(entity_table_t *table, entity_t *entity,
                                   const type_entry_t *entry, const char *tag, const void *event,
                                   char *fault, size_t fault_size);
/* Whether the message at hand has appended any. */
static inline bool events_were_appended(const entity_t *entity)
{
    return entity->events && entity->events->applied && entity->events->count > 0;
}
/* Whether a message that ends now is to bring a snapshot. */
static inline bool events_snapshot_is_due(const entity_t *entity, const type_entry_t *entry)
{
    const entity_events_t *events = entity->events;
    return entry->snapshot_every > 0 &&
           events->sequence - events->snapshot >= entry->snapshot_every;
}
/* The bytes that a result has for its reply, its events and a snapshot: those of a record of the
 * home's (JOURNAL_RECORD_BYTES_MAX), less what names the message and its entity. */
#define EVENTS_RECORD_BYTES ((4u << 20) - (64u << 10) - (4u << 10))
/* The result with what was appended, and a snapshot of the state as it is now, if there is one. Its
 * events are valid until the next call. */
message_result_events_t events_result(entity_table_t *table, const entity_t *entity,
                                      const message_result_t *result, uint32_t version,
                                      fabric_bytes_t snapshot);
/* The message at hand has ended with these. */
void events_accept(entity_t *entity);
/* The same of a snapshot. */
void events_note_snapshot(entity_t *entity);

/* Frees what the executor has used for all of them. */
void events_buffers_free(entity_table_t *table);

#endif
