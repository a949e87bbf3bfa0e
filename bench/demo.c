/* The demonstration: see demo.h. */
#include "bench/demo.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/harness/cluster.h"
#include "tests/harness/cluster_status.h"
#include "tests/harness/standing.h"
#include "tests/harness/stop.h"
#include "core/clock.h"
#include "examples/counter/counter.h"

enum {
    WORKERS = 3,
    PEEK_EVERY = 20, /* durable messages for each volatile one */
    /* the most that are sent until deliveries to the stopped worker are unanswered */
    EXTRA_MESSAGES = 1000,
    SETTLE_MS = 1000, /* for all other calls to end before the kill */
    SETTLE_STEP_MS = 20,
    MESSAGES_MAX = 1000000,
    READY_MS = 30000,
    DRAIN_MS = 60000,
    CALL_MS = 60000,
    PROGRESS_MS = 200,
    STOP_MS = 20000
};

typedef enum ledger_entry { NOT_SENT, SENT, ANSWERED, FAILED } ledger_entry_t;

typedef struct demo {
    const demo_options_t *options;
    const store_driver_t *const *drivers;
    cluster_options_t cluster_options;
    cluster_t cluster;
    fabric_client_t *client;
    status_brokers_t brokers; /* that are asked */
    uint8_t *ledger;          /* one ledger_entry_t for each durable message */
    uint64_t sent, answered, failed;
    uint64_t open; /* durable and volatile calls that have not ended */
    uint64_t peeks, peeks_answered, peeks_unknown;
    uint64_t progress_ms;
    uint32_t killed;
    uint64_t unanswered;         /* durable messages that the killed worker had not answered */
    uint64_t redelivered_before; /* redeliveries before the kill */
    uint64_t redelivered;
    bool terminal;
} demo_t;

/* The demonstration that completions belong to: a completion's context is a ledger entry. */
static demo_t *present;

/* ---- calls ---- */

static void increment_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    uint8_t *entry = context;
    counter_value_t reply;
    present->open--;
    if (outcome->error || *entry != SENT ||
        fabric_schema_decode(counter_increment.reply, payload, NULL, &reply) || reply.value < 1) {
        *entry = FAILED;
        present->failed++;
        fprintf(stderr, "demo: an increment failed: %s %s\n", fabric_error_name(outcome->error),
                outcome->text);
        return;
    }
    *entry = ANSWERED;
    present->answered++;
}

static void peek_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)context;
    (void)payload;
    present->open--;
    present->peeks_answered += outcome->error == FABRIC_OK;
    present->peeks_unknown += outcome->error != FABRIC_OK;
}

static fabric_error_t send_one(demo_t *demo)
{
    static const counter_increment_request_t request = {.amount = 1};
    char id[32];
    snprintf(id, sizeof id, "counter-%" PRIu64, demo->sent % demo->options->entities);
    uint8_t *entry = &demo->ledger[demo->sent];
    fabric_call_t call = {.entity = fabric_entity("Counter", id),
                          .message = &counter_increment,
                          .request = &request,
                          .timeout_ms = CALL_MS};
    fabric_error_t error = fabric_client_start(demo->client, &call, increment_ended, entry, NULL);
    if (error) {
        return error;
    }
    *entry = SENT;
    demo->sent++;
    demo->open++;
    if (demo->sent % PEEK_EVERY == 0) {
        call.message = &counter_peek;
        error = fabric_client_start(demo->client, &call, peek_ended, NULL, NULL);
        demo->peeks += !error;
        demo->open += !error;
    }
    return error;
}

static void show_progress(demo_t *demo)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (demo->terminal && now_ms >= demo->progress_ms) {
        demo->progress_ms = now_ms + PROGRESS_MS;
        printf("\r  %" PRIu64 " sent, %" PRIu64 " answered", demo->sent, demo->answered);
        fflush(stdout);
    }
}

/* Keeps calls in flight until `count` increments have been sent and, with `finish`, until all calls
 * have ended. */
static fabric_error_t pump(demo_t *demo, uint64_t count, bool finish)
{
    uint64_t deadline_ms = clock_monotonic_ms() + DRAIN_MS;
    while (demo->sent < count || (finish && demo->open > 0)) {
        while (demo->sent < count && demo->open < demo->options->inflight) {
            fabric_error_t error = send_one(demo);
            if (error) {
                return error;
            }
        }
        if (stop_requested() || clock_monotonic_ms() > deadline_ms) {
            return stop_requested() ? FABRIC_ERROR_SHUTTING_DOWN : FABRIC_ERROR_TIMEOUT;
        }
        (void)fabric_client_wait(demo->client, 50);
        show_progress(demo);
    }
    return FABRIC_OK;
}

/* ---- the kill ---- */

static uint64_t durable_open(const demo_t *demo)
{
    return demo->sent - demo->answered - demo->failed;
}

/* Waits until no other calls are open than the deliveries that the stopped worker has not answered,
 * of which there are `*outstanding` then. */
static fabric_error_t settle(demo_t *demo, long pid, reason_t *reason, uint64_t *outstanding)
{
    fabric_error_t error = FABRIC_OK;
    uint64_t before;
    uint64_t deadline_ms = clock_monotonic_ms() + SETTLE_MS;
    do {
        before = *outstanding;
        uint64_t step_ms = clock_monotonic_ms() + SETTLE_STEP_MS;
        while (clock_monotonic_ms() < step_ms) {
            (void)fabric_client_wait(demo->client, 1);
        }
        error = error ? error : status_outstanding(&demo->brokers, pid, reason, outstanding);
    } while (!error && (*outstanding != before || *outstanding != demo->open) &&
             clock_monotonic_ms() < deadline_ms && !stop_requested());
    return error;
}

/* Sends until the stopped worker has durable deliveries to answer, and all other calls have ended.
 * The broker must then deliver again exactly what the worker has not answered. */
static fabric_error_t corner_worker(demo_t *demo, long pid, reason_t *reason, uint64_t *outstanding)
{
    fabric_error_t error = FABRIC_OK;
    *outstanding = 0;
    for (uint64_t more = 0; !error && more < EXTRA_MESSAGES; more++) {
        error = pump(demo, demo->sent + 1, false);
        error = error ? error : status_outstanding(&demo->brokers, pid, reason, outstanding);
        if (!error && *outstanding > 0) {
            error = settle(demo, pid, reason, outstanding);
            if (durable_open(demo) > 0) {
                break;
            }
        }
    }
    return error;
}

/* Freezes a worker while the others go on, and kills it while deliveries are unanswered. Its
 * supervisor starts another. */
static fabric_error_t kill_worker(demo_t *demo, reason_t *reason)
{
    const process_t *worker = &demo->cluster.workers[0];
    pid_t child = process_child(worker);
    status_counters_t counters = {0};
    uint64_t outstanding = 0;
    fabric_error_t error = status_counters(&demo->brokers, reason, &counters);
    if (error) {
        return error;
    }
    demo->redelivered_before = counters.redelivered;
    kill(child, SIGSTOP);
    error = corner_worker(demo, (long)child, reason, &outstanding);
    if (error) {
        return error;
    }
    demo->unanswered = durable_open(demo);
    printf("%s  kill -9 of worker process %ld, which has %" PRIu64
           " unanswered deliveries: %" PRIu64 " durable, %" PRIu64
           " volatile; its supervisor starts another\n",
           demo->terminal ? "\r" : "", (long)child, outstanding, demo->unanswered,
           demo->open - demo->unanswered);
    kill(child, SIGKILL);
    while (process_child(worker) == child && !stop_requested()) {
        (void)fabric_client_wait(demo->client, 1);
    }
    demo->killed++;
    return FABRIC_OK;
}

/* Waits until the broker has delivered again what the killed worker had not answered. Sends nothing
 * meanwhile, because that could be delivered to the dead worker, too. */
static fabric_error_t see_redelivery(demo_t *demo, reason_t *reason)
{
    uint64_t deadline_ms = clock_monotonic_ms() + DRAIN_MS;
    status_counters_t counters = {.redelivered = demo->redelivered_before};
    fabric_error_t error = FABRIC_OK;
    while (!error && counters.redelivered - demo->redelivered_before < demo->unanswered) {
        (void)fabric_client_wait(demo->client, 1);
        if (stop_requested() || clock_monotonic_ms() > deadline_ms) {
            return stop_requested()
                       ? FABRIC_ERROR_SHUTTING_DOWN
                       : reason_set(reason, FABRIC_ERROR_TIMEOUT, "not all was delivered again");
        }
        error = status_counters(&demo->brokers, reason, &counters);
    }
    return error;
}

/* Kills the last broker while calls are in flight. The others take over its lanes. */
static fabric_error_t kill_broker(demo_t *demo, reason_t *reason)
{
    cluster_t *cluster = &demo->cluster;
    uint32_t last = demo->options->brokers - 1;
    char *comma = strrchr(cluster->urls, ',');
    printf("%s  kill -9 of broker process %ld with %" PRIu64
           " calls in flight; the others take its lanes over\n",
           demo->terminal ? "\r" : "", (long)cluster->brokers[last].pid, demo->open);
    process_kill(&cluster->brokers[last]);
    if (comma) {
        *comma = '\0'; /* it is asked no more */
    }
    return status_open(&demo->brokers, cluster->urls, &(fabric_client_options_t){0}, reason);
}

/* ---- the whole ---- */

static fabric_error_t start(demo_t *demo, reason_t *reason)
{
    fabric_outcome_t outcome = {0};
    printf("starting %u broker%s on %s, and %d workers with the Counter entity\n",
           demo->options->brokers, demo->options->brokers > 1 ? "s" : "", demo->options->store,
           WORKERS);
    fflush(stdout);
    fabric_error_t error =
        cluster_start(&demo->cluster, &demo->cluster_options, demo->drivers, reason);
    if (error) {
        return error;
    }
    printf("  %s, %s, on %s\n  broker process %ld at %s\n", demo->cluster.facts.product,
           demo->cluster.facts.durability, demo->cluster.file_system,
           (long)demo->cluster.broker.pid, demo->cluster.url);
    error = fabric_client_open(demo->cluster.urls, NULL, &demo->client, &outcome);
    if (error) {
        return reason_set(reason, error, "%s", outcome.text);
    }
    error = status_open(&demo->brokers, demo->cluster.urls, &(fabric_client_options_t){0}, reason);
    return error ? error : status_wait_ready(&demo->brokers, WORKERS, READY_MS, reason);
}

static fabric_error_t run(demo_t *demo, reason_t *reason)
{
    const demo_options_t *options = demo->options;
    fabric_error_t error = start(demo, reason);
    if (error) {
        return error;
    }
    printf("sending %u durable increments to %u counters, %u in flight, and a volatile Peek after "
           "every %d\n",
           options->messages, options->entities, options->inflight, PEEK_EVERY);
    fflush(stdout);
    error = pump(demo, options->messages / 3, false);
    error = error ? error : kill_worker(demo, reason);
    error = error ? error : see_redelivery(demo, reason);
    if (!error && options->brokers > 1) {
        error = pump(demo, UINT64_C(2) * options->messages / 3, false);
        error = error ? error : kill_broker(demo, reason);
    }
    uint64_t count = demo->sent > options->messages ? demo->sent : options->messages;
    error = error ? error : pump(demo, count, true);
    error = error ? error : status_wait_drained(&demo->brokers, DRAIN_MS, reason);
    status_counters_t counters = {0};
    error = error ? error : status_counters(&demo->brokers, reason, &counters);
    demo->redelivered = counters.redelivered;
    return error;
}

/* Counts messages without a final reply, which are lost according to the store. Nothing may write
 * to the store meanwhile, so all processes are stopped before. */
static fabric_error_t count_unended(demo_t *demo, reason_t *reason, uint64_t *count)
{
    store_t *store = NULL;
    cluster_stop_workers(&demo->cluster);
    for (uint32_t i = 0; i < demo->options->brokers; i++) {
        process_stop(&demo->cluster.brokers[i], STOP_MS);
    }
    store_options_t options = {
        .url = demo->cluster.database.url, .connect_timeout_ms = 5000, .io_timeout_ms = 30000};
    fabric_error_t error = store_open(demo->drivers, &options, reason, &store);
    if (!error) {
        error = standing_count_pending(store, reason, count);
        store_close(&store);
    }
    return error;
}

static void report(demo_t *demo, uint64_t unended)
{
    fabric_client_stats_t stats;
    fabric_client_stats(demo->client, &stats);
    uint64_t unanswered = stats.accepted > demo->answered ? stats.accepted - demo->answered : 0;
    uint64_t lost = unanswered > unended ? unanswered : unended;
    printf("%s  %" PRIu64 " volatile messages: %" PRIu64 " answered, %" PRIu64
           " failed or unknown, as volatile ones may be\n",
           demo->terminal ? "\r" : "", demo->peeks, demo->peeks_answered, demo->peeks_unknown);
    printf("  the store holds %" PRIu64 " messages without a final reply\n", unended);
    printf("demo: %" PRIu64 " accepted, %" PRIu64 " answered, %" PRIu64 " lost, %" PRIu64
           " redelivered, %d workers, %u killed",
           stats.accepted, demo->answered, lost, demo->redelivered, WORKERS, demo->killed);
    if (demo->options->brokers > 1) {
        printf(", %u brokers, 1 killed", demo->options->brokers);
    }
    printf("\n");
    demo->failed += lost;
}

int demo_run(const demo_options_t *options, const store_driver_t *const *drivers)
{
    demo_t demo = {
        .options = options,
        .drivers = drivers,
        .cluster_options = {.store = options->store,
                            .workers = WORKERS,
                            .brokers = options->brokers,
                            .module = "../examples/counter/counter.so"},
        .ledger = calloc(MESSAGES_MAX, 1),
        .terminal = isatty(STDOUT_FILENO),
    };
    reason_t reason = {{0}};
    uint64_t unended = 0;
    if (!demo.ledger) {
        abort();
    }
    present = &demo;
    fabric_error_t error = run(&demo, &reason);
    error = error ? error : count_unended(&demo, &reason, &unended);
    if (error && !stop_requested()) {
        cluster_print_logs(&demo.cluster, stderr);
        fprintf(stderr, "demo: %s: %s\n", fabric_error_name(error),
                reason.text[0] ? reason.text : fabric_error_meaning(error));
    } else if (!error) {
        report(&demo, unended);
    }
    fabric_client_close(&demo.client);
    status_close(&demo.brokers);
    cluster_stop(&demo.cluster);
    free(demo.ledger);
    return error || demo.failed > 0 || demo.answered < options->messages;
}
