/* Decides which executions count, and whether they may: see checker_state.h. */
#include "tests/checker/checker_state.h"

#include <stdlib.h>

typedef unsigned long long ull;

static void count_run(checker_t *checker, message_t *message, size_t index)
{
    run_t *run = &checker->runs[index];
    if (message->counted != NOWHERE && message->counted != index) {
        checker_say(checker, CHECKER_DOUBLED, "request %llu: two executions of it count",
                    (ull)message->row->request_id);
    }
    message->counted = index;
    run->counted = true;
}

/* ---- what replies say ---- */

static bool says_the_same(const fold_reply_t *reply, const history_record_t *end)
{
    return end && reply->client == end->client && reply->number == end->number &&
           reply->activation == end->activation && reply->position == end->position &&
           reply->before == end->before && reply->after == end->after &&
           reply->delivery == end->delivery;
}

/* A stored reply with contents: the execution that it names counts. */
static void count_named(checker_t *checker, message_t *message)
{
    const fold_reply_t *reply = &message->reply->fold;
    uint64_t id = message->row->request_id;
    size_t index = places_find(&checker->run_places, reply->process, reply->serial);
    if (index == NOWHERE || !checker->runs[index].end) {
        checker_say(checker, CHECKER_INVENTED,
                    "request %llu: its reply is of an execution that never ended", (ull)id);
        return;
    }
    run_t *run = &checker->runs[index];
    if (run->counted) {
        checker_say(checker, CHECKER_DOUBLED, "request %llu: its execution counts for another too",
                    (ull)id);
        return;
    }
    if (run->start->request_id != id || !says_the_same(reply, run->end) ||
        reply->client != message->row->asked.client ||
        reply->number != message->row->asked.number) {
        checker_say(checker, CHECKER_REPLY, "request %llu: its reply is another's (request %llu)",
                    (ull)id, (ull)run->start->request_id);
        return;
    }
    count_run(checker, message, index);
}

static void count_by_replies(checker_t *checker)
{
    for (size_t i = 0; i < checker->message_count; i++) {
        message_t *message = &checker->messages[i];
        const table_reply_t *reply = message->reply;
        if (!reply || reply->error) {
            continue;
        }
        if (reply->readable) {
            count_named(checker, message);
        } else if (!message->row->tell) {
            checker_say(checker, CHECKER_REPLY, "request %llu: its stored reply cannot be read",
                        (ull)message->row->request_id);
        } else if (message->ended_runs == 0) {
            checker_say(checker, CHECKER_INVENTED,
                        "request %llu: ended as handled, and no execution of it ever ended",
                        (ull)message->row->request_id);
        } else if (message->ended_runs == 1) {
            count_run(checker, message, message->first_run);
        }
    }
}

/* ---- what executions built upon ---- */

/* Whether an activation may go on under the execution's token: its own, or that of a later home. An
 * instance outlives a change of its home, and may have handled nothing for homes in between. */
static bool is_continued(const activation_t *activation, const history_record_t *end)
{
    return end->home_epoch > activation->home_epoch ||
           (end->home_epoch == activation->home_epoch &&
            end->owner_sequence == activation->owner_sequence);
}

/* An activation's executions follow one another, all under its owner's tokens. */
static void check_activation(checker_t *checker, const run_t *run)
{
    activation_t *activation = &checker->activations[run->activation];
    const history_record_t *end = run->end;
    if (end->entity != activation->entity || end->position != activation->position + 1 ||
        end->before != activation->chain ||
        end->after != history_chain(end->before, end->client, end->number)) {
        checker_say(checker, CHECKER_CHAIN,
                    "entity %u: request %llu does not follow the one before it in memory",
                    end->entity, (ull)end->request_id);
    }
    if (!is_continued(activation, end)) {
        checker_say(checker, CHECKER_OWNERSHIP,
                    "entity %u: request %llu ran under token (%llu,%llu) in memory of (%llu,%llu)",
                    end->entity, (ull)end->request_id, (ull)end->home_epoch,
                    (ull)end->owner_sequence, (ull)activation->home_epoch,
                    (ull)activation->owner_sequence);
    }
    activation->home_epoch = end->home_epoch;
    activation->owner_sequence = end->owner_sequence;
    activation->position = end->position;
    activation->chain = end->after;
    if (run->counted && end->position > activation->counted) {
        activation->counted = end->position;
    }
}

/* Every execution that a counted execution built upon must count too. */
static void check_foundation(checker_t *checker, size_t index)
{
    const run_t *run = &checker->runs[index];
    const activation_t *activation = &checker->activations[run->activation];
    if (run->counted || run->end->position > activation->counted) {
        return;
    }
    size_t place = places_find(&checker->message_places, run->start->request_id, 0);
    message_t *message = place == NOWHERE ? NULL : &checker->messages[place];
    if (message && message->row->tell && message->reply && !message->reply->error) {
        count_run(checker, message, index);
        return;
    }
    checker_say(checker, CHECKER_CHAIN,
                "entity %u: request %llu (delivery %llu) does not count, what built upon it does",
                run->end->entity, (ull)run->end->request_id, (ull)run->end->delivery);
}

static bool is_ended_durable(const run_t *run)
{
    return run->end && (run->start->flags & HISTORY_DURABLE);
}

static void check_activations(checker_t *checker)
{
    for (size_t i = 0; i < checker->run_count; i++) {
        if (is_ended_durable(&checker->runs[i])) {
            check_activation(checker, &checker->runs[i]);
        }
    }
    for (size_t i = 0; i < checker->run_count; i++) {
        if (is_ended_durable(&checker->runs[i])) {
            check_foundation(checker, i);
        }
    }
}

/* ---- order and ownership ---- */

/* The state of an entity after its counted executions so far. */
typedef struct progress {
    uint32_t entity;
    const run_t *last;
    const call_t *invoked_last; /* of those so far */
    uint64_t *number_last;      /* by client */
} progress_t;

static void check_ownership(checker_t *checker, const progress_t *progress, const run_t *run)
{
    const history_record_t *before = progress->last->end;
    const history_record_t *start = run->start;
    if (start->home_epoch < before->home_epoch ||
        (start->home_epoch == before->home_epoch &&
         start->owner_sequence < before->owner_sequence)) {
        checker_say(checker, CHECKER_OWNERSHIP,
                    "entity %u: request %llu counts under token (%llu,%llu) after request %llu "
                    "under (%llu,%llu)",
                    start->entity, (ull)start->request_id, (ull)start->home_epoch,
                    (ull)start->owner_sequence, (ull)before->request_id, (ull)before->home_epoch,
                    (ull)before->owner_sequence);
    }
    if (start->at_us < before->at_us) {
        checker_say(checker, CHECKER_OWNERSHIP,
                    "entity %u: request %llu began %llu us before request %llu ended, both count",
                    start->entity, (ull)start->request_id, (ull)(before->at_us - start->at_us),
                    (ull)before->request_id);
    }
}

/* A call that was sent again has the place that the accepted sending gave it. */
static void check_order(checker_t *checker, progress_t *progress, const call_t *call)
{
    const history_record_t *invoked = call->invoked;
    if (call->sends == 1 && invoked->number < progress->number_last[invoked->client]) {
        checker_say(checker, CHECKER_ORDER, "entity %u: call %u/%llu counts after call %u/%llu",
                    invoked->entity, invoked->client, (ull)invoked->number, invoked->client,
                    (ull)progress->number_last[invoked->client]);
    }
    if (call->sends == 1 && invoked->number > progress->number_last[invoked->client]) {
        progress->number_last[invoked->client] = invoked->number;
    }
    const call_t *latest = progress->invoked_last;
    if (latest && call->accepted_us < latest->invoked->at_us) {
        checker_say(checker, CHECKER_ORDER,
                    "entity %u: call %u/%llu was accepted before call %u/%llu was sent, and counts "
                    "after it",
                    invoked->entity, invoked->client, (ull)invoked->number, latest->invoked->client,
                    (ull)latest->invoked->number);
    }
    if (!latest || invoked->at_us > latest->invoked->at_us) {
        progress->invoked_last = call;
    }
}

static int compare_runs(const void *left, const void *right)
{
    const run_t *a = *(const run_t *const *)left;
    const run_t *b = *(const run_t *const *)right;
    if (a->start->entity != b->start->entity) {
        return a->start->entity < b->start->entity ? -1 : 1;
    }
    if (a->start->at_us != b->start->at_us) {
        return a->start->at_us < b->start->at_us ? -1 : 1;
    }
    return a->start->execution.serial < b->start->execution.serial ? -1 : a->start != b->start;
}

static size_t clients_of(const checker_t *checker)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < checker->call_count; i++) {
        uint32_t client = checker->calls[i].invoked->client;
        highest = client > highest ? client : highest;
    }
    return (size_t)highest + 1;
}

static void check_entities(checker_t *checker, const run_t **runs, size_t count)
{
    size_t clients = clients_of(checker);
    progress_t progress = {.number_last = calloc(clients, sizeof(uint64_t))};
    if (!progress.number_last) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        const run_t *run = runs[i];
        if (!progress.last || run->start->entity != progress.entity) {
            memset(progress.number_last, 0, clients * sizeof(uint64_t));
            progress =
                (progress_t){.entity = run->start->entity, .number_last = progress.number_last};
        } else {
            check_ownership(checker, &progress, run);
        }
        size_t place = places_find(&checker->message_places, run->start->request_id, 0);
        size_t call = place == NOWHERE ? NOWHERE : checker->messages[place].call;
        if (call != NOWHERE) {
            check_order(checker, &progress, &checker->calls[call]);
        }
        progress.last = run;
    }
    free(progress.number_last);
}

void checker_check_runs(checker_t *checker)
{
    size_t count = 0;
    const run_t **counted = calloc(checker->run_count + 1, sizeof *counted);
    if (!counted) {
        abort();
    }
    count_by_replies(checker);
    check_activations(checker);
    for (size_t i = 0; i < checker->run_count; i++) {
        const run_t *run = &checker->runs[i];
        if (run->counted) {
            counted[count++] = run;
        } else {
            checker->report->uncounted += is_ended_durable(run);
        }
    }
    checker->report->counted = count;
    qsort(counted, count, sizeof *counted, compare_runs);
    check_entities(checker, counted, count);
    free(counted);
}
