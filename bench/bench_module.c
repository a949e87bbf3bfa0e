/* The entity type Bench: answers an ask with its payload and a new checksum, accepts a tell, and
 * never completes a hold. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <fabric/worker.h>

#include "bench/messages.h"

/* What an entity remembers. */
typedef struct bench_entity {
    uint64_t sequence; /* of the last durable message that it handled; 0: none */
} bench_entity_t;

/* The first message that came too late. It is refused each time, until it is a dead letter. */
static _Atomic uint64_t misplaced;
/* Of the fencing tokens seen so far. */
static _Atomic uint64_t highest_epoch;

/* Adds a line to the file of deliveries where this one comes from a new home. */
static void note_home(const fabric_context_t *context)
{
    uint64_t epoch = fabric_context_token(context).home_epoch;
    uint64_t before = atomic_load_explicit(&highest_epoch, memory_order_relaxed);
    if (epoch <= before || !atomic_compare_exchange_strong(&highest_epoch, &before, epoch)) {
        return;
    }
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const char *path = getenv(BENCH_DELIVERIES);
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%llu %lld%06ld\n", (unsigned long long)epoch, (long long)now.tv_sec,
                now.tv_nsec / 1000);
        fclose(file);
    }
}

/* Whether a durable message comes after all earlier ones of its load. One that is delivered again
 * may have been handled before others. */
static bool is_in_order(const fabric_context_t *context, bench_entity_t *entity,
                        const bench_body_t *body)
{
    if (body->sequence == atomic_load_explicit(&misplaced, memory_order_relaxed)) {
        return false;
    }
    if (fabric_context_delivery(context) == 1 &&
        bench_same_load(entity->sequence, body->sequence) && body->sequence <= entity->sequence) {
        uint64_t none = 0;
        (void)atomic_compare_exchange_strong(&misplaced, &none, body->sequence);
        return false;
    }
    entity->sequence = body->sequence;
    return true;
}

/* Whether a message arrived whole and in its turn; false with a defect. */
static bool accept(fabric_context_t *context, void *state, const bench_body_t *body)
{
    note_home(context);
    if (!bench_is_sound(body)) {
        (void)fabric_defect(context, "the payload of sequence %llu arrived damaged",
                            (unsigned long long)body->sequence);
        return false;
    }
    if (fabric_context_is_durable(context) && !is_in_order(context, state, body)) {
        (void)fabric_defect(context, "sequence %llu arrived after a later one",
                            (unsigned long long)body->sequence);
        return false;
    }
    return true;
}

static fabric_result_t ask(fabric_context_t *context, void *state, const void *request, void *reply)
{
    const bench_body_t *asked = request;
    bench_body_t *answer = reply;
    if (!accept(context, state, asked)) {
        return FABRIC_DEFECT;
    }
    answer->sequence = bench_answer(asked->sequence);
    answer->size = asked->size;
    memcpy(answer->data, asked->data, asked->size);
    bench_seal(answer);
    return FABRIC_REPLY;
}

static fabric_result_t tell(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)reply;
    return accept(context, state, request) ? FABRIC_REPLY : FABRIC_DEFECT;
}

/* Keeps its entity busy until the worker ends. */
static fabric_result_t hold(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    (void)fabric_later(context);
    return FABRIC_PENDING;
}

#define HANDLERS(class)                                                                            \
    {&bench_messages[class][BENCH_ASK_DURABLE], ask},                                              \
        {&bench_messages[class][BENCH_ASK_VOLATILE], ask},                                         \
        {&bench_messages[class][BENCH_TELL_DURABLE], tell},                                        \
        {&bench_messages[class][BENCH_TELL_VOLATILE], tell},                                       \
    {                                                                                              \
        &bench_messages[class][BENCH_HOLD_DURABLE], hold                                           \
    }

static const fabric_handler_t handlers[] = {HANDLERS(0), HANDLERS(1), HANDLERS(2)};

static const fabric_entity_type_t bench_type = {
    .name = BENCH_TYPE,
    .state_size = sizeof(bench_entity_t),
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
    /* all volatile calls of the load may be for one entity */
    .mailbox_capacity = 65536,
};

FABRIC_MODULE(&bench_type);
