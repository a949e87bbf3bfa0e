/* The broadcast: many calls submitted at once, and one wait for all of them. */
#include "libfabric_client/src/client_state.h"

#include <stdlib.h>

#include "core/memory.h"

/* Builds every call that can be built; the others have their outcome already. */
static call_list_t build_all(fabric_client_t *client, const fabric_call_t *calls, size_t count,
                             call_t **records, const void *replies, fabric_outcome_t *outcomes)
{
    call_list_t list = {0};
    for (size_t i = 0; i < count; i++) {
        reason_t reason = {{0}};
        fabric_error_t error = client_check_process(client, &reason);
        if (!error) {
            error = request_check_structs(&calls[i], replies, false, &reason);
        }
        if (!error) {
            error = request_build(&calls[i], client->number, &reason, &records[i]);
        }
        if (error) {
            records[i] = NULL;
            outcome_of_reason(error, &reason, &outcomes[i]);
        } else {
            records[i]->deadline_ms = client_deadline(client, calls[i].timeout_ms);
            ready_list_append(&list, records[i]);
        }
    }
    return list;
}

static void send_and_wait(fabric_client_t *client, call_list_t *list, call_t **records,
                          size_t count, fabric_outcome_t *outcomes)
{
    reason_t reason = {{0}};
    fabric_error_t error = client_run_calls(client, list, &reason);
    for (size_t i = 0; error && i < count; i++) {
        if (records[i]) {
            outcome_of_reason(error, &reason, &outcomes[i]);
            call_destroy(&records[i]);
        }
    }
}

static void collect(fabric_client_t *client, call_t **call, void *reply, void *failure,
                    fabric_outcome_t *outcome)
{
    if (*call) {
        outcome_of(*call, client->number, outcome);
        outcome_decode(*call, outcome->failure ? failure : reply, outcome);
        exchange_release(client->exchange, call);
    }
}

fabric_error_t fabric_client_broadcast(fabric_client_t *client, const fabric_call_t *calls,
                                       size_t count, void *replies, size_t reply_size,
                                       fabric_outcome_t *outcomes)
{
    fabric_error_t first = FABRIC_OK;
    int cancel = thread_hold_cancel();
    call_t **records = memory_allocate_zeroed(count, sizeof(call_t *));
    call_list_t list = build_all(client, calls, count, records, replies, outcomes);
    if (list.first) {
        send_and_wait(client, &list, records, count, outcomes);
    }
    for (size_t i = 0; i < count; i++) {
        collect(client, &records[i], replies ? (uint8_t *)replies + i * reply_size : NULL,
                calls[i].failure, &outcomes[i]);
        first = first ? first : outcomes[i].error;
    }
    free(records);
    thread_allow_cancel(cancel);
    return first;
}
