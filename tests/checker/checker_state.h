/* Inside the checker: what it knows of calls, messages, executions and activations. */
#ifndef TESTS_CHECKER_CHECKER_STATE_H
#define TESTS_CHECKER_CHECKER_STATE_H

#include "core/hash.h"
#include "tests/checker/checker.h"

/* Two numbers that together name a thing. */
typedef struct pair {
    uint64_t a, b;
} pair_t;

/* An index from names to places; one entry for each name. */
typedef struct place {
    UT_hash_handle hh;
    pair_t name;
    size_t index;
} place_t;

/* The place of the last thing with this name, or NOWHERE. */
#define NOWHERE SIZE_MAX

typedef struct places {
    place_t *table;
    place_t *items;
    size_t count, capacity;
} places_t;

/* One call of the load. */
typedef struct call {
    const history_record_t *invoked; /* first */
    uint32_t flags;
    uint32_t sends;
    uint32_t rejections, unknowns, failures;
    uint32_t error;       /* of the last failure */
    uint64_t accepted_us; /* when its client knew; UINT64_MAX: it did not */
    uint64_t request_id;  /* as its client was told */
    const history_record_t *reply;
    uint32_t starts; /* of handlers */
    size_t message;  /* in messages, by contents */
} call_t;

/* One message in the store. */
typedef struct message {
    const table_message_t *row;
    const table_reply_t *reply;
    bool dead;
    size_t call;
    size_t first_run; /* of its ended executions; NOWHERE: none */
    uint32_t ended_runs;
    size_t counted; /* execution; NOWHERE: none, or not known */
} message_t;

/* One run of a handler. */
typedef struct run {
    const history_record_t *start;
    const history_record_t *end; /* NULL: it never ended */
    size_t activation;
    size_t next; /* of the same message */
    bool counted;
} run_t;

/* One life of an entity in a worker's memory. */
typedef struct activation {
    uint32_t entity;
    uint64_t home_epoch, owner_sequence; /* of the last execution that was looked at */
    uint64_t position, chain;            /* after that */
    uint64_t counted;                    /* the highest position that certainly counted */
} activation_t;

typedef struct checker {
    const checker_input_t *input;
    checker_report_t *report;
    call_t *calls;
    size_t call_count;
    places_t call_places; /* (client, number) */
    message_t *messages;
    size_t message_count;
    places_t message_places; /* (request id, 0) */
    places_t key_places;     /* call key */
    run_t *runs;
    size_t run_count;
    places_t run_places; /* (process, serial) */
    activation_t *activations;
    size_t activation_count;
    places_t activation_places; /* (process, number) */
} checker_t;

size_t places_find(const places_t *places, uint64_t a, uint64_t b);

void checker_say(checker_t *checker, checker_kind_t kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* checker_index.c: puts the input in order, and says what is invented, doubled or handled twice. */
void checker_index(checker_t *checker);
void checker_index_free(checker_t *checker);
/* checker_runs.c: which executions count, what they built upon, in which order and under which
 * tokens. */
void checker_check_runs(checker_t *checker);

#endif
