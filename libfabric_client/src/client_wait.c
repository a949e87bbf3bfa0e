/* What all functions of a client need: which process it is, deadlines, and waiting. */
#include "libfabric_client/src/client_state.h"

#include <errno.h>
#include <sched.h>

#include "core/clock.h"

bool client_is_here(const fabric_client_t *client)
{
    return client->process == thread_process();
}

fabric_error_t client_check_process(const fabric_client_t *client, reason_t *reason)
{
    return client_is_here(client)
               ? FABRIC_OK
               : reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                            "the client was opened before fork(): this process must open its own");
}

uint64_t client_deadline(const fabric_client_t *client, uint32_t timeout_ms)
{
    return clock_monotonic_ms() + (timeout_ms ? timeout_ms : client->call_timeout_ms);
}

bool client_spin(fabric_client_t *client, bool (*ended)(void *context), void *context)
{
    if (client->spin_us == 0 || !exchange_has_quick_calls(client->exchange) ||
        atomic_exchange(&client->spinning, true)) {
        return false;
    }
    uint64_t until_us = clock_monotonic_us() + client->spin_us;
    bool done = ended(context);
    while (!done && clock_monotonic_us() < until_us) {
        sched_yield();
        done = ended(context);
    }
    atomic_store(&client->spinning, false);
    return done;
}

static bool take_done(void *context)
{
    return sem_trywait((sem_t *)context) == 0;
}

static void wait_done(fabric_client_t *client, call_waiter_t *waiter)
{
    if (!client_spin(client, take_done, &waiter->done)) {
        while (sem_wait(&waiter->done) != 0 && errno == EINTR) {
        }
    }
}

fabric_error_t client_run_calls(fabric_client_t *client, call_list_t *calls, reason_t *reason)
{
    call_waiter_t waiter;
    sem_init(&waiter.done, 0, 0);
    atomic_init(&waiter.open, calls->count);
    for (call_t *call = calls->first; call; call = call->ready.next) {
        call->waiter = &waiter;
    }
    fabric_error_t error = exchange_submit(client->exchange, calls, NULL, reason);
    if (!error) {
        wait_done(client, &waiter);
    }
    sem_destroy(&waiter.done);
    return error;
}
