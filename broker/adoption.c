/* What a new holder finds in a lane: see adoption.h. */
#include "broker/adoption.h"

#include <stdlib.h>

void adoption_clear(adoption_t *adoption)
{
    message_chain_destroy(&adoption->messages);
    message_chain_destroy(&adoption->dead);
    message_chain_destroy(&adoption->ended);
    free(adoption->backlogs);
    free(adoption->overruled);
    *adoption = (adoption_t){.hold = adoption->hold};
}
