/* Persisted states in the journal: in RESULT records, and what a fold makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/journal/fold.h"
#include "core/memory.h"
#include "tests/unit/journal_samples.h"

enum { LANE = 3, CHECKPOINT = 100 };

typedef struct bench {
    journal_writer_t *writer;
    journal_fold_t *fold;
    uint64_t last_id;
} bench_t;

static int set_up(void **state)
{
    static bench_t bench;
    srand(11);
    bench = (bench_t){.writer = journal_writer_new(),
                      .fold = journal_fold_new(LANE, CHECKPOINT),
                      .last_id = 1000};
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    bench_t *bench = *state;
    journal_writer_destroy(&bench->writer);
    journal_fold_destroy(&bench->fold);
    return 0;
}

static store_message_t message_to(bench_t *bench, const char *entity)
{
    store_message_t message = journal_sample_message(++bench->last_id);
    message.type = fabric_bytes_of("Account");
    message.entity = fabric_bytes_of(entity);
    return message;
}

static void put(bench_t *bench, const store_message_t *message, uint32_t version, const char *state)
{
    store_reply_t reply = journal_sample_reply(message);
    journal_put_result_with_state(bench->writer, message, message->id.value, &reply, version,
                                  fabric_bytes_of(state));
}

static void put_to(bench_t *bench, const char *entity, uint32_t version, const char *state)
{
    store_message_t message = message_to(bench, entity);
    put(bench, &message, version, state);
}

static store_entry_t next_entry(bench_t *bench)
{
    return journal_sample_entry(bench->writer, journal_fold_number(bench->fold) + 1);
}

static void take(bench_t *bench, const store_entry_t *entry)
{
    reason_t reason = {{0}};
    assert_int_equal(journal_fold_entry(bench->fold, entry, &reason), FABRIC_OK);
    journal_writer_reset(bench->writer);
}

static void take_next(bench_t *bench)
{
    store_entry_t entry = next_entry(bench);
    take(bench, &entry);
}

/* The last state of the entity; NULL: the entries have none. */
static const store_state_t *state_of(const bench_t *bench, const char *entity)
{
    size_t count = 0;
    const store_state_t *states = journal_fold_states(bench->fold, &count);
    while (count > 0) {
        const store_state_t *state = &states[--count];
        if (fabric_bytes_equal(state->entity, fabric_bytes_of(entity))) {
            assert_true(fabric_bytes_equal(state->type, fabric_bytes_of("Account")));
            return state;
        }
    }
    return NULL;
}

static void expect(const bench_t *bench, const char *entity, uint32_t version, const char *wanted)
{
    const store_state_t *state = state_of(bench, entity);
    assert_non_null(state);
    assert_int_equal(state->version, version);
    assert_true(fabric_bytes_equal(state->state, fabric_bytes_of(wanted)));
    assert_int_not_equal(state->shard.value, 0);
}

static void a_result_says_the_state_that_it_leaves(void **state)
{
    bench_t *bench = *state;
    /* with and without a key and a time: the number of fields tells all */
    for (unsigned i = 0; i < 8; i++) {
        store_message_t message = message_to(bench, "alice");
        message.key_hash = i & 1 ? journal_sample_bytes(STORE_KEY_BYTES).data : NULL;
        message.deliver_at_ms = i & 2 ? 12345 : 0;
        store_reply_t reply = journal_sample_reply(&message);
        fabric_bytes_t wanted = i & 4 ? fabric_bytes_of("state") : (fabric_bytes_t){NULL, 0};
        journal_put_result_with_state(bench->writer, &message, message.id.value, &reply, 7, wanted);
        journal_record_t record;
        fabric_bytes_t bytes = journal_record_of(bench->writer, i);
        assert_int_equal(journal_record_decode(bytes, &record), FABRIC_OK);
        assert_true(fabric_bytes_equal(record.state.state, wanted));
        assert_int_equal(record.state.version, i & 4 ? 7 : 0);
        assert_int_equal(record.key_hash != NULL, i & 1);
        assert_int_equal(record.deliver_at_ms, message.deliver_at_ms);
        assert_true(fabric_bytes_equal(record.reply.payload, reply.payload));
        if (i & 4) {
            assert_true(fabric_bytes_equal(record.state.type, message.type));
            assert_true(fabric_bytes_equal(record.state.entity, message.entity));
            assert_int_equal(record.state.shard.value, message.shard.value);
            assert_int_equal(record.entity_hash, journal_entity_hash(message.type, message.entity));
        }
    }
}

static void the_last_state_of_an_entity_counts(void **state)
{
    bench_t *bench = *state;
    put_to(bench, "alice", 1, "100");
    put_to(bench, "bob", 1, "7");
    take_next(bench);
    put_to(bench, "alice", 1, "70");
    take_next(bench);
    put_to(bench, "alice", 2, "120");
    put_to(bench, "bob", 1, ""); /* a result that leaves the state as it is */
    take_next(bench);
    expect(bench, "alice", 2, "120");
    expect(bench, "bob", 1, "7");
    assert_null(state_of(bench, "carol"));
}

/* State and end of a message stand or fall together. */
static void a_second_end_of_a_message_brings_no_state(void **state)
{
    bench_t *bench = *state;
    store_message_t message = message_to(bench, "alice");
    put(bench, &message, 1, "first");
    take_next(bench);
    put(bench, &message, 1, "second");
    take_next(bench);
    expect(bench, "alice", 1, "first");
}

static void an_end_after_the_entitys_clear_brings_no_state(void **state)
{
    bench_t *bench = *state;
    store_message_t message = message_to(bench, "alice");
    journal_put_clear(bench->writer, (request_id_t){++bench->last_id}, message.shard, message.type,
                      message.entity);
    journal_put_message(bench->writer, &message, message.id.value, (journal_attempts_t){0});
    take_next(bench);
    put(bench, &message, 1, "late");
    take_next(bench);
    assert_null(state_of(bench, "alice"));
}

static void a_damaged_result_brings_no_state(void **state)
{
    bench_t *bench = *state;
    put_to(bench, "alice", 1, "100");
    take_next(bench);
    put_to(bench, "alice", 1, "damaged");
    store_entry_t entry = next_entry(bench);
    ((uint8_t *)entry.body.data)[entry.body.size - 1] ^= 1;
    take(bench, &entry);
    expect(bench, "alice", 1, "100");
    assert_int_equal(journal_fold_damaged(bench->fold), 1);
}

#define states_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        states_test(a_result_says_the_state_that_it_leaves),
        states_test(the_last_state_of_an_entity_counts),
        states_test(a_second_end_of_a_message_brings_no_state),
        states_test(an_end_after_the_entitys_clear_brings_no_state),
        states_test(a_damaged_result_brings_no_state),
    };
    return cmocka_run_group_tests_name("core_journal_states", tests, NULL, NULL);
}
