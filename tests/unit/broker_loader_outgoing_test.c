/* Outgoing messages in the loader, over the store in memory: what an adoption finds in entries and
 * among rows, and reads of rows in parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/loader.h"
#include "tests/unit/actor_world.h"

#define DATABASE "broker_loader_outgoing"

enum { LANE = 1, FIRST = 100, TOLD = 1000 /* outgoing ids */ };

typedef struct fixture {
    actor_world_t *world;
    loader_t loader;
    store_hold_t own;   /* what the loader's broker holds */
    store_hold_t other; /* the holder before, who writes */
    sample_t sample;
    adoption_t adoption;
    loaded_outgoing_t loaded;
} fixture_t;

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->world = world_new(DATABASE);
    loader_config_t config = {.connection = f->world->connection,
                              .lanes = WORLD_LANES,
                              .name = "self",
                              .tail_bytes_max = 1 << 20};
    loader_init(&f->loader, &config, &f->world->world);
    f->other = world_assign(f->world, LANE, world_other);
    (void)world_take(f->world, &f->other);
    sample_fill(&f->sample, LANE, FIRST);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    loaded_outgoing_clear(&f->loaded);
    adoption_clear(&f->adoption);
    loader_clear(&f->loader);
    world_free(&f->world);
    free(f);
    return 0;
}

/* ---- what the former holder writes ---- */

/* The message with this index, of those that message `source` of the sample has told: to the lanes
 * in turn. */
static store_outgoing_t told(const fixture_t *f, size_t source, uint32_t index)
{
    const store_message_t *message = &f->sample.messages[source];
    return (store_outgoing_t){.key = {TOLD + source, index},
                              .number = 1,
                              .source = message->id,
                              .source_shard = message->shard,
                              .source_type = message->type,
                              .source_entity = message->entity,
                              .source_tag = message->tag,
                              .shard = shard_id_make(1, (uint16_t)(index + 1)),
                              .target_lane = (index + 1) % WORLD_LANES,
                              .flags = 3,
                              .type = fabric_bytes_of("Account"),
                              .entity = fabric_bytes_of("alice"),
                              .tag = fabric_bytes_of("Pay"),
                              .payload = fabric_bytes_of("payload"),
                              .primary_key = fabric_bytes_of("key"),
                              .traceparent = fabric_bytes_of("trace"),
                              .headers = fabric_bytes_of("headers"),
                              .deliver_at_ms = 1790};
}

/* Its end, in an entry of its own, with so many messages. */
static store_entry_t tell(fixture_t *f, size_t source, uint32_t count)
{
    wire_writer_t list = {0};
    for (uint32_t i = 0; i < count; i++) {
        store_outgoing_t message = told(f, source, i);
        journal_outgoing_put(&list, &message);
    }
    journal_effects_t effects = {.outgoing = {.id = TOLD + source,
                                              .count = count,
                                              .traceparent = fabric_bytes_of("trace"),
                                              .list = wire_writer_bytes(&list)}};
    journal_writer_t *writer = journal_writer_new();
    const store_message_t *message = &f->sample.messages[source];
    journal_put_message(writer, message, message->id.value, (journal_attempts_t){0});
    journal_put_result_with_effects(writer, message, message->id.value, &f->sample.replies[source],
                                    &effects);
    store_entry_t entry = world_append_written(f->world, &f->other, writer, TOLD + source);
    journal_writer_destroy(&writer);
    wire_writer_destroy(&list);
    return entry;
}

static void end(fixture_t *f, size_t source, uint32_t index)
{
    wire_writer_t list = {0};
    store_sent_t one = {.index = index, .id = {5000 + index}};
    journal_sent_put(&list, &one);
    journal_sent_t sent = {.id = TOLD + source, .count = 1, .list = wire_writer_bytes(&list)};
    const store_message_t *message = &f->sample.messages[source];
    journal_writer_t *writer = journal_writer_new();
    journal_put_sent(writer, message->id, message->shard,
                     journal_entity_hash(message->type, message->entity), &sent);
    (void)world_append_written(f->world, &f->other, writer, 0);
    journal_writer_destroy(&writer);
    wire_writer_destroy(&list);
}

/* Their rows, in a slice of a checkpoint of the journal's present end. */
static void write_rows(fixture_t *f, size_t source, uint32_t count, bool last)
{
    store_outgoing_t rows[20];
    assert_true(count <= sizeof rows / sizeof *rows);
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = told(f, source, i);
    }
    store_slice_t slice = {.outgoing = rows,
                           .outgoing_count = count,
                           .settled = memory_store_lane(DATABASE, LANE).number,
                           .begun = world_end(f->world, LANE).number,
                           .last = last};
    assert_int_equal(f->world->store->driver->checkpoint(f->world->store, &f->other, &slice),
                     FABRIC_OK);
}

static void adopt(fixture_t *f)
{
    loader_fault_t fault;
    f->own = world_assign(f->world, LANE, world_self);
    adoption_clear(&f->adoption);
    assert_int_equal(loader_adopt(&f->loader, &f->own, &f->adoption, &fault), FABRIC_OK);
}

/* ---- what is found ---- */

/* "1000/0 1000/1" */
static const char *keys_of(outgoing_copy_t *const *copies, size_t count)
{
    static char text[400];
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%u/%u", i > 0 ? " " : "",
                                 (unsigned)copies[i]->message.key.id, copies[i]->message.key.index);
    }
    return text;
}

static const char *open_in(const fixture_t *f)
{
    return keys_of(f->adoption.outgoing, f->adoption.outgoing_count);
}

/* "2:3@1000": three rows to lane 2, from id 1000 on. */
static const char *outboxes_in(const fixture_t *f)
{
    static char text[400];
    size_t size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < f->adoption.outbox_count; i++) {
        const store_outbox_t *outbox = &f->adoption.outboxes[i];
        size +=
            (size_t)snprintf(text + size, sizeof text - size, "%s%u:%u@%u", i > 0 ? " " : "",
                             outbox->target_lane, (unsigned)outbox->count, (unsigned)outbox->first);
    }
    return text;
}

static void assert_message(const store_outgoing_t *found, const store_outgoing_t *wanted)
{
    assert_int_equal(found->source.value, wanted->source.value);
    assert_int_equal(found->source_shard.value, wanted->source_shard.value);
    assert_int_equal(found->shard.value, wanted->shard.value);
    assert_int_equal(found->target_lane, wanted->target_lane);
    assert_int_equal(found->flags, wanted->flags);
    assert_int_equal(found->deliver_at_ms, wanted->deliver_at_ms);
    assert_true(fabric_bytes_equal(found->source_type, wanted->source_type));
    assert_true(fabric_bytes_equal(found->source_entity, wanted->source_entity));
    assert_true(fabric_bytes_equal(found->source_tag, wanted->source_tag));
    assert_true(fabric_bytes_equal(found->type, wanted->type));
    assert_true(fabric_bytes_equal(found->entity, wanted->entity));
    assert_true(fabric_bytes_equal(found->tag, wanted->tag));
    assert_true(fabric_bytes_equal(found->payload, wanted->payload));
    assert_true(fabric_bytes_equal(found->primary_key, wanted->primary_key));
    assert_true(fabric_bytes_equal(found->traceparent, wanted->traceparent));
    assert_true(fabric_bytes_equal(found->headers, wanted->headers));
}

static void an_adoption_has_what_the_entries_leave_open(void **state)
{
    fixture_t *f = *state;
    store_entry_t entry = tell(f, 0, 3);
    (void)tell(f, 1, 1);
    end(f, 0, 1);
    adopt(f);
    assert_string_equal(open_in(f), "1000/0 1000/2 1001/0");
    for (uint32_t i = 0; i < 2; i++) {
        store_outgoing_t wanted = told(f, 0, 2 * i);
        assert_message(&f->adoption.outgoing[i]->message, &wanted);
        assert_int_equal(f->adoption.outgoing[i]->message.number, entry.number);
    }
    assert_int_equal(f->adoption.sent_count, 1);
    assert_int_equal(f->adoption.sent[0].id, TOLD);
    assert_int_equal(f->adoption.sent[0].index, 1);
    assert_int_equal(f->adoption.outbox_count, 0);
    assert_int_equal(f->adoption.last_id, TOLD + 1);
}

static void an_adoption_counts_rows(void **state)
{
    fixture_t *f = *state;
    (void)tell(f, 0, 5);
    write_rows(f, 0, 5, true);
    (void)tell(f, 1, 2);
    end(f, 0, 0);
    adopt(f);
    assert_string_equal(open_in(f), "1001/0 1001/1");
    assert_string_equal(outboxes_in(f), "0:1@1000 1:2@1000 2:2@1000");
    assert_int_equal(f->adoption.sent_count, 1); /* the row stands there all the same */
}

/* What the checkpoint wrote is above the one that counts, and so there twice. */
static void a_checkpoint_that_was_cut_off_leaves_rows_of_open_messages(void **state)
{
    fixture_t *f = *state;
    (void)tell(f, 0, 2);
    write_rows(f, 0, 2, false);
    adopt(f);
    assert_string_equal(open_in(f), "1000/0 1000/1");
    assert_string_equal(outboxes_in(f), "1:1@1000 2:1@1000");
}

static void an_adoption_is_repeated_until_the_store_answers(void **state)
{
    fixture_t *f = *state;
    (void)tell(f, 0, 5);
    write_rows(f, 0, 5, true);
    (void)tell(f, 1, 2);
    for (uint32_t after = 0; after < 12; after++) {
        world_strike(f->world, MEMORY_STORE_LOAD, MEMORY_STORE_DISCONNECTED, after, 1);
        adopt(f);
        assert_string_equal(open_in(f), "1001/0 1001/1");
        assert_string_equal(outboxes_in(f), "0:1@1000 1:2@1000 2:2@1000");
    }
}

static void load(fixture_t *f, uint32_t target_lane, store_outgoing_key_t after, uint32_t limit,
                 uint64_t bytes_max)
{
    outgoing_range_t range = {target_lane, after, limit, bytes_max};
    loaded_outgoing_clear(&f->loaded);
    assert_int_equal(loader_load_outgoing(&f->loader, LANE, &range, &f->loaded), FABRIC_OK);
}

static const char *loaded(const fixture_t *f)
{
    return keys_of(f->loaded.values, f->loaded.count);
}

static void rows_are_read_in_parts(void **state)
{
    fixture_t *f = *state;
    (void)tell(f, 0, 10);
    write_rows(f, 0, 10, true);
    load(f, 1, (store_outgoing_key_t){0, 0}, 3, UINT64_MAX);
    assert_string_equal(loaded(f), "1000/0 1000/3 1000/6");
    assert_false(f->loaded.ended);
    store_outgoing_t wanted = told(f, 0, 3);
    assert_message(&f->loaded.values[1]->message, &wanted);
    load(f, 1, (store_outgoing_key_t){TOLD, 6}, 3, UINT64_MAX);
    assert_string_equal(loaded(f), "1000/9");
    assert_true(f->loaded.ended);
    /* The second one is one too many. */
    load(f, 1, (store_outgoing_key_t){0, 0}, 100, outgoing_bytes(&wanted) + 3);
    assert_string_equal(loaded(f), "1000/0 1000/3");
    assert_false(f->loaded.ended);
    load(f, 2, (store_outgoing_key_t){0, 0}, 100, UINT64_MAX);
    assert_string_equal(loaded(f), "1000/1 1000/4 1000/7");
}

static void a_read_is_repeated_until_the_store_answers(void **state)
{
    fixture_t *f = *state;
    (void)tell(f, 0, 4);
    write_rows(f, 0, 4, true);
    world_strike(f->world, MEMORY_STORE_LOAD, MEMORY_STORE_DISCONNECTED, 0, 2);
    load(f, 1, (store_outgoing_key_t){0, 0}, 100, UINT64_MAX);
    assert_string_equal(loaded(f), "1000/0 1000/3");
    f->world->looks_max = f->world->looks + 5;
    world_strike(f->world, MEMORY_STORE_ANY, MEMORY_STORE_DISCONNECTED, 0, 1000);
    outgoing_range_t range = {1, {0, 0}, 100, UINT64_MAX};
    loaded_outgoing_clear(&f->loaded);
    assert_int_equal(loader_load_outgoing(&f->loader, LANE, &range, &f->loaded),
                     FABRIC_ERROR_SHUTTING_DOWN);
    assert_int_equal(f->loaded.count, 0);
}

/* ---- copies ---- */

static void a_copy_has_all_bytes_of_its_own(void **state)
{
    fixture_t *f = *state;
    char text[] = "abcdefghij";
    store_outgoing_t message = told(f, 0, 1);
    fabric_bytes_t *const views[] = {
        &message.source_type, &message.source_entity, &message.source_tag, &message.type,
        &message.entity,      &message.tag,           &message.payload,    &message.primary_key,
        &message.traceparent, &message.headers};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        *views[i] = fabric_bytes(text + i, 1);
    }
    assert_int_equal(outgoing_bytes(&message), 10);
    outgoing_copy_t *copy = outgoing_copy_new(&message);
    memset(text, 'x', sizeof text);
    assert_int_equal(copy->size, sizeof *copy + 10);
    assert_memory_equal(copy->bytes, "abcdefghij", 10);
    memcpy(text, "abcdefghij", 10);
    assert_message(&copy->message, &message);
    assert_int_equal(copy->message.key.index, 1);
    outgoing_copy_destroy(&copy);
    assert_null(copy);
    outgoing_copy_destroy(&copy);
}

#define loader_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        loader_test(an_adoption_has_what_the_entries_leave_open),
        loader_test(an_adoption_counts_rows),
        loader_test(a_checkpoint_that_was_cut_off_leaves_rows_of_open_messages),
        loader_test(an_adoption_is_repeated_until_the_store_answers),
        loader_test(rows_are_read_in_parts),
        loader_test(a_read_is_repeated_until_the_store_answers),
        loader_test(a_copy_has_all_bytes_of_its_own),
    };
    return cmocka_run_group_tests_name("broker_loader_outgoing", tests, NULL, NULL);
}
