/* Failures that a message type declares: see failures.h. */
#include "core/failures.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/schema_field.h"

/* The schema of a struct with one field, a union. Its struct is not used: nothing has a place in
 * it. */
typedef struct wrapper {
    fabric_field_t field;
    fabric_schema_t schema;
} wrapper_t;

static const fabric_schema_t *wrap(const fabric_choices_t *failures, wrapper_t *wrapper)
{
    wrapper->field =
        (fabric_field_t){.name = "failure", .kind = FABRIC_FIELD_UNION, .choices = failures};
    wrapper->schema = (fabric_schema_t){"Failures", 0, &wrapper->field, 1};
    return &wrapper->schema;
}

static bool are_numbered(const fabric_choices_t *failures)
{
    for (size_t i = 0; i < failures->count; i++) {
        if (failures->items[i].number < 0) {
            return false;
        }
    }
    return true;
}

bool failures_are_describable(const fabric_choices_t *failures)
{
    wrapper_t wrapper;
    return !failures || (schema_is_describable(wrap(failures, &wrapper)) && are_numbered(failures));
}

void failures_describe(const fabric_choices_t *failures, wire_writer_t *writer)
{
    wrapper_t wrapper;
    schema_describe(wrap(failures, &wrapper), writer);
}

fabric_error_t failures_parse(wire_reader_t *reader, fabric_schema_t **schema)
{
    fabric_schema_t *parsed = NULL;
    fabric_error_t error = schema_parse(reader, &parsed);
    if (error != FABRIC_OK) {
        return error;
    }
    const fabric_field_t *field = parsed->fields;
    if (parsed->field_count != 1 || field->kind != FABRIC_FIELD_UNION || field->optional ||
        !are_numbered(field->choices)) {
        schema_destroy(&parsed);
        reader->failed = true;
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    *schema = parsed;
    return FABRIC_OK;
}

const fabric_choices_t *failures_of(const fabric_schema_t *schema)
{
    return schema ? schema->fields[0].choices : NULL;
}

const fabric_choice_t *failures_find(const fabric_choices_t *failures, uint64_t code)
{
    return failures && code <= INT32_MAX ? schema_choice(failures, (int64_t)code) : NULL;
}

static fabric_error_t fault_set(fabric_schema_fault_t *fault, const char *text, int64_t number)
{
    if (fault) {
        (void)snprintf(fault->text, sizeof fault->text, "failure: %s %" PRId64, text, number);
    }
    return FABRIC_ERROR_MALFORMED_MESSAGE;
}

fabric_error_t failure_encode(const fabric_choices_t *failures, int32_t number, const void *values,
                              uint8_t *buffer, size_t capacity, fabric_schema_fault_t *fault,
                              size_t *size)
{
    const fabric_choice_t *failure = failures ? schema_choice(failures, number) : NULL;
    if (!failure) {
        return fault_set(fault, "the message declares none with the number", number);
    }
    if (!values && failure->schema->field_count > 0) {
        return fault_set(fault, "there are no values for the one with the number", number);
    }
    return fabric_schema_encode(failure->schema, values, buffer, capacity, fault, size);
}

fabric_error_t failure_to_json(const fabric_choices_t *failures, uint64_t code,
                               fabric_bytes_t values, fabric_schema_fault_t *fault, char **json)
{
    wrapper_t wrapper;
    wire_writer_t whole = {0};
    *json = NULL;
    if (!failures_find(failures, code)) {
        return fault_set(fault, "the message declares none with the number",
                         code <= INT64_MAX ? (int64_t)code : INT64_MAX);
    }
    wire_put_array(&whole, 1);
    wire_put_array(&whole, 2);
    wire_put_uint(&whole, code);
    wire_append(&whole, values.data, values.size);
    fabric_error_t error =
        fabric_schema_to_json(wrap(failures, &wrapper), wire_writer_bytes(&whole), fault, json);
    wire_writer_destroy(&whole);
    return error;
}
