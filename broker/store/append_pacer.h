/* When the next append begins: pure, in microseconds of a monotonic clock.
 *
 * An append that begins with the first record that waits carries little: the calls of a client with
 * 64 in flight would spread over many appends. So an append waits until as many records wait as the
 * last one had, for at most the shorter of APPEND_HOLD_US_MAX and that append's duration. One
 * record after another is never held. Nor is the first record after a pause.
 *
 * A message that was delivered early (router.h, router_early) may get its result while it is being
 * appended, and the result then waits for the next append. So where nothing else is to be appended,
 * an append waits for such results: for APPEND_HOLD_US_MAX at most, which costs a lone call
 * nothing, since it needs an append after its result in any case; but where a result is there
 * already, no longer than the last append took. Where results have come too late, several next
 * appends do not wait for any.
 *
 * Source of the idea: MariaDB's binlog_commit_wait_count and binlog_commit_wait_usec, here without
 * numbers to tune.
 *
 * Threading: belongs to one thread.
 */
#ifndef BROKER_STORE_APPEND_PACER_H
#define BROKER_STORE_APPEND_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define APPEND_HOLD_US_MAX UINT64_C(2000)

/* Zeroed: nothing was appended yet. */
typedef struct append_pacer {
    size_t records;    /* of the last append */
    uint64_t began_us; /* when the last append began */
    uint64_t hold_us;  /* for the next one */
    uint64_t ended_us; /* when the last append ended */
    uint64_t since_us; /* since when records wait; 0: none do, as far as is known */
    uint64_t await_us; /* since when results are waited for; 0: they are not */
    bool await_over;   /* no result is waited for any more before the next append */
    uint32_t late;     /* times in a row that results have come too late */
    uint32_t skip;     /* appends that wait for no results */
} append_pacer_t;

/* An append begins. */
void append_pacer_begin(append_pacer_t *pacer, size_t records, uint64_t now_us);
/* It is over. */
void append_pacer_end(append_pacer_t *pacer, uint64_t now_us);
/* So many records (not 0) wait, and no append runs. 0: the next append begins now; else so many
 * microseconds later, or as soon as enough records wait. */
uint64_t append_pacer_hold(append_pacer_t *pacer, size_t waiting, uint64_t now_us);
/* The same where nothing but messages that were delivered early waits, with so many results, and
 * others are under way. */
uint64_t append_pacer_await(append_pacer_t *pacer, size_t results, uint64_t now_us);

#endif
