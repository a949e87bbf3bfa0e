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
    for (size_t i = 0; i < adoption->clear_count; i++) {
        free((void *)adoption->clears[i].type.data);
    }
    free(adoption->clears);
    for (size_t i = 0; i < adoption->state_count; i++) {
        state_value_drop(&adoption->states[i]);
    }
    free(adoption->states);
    events_values_clear(&adoption->events, &adoption->event_count);
    free(adoption->kept);
    free(adoption->kept_names);
    free(adoption->direct);
    outgoing_copies_clear(&adoption->outgoing, &adoption->outgoing_count);
    free(adoption->sent);
    free(adoption->outboxes);
    *adoption = (adoption_t){.hold = adoption->hold};
}
