/* Outcomes (<fabric/outcome.h>) as client and worker fill them in. */
#ifndef CORE_OUTCOME_H
#define CORE_OUTCOME_H

#include <fabric/bytes.h>
#include <fabric/outcome.h>

#include "core/reason.h"

/* Sets the text: one line, cut between characters where it is too long, spaces for control
 * characters. */
void outcome_set_text(fabric_outcome_t *outcome, fabric_bytes_t text);
/* Says which typed failure it was, by outcome->code and `failures` (may be NULL), with its name and
 * small values as the text. What does not fit its schema becomes MALFORMED_MESSAGE. */
void outcome_set_failure(fabric_outcome_t *outcome, const fabric_choices_t *failures,
                         fabric_bytes_t values);
/* An outcome with an error and its reason, or the meaning of the error where the reason is empty.
 */
void outcome_of_reason(fabric_error_t error, const reason_t *reason, fabric_outcome_t *outcome);

#endif
