/* Failures that a message type declares (fabric_message_type_t.failures): choices with schemas, as
 * the variants of a union are. They travel in the description of a message as the schema of a
 * struct with one field, that union, so everything that holds for schemas holds for them. What
 * travels of one failure is its number, as `code`, and the payload of its values.
 *
 * Threading: pure functions, for any thread.
 */
#ifndef CORE_FAILURES_H
#define CORE_FAILURES_H

#include "core/schema.h"

/* Whether the failures can be described: they have names and schemas, and numbers that are not
 * negative. NULL: none are declared, which is good. */
bool failures_are_describable(const fabric_choices_t *failures);
/* Appends the description of failures that are describable. */
void failures_describe(const fabric_choices_t *failures, wire_writer_t *writer);
/* Reads a description. Errors and what becomes of the result as with schema_parse(). */
FABRIC_MUST_USE
fabric_error_t failures_parse(wire_reader_t *reader, fabric_schema_t **schema);
/* The failures of such a schema; NULL for NULL. */
const fabric_choices_t *failures_of(const fabric_schema_t *schema);
/* The failure that a code stands for; NULL: none is declared. `failures` may be NULL. */
const fabric_choice_t *failures_find(const fabric_choices_t *failures, uint64_t code);

/* Encodes a failure's values as fabric_schema_encode() does; `values` may be NULL where its schema
 * is empty. MALFORMED_MESSAGE with a fault, too, for a number that is not declared, and where there
 * are no values. */
FABRIC_MUST_USE
fabric_error_t failure_encode(const fabric_choices_t *failures, int32_t number, const void *values,
                              uint8_t *buffer, size_t capacity, fabric_schema_fault_t *fault,
                              size_t *size);
/* Writes {"failure": {NAME: VALUES}}. The text is the caller's to free(). Errors as
 * fabric_schema_to_json(), and MALFORMED_MESSAGE for a code that is not declared. */
FABRIC_MUST_USE
fabric_error_t failure_to_json(const fabric_choices_t *failures, uint64_t code,
                               fabric_bytes_t values, fabric_schema_fault_t *fault, char **json);

#endif
