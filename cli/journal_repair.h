/* Repairing journals whose damage stops the adoption of a lane: an entry whose index cannot be
 * read, or one that is missing. Such an entry is replaced by one with the records that can still be
 * read, or without any, after which the lane can be adopted.
 *
 * Calls of what is lost must never be taken for new ones. So each replacement raises the lane's
 * purged mark: whoever asks for such an old call hears that its outcome is unknown.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_JOURNAL_REPAIR_H
#define CLI_JOURNAL_REPAIR_H

#include <stdio.h>

#include "core/journal/entry.h"

/* Examines all entries above the checkpoints, and prints one line for each that must be replaced,
 * with what is lost. With `really` set it then replaces them: FENCED where a broker holds the lane.
 * WRONG_SCHEMA_VERSION: a newer release wrote an entry, and has to read it. */
FABRIC_MUST_USE fabric_error_t journal_repair(store_t *store, bool really, FILE *file,
                                              reason_t *reason);

#endif
