/* Stories for the checker's unit tests: see checker_story.h. */
#include "tests/checker/checker_story.h"

#include <stdlib.h>

int story_set_up(void **state)
{
    story_t *s = calloc(1, sizeof *s);
    s->history.records = s->records;
    s->tables.messages = s->messages;
    s->tables.replies = s->replies;
    s->tables.dead_letters = s->dead;
    for (uint64_t i = 0; i < STORY_WORKERS; i++) {
        s->holders[i] = (story_holder_t){.epoch = 1, .owner = i + 1, .activation = 1};
    }
    *state = s;
    return 0;
}

int story_tear_down(void **state)
{
    free(*state);
    return 0;
}

/* ---- what happens ---- */

history_record_t *story_note(story_t *s, history_kind_t kind, uint32_t flags, uint64_t number)
{
    assert_true(s->history.count < STORY_RECORDS_MAX);
    history_record_t *record = &s->records[s->history.count++];
    *record = (history_record_t){.at_us = s->now_us += 10,
                                 .kind = kind,
                                 .flags = flags,
                                 .client = STORY_CLIENT,
                                 .entity = STORY_ENTITY,
                                 .number = number,
                                 .key_client = 77,
                                 .key_sequence = number};
    return record;
}

table_message_t *story_store(story_t *s, uint32_t flags, uint64_t number)
{
    table_message_t *row = &s->messages[s->tables.message_count++];
    *row = (table_message_t){.request_id = STORY_FIRST_ID + number,
                             .key_client = 77,
                             .key_sequence = number,
                             .tell = (flags & HISTORY_TELL) != 0,
                             .fold = true,
                             .readable = true,
                             .entity = STORY_ENTITY,
                             .asked = {STORY_CLIENT, STORY_ENTITY, number}};
    return row;
}

history_record_t *story_begin(story_t *s, unsigned worker, uint32_t flags, uint64_t number)
{
    const story_holder_t *holder = &s->holders[worker];
    history_record_t *start = story_note(s, HISTORY_START, flags, number);
    start->request_id = STORY_FIRST_ID + number;
    start->execution = (history_execution_t){worker + 1, ++s->serial};
    start->activation = holder->activation;
    start->home_epoch = holder->epoch;
    start->owner_sequence = holder->owner;
    start->delivery = 1;
    return start;
}

const history_record_t *story_end(story_t *s, const history_record_t *start)
{
    story_holder_t *holder = &s->holders[start->execution.process - 1];
    history_record_t *record = story_note(s, HISTORY_END, start->flags, start->number);
    uint64_t at_us = record->at_us;
    *record = *start;
    record->kind = HISTORY_END;
    record->at_us = at_us;
    record->before = holder->chain;
    if (start->flags & HISTORY_DURABLE) {
        holder->position++;
        holder->chain = history_chain(holder->chain, start->client, start->number);
    }
    record->position = holder->position;
    record->after = holder->chain;
    return record;
}

const history_record_t *story_execute(story_t *s, unsigned worker, uint32_t flags, uint64_t number)
{
    return story_end(s, story_begin(s, worker, flags, number));
}

/* The hash of the reply of an execution. */
static uint64_t hash_of(const history_record_t *run)
{
    return 5000 + run->execution.serial;
}

table_reply_t *story_commit(story_t *s, const history_record_t *run)
{
    table_reply_t *reply = &s->replies[s->tables.reply_count++];
    *reply = (table_reply_t){.request_id = run->request_id};
    if (!(run->flags & HISTORY_TELL)) {
        reply->readable = true;
        reply->payload_hash = hash_of(run);
        reply->fold = (fold_reply_t){.client = run->client,
                                     .number = run->number,
                                     .process = run->execution.process,
                                     .serial = run->execution.serial,
                                     .activation = run->activation,
                                     .delivery = run->delivery,
                                     .position = run->position,
                                     .before = run->before,
                                     .after = run->after};
    }
    return reply;
}

history_record_t *story_accepted(story_t *s, uint64_t number)
{
    history_record_t *record = story_note(s, HISTORY_ACCEPTED, STORY_TELL, number);
    record->request_id = STORY_FIRST_ID + number;
    return record;
}

history_record_t *story_seen(story_t *s, const history_record_t *run)
{
    history_record_t *record = story_note(s, HISTORY_REPLIED, run->flags, run->number);
    record->request_id = run->request_id;
    record->reply_hash = hash_of(run);
    record->execution = run->execution;
    return record;
}

/* A tell stays without a flag in handlers' records; their kind is known by the call. */
const history_record_t *story_execute_tell(story_t *s, unsigned worker, uint64_t number)
{
    return story_execute(s, worker, HISTORY_DURABLE, number);
}

void story_commit_tell(story_t *s, uint64_t number)
{
    s->replies[s->tables.reply_count++] = (table_reply_t){.request_id = STORY_FIRST_ID + number};
}

/* Adds a whole correct ask. */
const history_record_t *story_ask(story_t *s, unsigned worker, uint64_t number)
{
    story_note(s, HISTORY_INVOKED, STORY_ASK, number);
    story_store(s, STORY_ASK, number);
    const history_record_t *run = story_execute(s, worker, STORY_ASK, number);
    story_commit(s, run);
    story_seen(s, run);
    return run;
}

void story_tell(story_t *s, unsigned worker, uint64_t number)
{
    story_note(s, HISTORY_INVOKED, STORY_TELL, number);
    story_store(s, STORY_TELL, number);
    story_accepted(s, number);
    story_execute_tell(s, worker, number);
    story_commit_tell(s, number);
}

const history_record_t *story_echo(story_t *s, unsigned worker, uint64_t number)
{
    story_note(s, HISTORY_INVOKED, STORY_ECHO, number);
    const history_record_t *run = story_execute(s, worker, STORY_ECHO, number);
    story_seen(s, run)->request_id = 0;
    return run;
}

void story_decide(story_t *s)
{
    checker_input_t input = {.history = &s->history,
                             .tables = &s->tables,
                             .dead_letters_max = s->dead_letters_max,
                             .processes = s->processes,
                             .process_count = s->process_count,
                             .memory_kib_max = STORY_MEMORY_KIB_MAX,
                             .descriptors_max = STORY_DESCRIPTORS_MAX};
    checker_run(&input, &s->report);
}

void story_expect_clean(story_t *s)
{
    story_decide(s);
    if (s->report.violations > 0) {
        fail_msg("%s", s->report.lines[0]);
    }
}

/* Expects so many violations of this kind and no others. */
void story_expect(story_t *s, checker_kind_t kind, uint64_t count)
{
    story_decide(s);
    if (s->report.violations != count || s->report.of_kind[kind] != count) {
        checker_print(&s->report);
    }
    assert_int_equal(s->report.of_kind[kind], count);
    assert_int_equal(s->report.violations, count);
}
