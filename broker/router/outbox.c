/* Outboxes: see outbox_state.h. */
#include "broker/router/outbox_state.h"

void outbox_committed(router_t *router, const message_t *source, const journal_outgoing_t *told,
                      uint64_t entry)
{
    (void)router;
    (void)source;
    (void)told;
    (void)entry;
}
