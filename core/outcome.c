/* Outcomes: see outcome.h. */
#include "core/outcome.h"

#include <string.h>

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

void outcome_of_reason(fabric_error_t error, const reason_t *reason, fabric_outcome_t *outcome)
{
    memset(outcome, 0, sizeof *outcome);
    outcome->error = error;
    outcome_set_text(outcome,
                     fabric_bytes_of(reason->text[0] ? reason->text : fabric_error_meaning(error)));
}
