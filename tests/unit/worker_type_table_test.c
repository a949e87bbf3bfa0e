/* The type table: descriptions that break a rule are refused with a reason, good ones are found. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/limits.h"
#include "core/type_description.h"
#include "worker/type_table.h"

static fabric_result_t handle(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    (void)context;
    (void)state;
    (void)request;
    (void)reply;
    return FABRIC_REPLY;
}

static const fabric_message_type_t one = {
    "One", &fabric_schema_empty, &fabric_schema_empty, true, NULL, NULL, false, false};
static const fabric_message_type_t two = {
    "Two", &fabric_schema_empty, &fabric_schema_empty, false, NULL, NULL, false, false};
static const fabric_message_type_t nameless = {
    "", &fabric_schema_empty, &fabric_schema_empty, true, NULL, NULL, false, false};
static const fabric_handler_t handlers[] = {{&two, handle}, {&one, handle}};
static const fabric_entity_type_t good = {
    .name = "Good", .handlers = handlers, .handler_count = 2, .mailbox_capacity = 7};

static int setup(void **state)
{
    *state = type_table_new();
    return 0;
}

static int teardown(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    type_table_destroy(&table);
    return 0;
}

static void refused(type_table_t *table, const fabric_entity_type_t *type, const char *why)
{
    reason_t reason = {""};
    assert_int_equal(type_table_add(table, type, &reason), FABRIC_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(reason.text, why));
}

static void good_types_are_found(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    fabric_entity_type_t other = good;
    other.name = "Better";
    other.mailbox_capacity = 0;
    assert_int_equal(type_table_add(table, &good, NULL), FABRIC_OK);
    assert_int_equal(type_table_add(table, &other, NULL), FABRIC_OK);
    const type_entry_t *entry = type_table_find(table, fabric_bytes_of("Good"));
    assert_non_null(entry);
    assert_ptr_equal(entry->type, &good);
    assert_int_equal(entry->mailbox_capacity, 7);
    assert_ptr_equal(type_entry_handler(entry, fabric_bytes_of("One")), &handlers[1]);
    assert_ptr_equal(type_entry_handler(entry, fabric_bytes_of("Two")), &handlers[0]);
    assert_null(type_entry_handler(entry, fabric_bytes_of("Three")));
    assert_null(type_table_find(table, fabric_bytes_of("Bad")));
    assert_int_equal(type_table_find(table, fabric_bytes_of("Better"))->mailbox_capacity, 4096);
}

/* What a broker is told of the concurrency of a type. */
static uint32_t described(fabric_entity_type_t *changed)
{
    type_table_t *table = type_table_new();
    wire_writer_t writer = {0};
    type_description_t *description = NULL;
    assert_int_equal(type_table_add(table, changed, NULL), FABRIC_OK);
    type_table_describe(table, &writer);
    wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
    assert_int_equal(wire_get_array(&reader), 1);
    assert_int_equal(type_description_parse(&reader, &description), FABRIC_OK);
    uint32_t concurrency = description->concurrency;
    type_description_destroy(&description);
    wire_writer_destroy(&writer);
    type_table_destroy(&table);
    return concurrency;
}

static void brokers_are_told_of_concurrency(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    static const fabric_message_type_t *const marked[] = {&two, NULL};
    fabric_entity_type_t changed = good;
    assert_int_equal(described(&changed), 1);
    changed.concurrency = 3;
    assert_int_equal(described(&changed), 3);
    changed.concurrency = FABRIC_UNBOUNDED;
    assert_int_equal(described(&changed), UINT32_MAX);
    changed.concurrency = 1;
    changed.concurrent = marked;
    assert_int_equal(described(&changed), UINT32_MAX);
    assert_int_equal(type_table_add(table, &changed, NULL), FABRIC_OK);
    const type_entry_t *entry = type_table_find(table, fabric_bytes_of("Good"));
    assert_true(type_entry_is_concurrent(entry, &handlers[0]));
    assert_false(type_entry_is_concurrent(entry, &handlers[1]));
}

static void a_type_keeps_its_keys_for_a_year_at_most(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    fabric_entity_type_t type = good;
    type.key_retention_ms = TYPE_KEY_RETENTION_MS_MAX + 1;
    refused(table, &type, "key_retention_ms");
    type.key_retention_ms = TYPE_KEY_RETENTION_MS_MAX;
    assert_int_equal(type_table_add(table, &type, NULL), FABRIC_OK);
    const type_entry_t *entry = type_table_find(table, fabric_bytes_of("Good"));
    assert_true(entry->options.key_retention_ms == TYPE_KEY_RETENTION_MS_MAX);
}

static void bad_types_are_refused(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    const fabric_handler_t twice[] = {{&one, handle}, {&one, handle}};
    const fabric_handler_t tagless[] = {{&nameless, handle}};
    const fabric_handler_t empty[] = {{&one, NULL}};
    char name[LIMIT_NAME_BYTES_MAX + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    fabric_entity_type_t bad = good;
    bad.name = NULL;
    refused(table, &bad, "name of 1-255 bytes");
    bad.name = name;
    refused(table, &bad, "name of 1-255 bytes");
    bad.name = "Bad";
    bad.group = name;
    refused(table, &bad, "Bad: a shard group");
    bad.group = NULL;
    bad.handler_count = 0;
    refused(table, &bad, "handlers");
    bad.handler_count = 129;
    refused(table, &bad, "handlers");
    bad.handlers = twice;
    bad.handler_count = 2;
    refused(table, &bad, "message One has two handlers");
    bad.handler_count = 1;
    bad.handlers = tagless;
    refused(table, &bad, "a tag of 1-255 bytes");
    bad.handlers = empty;
    refused(table, &bad, "no function");
    bad = good;
    bad.name = "Bad";
    bad.concurrent = (const fabric_message_type_t *const[]){&one, &nameless, NULL};
    refused(table, &bad, "concurrent, but has no handler");
    assert_int_equal(type_table_count(table), 0);
    assert_int_equal(type_table_add(table, &good, NULL), FABRIC_OK);
    refused(table, &good, "two of this name");
}

static void bad_states_are_refused(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    typedef struct kept {
        int64_t amount;
        fabric_bytes_t note;
    } kept_t;
    const fabric_field_t amount[] = {FABRIC_I64(kept_t, amount)};
    const fabric_field_t noted[] = {FABRIC_I64(kept_t, amount), FABRIC_STRING_VIEW(kept_t, note)};
    const fabric_schema_t plain = FABRIC_SCHEMA("Kept", kept_t, amount);
    const fabric_schema_t with_view = FABRIC_SCHEMA("Kept", kept_t, noted);
    fabric_entity_type_t bad = good;
    bad.name = "Bad";
    bad.state_size = sizeof(kept_t);
    bad.state = &plain;
    refused(table, &bad, "are for persisted types");
    bad.persisted = true;
    bad.state_size = 8;
    refused(table, &bad, "is not of a struct of state_size bytes");
    bad.state_size = sizeof(kept_t);
    bad.state = NULL;
    refused(table, &bad, "needs a schema");
    bad.state = &fabric_schema_empty;
    refused(table, &bad, "needs a schema");
    bad.state = &with_view;
    refused(table, &bad, "has no views");
    bad.state = &plain;
    bad.concurrency = 2;
    refused(table, &bad, "do not run beside one another");
    bad.concurrency = 1;
    assert_int_equal(type_table_add(table, &bad, NULL), FABRIC_OK);
}

typedef struct purse {
    int64_t amount;
} purse_t;
static const fabric_field_t purse_fields[] = {FABRIC_I64(purse_t, amount)};
static const fabric_schema_t purse_schema = FABRIC_SCHEMA("Purse", purse_t, purse_fields);

static void apply(void *state, const void *event)
{
    (void)state;
    (void)event;
}

static const fabric_event_type_t good_events[] = {
    {"Paid", 7, &purse_schema, apply},
    {"Closed", 0, &fabric_schema_empty, apply},
    {"Paid", 2, &purse_schema, apply},
    {"Got", 0, &purse_schema, apply},
};

static fabric_entity_type_t with_events(const char *name)
{
    fabric_entity_type_t type = good;
    type.name = name;
    type.state_size = sizeof(purse_t);
    type.events = good_events;
    type.event_count = 4;
    return type;
}

static void events_are_found(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    fabric_entity_type_t type = with_events("Purse");
    assert_int_equal(type_table_event_bytes(table), 0);
    assert_int_equal(type_table_add(table, &type, NULL), FABRIC_OK);
    assert_int_equal(type_table_add(table, &good, NULL), FABRIC_OK);
    const type_entry_t *entry = type_table_find(table, fabric_bytes_of("Purse"));
    assert_true(entry->stores);
    assert_ptr_equal(type_entry_event(entry, fabric_bytes_of("Paid"), 2), &good_events[2]);
    assert_ptr_equal(type_entry_event(entry, fabric_bytes_of("Paid"), 7), &good_events[0]);
    assert_null(type_entry_event(entry, fabric_bytes_of("Paid"), 3));
    assert_null(type_entry_event(entry, fabric_bytes_of("Lent"), 0));
    assert_ptr_equal(type_entry_newest_event(entry, fabric_bytes_of("Paid")), &good_events[0]);
    assert_ptr_equal(type_entry_newest_event(entry, fabric_bytes_of("Got")), &good_events[3]);
    assert_ptr_equal(type_entry_newest_event(entry, fabric_bytes_of("Closed")), &good_events[1]);
    assert_null(type_entry_newest_event(entry, fabric_bytes_of("A")));
    assert_null(type_entry_newest_event(entry, fabric_bytes_of("Returned")));
    assert_int_equal(type_table_event_bytes(table), sizeof(purse_t));
    entry = type_table_find(table, fabric_bytes_of("Good"));
    assert_false(entry->stores);
    assert_null(type_entry_newest_event(entry, fabric_bytes_of("Paid")));
}

/* Adds it, and returns what its entry says. */
static uint32_t snapshot_every(const fabric_entity_type_t *type)
{
    type_table_t *table = type_table_new();
    assert_int_equal(type_table_add(table, type, NULL), FABRIC_OK);
    uint32_t every = type_table_at(table, 0)->snapshot_every;
    type_table_destroy(&table);
    return every;
}

static void snapshots_need_a_schema(void **state)
{
    (void)state;
    fabric_entity_type_t type = with_events("Purse");
    assert_int_equal(snapshot_every(&type), 0);
    type.state = &purse_schema;
    assert_int_equal(snapshot_every(&type), TYPE_SNAPSHOT_EVERY_DEFAULT);
    type.snapshot_every = 7;
    assert_int_equal(snapshot_every(&type), 7);
    type.snapshot_every = FABRIC_NO_SNAPSHOTS;
    assert_int_equal(snapshot_every(&type), 0);
}

static void bad_histories_are_refused(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    typedef struct noted {
        fabric_bytes_t note;
    } noted_t;
    const fabric_field_t note[] = {FABRIC_STRING_VIEW(noted_t, note)};
    const fabric_schema_t with_view = FABRIC_SCHEMA("Noted", noted_t, note);
    fabric_entity_type_t bad = with_events("Bad");
    bad.persisted = true;
    refused(table, &bad, "Bad: a type either persists its state or has events");
    bad = with_events("Bad");
    bad.events = NULL;
    refused(table, &bad, "has 1-512 of them");
    bad = with_events("Bad");
    bad.event_count = 0;
    refused(table, &bad, "has 1-512 of them");
    bad.event_count = 513;
    refused(table, &bad, "has 1-512 of them");
    bad = with_events("Bad");
    bad.state = &purse_schema;
    bad.migrate = (fabric_migrate_fn *)(void (*)(void))apply;
    refused(table, &bad, "are passed over, not migrated");
    bad = with_events("Bad");
    bad.snapshot_every = 10;
    refused(table, &bad, "need a schema of the state");
    bad = with_events("Bad");
    bad.state_version = 10;
    refused(table, &bad, "need a schema of the state");
    bad = with_events("Bad");
    bad.state = &with_view;
    refused(table, &bad, "is not of a struct of state_size bytes");
    bad.state_size = sizeof(noted_t);
    refused(table, &bad, "a stored state has no views");
    bad.state = &fabric_schema_empty;
    refused(table, &bad, "needs a schema with fields");
    bad = with_events("Bad");
    bad.concurrency = 2;
    refused(table, &bad, "do not run beside one another");
    bad = good;
    bad.snapshot_every = 2;
    refused(table, &bad, "snapshot_every is for types with events");
    bad.persisted = true;
    refused(table, &bad, "snapshot_every is for types with events");
    assert_int_equal(type_table_count(table), 0);
}

static void refuse_event(type_table_t *table, fabric_event_type_t event, const char *why)
{
    const fabric_event_type_t events[] = {good_events[0], event};
    fabric_entity_type_t bad = with_events("Bad");
    bad.events = events;
    bad.event_count = 2;
    refused(table, &bad, why);
}

static void bad_events_are_refused(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    const fabric_schema_t huge = {.name = "Huge",
                                  .size = TYPE_STRUCT_BYTES_MAX + 1,
                                  .fields = purse_fields,
                                  .field_count = 1};
    const fabric_schema_t nameless_schema = {.size = 8, .fields = purse_fields, .field_count = 1};
    refuse_event(table, (fabric_event_type_t){NULL, 0, &purse_schema, apply},
                 "a tag of 1-255 bytes");
    refuse_event(table, (fabric_event_type_t){"", 0, &purse_schema, apply}, "a tag of 1-255 bytes");
    refuse_event(table, (fabric_event_type_t){"Got", 0, &purse_schema, NULL},
                 "Bad: event Got has no apply function");
    refuse_event(table, (fabric_event_type_t){"Got", 0, NULL, apply}, "event Got has no schema");
    refuse_event(table, (fabric_event_type_t){"Got", 0, &nameless_schema, apply},
                 "event Got has no schema, or one that lacks a name");
    refuse_event(table, (fabric_event_type_t){"Got", 0, &huge, apply}, "more than 64 MiB");
    refuse_event(table, good_events[0], "event Paid of version 7 is there twice");
    assert_int_equal(type_table_count(table), 0);
}

static void brokers_are_told_of_events(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    fabric_entity_type_t type = with_events("Purse");
    wire_writer_t writer = {0};
    type_description_t *description = NULL;
    assert_int_equal(type_table_add(table, &type, NULL), FABRIC_OK);
    fabric_entity_type_t other = with_events("Snapped");
    other.state = &purse_schema;
    other.state_version = 3;
    assert_int_equal(type_table_add(table, &other, NULL), FABRIC_OK);
    type_table_describe(table, &writer);
    wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
    assert_int_equal(wire_get_array(&reader), 2);
    assert_int_equal(type_description_parse(&reader, &description), FABRIC_OK);
    assert_int_equal(description->event_count, 4);
    assert_int_equal(description->snapshot_every, 0);
    assert_null(description->state);
    assert_non_null(type_description_event(description, fabric_bytes_of("Paid"), 2));
    type_description_destroy(&description);
    assert_int_equal(type_description_parse(&reader, &description), FABRIC_OK);
    assert_int_equal(description->snapshot_every, TYPE_SNAPSHOT_EVERY_DEFAULT);
    assert_non_null(description->state);
    assert_int_equal(description->state_version, 3);
    type_description_destroy(&description);
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
    wire_writer_destroy(&writer);
}

static void types_and_messages_are_bounded(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    static char names[LIMIT_TYPES_MAX + 1][16];
    static fabric_entity_type_t types[LIMIT_TYPES_MAX + 1];
    static fabric_message_type_t messages[LIMIT_MESSAGES_MAX];
    static fabric_handler_t many[LIMIT_MESSAGES_MAX];
    static char tags[LIMIT_MESSAGES_MAX][16];
    for (size_t i = 0; i < LIMIT_MESSAGES_MAX; i++) {
        snprintf(tags[i], sizeof tags[i], "Tag%zu", i);
        messages[i] = one;
        messages[i].tag = tags[i];
        many[i] = (fabric_handler_t){&messages[i], handle};
    }
    for (size_t i = 0; i <= LIMIT_TYPES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "Type%zu", i);
        types[i] = good;
        types[i].name = names[i];
        if (i == 0) {
            types[i].handlers = many;
            types[i].handler_count = LIMIT_MESSAGES_MAX;
        }
        assert_int_equal(type_table_add(table, &types[i], NULL),
                         i < LIMIT_TYPES_MAX ? FABRIC_OK : FABRIC_ERROR_LIMIT_EXCEEDED);
    }
    assert_int_equal(type_table_count(table), LIMIT_TYPES_MAX);
}

static void hello_describes_the_types(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    wire_writer_t writer = {0};
    type_description_t *description = NULL;
    assert_int_equal(type_table_add(table, &good, NULL), FABRIC_OK);
    type_table_describe(table, &writer);
    wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
    assert_int_equal(wire_get_array(&reader), 1);
    assert_int_equal(type_description_parse(&reader, &description), FABRIC_OK);
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
    assert_string_equal(description->name, "Good");
    assert_string_equal(description->group, "default");
    assert_int_equal(description->message_count, 2);
    assert_true(type_description_message(description, fabric_bytes_of("One"))->durable);
    assert_false(type_description_message(description, fabric_bytes_of("Two"))->durable);
    type_description_destroy(&description);
    wire_writer_destroy(&writer);
}

static void early_delivery_is_for_durable_messages(void **state)
{
    type_table_t *table = (type_table_t *)*state;
    fabric_message_type_t message = one;
    const fabric_handler_t handlers_of[] = {{&message, handle}};
    fabric_entity_type_t type = {.name = "Early", .handlers = handlers_of, .handler_count = 1};
    message.early_delivery = true;
    message.durable = false;
    refused(table, &type, "early delivery is for durable messages");
    message.durable = true;
    assert_int_equal(type_table_add(table, &type, NULL), FABRIC_OK);
    wire_writer_t writer = {0};
    type_description_t *description = NULL;
    type_table_describe(table, &writer);
    wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
    assert_int_equal(wire_get_array(&reader), 1);
    assert_int_equal(type_description_parse(&reader, &description), FABRIC_OK);
    assert_true(description->early && description->messages[0].early);
    type_description_destroy(&description);
    wire_writer_destroy(&writer);
}

static void transactional_messages_are_durable_and_of_plain_types(void **state)
{
    static const char words[] = "which is for durable messages without early delivery";
    type_table_t *table = (type_table_t *)*state;
    fabric_message_type_t message = one;
    const fabric_handler_t handlers_of[] = {{&message, handle}};
    fabric_entity_type_t type = {.name = "Till", .handlers = handlers_of, .handler_count = 1};
    const char *name = NULL;
    message.transactional = true;
    message.durable = false;
    refused(table, &type, words);
    message.durable = message.early_delivery = true;
    refused(table, &type, words);
    message.early_delivery = false;
    assert_null(type_table_transactional(table, &name));
    assert_int_equal(type_table_add(table, &type, NULL), FABRIC_OK);
    assert_ptr_equal(type_table_transactional(table, &name), &handlers_of[0]);
    assert_string_equal(name, "Till");
    wire_writer_t writer = {0};
    type_description_t *description = NULL;
    type_table_describe(table, &writer);
    wire_reader_t reader = wire_reader(wire_writer_bytes(&writer));
    assert_int_equal(wire_get_array(&reader), 1);
    assert_int_equal(type_description_parse(&reader, &description), FABRIC_OK);
    assert_true(description->transactional && description->messages[0].transactional);
    type_description_destroy(&description);
    wire_writer_destroy(&writer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(good_types_are_found),
        TEST(a_type_keeps_its_keys_for_a_year_at_most),
        TEST(bad_types_are_refused),
        TEST(bad_states_are_refused),
        TEST(events_are_found),
        TEST(snapshots_need_a_schema),
        TEST(bad_histories_are_refused),
        TEST(bad_events_are_refused),
        TEST(brokers_are_told_of_events),
        TEST(brokers_are_told_of_concurrency),
        TEST(types_and_messages_are_bounded),
        TEST(hello_describes_the_types),
        TEST(early_delivery_is_for_durable_messages),
        TEST(transactional_messages_are_durable_and_of_plain_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
