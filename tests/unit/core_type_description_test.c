/* Type descriptions: those of schemas/vectors/ are read and written again; which one may take
 * another's place. */
#include "core/type_description.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

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

static void assert_compatible(const type_description_t *before, const type_description_t *after,
                              const char *text)
{
    fabric_schema_fault_t fault = {{0}};
    fabric_error_t error = type_description_compatible(before, after, &fault);
    assert_string_equal(fault.text, text);
    assert_int_equal(error, *text ? FABRIC_ERROR_TYPE_CONFLICT : FABRIC_OK);
    assert_int_equal(type_description_compatible(before, after, NULL), error);
}

static void later_types_keep_what_was(void **state)
{
    (void)state;
    type_description_t *before = two_messages();
    type_description_t *after = two_messages();
    assert_compatible(before, after, "");
    after->mailbox_capacity = 7;
    after->concurrency = 7;
    after->messages[0].tag[0] = 'p'; /* one message less and another more */
    assert_compatible(before, after, "");
    after->messages[0].tag[0] = 'P';
    after->messages[1].durable = true;
    assert_compatible(before, after,
                      "Peek: expected a volatile message as before, found a durable one");
    assert_compatible(after, before,
                      "Peek: expected a durable message as before, found a volatile one");
    after->messages[1].durable = false;
    fabric_schema_t *kept = after->messages[0].request;
    after->messages[0].request = after->messages[1].request;
    assert_compatible(before, after, "Place request: sku: expected a field as before, found none");
    assert_compatible(
        after, before,
        "Place request: sku: expected a new field to be optional or to have a default, found one "
        "that must "
        "be there");
    after->messages[0].request = kept;
    kept = after->messages[1].reply;
    after->messages[1].reply = after->messages[1].request;
    assert_compatible(before, after, "Peek reply: sku: expected a field as before, found none");
    after->messages[1].reply = kept;
    strcpy(after->group, "red");
    assert_compatible(before, after, "Order: expected shard group blue as before, found red");
    type_description_destroy(&before);
    type_description_destroy(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptions_are_read_or_refused),
        cmocka_unit_test(damaged_descriptions_do_no_harm),
        cmocka_unit_test(what_was_described_is_found),
        cmocka_unit_test(later_types_keep_what_was),
    };
    return cmocka_run_group_tests_name("core_type_description", tests, NULL, NULL);
}
