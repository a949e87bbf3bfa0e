/* Clients that ask for more than a broker can do, for a minute of the session's own clock. The
 * model of the broker has a bounded number of pending calls, also for each entity, and some
 * executors. The broker is used to its capacity, refuses little of the traffic, and is shared by
 * the clients. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "tests/unit/session_driver.h"

enum {
    CLIENTS_MAX = 16,
    ENTITIES = 64,
    EXECUTORS = 4,
    WORK_MS = 8,
    CAPACITY_PER_S = EXECUTORS * 1000 / WORK_MS,
    FACTOR = 3,
    PENDING_MAX = 500,
    ENTITY_PENDING_MAX = 10,
    CALL_MS = 4000,
    OVERLOAD_MS = 60000,
    SEQUENCES_MAX = OVERLOAD_MS / 1000 * CAPACITY_PER_S * FACTOR + 1000,
    RETRY_MS = 50
};

typedef struct job {
    size_t client;
    uint64_t sequence;
} job_t;

/* An entity's mailbox, a ring. It is in `ready` while it holds calls and no executor works on
 * it. */
typedef struct mailbox {
    job_t jobs[ENTITY_PENDING_MAX];
    size_t first, count;
} mailbox_t;

typedef struct executor {
    int entity; /* -1: idle */
    uint64_t until_ms;
} executor_t;

typedef struct client {
    session_driver_t *d;
    bool known[SEQUENCES_MAX]; /* by sequence: accepted by the broker */
    uint64_t started, done, busy, full, other;
} client_t;

typedef struct world {
    client_t clients[CLIENTS_MAX];
    size_t client_count;
    bool tell; /* calls end when they are accepted */
    size_t turn;
    seen_message_t seen[SEEN_MAX];
    mailbox_t mailboxes[ENTITIES];
    int ready[ENTITIES]; /* a ring */
    size_t ready_first, ready_count;
    executor_t executors[EXECUTORS];
    size_t pending;
    uint64_t accepted, refused, handled;
} world_t;

/* ---- the broker ---- */

static void make_ready(world_t *w, int entity)
{
    w->ready[(w->ready_first + w->ready_count++) % ENTITIES] = entity;
}

static bool is_running(const world_t *w, int entity)
{
    for (size_t i = 0; i < EXECUTORS; i++) {
        if (w->executors[i].entity == entity) {
            return true;
        }
    }
    return false;
}

static fabric_error_t check(const world_t *w, const client_t *client,
                            const message_request_t *request, const mailbox_t *mailbox)
{
    if (request->predecessor != 0 && !client->known[request->predecessor]) {
        return FABRIC_ERROR_PREDECESSOR_MISSING;
    }
    if (w->pending >= PENDING_MAX) {
        return FABRIC_ERROR_BUSY;
    }
    return mailbox->count < ENTITY_PENDING_MAX ? FABRIC_OK : FABRIC_ERROR_MAILBOX_FULL;
}

static void arrive(world_t *w, size_t index, const message_request_t *request, int entity)
{
    client_t *client = &w->clients[index];
    mailbox_t *mailbox = &w->mailboxes[entity];
    fabric_error_t error = check(w, client, request, mailbox);
    if (error) {
        uint64_t retry_ms = error == FABRIC_ERROR_PREDECESSOR_MISSING ? 0 : RETRY_MS;
        w->refused++;
        script_reject(client->d, 0, request->sequence, error, retry_ms);
        return;
    }
    client->known[request->sequence] = true;
    w->accepted++;
    w->pending++;
    mailbox->jobs[(mailbox->first + mailbox->count++) % ENTITY_PENDING_MAX] =
        (job_t){index, request->sequence};
    if (mailbox->count == 1 && !is_running(w, entity)) {
        make_ready(w, entity);
    }
    if (w->tell) {
        script_accepted(client->d, 0, request->sequence, request->sequence);
    }
}

static void end_job(world_t *w, executor_t *executor)
{
    int entity = executor->entity;
    mailbox_t *mailbox = &w->mailboxes[entity];
    job_t job = mailbox->jobs[mailbox->first];
    mailbox->first = (mailbox->first + 1) % ENTITY_PENDING_MAX;
    mailbox->count--;
    w->pending--;
    executor->entity = -1;
    if (mailbox->count > 0) {
        make_ready(w, entity);
    }
    w->handled++;
    if (!w->tell) {
        script_reply(w->clients[job.client].d, 0, job.sequence, job.sequence);
    }
}

static void run_executors(world_t *w, uint64_t now_ms)
{
    for (size_t i = 0; i < EXECUTORS; i++) {
        executor_t *executor = &w->executors[i];
        if (executor->entity >= 0 && now_ms >= executor->until_ms) {
            end_job(w, executor);
        }
        if (executor->entity < 0 && w->ready_count > 0) {
            executor->entity = w->ready[w->ready_first];
            executor->until_ms = now_ms + WORK_MS;
            w->ready_first = (w->ready_first + 1) % ENTITIES;
            w->ready_count--;
        }
    }
}

/* ---- the clients ---- */

static void start_call(client_t *client, bool tell)
{
    static char ids[ENTITIES][8]; /* the calls borrow them */
    unsigned entity = (unsigned)(client->started++ % ENTITIES);
    snprintf(ids[entity], sizeof ids[entity], "%u", entity);
    (void)script_call(client->d, ids[entity], REQUEST_DURABLE | (tell ? REQUEST_TELL : 0), CALL_MS);
}

static void collect(client_t *client)
{
    call_t *call;
    while ((call = session_next_done(client->d->session))) {
        client->done += call->error == FABRIC_OK;
        client->busy += call->error == FABRIC_ERROR_BUSY;
        client->full += call->error == FABRIC_ERROR_MAILBOX_FULL;
        client->other += call->error != FABRIC_OK && call->error != FABRIC_ERROR_BUSY &&
                         call->error != FABRIC_ERROR_MAILBOX_FULL;
        call_destroy(&call);
    }
}

/* A millisecond: the clients' frames arrive, then the calls that the executors have handled are
 * answered. */
static void step(world_t *w)
{
    w->turn++;
    for (size_t n = 0; n < w->client_count; n++) {
        size_t i = (w->turn + n) % w->client_count; /* each client is the first one in its turn */
        session_driver_t *d = w->clients[i].d;
        script_pong(d, 0, 1, 1);
        script_advance(d, 1);
        while (script_pull_requests(d, 0) > 0) {
            size_t count = d->seen_count;
            memcpy(w->seen, d->seen, count * sizeof *w->seen); /* answers overwrite them */
            for (size_t k = 0; k < count; k++) {
                const message_request_t *request = &w->seen[k].request;
                arrive(w, i, request, (int)((request->sequence - 1) % ENTITIES));
            }
        }
        collect(&w->clients[i]);
    }
    run_executors(w, w->clients[0].d->now_ms);
}

static world_t *world_new(size_t clients)
{
    world_t *w = (world_t *)calloc(1, sizeof *w);
    assert_non_null(w);
    w->client_count = clients;
    for (size_t i = 0; i < clients; i++) {
        w->clients[i].d = session_driver_new_with(LIMIT_PENDING_CALLS_MAX);
        script_join(w->clients[i].d, 0, 0);
    }
    for (size_t i = 0; i < EXECUTORS; i++) {
        w->executors[i].entity = -1;
    }
    return w;
}

static void world_destroy(world_t *w)
{
    for (size_t i = 0; i < w->client_count; i++) {
        session_driver_destroy(&w->clients[i].d);
    }
    free(w);
}

/* Load of so many times the capacity, shared evenly by the first clients. */
static void run(world_t *w, uint32_t ms, double factor, size_t clients)
{
    double due = 0;
    size_t turn = 0;
    for (uint32_t t = 0; t < ms; t++) {
        due += factor * CAPACITY_PER_S / 1000;
        for (; due >= 1; due--) {
            start_call(&w->clients[turn++ % clients], w->tell);
        }
        step(w);
    }
}

static void report(const world_t *w)
{
    for (size_t i = 0; i < w->client_count; i++) {
        const client_t *c = &w->clients[i];
        print_message("client %u: %u started, %u done, %u busy, %u full, %u otherwise\n",
                      (unsigned)i, (unsigned)c->started, (unsigned)c->done, (unsigned)c->busy,
                      (unsigned)c->full, (unsigned)c->other);
    }
    print_message("%u sends accepted, %u refused\n", (unsigned)w->accepted, (unsigned)w->refused);
}

/* ---- tests ---- */

static uint64_t capacity(uint32_t ms)
{
    return (uint64_t)CAPACITY_PER_S * ms / 1000;
}

static void a_minute_of_overload(void **state)
{
    (void)state;
    world_t *w = world_new(1);
    run(w, OVERLOAD_MS, FACTOR, 1);
    report(w);
    assert_true(w->handled >= capacity(OVERLOAD_MS) * 95 / 100);
    assert_true(w->refused <= w->accepted / 2); /* each refusal costs the broker, too */
    assert_int_equal(w->clients[0].other, 0);
    assert_true(w->clients[0].busy + w->clients[0].full > 0);
    world_destroy(w);
}

static void normal_again_after_it(void **state)
{
    (void)state;
    world_t *w = world_new(1);
    run(w, 10000, FACTOR, 1);
    for (uint32_t ms = 0; session_open_calls(w->clients[0].d->session) > 0; ms++) {
        assert_true(ms < CALL_MS);
        step(w);
    }
    uint64_t refused = w->refused;
    uint64_t started = w->clients[0].started;
    uint64_t done = w->handled;
    run(w, 10000, 0.8, 1);
    assert_int_equal(w->refused, refused);
    assert_in_range(w->clients[0].started - started - (w->handled - done), 0, PENDING_MAX / 2);
    world_destroy(w);
}

static void clients_share(void **state)
{
    (void)state;
    world_t *w = world_new(CLIENTS_MAX);
    run(w, OVERLOAD_MS, FACTOR, CLIENTS_MAX);
    report(w);
    assert_true(w->handled >= capacity(OVERLOAD_MS) * 95 / 100);
    assert_true(w->refused <= 2 * w->accepted); /* each client knows little about the others */
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        assert_true(w->clients[i].done >= capacity(OVERLOAD_MS) / CLIENTS_MAX / 2);
    }
    world_destroy(w);
}

/* A client that comes when another one uses all of the capacity gets its share. */
static void a_latecomer_gets_capacity(void **state)
{
    (void)state;
    enum { BEFORE_MS = 10000, BOTH_MS = 30000 };
    world_t *w = world_new(2);
    run(w, BEFORE_MS, FACTOR, 1);
    run(w, BOTH_MS, FACTOR, 2);
    report(w);
    assert_true(w->clients[1].done >= capacity(BOTH_MS) / 2 / 4);
    world_destroy(w);
}

/* A tell ends when it is accepted, which does not say when it is handled and its place is free. */
static void tells(void **state)
{
    (void)state;
    world_t *w = world_new(1);
    w->tell = true;
    run(w, OVERLOAD_MS, FACTOR, 1);
    report(w);
    assert_true(w->handled >= capacity(OVERLOAD_MS) * 95 / 100);
    assert_true(w->refused <= 2 * w->accepted);
    world_destroy(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minute_of_overload),
        cmocka_unit_test(normal_again_after_it),
        cmocka_unit_test(clients_share),
        cmocka_unit_test(a_latecomer_gets_capacity),
        cmocka_unit_test(tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
