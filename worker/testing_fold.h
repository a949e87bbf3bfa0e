/* The fold of events beside an instance, of an entity that is tested alone: whether the instance
 * has a state that its events do not make.
 */
#ifndef WORKER_TESTING_FOLD_H
#define WORKER_TESTING_FOLD_H

#include "core/journal/events.h"
#include "worker/type_table.h"

typedef struct testing_fold {
    const type_table_t *types;
    const type_entry_t *type;
    const char *id;
    journal_events_t events; /* all of the entity's */
    uint64_t now_ms;
} testing_fold_t;

/* Builds another instance, of all events and no snapshot, and compares the two states as far as the
 * schema of the type's state goes; without one there is nothing to compare. false: they differ, and
 * `text` says how the message with that tag has left the state. */
FABRIC_MUST_USE bool testing_fold_agrees(const testing_fold_t *fold, const void *state,
                                         const char *tag, char *text, size_t size);

#endif
