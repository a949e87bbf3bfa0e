/* Running the callbacks of calls that have ended. */
#include "libfabric_client/src/client_state.h"

#include <poll.h>

#include "core/clock.h"

int fabric_client_fd(const fabric_client_t *client)
{
    return client_is_here(client) ? exchange_completed_fd(client->exchange) : -1;
}

size_t client_run_completions(fabric_client_t *client)
{
    call_list_t calls = exchange_take_completed(client->exchange);
    size_t count = calls.count;
    while (calls.first) {
        call_t *call = calls.first;
        fabric_outcome_t outcome;
        ready_list_remove(&calls, call);
        outcome_of(call, client->number, &outcome);
        outcome_decode(call, NULL, &outcome);
        call->complete(call->context, &outcome,
                       outcome.error && !outcome.failure ? (fabric_bytes_t){NULL, 0}
                                                         : call->answer);
        exchange_release(client->exchange, &call);
    }
    return count;
}

size_t fabric_client_process(fabric_client_t *client)
{
    if (!client_is_here(client)) {
        return 0;
    }
    int cancel = thread_hold_cancel();
    size_t count = client_run_completions(client);
    thread_allow_cancel(cancel);
    return count;
}

static bool completions_wait(void *context)
{
    return poll((struct pollfd *)context, 1, 0) > 0;
}

static size_t wait_for_completions(fabric_client_t *client, uint32_t timeout_ms)
{
    uint64_t end_ms = clock_monotonic_ms() + timeout_ms;
    struct pollfd item = {.fd = exchange_completed_fd(client->exchange), .events = POLLIN};
    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        uint64_t left_ms = end_ms > now_ms ? end_ms - now_ms : 0;
        if (left_ms > 0 && !client_spin(client, completions_wait, &item)) {
            (void)poll(&item, 1, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX);
        }
        size_t count = client_run_completions(client);
        if (count > 0 || left_ms == 0) {
            return count;
        }
    }
}

size_t fabric_client_wait(fabric_client_t *client, uint32_t timeout_ms)
{
    if (!client_is_here(client)) {
        return 0;
    }
    int cancel = thread_hold_cancel();
    size_t count = wait_for_completions(client, timeout_ms);
    thread_allow_cancel(cancel);
    return count;
}
