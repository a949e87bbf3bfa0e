/* Checks of early delivery: what is handled before it is stored has no effect unless it is stored.
 */
#include "tests/simulation/simulation_check_state.h"

#include "tests/simulation/simulation_check.h"
#include "tests/simulation/simulation_processes.h"

bool check_is_early(const watched_call_t *call)
{
    return check_is_durable(call) && world.plan.early >> ledger_type_of(call->entity) & 1;
}

static uint32_t call_of(const message_deliver_t *deliver)
{
    ledger_request_t request;
    bool known = !fabric_schema_decode(ledger_append.request, deliver->payload, NULL, &request) &&
                 request.call < check_call_count();
    return known ? request.call : UINT32_MAX;
}

void check_delivered_early(const process_t *broker, const message_deliver_t *deliver)
{
    uint32_t number = call_of(deliver);
    watched_call_t *call = number != UINT32_MAX ? &watch.calls[number] : NULL;
    if (!call || !check_is_early(call) || !(deliver->flags & DELIVER_EARLY)) {
        world_fail("I10: broker %u delivers request %llu, which is not stored", broker->index,
                   (ull)deliver->request_id);
        return;
    }
    call->delivered = true;
}

void check_early_run(const watched_call_t *call, uint32_t number, uint64_t request_id)
{
    if (call->request_id == request_id) {
        return;
    }
    if (!check_is_early(call)) {
        world_fail("I10: call %u is handled as request %llu before it is stored as that", number,
                   (ull)request_id);
    }
    world.result->early++;
}

void check_run_stored(const watched_call_t *call, uint32_t number, const watched_run_t *run)
{
    if (run->request_id != call->request_id) {
        world_fail("I4: the answer to request %llu is stored as that to request %llu, of call %u",
                   (ull)run->request_id, (ull)call->request_id, number);
    }
}

void check_outlived(uint32_t call, uint64_t request_id)
{
    if (check_find_request(request_id) == UINT32_MAX && !world.forgot) {
        world_fail("I4: call %u is handled by an instance that has handled request %llu under an "
                   "earlier home, which has not stored it",
                   call, (ull)request_id);
    }
}

void check_count_unstored(void)
{
    for (uint32_t i = 1; i < watch.run_count; i++) {
        const watched_run_t *run = &watch.runs[i];
        bool durable = check_is_durable(&watch.calls[run->call]);
        world.result->unstored += durable && check_find_request(run->request_id) == UINT32_MAX;
    }
}
