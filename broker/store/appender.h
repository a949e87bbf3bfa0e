/* An appender: makes durable what the router decides in some of its lanes. It encodes the batches
 * of several lanes into entries and writes them in one statement, each to the end of its lane's
 * journal.
 *
 * An append comes back only when the outcome is certain for each of its lanes:
 *   inserted            durable
 *   STORE_REJECTED      a number is taken, and nothing was written: the appender reads the entries
 *                       with these numbers. Its own entry (incarnation, checksum) landed before.
 *                       Another's is the entry of a successor: that lane is fenced. What is left
 *                       runs again
 *   FENCED              the anchor is not there, and nothing was written: all lanes are checked,
 *                       then the statement runs again
 *   STORE_BUSY          the identical statement again, a bounded number of times with jitter
 *   STORE_UNAVAILABLE,  on a new connection all lanes are checked, then the identical statement
 *   STORE_UNKNOWN       runs again: it inserts, or meets its own entries, or those of a successor
 * Until then these lanes append nothing else. Only world.stopping ends that waiting.
 *
 * A check, which the shell also orders now and then while there are appends, reads each lane's
 * entries from the last checked one on, and after them the lane's epoch. A larger epoch or another
 * holder means: fenced. A smaller epoch, or an own entry that is missing, means that the database
 * has lost commits, unless that entry may have been purged: it lies below the checkpoint and not
 * above the purged mark.
 *
 * The fence is the journal's key: a successor's first entry has the number that this writer would
 * write next. Checks only tell a writer early, and find lost commits.
 *
 * The anchor keeps an append out of an older copy of the database that was put back meanwhile: the
 * statement is bound to an entry of the append before it. A copy is the database as of one commit,
 * and a writer's commits follow one another, so a copy with the anchor has all that this appender
 * has written. What came in other ways, the first entries of lanes that have begun since, is
 * checked before the next append and after it.
 *
 * An append that begins at once after the last one is not bound, since the anchor costs the
 * database as much as a small entry. When such an append is over, and the last one had begun
 * APPENDER_PUT_BACK_MS ago or earlier, then a copy may have been put back in between: all lanes are
 * checked, and only then is the append told. So a copy that takes that long to be put back is
 * noticed before anything that follows is told as durable. One that is put back faster is noticed
 * by the next check or by the append after it: that append is bound, and the check reads all lanes
 * that have appended since it was made.
 *
 * Threading: belongs to one thread at a time.
 */
#ifndef BROKER_STORE_APPENDER_H
#define BROKER_STORE_APPENDER_H

#include "broker/lane_batch.h"
#include "broker/store/connection.h"
#include "core/limits.h"

#define APPENDER_PUT_BACK_MS 6u

/* One lane's part of an append. */
typedef struct append_part {
    uint32_t lane;
    const lane_batch_t *batch; /* borrowed until the append is over */

    bool fenced;     /* another broker has the lane, and knows what became of the batch */
    uint64_t number; /* else: its entry, */
    uint64_t bytes;  /* and the size of calls and body */
} append_part_t;

typedef struct appender appender_t;

appender_t *appender_new(const connection_config_t *config, const store_world_t *world);
void appender_destroy(appender_t **appender);

/* Connects once. What store_open answers. */
FABRIC_MUST_USE fabric_error_t appender_open(appender_t *appender, reason_t *reason);

/* The lane is adopted: the holder's first entry has this number, and so many bytes come with it and
 * before it. Replaces what the appender knew of the lane. */
void appender_begin(appender_t *appender, const store_hold_t *hold, uint64_t number,
                    uint64_t log_bytes);

/* The lane is dropped, if it is held under this epoch. */
void appender_end(appender_t *appender, uint32_t lane, uint64_t epoch);

/* Appends the batches. OK: each part has its verdict. A lane that has not begun under the batch's
 * epoch is fenced.
 * STORE_LOST: stop, loudly. SHUTTING_DOWN: told to stop before all outcomes were certain. */
FABRIC_MUST_USE fabric_error_t appender_append(appender_t *appender, append_part_t *parts,
                                               size_t count);
/* Checks all lanes that have appended since the last check. OK, STORE_LOST, SHUTTING_DOWN. */
FABRIC_MUST_USE fabric_error_t appender_check(appender_t *appender);
/* Which commits are lost, after STORE_LOST. */
const char *appender_lost(const appender_t *appender);
/* The next lane that a check found fenced, with its epoch; false: there is none. */
bool appender_next_fenced(appender_t *appender, store_hold_t *hold);

#endif
