/* A crowd of clients in threads: see purse_crowd.h. */
#include "tests/harness/purse_crowd.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/memory.h"
#include "tests/harness/purse_state.h"

enum { ID_SIZE = 24, SETTLE_MS = 30000, END_MAX_MS = 180000, AMOUNT_MAX = 9 };

/* What one call has put in, and what the purse held with it. */
typedef struct put {
    uint32_t purse;
    int64_t amount, after;
} put_t;

typedef struct member {
    purse_crowd_t *crowd;
    unsigned number;
    pthread_t thread;
    fabric_client_t *client;
    put_t *puts;
    size_t count, capacity;
    purse_crowd_counts_t counts;
    char failure[300]; /* empty: none */
} member_t;

struct purse_crowd {
    atomic_bool ending, abandoned;
    atomic_uint running;
    bool joined;
    uint32_t timeout_ms;
    unsigned count;
    member_t *members;
};

static void make_id(uint32_t number, char id[ID_SIZE])
{
    snprintf(id, ID_SIZE, "purse-%" PRIu32, number);
}

/* ---- one client ---- */

static void keep(member_t *member, put_t put)
{
    member->puts =
        memory_reserve(member->puts, member->count + 1, &member->capacity, sizeof *member->puts);
    member->puts[member->count++] = put;
}

static fabric_error_class_t send_put(member_t *member, const put_t *put, fabric_call_key_t *key,
                                     purse_content_t *content)
{
    char id[ID_SIZE];
    fabric_outcome_t outcome;
    const purse_amount_t amount = {put->amount};
    bool ending = atomic_load(&member->crowd->ending);
    make_id(put->purse, id);
    const fabric_call_t call = {.entity = fabric_entity(PURSE_TYPE, id),
                                .message = &purse_put,
                                .request = &amount,
                                .timeout_ms = ending ? SETTLE_MS : member->crowd->timeout_ms,
                                .key = *key};
    fabric_error_t error = fabric_client_call(member->client, &call, content, NULL, NULL, &outcome);
    fabric_error_class_t class = fabric_error_class(error);
    if (class == FABRIC_CLASS_UNKNOWN) {
        *key = outcome.key;
    }
    if (error && class != FABRIC_CLASS_UNKNOWN && class != FABRIC_CLASS_RETRY) {
        snprintf(member->failure, sizeof member->failure, "%s: %s: %.200s", id,
                 fabric_error_name(error), outcome.text);
    }
    return class;
}

/* Until its end is known. A call of which nothing was ever accepted is given up. */
static void put_one(member_t *member, put_t put)
{
    fabric_call_key_t key = {0};
    purse_content_t content;
    bool unknown = false;
    while (!member->failure[0] && !atomic_load(&member->crowd->abandoned)) {
        switch (send_put(member, &put, &key, &content)) {
        case FABRIC_CLASS_OK:
            put.after = content.amount;
            keep(member, put);
            member->counts.calls++;
            member->counts.settled += unknown;
            return;
        case FABRIC_CLASS_UNKNOWN:
            member->counts.unknown++;
            unknown = true;
            break;
        case FABRIC_CLASS_RETRY:
            member->counts.refused++;
            if (!unknown) {
                return;
            }
            break;
        case FABRIC_CLASS_REJECTED:
        case FABRIC_CLASS_FAILURE:
        case FABRIC_CLASS_FENCED:
        case FABRIC_CLASS_USAGE:
        case FABRIC_CLASS_FATAL:
            return;
        }
    }
}

static void *run(void *argument)
{
    member_t *member = argument;
    for (uint32_t i = 0; !atomic_load(&member->crowd->ending) && !member->failure[0]; i++) {
        put_one(member, (put_t){.purse = (member->number + i) % PURSE_CROWD_PURSES,
                                .amount = 1 + (member->number + i) % AMOUNT_MAX});
    }
    atomic_fetch_sub(&member->crowd->running, 1);
    return NULL;
}

/* ---- all of them ---- */

purse_crowd_t *purse_crowd_start(testbed_t *bed, unsigned clients, uint32_t timeout_ms)
{
    purse_crowd_t *crowd = memory_allocate_zeroed(1, sizeof *crowd);
    crowd->members = memory_allocate_zeroed(clients, sizeof *crowd->members);
    crowd->timeout_ms = timeout_ms;
    bed->at_end = purse_crowd_destroy;
    bed->at_end_context = crowd;
    for (unsigned i = 0; i < clients; i++) {
        member_t *member = &crowd->members[i];
        fabric_outcome_t outcome;
        *member = (member_t){.crowd = crowd, .number = i};
        if (fabric_client_open(bed->cluster.urls, NULL, &member->client, &outcome)) {
            fail_msg("client %u: %s", i, outcome.text);
        }
        atomic_fetch_add(&crowd->running, 1);
        crowd->count++;
        if (pthread_create(&member->thread, NULL, run, member)) {
            crowd->count--;
            fabric_client_close(&member->client);
            fail_msg("client %u: no thread", i);
        }
    }
    return crowd;
}

static bool has_ended(purse_crowd_t *crowd)
{
    return atomic_load(&crowd->running) == 0;
}

static void join(purse_crowd_t *crowd)
{
    atomic_store(&crowd->ending, true);
    for (unsigned i = 0; i < crowd->count && !crowd->joined; i++) {
        (void)pthread_join(crowd->members[i].thread, NULL);
    }
    crowd->joined = true;
}

purse_crowd_counts_t purse_crowd_end(purse_crowd_t *crowd)
{
    purse_crowd_counts_t sum = {0};
    uint64_t deadline_ms = clock_monotonic_ms() + END_MAX_MS;
    atomic_store(&crowd->ending, true);
    while (!has_ended(crowd)) {
        testbed_poll(deadline_ms, "the ends of all calls");
    }
    join(crowd);
    for (unsigned i = 0; i < crowd->count; i++) {
        const member_t *member = &crowd->members[i];
        if (member->failure[0]) {
            fail_msg("client %u: %s", i, member->failure);
        }
        sum.calls += member->counts.calls;
        sum.refused += member->counts.refused;
        sum.unknown += member->counts.unknown;
        sum.settled += member->counts.settled;
    }
    return sum;
}

void purse_crowd_destroy(void *crowd)
{
    purse_crowd_t *self = crowd;
    atomic_store(&self->abandoned, true);
    join(self);
    for (unsigned i = 0; i < self->count; i++) {
        fabric_client_close(&self->members[i].client);
        free(self->members[i].puts);
    }
    free(self->members);
    free(self);
}

/* ---- the verdict ---- */

static int compare_puts(const void *a, const void *b)
{
    const put_t *left = a;
    const put_t *right = b;
    if (left->purse != right->purse) {
        return left->purse < right->purse ? -1 : 1;
    }
    return (left->after > right->after) - (left->after < right->after);
}

static put_t *collect(const purse_crowd_t *crowd, size_t *count)
{
    *count = 0;
    for (unsigned i = 0; i < crowd->count; i++) {
        *count += crowd->members[i].count;
    }
    put_t *puts = memory_allocate_zeroed(*count + 1, sizeof *puts);
    size_t at = 0;
    for (unsigned i = 0; i < crowd->count; i++) {
        const member_t *member = &crowd->members[i];
        if (member->count > 0) {
            memcpy(puts + at, member->puts, member->count * sizeof *puts);
            at += member->count;
        }
    }
    qsort(puts, *count, sizeof *puts, compare_puts);
    return puts;
}

/* Sums up the purses' replies. Whether each says what was there before, and its own amount. */
static bool is_one_chain(const purse_crowd_t *crowd, int64_t sums[PURSE_CROWD_PURSES], char *fault,
                         size_t fault_size)
{
    size_t count;
    put_t *puts = collect(crowd, &count);
    bool chain = true;
    for (size_t i = 0; i < count && chain; i++) {
        int64_t *sum = &sums[puts[i].purse];
        chain = puts[i].after == *sum + puts[i].amount;
        if (!chain) {
            snprintf(fault, fault_size,
                     "purse-%" PRIu32 ": %" PRId64 " was put to %" PRId64
                     ", and the reply says %" PRId64,
                     puts[i].purse, puts[i].amount, *sum, puts[i].after);
        }
        *sum = puts[i].after;
    }
    free(puts);
    return chain;
}

void purse_crowd_check(purse_crowd_t *crowd, testbed_t *bed)
{
    int64_t sums[PURSE_CROWD_PURSES] = {0};
    char fault[200];
    if (!is_one_chain(crowd, sums, fault, sizeof fault)) {
        fail_msg("%s", fault);
    }
    for (uint32_t i = 0; i < PURSE_CROWD_PURSES; i++) {
        char id[ID_SIZE];
        purse_content_t content = {0};
        fabric_outcome_t outcome;
        make_id(i, id);
        const fabric_call_t call = {.entity = fabric_entity(PURSE_TYPE, id),
                                    .message = &purse_put, /* a volatile one needs an owner */
                                    .request = &(purse_amount_t){0},
                                    .timeout_ms = END_MAX_MS};
        if (fabric_client_call(bed->client, &call, &content, NULL, NULL, &outcome)) {
            fail_msg("%s: %s", id, outcome.text);
        }
        if (content.amount != sums[i] || sums[i] == 0) {
            fail_msg("%s holds %" PRId64 ", and its replies say %" PRId64, id, content.amount,
                     sums[i]);
        }
        purse_state_expect(bed, id, sums[i]);
    }
}
