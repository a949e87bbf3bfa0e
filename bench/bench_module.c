/* The entity types of the benchmark. Bench answers an ask with its payload and a new checksum,
 * accepts a tell, and never completes a hold. Those with persisted state do the same, but for
 * holds, and each of their messages changes the state. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <fabric/worker.h>

#include "bench/states.h"

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

/* ---- persisted state ---- */

/* Whether an instance of this type has memory for states of that size; false with a defect. */
static bool holds_states(fabric_context_t *context, uint32_t state_bytes)
{
    fabric_bytes_t type = fabric_bytes_of(bench_state_types[bench_class(state_bytes)]);
    if (state_bytes < BENCH_STATE_BYTES_MIN || state_bytes > BENCH_SIZE_BYTES_MAX ||
        !fabric_bytes_equal(fabric_context_type(context), type)) {
        (void)fabric_defect(context, "this type has no states of %u bytes", state_bytes);
        return false;
    }
    return true;
}

static fabric_result_t ask_change(fabric_context_t *context, void *state, const void *request,
                                  void *reply)
{
    const bench_body_t *asked = request;
    if (!holds_states(context, asked->state_bytes) ||
        ask(context, state, request, reply) != FABRIC_REPLY) {
        return FABRIC_DEFECT;
    }
    bench_state_change(state, asked);
    return FABRIC_REPLY;
}

static fabric_result_t tell_change(fabric_context_t *context, void *state, const void *request,
                                   void *reply)
{
    const bench_body_t *told = request;
    if (!holds_states(context, told->state_bytes) ||
        tell(context, state, request, reply) != FABRIC_REPLY) {
        return FABRIC_DEFECT;
    }
    bench_state_change(state, told);
    return FABRIC_REPLY;
}

/* ---- holds ---- */

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
        {&bench_messages[class][BENCH_ASK_EARLY], ask},                                            \
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

#define CHANGES(class)                                                                             \
    {&bench_messages[class][BENCH_ASK_CHANGE], ask_change},                                        \
    {                                                                                              \
        &bench_messages[class][BENCH_TELL_CHANGE], tell_change                                     \
    }

static const fabric_handler_t change_handlers[] = {CHANGES(0), CHANGES(1), CHANGES(2)};

#define STATE_TYPE(bytes)                                                                          \
    static const fabric_entity_type_t state_type_##bytes = {                                       \
        .name = "BenchState" #bytes,                                                               \
        .state_size = offsetof(bench_state_t, data) + (bytes),                                     \
        .handlers = change_handlers,                                                               \
        .handler_count = sizeof change_handlers / sizeof change_handlers[0],                       \
        .mailbox_capacity = 65536,                                                                 \
        .state = &bench_state_schema_##bytes,                                                      \
        .persisted = true,                                                                         \
    }

STATE_TYPE(256);
STATE_TYPE(4096);
STATE_TYPE(65536);

FABRIC_MODULE(&bench_type, &state_type_256, &state_type_4096, &state_type_65536);
