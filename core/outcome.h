/* Outcomes (<fabric/outcome.h>) as client and worker fill them in. */
#ifndef CORE_OUTCOME_H
#define CORE_OUTCOME_H

#include <fabric/bytes.h>
#include <fabric/outcome.h>

#include "core/reason.h"

/* Sets the text: one line, cut between characters where it is too long, spaces for control
 * characters. */
void outcome_set_text(fabric_outcome_t *outcome, fabric_bytes_t text);
/* An outcome with an error and its reason, or the meaning of the error where the reason is empty.
 */
void outcome_of_reason(fabric_error_t error, const reason_t *reason, fabric_outcome_t *outcome);

#endif
