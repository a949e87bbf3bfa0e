/* Outcomes: see outcome.h. */
#include "core/outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/failures.h"

void outcome_set_text(fabric_outcome_t *outcome, fabric_bytes_t text)
{
    size_t size = text.size < sizeof outcome->text ? text.size : sizeof outcome->text - 1;
    if (size < text.size) { /* cut between characters, not inside one */
        while (size > 0 && (text.data[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    for (size_t i = 0; i < size; i++) { /* one line, whatever was sent */
        bool control = text.data[i] < 0x20 || text.data[i] == 0x7f;
        outcome->text[i] = control ? ' ' : (char)text.data[i];
    }
    outcome->text[size] = '\0';
}

/* The name, and the values as JSON. A failure of a newer worker may have values that are not known
 * here; they are left out with all others. */
static void set_failure_text(fabric_outcome_t *outcome, const fabric_choice_t *failure,
                             fabric_bytes_t values)
{
    char text[sizeof outcome->text];
    char *json = NULL;
    bool shown = failure->schema->field_count > 0 && values.size <= sizeof text &&
                 fabric_schema_to_json(failure->schema, values, NULL, &json) == FABRIC_OK;
    (void)snprintf(text, sizeof text, "%s%s%s", failure->name, shown ? " " : "", shown ? json : "");
    free(json);
    outcome_set_text(outcome, fabric_bytes_of(text));
}

void outcome_set_failure(fabric_outcome_t *outcome, const fabric_choices_t *failures,
                         fabric_bytes_t values)
{
    const fabric_choice_t *failure = failures_find(failures, outcome->code);
    fabric_schema_fault_t fault = {{0}};
    size_t capacity;
    if (!failure) {
        (void)snprintf(outcome->text, sizeof outcome->text,
                       "the entity answered with failure %" PRIu64
                       ", which is not declared here: its message type is newer",
                       outcome->code);
    } else if (fabric_schema_measure(failure->schema, values, &fault, &capacity) != FABRIC_OK) {
        outcome->error = FABRIC_ERROR_MALFORMED_MESSAGE;
        outcome->code = 0;
        outcome_set_text(outcome, fabric_bytes_of(fault.text));
    } else {
        outcome->failure = failure;
        set_failure_text(outcome, failure, values);
    }
}

void outcome_of_reason(fabric_error_t error, const reason_t *reason, fabric_outcome_t *outcome)
{
    memset(outcome, 0, sizeof *outcome);
    outcome->error = error;
    outcome_set_text(outcome,
                     fabric_bytes_of(reason->text[0] ? reason->text : fabric_error_meaning(error)));
}
