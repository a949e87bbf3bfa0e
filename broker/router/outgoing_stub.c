/* Rows of outgoing messages: nobody asks for them yet. */
#include "broker/router/router.h"

bool router_take_outgoing(router_t *router, uint32_t lane, router_outgoing_load_t *load)
{
    (void)router;
    (void)lane;
    (void)load;
    return false;
}

void router_outgoing_loaded(router_t *router, uint32_t lane, fabric_error_t error,
                            outgoing_copy_t **messages, size_t count, bool ended, uint64_t now_ms)
{
    (void)router;
    (void)lane;
    (void)error;
    (void)ended;
    (void)now_ms;
    for (size_t i = 0; i < count; i++) {
        outgoing_copy_destroy(&messages[i]);
    }
}
