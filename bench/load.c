/* The load's loop: see load.h. */
#include "bench/load.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench/states.h"
#include "core/clock.h"
#include "core/memory.h"
#include "core/random.h"
#include "tests/harness/stop.h"

/* The client ends every call at its own deadline, 30 s by default. */
#define OPEN_CALLS_WAIT_US 60000000
/* How often the loop checks the clock and signals while no call ends. */
#define WAIT_MS 20

typedef struct entity_name {
    char text[20];
} entity_name_t;

/* One call in flight. */
typedef struct slot {
    load_t *load;
    uint64_t started_us;
    uint64_t sequence;
} slot_t;

struct load {
    fabric_client_t *client;
    load_options_t options;
    fabric_message_type_t message;
    fabric_call_t call; /* all but the entity is the same for every call */
    bench_body_t *request;
    bench_body_t *reply;
    payload_t payload; /* of the requests, and so of the replies */
    entity_name_t *names;
    slot_t *slots;
    slot_t **idle; /* a stack */
    uint32_t idle_count;
    uint32_t open;
    bool starting; /* whether ended calls are followed by new ones */
    uint64_t sequence;
    uint64_t random;
    uint64_t end_us; /* when no more calls are started */
    uint64_t calls;  /* after how many no more are started */
    uint64_t now_us; /* of the last end */
    load_result_t result;
};

static bench_body_t *new_body(const load_t *load)
{
    return memory_allocate_zeroed(1, sizeof(bench_body_t) + load->call.message->request->size);
}

static void make_names(load_t *load)
{
    load->names = memory_allocate_zeroed(load->options.entities, sizeof *load->names);
    for (uint32_t i = 0; i < load->options.entities; i++) {
        snprintf(load->names[i].text, sizeof load->names[i].text, "%.8s-%u", load->options.prefix,
                 i);
    }
}

/* Loads draw where their sequences begin, so no two messages have the same one. */
static size_t key_of(const void *request, uint8_t *key, size_t capacity)
{
    const bench_body_t *body = request;
    if (capacity < sizeof body->sequence) {
        return 0;
    }
    memcpy(key, &body->sequence, sizeof body->sequence);
    return sizeof body->sequence;
}

load_t *load_new(fabric_client_t *client, const load_options_t *options)
{
    load_t *load = memory_allocate_zeroed(1, sizeof *load);
    const char *type = bench_type_of(options->kind, options->state_bytes);
    load->client = client;
    load->options = *options;
    load->message = *bench_message(options->kind, options->size);
    load->message.primary_key = options->keyed ? key_of : NULL;
    load->call = (fabric_call_t){
        .entity = {.type = fabric_bytes_of(type)},
        .message = &load->message,
        .tell = !bench_is_ask(options->kind),
        .handled = options->kind == BENCH_TELL_VOLATILE,
    };
    load->request = new_body(load);
    load->reply = new_body(load);
    load->call.request = load->request;
    load->request->size = options->size;
    load->request->state_bytes = options->state_bytes;
    random_bytes(&load->random, sizeof load->random);
    load->sequence = load->random << BENCH_COUNT_BITS;
    payload_init(&load->payload, options->payload, options->size);
    make_names(load);
    load->slots = memory_allocate_zeroed(options->inflight, sizeof *load->slots);
    load->idle = memory_allocate_zeroed(options->inflight, sizeof(slot_t *));
    for (uint32_t i = 0; i < options->inflight; i++) {
        load->slots[i].load = load;
        load->idle[load->idle_count++] = &load->slots[i];
    }
    return load;
}

void load_destroy(load_t **load)
{
    if (!*load) {
        return;
    }
    payload_clear(&(*load)->payload);
    free((*load)->request);
    free((*load)->reply);
    free((*load)->names);
    free((*load)->slots);
    free((*load)->idle);
    free(*load);
    *load = NULL;
}

/* ---- one call ---- */

/* A random entity, 0..entities-1. Multiplying instead of dividing is faster. */
static uint32_t next_entity(load_t *load)
{
    return (uint32_t)((random_next(&load->random) >> 32) * load->options.entities >> 32);
}

static void count_error(load_t *load, fabric_error_t error)
{
    load->result.errors++;
    load->result.errors_by_number[(unsigned)error < LOAD_ERRORS_MAX ? (unsigned)error : 0]++;
}

static bool is_right(load_t *load, const slot_t *slot, fabric_bytes_t payload)
{
    if (load->call.tell) {
        return true;
    }
    bench_body_t *reply = load->reply;
    payload_write(&load->payload, slot->sequence, load->request->data); /* what was asked */
    return fabric_schema_decode(load->call.message->reply, payload, NULL, reply) == FABRIC_OK &&
           reply->sequence == bench_answer(slot->sequence) && reply->size == load->options.size &&
           bench_is_sound(reply) && memcmp(reply->data, load->request->data, reply->size) == 0;
}

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload);

/* Whether the run has started all its calls, or its time is over. */
static bool is_over(const load_t *load, uint64_t now_us)
{
    return load->calls > 0 ? load->result.started >= load->calls : now_us >= load->end_us;
}

/* Starts a call; false when the client does not take it. */
static bool start_call(load_t *load, slot_t *slot)
{
    const entity_name_t *name = &load->names[next_entity(load)];
    load->call.entity.id = fabric_bytes_of(name->text);
    load->request->sequence = ++load->sequence;
    payload_write(&load->payload, load->sequence, load->request->data);
    bench_seal(load->request);
    slot->sequence = load->sequence;
    slot->started_us = clock_monotonic_us();
    load->result.started++;
    fabric_error_t error = fabric_client_start(load->client, &load->call, call_ended, slot, NULL);
    if (error) {
        count_error(load, error);
        return false;
    }
    load->open++;
    return true;
}

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    slot_t *slot = context;
    load_t *load = slot->load;
    uint64_t now_us = clock_monotonic_us();
    bool good = outcome->error == FABRIC_OK;
    load->open--;
    load->now_us = now_us;
    if (!good) {
        count_error(load, outcome->error);
    } else if (!is_right(load, slot, payload)) {
        count_error(load, FABRIC_ERROR_MALFORMED_MESSAGE);
        load->result.wrong++;
        good = false;
    } else {
        load->result.completed++;
        histogram_record(&load->result.latency, now_us - slot->started_us);
    }
    /* After an error the slot waits for the loop, so that immediate errors do not make a busy
     * loop. */
    if (!good || !load->starting || is_over(load, now_us) || !start_call(load, slot)) {
        load->idle[load->idle_count++] = slot;
    }
}

/* ---- the loop ---- */

static void fill(load_t *load)
{
    while (load->idle_count > 0 && !is_over(load, clock_monotonic_us())) {
        slot_t *slot = load->idle[load->idle_count - 1];
        if (!start_call(load, slot)) {
            return;
        }
        load->idle_count--;
    }
}

fabric_error_t load_run(load_t *load, uint64_t duration_us, uint64_t calls,
                        const load_result_t **result)
{
    uint64_t begin_us = clock_monotonic_us();
    uint64_t now_us = begin_us;
    load->result = (load_result_t){0};
    load->now_us = begin_us;
    load->end_us = begin_us + duration_us;
    load->calls = calls;
    load->starting = true;
    while (load->starting || load->open > 0) {
        if (load->starting) {
            fill(load);
        }
        fabric_client_wait(load->client, WAIT_MS);
        now_us = clock_monotonic_us();
        load->starting = load->starting && !is_over(load, now_us);
        if (stop_requested()) {
            load->starting = false;
            return FABRIC_ERROR_SHUTTING_DOWN;
        }
        if (now_us > load->now_us + OPEN_CALLS_WAIT_US) {
            return FABRIC_ERROR_TIMEOUT;
        }
    }
    load->result.elapsed_us = (load->now_us > begin_us ? load->now_us : now_us) - begin_us;
    *result = &load->result;
    return FABRIC_OK;
}
