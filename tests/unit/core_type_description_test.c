/* Type descriptions: those of schemas/vectors/ are read and written again; which one may take
 * another's place. */
#include "core/type_description.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "tests/unit/samples.h"
#include "tests/harness/vectors.h"

static fabric_error_t parse(fabric_bytes_t bytes, type_description_t **description)
{
    uint8_t *copy = malloc(bytes.size ? bytes.size : 1);
    assert_non_null(copy);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    wire_reader_t reader = wire_reader(fabric_bytes(copy, bytes.size));
    fabric_error_t error = type_description_parse(&reader, description);
    assert_int_equal(error != FABRIC_OK, reader.failed);
    if (error == FABRIC_OK && wire_finish(&reader) != FABRIC_OK) {
        type_description_destroy(description);
        error = FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    free(copy);
    return error;
}

static void visit(const vector_t *vector, void *context)
{
    (void)context;
    type_description_t *description = NULL;
    fabric_error_t error = parse(vector->bytes, &description);
    if (!vector->valid) {
        assert_string_equal(fabric_error_name(error), vector->expected);
        assert_null(description);
        return;
    }
    assert_int_equal(error, FABRIC_OK);
    wire_writer_t writer = {0};
    type_description_put(description, &writer);
    assert_true(fabric_bytes_equal(wire_writer_bytes(&writer), vector->bytes));
    wire_writer_destroy(&writer);
    type_description_destroy(&description);
    assert_null(description);
    for (size_t size = 0; size < vector->bytes.size; size++) {
        assert_int_equal(parse(fabric_bytes(vector->bytes.data, size), &description),
                         FABRIC_ERROR_MALFORMED_MESSAGE);
    }
}

static void descriptions_are_read_or_refused(void **state)
{
    (void)state;
    vectors_visit("schemas/vectors/types.txt", visit, NULL);
}

static void read_damaged(fabric_bytes_t damaged)
{
    type_description_t *description = NULL;
    if (parse(damaged, &description) == FABRIC_OK) {
        type_description_destroy(&description);
    }
}

static void damage(const vector_t *vector, void *context)
{
    (void)context;
    vectors_damage(vector, 300, read_damaged);
}

static void damaged_descriptions_do_no_harm(void **state)
{
    (void)state;
    srand(20250101);
    vectors_visit("schemas/vectors/types.txt", damage, NULL);
}

static type_description_t *two_messages(void)
{
    size_t size = 0;
    uint8_t *bytes = vectors_find("schemas/vectors/types.txt", "two_messages", &size);
    type_description_t *description = NULL;
    assert_int_equal(parse(fabric_bytes(bytes, size), &description), FABRIC_OK);
    free(bytes);
    return description;
}

static void what_was_described_is_found(void **state)
{
    (void)state;
    type_description_t *description = two_messages();
    assert_string_equal(description->name, "Order");
    assert_string_equal(description->group, "blue");
    assert_int_equal(description->mailbox_capacity, 1);
    assert_true(description->concurrency == UINT32_MAX);
    assert_int_equal(description->message_count, 2);
    const message_description_t *place =
        type_description_message(description, fabric_bytes_of("Place"));
    assert_ptr_equal(place, &description->messages[0]);
    assert_true(place->durable && place->has_primary_key);
    assert_string_equal(place->request->name, "Item");
    assert_string_equal(place->reply->name, "Empty");
    const message_description_t *peek =
        type_description_message(description, fabric_bytes_of("Peek"));
    assert_ptr_equal(peek, &description->messages[1]);
    assert_false(peek->durable || peek->has_primary_key);
    assert_null(type_description_message(description, fabric_bytes_of("peek")));
    assert_null(type_description_message(description, fabric_bytes("Peek", 3)));
    assert_null(type_description_message(description, fabric_bytes(NULL, 0)));
    type_description_destroy(&description);
    type_description_destroy(&description);
    type_description_destroy(NULL);
}

/* Which of the two is kept is told by the description that is written. */
static void assert_merged(const type_description_t *known, const type_description_t *brought,
                          const type_description_t *kept, const char *text)
{
    fabric_schema_fault_t fault = {{0}};
    wire_writer_t merged = {0};
    wire_writer_t expected = {0};
    fabric_error_t error = type_description_merge(known, brought, &fault, &merged);
    if (!error) {
        fault.text[0] = '\0'; /* of the direction that was tried first */
    }
    assert_string_equal(fault.text, text);
    assert_int_equal(error, *text ? FABRIC_ERROR_TYPE_CONFLICT : FABRIC_OK);
    if (kept) {
        type_description_put(kept, &expected);
    }
    assert_true(fabric_bytes_equal(wire_writer_bytes(&merged), wire_writer_bytes(&expected)));
    wire_writer_reset(&merged);
    assert_int_equal(type_description_merge(known, brought, NULL, &merged), error);
    wire_writer_destroy(&merged);
    wire_writer_destroy(&expected);
}

static void the_newer_type_is_kept(void **state)
{
    (void)state;
    type_description_t *known = two_messages();
    type_description_t *brought = two_messages();
    assert_merged(known, brought, brought, "");
    brought->mailbox_capacity = 7;
    brought->concurrency = 7;
    brought->options = (type_options_t){FAILURE_PARK, true, 60000, false};
    assert_merged(known, brought, brought, "");
    /* One field more, which is optional: whoever comes first, the newer one is kept. */
    fabric_schema_t *kept = brought->messages[0].request;
    fabric_field_t fields[3] = {kept->fields[0],
                                kept->fields[1],
                                {.name = "gift", .kind = FABRIC_FIELD_BOOL, .optional = true}};
    fabric_schema_t more = {"Item", kept->size + 8, fields, 3};
    brought->messages[0].request = &more;
    assert_merged(known, brought, brought, "");
    assert_merged(brought, known, brought, "");
    fields[2].optional = false;
    assert_merged(known, brought, NULL,
                  "Place request: gift: expected a new field to be optional or to have a default, "
                  "found one that must be there");
    assert_merged(brought, known, NULL,
                  "Place request: gift: expected a field as before, found none");
    brought->messages[0].request = kept;
    type_description_destroy(&known);
    type_description_destroy(&brought);
}

static void the_newer_state_is_kept(void **state)
{
    (void)state;
    type_description_t *known = two_messages();
    type_description_t *brought = two_messages();
    fabric_schema_t *plain = known->messages[0].request;
    fabric_field_t fields[3] = {plain->fields[0],
                                plain->fields[1],
                                {.name = "gift", .kind = FABRIC_FIELD_BOOL, .optional = true}};
    fabric_schema_t more = {"Item", plain->size + 8, fields, 3};
    type_description_t with = *brought;
    with.state = plain;
    assert_merged(known, &with, &with, ""); /* it was not persisted before */
    assert_merged(&with, known, NULL, "Order: expected a persisted state as before, found none");
    type_description_t longer = with;
    longer.state = &more;
    assert_merged(&with, &longer, &longer, "");
    assert_merged(&longer, &with, &longer, "");
    fields[2].optional = false;
    assert_merged(&with, &longer, NULL,
                  "Order state: gift: expected a new field to be optional or to have a default, "
                  "found one that must be there");
    longer.state_version = 1; /* it has a function that reads the other one */
    assert_merged(&with, &longer, &longer, "");
    assert_merged(&longer, &with, &longer, "");
    type_description_destroy(&known);
    type_description_destroy(&brought);
}

/* Events of the first one, with a schema that is borrowed. */
static type_description_t with_events(const type_description_t *type, event_description_t *events,
                                      size_t count)
{
    type_description_t with = *type;
    with.events = events;
    with.event_count = count;
    return with;
}

static void a_type_persists_its_state_or_appends_events(void **state)
{
    (void)state;
    type_description_t *known = two_messages();
    event_description_t rows[] = {{"Paid", 1, known->messages[0].request}};
    type_description_t appends = with_events(known, rows, 1);
    type_description_t persists = *known;
    persists.state = known->messages[0].request;
    assert_merged(known, &appends, &appends, ""); /* it said nothing before */
    assert_merged(&appends, known, NULL, "Order: expected events as before, found none");
    assert_merged(&appends, &persists, NULL, "Order: expected events as before, found none");
    assert_merged(&persists, &appends, NULL,
                  "Order: expected a persisted state without events as before, found events");
    type_description_t both = appends;
    both.state = persists.state;
    both.snapshot_every = 10;
    assert_merged(&persists, &both, NULL,
                  "Order: expected a persisted state without events as before, found events");
    assert_merged(&both, &persists, NULL, "Order: expected events as before, found none");
    assert_merged(&appends, &both, &both, "");
    assert_merged(&both, &appends, &both, ""); /* snapshots that are there can be read */
    type_description_destroy(&known);
}

static void events_of_both_are_kept(void **state)
{
    (void)state;
    type_description_t *known = two_messages();
    fabric_schema_t *plain = known->messages[0].request;
    fabric_field_t fields[3] = {plain->fields[0],
                                plain->fields[1],
                                {.name = "gift", .kind = FABRIC_FIELD_BOOL, .optional = true}};
    fabric_schema_t more = {"Item", plain->size + 8, fields, 3};
    event_description_t old[] = {{"Paid", 1, plain}, {"Closed", 0, known->messages[0].reply}};
    event_description_t new[] = {{"Paid", 1, &more}, {"Closed", 0, known->messages[0].reply}};
    event_description_t other[] = {{"Paid", 2, plain}};
    event_description_t all[] = {old[0], old[1], other[0]};
    type_description_t before = with_events(known, old, 2);
    type_description_t after = with_events(known, new, 2);
    type_description_t only = with_events(known, other, 1);
    type_description_t merged = with_events(known, all, 3);
    assert_merged(&before, &after, &after, "");
    assert_merged(&after, &before, &after, "");
    only.mailbox_capacity = 7;
    assert_merged(&before, &only, &merged, ""); /* and the rest of the one that knows more */
    fields[2].optional = false;
    assert_merged(&before, &after, NULL,
                  "Paid event: gift: expected a new field to be optional or to have a default, "
                  "found one that must be there");
    assert_null(type_description_event(&before, fabric_bytes_of("Paid"), 2));
    assert_null(type_description_event(&before, fabric_bytes_of("Pai"), 1));
    assert_ptr_equal(type_description_event(&before, fabric_bytes_of("Closed"), 0), &old[1]);
    type_description_destroy(&known);
}

static void merged_events_are_bounded(void **state)
{
    (void)state;
    static event_description_t many[LIMIT_EVENT_SCHEMAS_MAX];
    fabric_schema_fault_t fault = {{0}};
    wire_writer_t merged = {0};
    type_description_t *known = two_messages();
    for (size_t i = 0; i < LIMIT_EVENT_SCHEMAS_MAX; i++) {
        many[i] = (event_description_t){"Paid", (uint32_t)i, known->messages[0].reply};
    }
    event_description_t one = {"Closed", 0, known->messages[0].reply};
    type_description_t before = with_events(known, &one, 1);
    type_description_t brought = with_events(known, many, LIMIT_EVENT_SCHEMAS_MAX - 1);
    assert_int_equal(type_description_merge(&before, &brought, &fault, &merged), FABRIC_OK);
    wire_writer_reset(&merged);
    brought.event_count++;
    assert_int_equal(type_description_merge(&before, &brought, &fault, &merged),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(fault.text, "Order: expected fewer events, with those from before");
    assert_int_equal(merged.size, 0);
    wire_writer_destroy(&merged);
    type_description_destroy(&known);
}

static void messages_of_both_are_kept(void **state)
{
    (void)state;
    type_description_t *known = two_messages();
    type_description_t *brought = two_messages();
    fabric_schema_fault_t fault = {{0}};
    wire_writer_t merged = {0};
    type_description_t *got = NULL;
    brought->mailbox_capacity = 7;
    brought->messages[0].tag[0] = 'p'; /* one message less and another more */
    assert_int_equal(type_description_merge(known, brought, &fault, &merged), FABRIC_OK);
    wire_reader_t reader = wire_reader(wire_writer_bytes(&merged));
    assert_int_equal(type_description_parse(&reader, &got), FABRIC_OK);
    assert_int_equal(got->message_count, 3);
    assert_string_equal(got->messages[0].tag, "Place");
    assert_string_equal(got->messages[1].tag, "Peek");
    assert_string_equal(got->messages[2].tag, "place");
    assert_int_equal(got->mailbox_capacity, known->mailbox_capacity);
    type_description_destroy(&got);
    wire_writer_destroy(&merged);
    type_description_destroy(&known);
    type_description_destroy(&brought);
}

static void early_delivery_is_that_of_the_newer_type(void **state)
{
    (void)state;
    type_description_t *known = two_messages();
    type_description_t *brought = two_messages();
    brought->messages[0].early = true;
    assert_merged(known, brought, brought, "");
    assert_merged(brought, known, known, "");
    wire_writer_t writer = {0};
    type_description_t *got = NULL;
    type_description_put(brought, &writer);
    assert_int_equal(parse(wire_writer_bytes(&writer), &got), FABRIC_OK);
    assert_true(got->early && got->messages[0].early && !got->messages[1].early);
    type_description_destroy(&got);
    brought->messages[1].early = true; /* it is volatile */
    wire_writer_reset(&writer);
    type_description_put(brought, &writer);
    assert_int_equal(parse(wire_writer_bytes(&writer), &got), FABRIC_ERROR_MALFORMED_MESSAGE);
    wire_writer_destroy(&writer);
    type_description_destroy(&known);
    type_description_destroy(&brought);
}

static void a_message_stays_transactional_or_not(void **state)
{
    (void)state;
    type_description_t *known = two_messages();
    type_description_t *brought = two_messages();
    fabric_schema_fault_t fault = {{0}};
    wire_writer_t writer = {0};
    type_description_t *got = NULL;
    brought->messages[0].transactional = true;
    assert_int_equal(type_description_merge(known, brought, &fault, &writer),
                     FABRIC_ERROR_TYPE_CONFLICT);
    assert_non_null(strstr(fault.text, "found a transactional message"));
    assert_int_equal(type_description_merge(brought, known, &fault, &writer),
                     FABRIC_ERROR_TYPE_CONFLICT);
    assert_non_null(strstr(fault.text, "expected a transactional message"));
    assert_merged(brought, brought, brought, "");
    type_description_put(brought, &writer);
    assert_int_equal(parse(wire_writer_bytes(&writer), &got), FABRIC_OK);
    assert_true(got->transactional && got->messages[0].transactional && !got->early);
    type_description_destroy(&got);
    brought->messages[0].early = true; /* not both */
    wire_writer_reset(&writer);
    type_description_put(brought, &writer);
    assert_int_equal(parse(wire_writer_bytes(&writer), &got), FABRIC_ERROR_MALFORMED_MESSAGE);
    brought->messages[0].early = false;
    brought->messages[1].transactional = true; /* it is volatile */
    wire_writer_reset(&writer);
    type_description_put(brought, &writer);
    assert_int_equal(parse(wire_writer_bytes(&writer), &got), FABRIC_ERROR_MALFORMED_MESSAGE);
    wire_writer_destroy(&writer);
    type_description_destroy(&known);
    type_description_destroy(&brought);
}

/* The newer type has dropped the message, which stays, and brings what cannot stand beside it. */
static void a_dropped_transactional_message_forbids_a_state(void **state)
{
    (void)state;
    static const char text[] = "Place: expected neither a persisted state nor events, as the type "
                               "has, or had, this transactional message";
    type_description_t *known = two_messages();
    type_description_t *brought = two_messages();
    event_description_t rows[] = {{"Paid", 1, known->messages[0].request}};
    type_description_t without = *brought;
    without.messages = &brought->messages[1];
    without.message_count = 1;
    type_description_t persists = without;
    persists.state = known->messages[0].request;
    type_description_t appends = with_events(&without, rows, 1);
    known->messages[0].transactional = true;
    assert_merged(known, &persists, NULL, text);
    assert_merged(known, &appends, NULL, text);
    type_description_t before = persists;
    assert_merged(&before, &persists, &persists, "");
    type_description_destroy(&known);
    type_description_destroy(&brought);
}

/* Workers of either version may run, and brokers are to know of those that tell. */
static void a_type_that_tells_stays_one(void **state)
{
    (void)state;
    type_description_t *known = two_messages();
    type_description_t *brought = two_messages();
    brought->options.tells = true;
    assert_merged(known, brought, brought, "");
    assert_merged(brought, known, brought, "");
    type_description_destroy(&known);
    type_description_destroy(&brought);
}

/* Each worker brings no more messages than it may, but together they are too many. */
static void merged_messages_are_bounded(void **state)
{
    (void)state;
    static message_description_t many[LIMIT_MESSAGES_MAX];
    fabric_schema_fault_t fault = {{0}};
    wire_writer_t merged = {0};
    type_description_t *known = two_messages();
    type_description_t brought = *known;
    for (size_t i = 0; i < LIMIT_MESSAGES_MAX; i++) {
        many[i] = known->messages[1];
        (void)snprintf(many[i].tag, sizeof many[i].tag, "m%zu", i);
    }
    brought.messages = many;
    brought.message_count = LIMIT_MESSAGES_MAX - 2;
    assert_int_equal(type_description_merge(known, &brought, &fault, &merged), FABRIC_OK);
    wire_writer_reset(&merged);
    brought.message_count++;
    assert_int_equal(type_description_merge(known, &brought, &fault, &merged),
                     FABRIC_ERROR_LIMIT_EXCEEDED);
    assert_string_equal(fault.text, "Order: expected fewer messages, with those from before");
    assert_int_equal(merged.size, 0);
    wire_writer_destroy(&merged);
    type_description_destroy(&known);
}

static void contradictions_are_told(void **state)
{
    (void)state;
    type_description_t *known = two_messages();
    type_description_t *brought = two_messages();
    brought->messages[1].durable = true;
    assert_merged(known, brought, NULL,
                  "Peek: expected a volatile message as before, found a durable one");
    assert_merged(brought, known, NULL,
                  "Peek: expected a durable message as before, found a volatile one");
    brought->messages[1].durable = false;
    fabric_schema_t *kept = brought->messages[0].request;
    brought->messages[0].request = brought->messages[1].request;
    assert_merged(known, brought, NULL,
                  "Place request: sku: expected a field as before, found none");
    brought->messages[0].request = kept;
    kept = brought->messages[1].reply;
    brought->messages[1].reply = brought->messages[1].request;
    assert_merged(known, brought, NULL, "Peek reply: sku: expected a field as before, found none");
    brought->messages[1].reply = kept;
    strcpy(brought->group, "red");
    assert_merged(known, brought, NULL, "Order: expected shard group blue as before, found red");
    type_description_destroy(&known);
    type_description_destroy(&brought);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptions_are_read_or_refused),
        cmocka_unit_test(damaged_descriptions_do_no_harm),
        cmocka_unit_test(what_was_described_is_found),
        cmocka_unit_test(the_newer_type_is_kept),
        cmocka_unit_test(the_newer_state_is_kept),
        cmocka_unit_test(a_type_persists_its_state_or_appends_events),
        cmocka_unit_test(events_of_both_are_kept),
        cmocka_unit_test(merged_events_are_bounded),
        cmocka_unit_test(messages_of_both_are_kept),
        cmocka_unit_test(early_delivery_is_that_of_the_newer_type),
        cmocka_unit_test(a_message_stays_transactional_or_not),
        cmocka_unit_test(a_dropped_transactional_message_forbids_a_state),
        cmocka_unit_test(a_type_that_tells_stays_one),
        cmocka_unit_test(merged_messages_are_bounded),
        cmocka_unit_test(contradictions_are_told),
    };
    return cmocka_run_group_tests_name("core_type_description", tests, NULL, NULL);
}
