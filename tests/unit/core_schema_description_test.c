/* Schema descriptions: those of schemas/vectors/ are read and written again; which schema may take
 * another's place. */
#include "core/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/schema_field.h"
#include "tests/unit/samples.h"
#include "tests/harness/vectors.h"

/* As in schemas/vectors/schemas.txt. */
static void show_default(FILE *out, const fabric_field_t *field)
{
    if (field->kind == FABRIC_FIELD_STRING) {
        (void)fprintf(out, "=%s", schema_default_text(field));
    } else if (field->kind == FABRIC_FIELD_F64) {
        (void)fprintf(out, "=%g", field->fallback.as.real);
    } else if (field->kind == FABRIC_FIELD_U64) {
        (void)fprintf(out, "=%" PRIu64, (uint64_t)field->fallback.as.integer);
    } else {
        (void)fprintf(out, "=%" PRId64, field->fallback.as.integer);
    }
}

static void show(FILE *out, const fabric_schema_t *schema);

static void show_choices(FILE *out, const fabric_choices_t *choices)
{
    (void)fprintf(out, "_%s[", choices->name);
    for (size_t i = 0; i < choices->count; i++) {
        const fabric_choice_t *choice = &choices->items[i];
        (void)fprintf(out, "%s%" PRId32 ":%s", i > 0 ? "," : "", choice->number, choice->name);
        if (choice->schema) {
            (void)fputs("=", out);
            show(out, choice->schema);
        }
        (void)fputs(choice->doc ? "#" : "", out);
    }
    (void)fputs("]", out);
}

static void show_max(FILE *out, uint32_t max)
{
    if (max == FABRIC_ANY_LENGTH) {
        (void)fputs("(any)", out);
    } else if (max > 0) {
        (void)fprintf(out, "(%" PRIu32 ")", max);
    }
}

static void show(FILE *out, const fabric_schema_t *schema)
{
    static const char *const kinds[] = {"",     "bool", "i32",       "i64",   "u32",
                                        "u64",  "f64",  "string",    "bytes", "struct_of_",
                                        "list", "enum", "timestamp", "map",   "union"};
    (void)fprintf(out, "%s{", schema->name);
    for (size_t i = 0; i < schema->field_count; i++) {
        const fabric_field_t *field = &schema->fields[i];
        (void)fprintf(out, "%s%s:%s", i > 0 ? "," : "", field->name, kinds[field->kind]);
        show_max(out, field->max);
        if (field->kind == FABRIC_FIELD_MAP) {
            (void)fputs("of_", out);
        }
        if (field->kind == FABRIC_FIELD_LIST) {
            (void)fprintf(out, "of_%s", kinds[field->element]);
            show_max(out, field->element_max);
        }
        if (field->schema) {
            show(out, field->schema);
        }
        if (field->choices) {
            show_choices(out, field->choices);
        }
        (void)fputs(field->optional ? "?" : "", out);
        if (field->fallback.given) {
            show_default(out, field);
        }
        (void)fprintf(out, "%s%s", field->json ? "/" : "", field->json ? field->json : "");
        (void)fputs(field->doc ? "#" : "", out);
    }
    (void)fputs("}", out);
}

/* No member of the struct may stick out of it. */
static void check_layout(const fabric_schema_t *schema)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const fabric_field_t *field = &schema->fields[i];
        assert_true(field->offset <= schema->size);
        if (schema_is_view(field)) {
            bool is_text = field->kind == FABRIC_FIELD_STRING || field->kind == FABRIC_FIELD_BYTES;
            size_t size = is_text ? sizeof(fabric_bytes_t) : sizeof(void *);
            assert_true(field->offset + size <= schema->size);
            assert_int_equal(field->offset % sizeof(void *), 0);
        } else if (field->kind == FABRIC_FIELD_LIST || field->kind == FABRIC_FIELD_MAP) {
            size_t stride = field->element ? field->stride : field->schema->size;
            assert_true(field->offset + field->max * stride <= schema->size);
        } else if (field->kind == FABRIC_FIELD_STRING || field->kind == FABRIC_FIELD_BYTES) {
            assert_true(field->offset + field->max < schema->size);
        }
        for (size_t k = 0; field->kind == FABRIC_FIELD_UNION && k < field->choices->count; k++) {
            check_layout(field->choices->items[k].schema);
            assert_true(field->offset + field->choices->items[k].schema->size <= schema->size);
            assert_true(field->count_offset + 4 <= schema->size);
        }
        if (field->optional) {
            assert_true(field->present_offset < schema->size);
        }
        if (field->schema) {
            check_layout(field->schema);
        }
    }
}

static void check_good(const vector_t *vector, const fabric_schema_t *schema)
{
    char *text = NULL;
    size_t text_size = 0;
    FILE *out = open_memstream(&text, &text_size);
    assert_non_null(out);
    show(out, schema);
    (void)fclose(out);
    assert_string_equal(text, vector->expected);
    free(text);
    check_layout(schema);
    assert_true(schema->size <= SCHEMA_STRUCT_BYTES_MAX);
    wire_writer_t writer = {0};
    schema_describe(schema, &writer);
    assert_true(fabric_bytes_equal(wire_writer_bytes(&writer), vector->bytes));
    const fabric_schema_t *sample = sample_schema(vector->name);
    if (sample) {
        wire_writer_reset(&writer);
        schema_describe(sample, &writer);
        assert_true(fabric_bytes_equal(wire_writer_bytes(&writer), vector->bytes));
    }
    wire_writer_destroy(&writer);
}

static fabric_error_t parse(fabric_bytes_t bytes, fabric_schema_t **schema)
{
    uint8_t *copy = malloc(bytes.size ? bytes.size : 1);
    assert_non_null(copy);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    wire_reader_t reader = wire_reader(fabric_bytes(copy, bytes.size));
    fabric_error_t error = schema_parse(&reader, schema);
    if (error != FABRIC_OK) {
        assert_true(reader.failed);
        assert_null(*schema);
    } else if (wire_finish(&reader) != FABRIC_OK) {
        schema_destroy(schema);
        error = FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    free(copy);
    return error;
}

static void visit(const vector_t *vector, void *context)
{
    (void)context;
    fabric_schema_t *schema = NULL;
    fabric_error_t error = parse(vector->bytes, &schema);
    if (!vector->valid) {
        assert_string_equal(fabric_error_name(error), vector->expected);
        assert_null(schema);
        return;
    }
    assert_int_equal(error, FABRIC_OK);
    check_good(vector, schema);
    schema_destroy(&schema);
    assert_null(schema);
    for (size_t size = 0; size < vector->bytes.size; size++) {
        assert_int_equal(parse(fabric_bytes(vector->bytes.data, size), &schema),
                         FABRIC_ERROR_MALFORMED_MESSAGE);
    }
}

static void descriptions_are_read_or_refused(void **state)
{
    (void)state;
    vectors_visit("schemas/vectors/schemas.txt", visit, NULL);
}

static void read_damaged(fabric_bytes_t damaged)
{
    fabric_schema_t *schema = NULL;
    if (parse(damaged, &schema) == FABRIC_OK) {
        check_layout(schema);
        schema_destroy(&schema);
    }
}

static void damage(const vector_t *vector, void *context)
{
    (void)context;
    vectors_damage(vector, 200, read_damaged);
}

static void damaged_descriptions_do_no_harm(void **state)
{
    (void)state;
    srand(20250101);
    vectors_visit("schemas/vectors/schemas.txt", damage, NULL);
}

/* ---- compatibility ---- */

static void assert_compatible(const fabric_schema_t *before, const fabric_schema_t *after,
                              const char *text)
{
    fabric_schema_fault_t fault = {{0}};
    fabric_error_t error = schema_compatible(before, after, &fault);
    assert_string_equal(fault.text, text);
    assert_int_equal(error, *text ? FABRIC_ERROR_TYPE_CONFLICT : FABRIC_OK);
    assert_int_equal(schema_compatible(before, after, NULL), error);
}

/* The sample schema Order with one of its fields changed. */
static fabric_schema_t changed(fabric_field_t fields[8], size_t index, fabric_field_t field)
{
    memcpy(fields, order_schema.fields, order_schema.field_count * sizeof *fields);
    fields[index] = field;
    size_t count = index < order_schema.field_count ? order_schema.field_count : index + 1;
    return (fabric_schema_t){"Order", sizeof(order_t), fields, count};
}

static void later_schemas_keep_what_was(void **state)
{
    (void)state;
    fabric_field_t fields[8];
    assert_compatible(&order_schema, &order_schema, "");
    assert_compatible(&all_schema, &all_schema, "");
    fabric_field_t field = order_schema.fields[0];
    field.max = 30;
    field.name = "renamed";
    fabric_schema_t other = changed(fields, 0, field);
    assert_compatible(&order_schema, &other, "");
    assert_compatible(&other, &order_schema,
                      "id: expected a maximum of at least 30 as before, found 20");
    field = order_schema.fields[0];
    field.kind = FABRIC_FIELD_BYTES;
    other = changed(fields, 0, field);
    assert_compatible(&order_schema, &other, "id: expected kind string as before, found bytes");
    field = order_schema.fields[0];
    field.optional = true;
    other = changed(fields, 0, field);
    assert_compatible(&order_schema, &other, "");
    assert_compatible(&other, &order_schema,
                      "id: expected an optional field as before, found one that must be there");
}

static void fields_are_added_at_the_end_and_optional(void **state)
{
    (void)state;
    fabric_field_t fields[8];
    fabric_field_t field = {.name = "extra", .kind = FABRIC_FIELD_BOOL, .optional = true};
    fabric_schema_t other = changed(fields, 4, field);
    assert_compatible(&order_schema, &other, "");
    assert_compatible(&other, &order_schema, "extra: expected a field as before, found none");
    field.optional = false;
    other = changed(fields, 4, field);
    assert_compatible(&order_schema, &other,
                      "extra: expected a new field to be optional or to have a default, found one "
                      "that must be there");
}

static void inner_schemas_count(void **state)
{
    (void)state;
    fabric_field_t fields[8];
    fabric_field_t inner[2] = {item_schema.fields[0], item_schema.fields[1]};
    inner[1].kind = FABRIC_FIELD_U64;
    fabric_schema_t other_item = {"Item", sizeof(item_t), inner, 2};
    fabric_field_t field = order_schema.fields[2];
    field.schema = &other_item;
    fabric_schema_t other = changed(fields, 2, field);
    assert_compatible(&order_schema, &other,
                      "items.quantity: expected kind u32 as before, found u64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptions_are_read_or_refused),
        cmocka_unit_test(damaged_descriptions_do_no_harm),
        cmocka_unit_test(later_schemas_keep_what_was),
        cmocka_unit_test(fields_are_added_at_the_end_and_optional),
        cmocka_unit_test(inner_schemas_count),
    };
    return cmocka_run_group_tests_name("core_schema_description", tests, NULL, NULL);
}
