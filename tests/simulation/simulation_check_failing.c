/* Whether messages that fail are treated as the policies of their types say (decisions 25 and 28):
 * their counts, their pauses, dead letters and parked entities, instances that cannot be built, and
 * failures that are answers. See simulation_check.h. */
#include "tests/simulation/simulation_check_failing.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/address.h"
#include "tests/simulation/simulation_processes.h"

enum {
    CRASHES_MAX = 3, /* of a broker, as it is unless configured */
    TICK_US = 1000   /* clocks of processes say milliseconds */
};

static bool is_less(token_t left, token_t right)
{
    return token_less(left, right);
}

static fabric_on_failure_t policy_of(const watched_call_t *call)
{
    return ledger_type(ledger_type_of(call->entity))->on_failure;
}

static bool defects_are_answers(const watched_call_t *call)
{
    return ledger_type(ledger_type_of(call->entity))->defects_to_caller;
}

static uint32_t number_of(const watched_call_t *call)
{
    return (uint32_t)(call - watch.calls);
}

static bool is_exhausted(const watched_call_t *call)
{
    uint32_t failures = call->attempts + call->crashes;
    return call->attempts >= world.plan.attempts_max || call->crashes >= CRASHES_MAX ||
           (failures > 0 && policy_of(call) == FABRIC_SKIP);
}

/* Whether the message has failed as often as it may, by the store, and parks its entity. */
static bool parks(const watched_call_t *call)
{
    return policy_of(call) == FABRIC_PARK && call->request_id != 0 && !call->replied &&
           !call->cancels && is_exhausted(call);
}

/* The message that parks the entity; NULL: none does. */
static const watched_call_t *parker_of(unsigned entity)
{
    for (uint32_t i = 0; world.plan.failing && i < watch.call_count; i++) {
        if (watch.calls[i].entity == entity && parks(&watch.calls[i])) {
            return &watch.calls[i];
        }
    }
    return NULL;
}

/* Also by a message that was cancelled, since that may not be known there. */
bool check_is_parked(unsigned entity)
{
    for (uint32_t i = 0; i < watch.call_count; i++) {
        const watched_call_t *call = &watch.calls[i];
        if (call->entity == entity && call->request_id != 0 && !call->replied &&
            policy_of(call) == FABRIC_PARK && is_exhausted(call)) {
            return true;
        }
    }
    return false;
}

/* The entity of this type and id; UINT_MAX: none of the plan. */
unsigned check_entity_of(fabric_bytes_t type, fabric_bytes_t id)
{
    for (unsigned entity = 0; entity < world.plan.entities; entity++) {
        ledger_id_t text = ledger_id_of(entity);
        if (fabric_bytes_equal(type, fabric_bytes_of(ledger_type(ledger_type_of(entity))->name)) &&
            fabric_bytes_equal(id, fabric_bytes_of(text.text))) {
            return entity;
        }
    }
    return UINT32_MAX;
}

/* ---- handlers ---- */

/* No message is handled while one before it has failed and has not been handled again. */
static void check_head(const watched_call_t *call, token_t token)
{
    for (uint32_t i = 0; i < watch.call_count; i++) {
        const watched_call_t *head = &watch.calls[i];
        bool stored = head->request_id != 0 && head->request_id == head->broke_request;
        bool waits = head->broke && stored && !head->replied && !head->cancels &&
                     policy_of(head) != FABRIC_SKIP && !defects_are_answers(head) &&
                     (policy_of(head) == FABRIC_PARK || head->broken_now < world.plan.attempts_max);
        if (waits && head != call && head->entity == call->entity &&
            head->position < call->position && !is_less(token, head->token)) {
            world_fail("I7: call %u is handled, and call %u before it has failed", number_of(call),
                       i);
        }
    }
}

void check_failing_run(watched_call_t *call, token_t token)
{
    if (!world.plan.failing || !check_is_durable(call)) {
        return;
    }
    check_head(call, token);
    if (!is_less(token, call->token)) {
        call->token = token;
        call->broke = false;
    }
}

void check_broke(uint32_t run, uint32_t attempt)
{
    const watched_run_t *watched = &watch.runs[run];
    watched_call_t *call = &watch.calls[watched->call];
    if (!check_is_durable(call)) {
        return;
    }
    call->broken++;
    call->broken_now = attempt > call->broken_now ? attempt : call->broken_now;
    if (!is_less(watched->token, call->token)) {
        call->broke = true;
        call->broke_request = watched->request_id;
        call->broke_token = watched->token;
        call->broke_us = world.now_us;
        call->broke_activation = call->activation;
    }
}

/* ---- instances ---- */

/* An instance goes on after a failure: its state is there when its entity's next message comes,
 * unless it may have ended for another reason. */
void check_handled(uint32_t run, const process_t *worker, instance_run_t how)
{
    const watched_call_t *call = &watch.calls[watch.runs[run].call];
    watched_entity_t *entity = &watch.entities[call->entity];
    uint64_t idle_us = ledger_type(ledger_type_of(call->entity))->idle_ms * UINT64_C(1000);
    bool same = entity->failed_at == worker && entity->failed_life == worker->life &&
                world.now_us + 2 * TICK_US < entity->failed_us + idle_us;
    same &= !check_may_be_cleared(call);                 /* which ends the instance */
    same &= !check_is_persisted(call);                   /* simulation_check_persisted.c */
    same &= !check_has_events(call->entity);             /* simulation_check_events.c */
    if (same && how.entries == 0 && how.delivery == 1) { /* one that it has seen ends it */
        world_fail("entity %u: call %u is handled on a new state, and the one before it has only "
                   "failed",
                   call->entity, watch.runs[run].call);
    }
    world.result->unharmed += same;
    entity->failed_at = how.failed && simulated_worker_facts(worker).is_large ? worker : NULL;
    entity->failed_life = worker->life;
    entity->failed_us = world.now_us;
}

/* The first message of the entity that waits; NULL: there is none. */
static const watched_call_t *first_of(unsigned entity)
{
    const watched_call_t *first = NULL;
    for (uint32_t i = 0; i < watch.call_count; i++) {
        const watched_call_t *call = &watch.calls[i];
        if (call->entity == entity && call->request_id != 0 && !call->replied &&
            !check_is_scheduled(call) && (!first || call->position < first->position)) {
            first = call;
        }
    }
    return first;
}

/* Whether the message's home has it in memory. An entity of which only the store has messages has
 * no pause: it is forgotten when its last volatile message ends. */
static bool home_has(const watched_call_t *call)
{
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        const process_t *broker = world.brokers[i];
        if (incarnation_equal(simulated_broker_incarnation(broker),
                              watch.lanes[call->lane].writer)) {
            return simulated_broker_has(broker, call->request_id);
        }
    }
    return false;
}

void check_unbuilt(fabric_bytes_t type, fabric_bytes_t id, const process_t *worker)
{
    unsigned number = check_entity_of(type, id);
    world.result->unbuilt++;
    if (number != UINT32_MAX) {
        const watched_call_t *first = first_of(number);
        watch.entities[number].unbuilt_for = first && home_has(first) ? first : NULL;
        watch.entities[number].unbuilt_at = worker;
        watch.entities[number].unbuilt_life = worker->life;
        watch.entities[number].unbuilt_us = world.now_us;
    }
}

/* The home waits after a failed build while it has a message of the entity in memory, unless the
 * entity has another owner, or the same one anew. */
void check_build(fabric_bytes_t type, fabric_bytes_t id, const process_t *worker)
{
    unsigned number = check_entity_of(type, id);
    const watched_entity_t *entity = number != UINT32_MAX ? &watch.entities[number] : NULL;
    bool waits = entity && entity->clears_ordered == 0 && entity->unbuilt_for &&
                 !entity->unbuilt_for->replied && !entity->unbuilt_for->cancels;
    if (waits && entity->unbuilt_at == worker && entity->unbuilt_life == worker->life &&
        world.now_us + TICK_US < entity->unbuilt_us + SIMULATION_BACKOFF_MS * UINT64_C(1000)) {
        world_fail("entity %u is built again %llu us after that has failed, and call %u waits",
                   number, (ull)(world.now_us - entity->unbuilt_us),
                   number_of(entity->unbuilt_for));
    }
}

/* A worker gets, or has again, a type's part of a shard: what holds for its instances is over. */
void check_failing_assigned(uint32_t shard)
{
    for (unsigned entity = 0; entity < world.plan.entities; entity++) {
        ledger_id_t id = ledger_id_of(entity);
        uint32_t own = address_shard_number(fabric_bytes_of(id.text), SIMULATION_SHARDS);
        if (own == shard) {
            watch.entities[entity].failed_at = watch.entities[entity].unbuilt_at = NULL;
        }
    }
}

/* ---- deliveries ---- */

static uint64_t parker_position(const watched_call_t *parker)
{
    return parker ? parker->position : UINT64_MAX;
}

/* The pause after so many failures, as decision 28 has it. */
static uint64_t pause_us(uint32_t failures)
{
    uint64_t ms = SIMULATION_BACKOFF_MS;
    for (uint32_t i = 1; i < failures && ms < SIMULATION_BACKOFF_MAX_MS; i++) {
        ms += ms / 2;
    }
    ms = ms < SIMULATION_BACKOFF_MAX_MS ? ms : SIMULATION_BACKOFF_MAX_MS;
    return ms * 1000;
}

static void check_pause(const process_t *broker, const watched_call_t *call,
                        const message_deliver_t *deliver)
{
    token_t token = {deliver->home_epoch, deliver->owner_sequence};
    bool again = call->broke && token_equal(token, call->broke_token) &&
                 deliver->activation != call->broke_activation && call->broken_now > 0;
    if (again && world.now_us + TICK_US < call->broke_us + pause_us(call->broken_now)) {
        world_fail("broker %u delivers call %u again %llu us after its attempt %u has failed",
                   broker->index, number_of(call), (ull)(world.now_us - call->broke_us),
                   call->broken_now);
    }
}

void check_failing_delivered(const process_t *broker, watched_call_t *call,
                             const message_deliver_t *deliver)
{
    if (!world.plan.failing && !world.plan.clears) {
        return;
    }
    unsigned entity = check_entity_of(deliver->type, deliver->id);
    const watched_call_t *parker = entity != UINT32_MAX ? parker_of(entity) : NULL;
    /* What was sent together with the message that failed may leave late. */
    bool together = parker && deliver->home_epoch == parker->activation_epoch &&
                    deliver->activation == parker->activation;
    /* A later home gives out volatile messages before it has loaded the durable ones. */
    bool knows = call ? call->position > parker_position(parker)
                      : parker && deliver->home_epoch == parker->counted_epoch &&
                            simulated_broker_has(broker, parker->request_id);
    if (parker && knows && deliver->home_epoch >= parker->counted_epoch && !together) {
        world_fail("broker %u delivers request %llu of entity %u, which call %u has parked",
                   broker->index, (ull)deliver->request_id, entity, number_of(parker));
    }
    if (!call) {
        return;
    }
    check_pause(broker, call, deliver);
    check_cleared_delivered(broker, call, deliver);
    if (deliver->home_epoch >= call->counted_epoch &&
        deliver->attempt > call->attempts + call->crashes + 1) {
        world_fail("I10: broker %u delivers call %u for the attempt %u, stored are %u failures",
                   broker->index, number_of(call), (unsigned)deliver->attempt,
                   call->attempts + call->crashes);
    }
    call->activation = deliver->activation;
    call->activation_epoch = deliver->home_epoch;
}

/* ---- counts ---- */

void check_resume_ordered(unsigned entity)
{
    watch.entities[entity].resumes_ordered++;
}

/* An operator has resumed the message's entity: it has all its attempts again. */
static void note_resumed(watched_call_t *call)
{
    watched_entity_t *entity = &watch.entities[call->entity];
    world_note("resumed", number_of(call), call->attempts, call->crashes);
    world.result->resumed++;
    if (!parks(call) && !call->cancels) {
        world_fail("call %u has its attempts again, and its entity was not parked",
                   number_of(call));
    }
    if (entity->resumes_ordered == 0) {
        world_fail("entity %u is resumed, and no operator has said so", call->entity);
    }
    call->resumed++;
    call->broken_now = 0;
    call->broke = false;
}

static void check_counts(const watched_call_t *call, uint32_t attempts, uint32_t crashes)
{
    bool one = (attempts == call->attempts + 1 && crashes == call->crashes) ||
               (attempts == call->attempts && crashes == call->crashes + 1);
    /* One crash may be reported when the message is in flight again, and ends a process, too. */
    if (!one || attempts > world.plan.attempts_max || crashes > CRASHES_MAX + 1) {
        world_fail("I2: call %u has %u defects and %u crashes, and then %u and %u", number_of(call),
                   call->attempts, call->crashes, attempts, crashes);
    }
    if (attempts > call->attempts && attempts > call->broken_now) {
        world_fail("I2: call %u has %u defects, and its attempt %u was the last that broke",
                   number_of(call), attempts, call->broken_now);
    }
    if (attempts > 0 && defects_are_answers(call)) {
        world_fail("call %u has an attempt counted, and its defect is an answer", number_of(call));
    }
    if (crashes > call->crashes && world.plan.faults == 0 && !call->kills && call->deaths == 0) {
        world_fail("I2: call %u, which kills no worker, has %u crashes", number_of(call), crashes);
    }
    if (call->replied) {
        world_fail("I2: call %u has ended, and fails again", number_of(call));
    }
}

void check_attempt_stored(const store_entry_t *entry, watched_call_t *call,
                          journal_attempts_t counts)
{
    bool was_parked = parks(call);
    if (counts.attempts == 0 && counts.crashes == 0) {
        note_resumed(call);
    } else {
        check_counts(call, counts.attempts, counts.crashes);
        world.result->attempts += counts.attempts - call->attempts;
        world.result->crashes += counts.crashes - call->crashes;
    }
    call->attempts = counts.attempts;
    call->crashes = counts.crashes;
    call->counted_epoch = entry->epoch;
    call->counted_in = entry->number;
    if (parks(call) && !was_parked) {
        world_note("parked", number_of(call), counts.attempts, counts.crashes);
        world.result->parked++;
    }
}

void check_row_counts(const watched_call_t *call, uint64_t checkpoint, const store_pending_t *row)
{
    bool is_newest = call->counted_in <= checkpoint;
    bool same = row->attempts == call->attempts && row->crashes == call->crashes;
    bool fewer = row->attempts <= call->attempts && row->crashes <= call->crashes;
    if (call->replied) {
        return; /* its row is deleted as it is */
    }
    if (is_newest ? !same : !fewer && call->resumed == 0) {
        world_fail("I2: call %u has %u defects and %u crashes in entry %llu, its row says %u and "
                   "%u at the checkpoint of %llu",
                   number_of(call), call->attempts, call->crashes, (ull)call->counted_in,
                   row->attempts, row->crashes, (ull)checkpoint);
    }
}

/* ---- ends ---- */

bool check_defect_is_end(const watched_call_t *call, const store_reply_t *reply)
{
    if (reply->error == FABRIC_ERROR_DEAD_LETTER) {
        return call->kills || world.plan.failing;
    }
    return reply->error == FABRIC_ERROR_ENTITY_DEFECT && defects_are_answers(call) &&
           call->broken > 0;
}

bool check_is_buried_rightly(const watched_call_t *call, const journal_record_t *record)
{
    journal_attempts_t counts = record->attempts;
    bool skipped = policy_of(call) == FABRIC_SKIP;
    bool may = policy_of(call) != FABRIC_PARK && counts.attempts == call->attempts &&
               counts.crashes == call->crashes;
    if (record->cause == FABRIC_ERROR_RUNNER_UNAVAILABLE) {
        return may && (counts.crashes >= CRASHES_MAX || (skipped && counts.crashes > 0));
    }
    return may && record->cause == FABRIC_ERROR_ENTITY_DEFECT && world.plan.failing &&
           (counts.attempts >= world.plan.attempts_max || (skipped && counts.attempts > 0));
}

/* A message that always breaks, and whose type gives it up, has not been handled in the end. */
static void check_end(const watched_call_t *call)
{
    bool given_up = call->defects >= (policy_of(call) == FABRIC_SKIP ? 1 : world.plan.attempts_max);
    if (given_up && policy_of(call) != FABRIC_PARK && !defects_are_answers(call) && call->replied &&
        !call->cancelled && !call->cleared && !call->buried) {
        world_fail("I2: call %u breaks %u times, and is no dead letter", number_of(call),
                   call->defects);
    }
    if (call->replied && defects_are_answers(call) && call->defects > 0 && !call->cancelled &&
        !call->cleared && call->reply_status != STATUS_DEFECT) {
        world_fail("call %u breaks, and its defect is not the answer", number_of(call));
    }
}

void check_failing_at_end(void)
{
    uint64_t broken = 0;
    for (uint32_t i = 0; world.plan.failing && i < watch.call_count; i++) {
        const watched_call_t *call = &watch.calls[i];
        if (check_is_durable(call)) {
            check_end(call);
            broken += defects_are_answers(call) ? 0 : call->broken;
        }
    }
    bool is_exact =
        world.plan.failing && !world.plan.clears && world.plan.faults == 0 && !world.plan.deaths;
    if (is_exact && world.result->attempts != broken) {
        world_fail("I2: %llu attempts have broken where nothing fails, %llu are counted",
                   (ull)broken, (ull)world.result->attempts);
    }
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        uint64_t parked = simulated_broker_parked(world.brokers[i]);
        if (parked != 0) {
            world_fail("I12: broker %u counts %llu entities as parked", i, (ull)parked);
        }
    }
}
