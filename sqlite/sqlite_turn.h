/* Turns of writing to one file. SQLite lets one connection write at a time, and lets the others
 * poll for their chance; the connections of this process queue instead, so that each is woken when
 * its turn comes, and the one that waits longest is next.
 *
 * Connections of other processes (fabricctl) still meet SQLite's own lock.
 *
 * Threading: any thread; a connection's place belongs to the thread that uses the connection.
 */
#ifndef SQLITE_SQLITE_TURN_H
#define SQLITE_SQLITE_TURN_H

#include <stdbool.h>
#include <stdint.h>

/* The queue of one file, shared by all its connections. */
typedef struct sqlite_turns sqlite_turns_t;

/* A connection's place in the queue. */
typedef struct sqlite_turn {
    sqlite_turns_t *turns;
    struct sqlite_turn *next; /* who waits behind it */
    bool queued;
} sqlite_turn_t;

/* Finds or makes the queue of the file at `path`, which must exist. */
void sqlite_turn_open(sqlite_turn_t *turn, const char *path);
/* Gives back the turn, if the connection has it, and forgets the queue with its last connection. */
void sqlite_turn_close(sqlite_turn_t *turn);

/* Waits for the connection's turn until a time of clock_monotonic_ms. False: not by then. */
bool sqlite_turn_take(sqlite_turn_t *turn, uint64_t deadline_ms);
/* Lets the next one go on. Harmless without a turn. */
void sqlite_turn_give(sqlite_turn_t *turn);

#endif
