/* Stories for the checker's unit tests: made-up histories and tables, written event by event. A
 * story has one client, one entity, and workers that hold the entity one after another (or at the
 * same time, where the story is about that).
 *
 * Threading: the test's thread.
 */
#ifndef TESTS_CHECKER_CHECKER_STORY_H
#define TESTS_CHECKER_CHECKER_STORY_H

#include "tests/checker/checker.h"

enum {
    STORY_RECORDS_MAX = 64,
    STORY_ROWS_MAX = 16,
    STORY_WORKERS = 3,
    STORY_CLIENT = 1,
    STORY_ENTITY = 7,
    STORY_MEMORY_KIB_MAX = 1000,
    STORY_DESCRIPTORS_MAX = 50,
    STORY_FIRST_ID = 1000 /* a call's request id is this and its number */
};

#define STORY_ASK  HISTORY_DURABLE
#define STORY_TELL (HISTORY_DURABLE | HISTORY_TELL)
#define STORY_ECHO 0u

/* A worker that holds the entity: its token and what is in its memory. */
typedef struct story_holder {
    uint64_t epoch, owner;
    uint64_t activation;
    uint64_t position, chain;
} story_holder_t;

typedef struct story {
    history_record_t records[STORY_RECORDS_MAX];
    history_t history;
    table_message_t messages[STORY_ROWS_MAX];
    table_reply_t replies[STORY_ROWS_MAX];
    table_dead_letter_t dead[STORY_ROWS_MAX];
    table_dump_t tables;
    story_holder_t holders[STORY_WORKERS];
    uint64_t serial;
    uint64_t now_us;
    uint32_t dead_letters_max;
    checker_process_t processes[2];
    size_t process_count;
    checker_report_t report;
} story_t;

/* For cmocka: a new story as state. */
int story_set_up(void **state);
int story_tear_down(void **state);

/* Appends a record about a call; each comes 10 us after the last. */
history_record_t *story_note(story_t *s, history_kind_t kind, uint32_t flags, uint64_t number);

/* Its message in the store. */
table_message_t *story_store(story_t *s, uint32_t flags, uint64_t number);

/* A handler begins in a worker; ends, with the chain in that worker's memory; or both at once. */
history_record_t *story_begin(story_t *s, unsigned worker, uint32_t flags, uint64_t number);
const history_record_t *story_end(story_t *s, const history_record_t *start);
const history_record_t *story_execute(story_t *s, unsigned worker, uint32_t flags, uint64_t number);

/* The stored reply of an execution. */
table_reply_t *story_commit(story_t *s, const history_record_t *run);

/* What a client is told. */
history_record_t *story_accepted(story_t *s, uint64_t number);
history_record_t *story_seen(story_t *s, const history_record_t *run);

/* The same for tells. Only the client's records say that a call is a tell. */
const history_record_t *story_execute_tell(story_t *s, unsigned worker, uint64_t number);
void story_commit_tell(story_t *s, uint64_t number);

/* Adds a whole correct call. Returns its execution. */
const history_record_t *story_ask(story_t *s, unsigned worker, uint64_t number);
void story_tell(story_t *s, unsigned worker, uint64_t number);
const history_record_t *story_echo(story_t *s, unsigned worker, uint64_t number);

/* Runs the checker. */
void story_decide(story_t *s);

/* Run the checker, and fail the test unless it finds nothing, or exactly so many violations of this
 * kind and no others. */
void story_expect_clean(story_t *s);
void story_expect(story_t *s, checker_kind_t kind, uint64_t count);

#endif
