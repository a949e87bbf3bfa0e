/* The load of fault tests: see workload.h. */
#include "tests/checker/workload.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/cluster_status.h"
#include "core/clock.h"
#include "tests/checker/checker.h"
#include "tests/checker/fold.h"
#include "tests/checker/history.h"
#include "tests/checker/table_dump.h"

enum { CLIENTS_MAX = 16, STEP_MS = 5, CONNECT_MS = 30000, BURST_MS = 50 };

struct load_client;

/* One call, until it is settled. */
typedef struct load_call {
    struct load_call *next; /* waiting to be sent again */
    struct load_client *client;
    fold_request_t asked;
    uint32_t padding; /* bytes */
    uint32_t flags;   /* of the history */
    fabric_call_key_t key;
} load_call_t;

typedef struct load_client {
    workload_t *load;
    fabric_client_t *client;
    uint32_t number;
    uint64_t next;
    uint32_t open;
    load_call_t *again_first, *again_last;
} load_client_t;

struct workload {
    testbed_t *bed;
    workload_options_t options;
    load_client_t clients[CLIENTS_MAX];
    workload_counts_t counts;
    uint64_t random;
    uint64_t started_us; /* the start of this run, from which the rate is computed */
    uint64_t due;        /* calls started since then */
    uint64_t reply_us;   /* the last reply to a durable ask, or the mark */
    uint64_t gap_us;
    bool ending;
};

static uint64_t next_random(workload_t *load)
{
    return padding_random(&load->random);
}

/* ---- history ---- */

static void note(const load_call_t *call, history_kind_t kind, const fabric_outcome_t *outcome,
                 fabric_bytes_t payload)
{
    history_record_t record = {.kind = kind,
                               .flags = call->flags,
                               .client = call->asked.client,
                               .entity = call->asked.entity,
                               .number = call->asked.number,
                               .key_client = call->key.client,
                               .key_sequence = call->key.sequence};
    fold_reply_t reply = {0};
    if (outcome) {
        record.request_id = outcome->request_id;
        record.error = outcome->error;
    }
    if (kind == HISTORY_REPLIED) {
        record.reply_hash = history_hash(payload.data, payload.size);
        if (fold_answer_read(payload, &reply) && reply.client == call->asked.client &&
            reply.number == call->asked.number) {
            record.execution = (history_execution_t){reply.process, reply.serial};
        }
    }
    history_append(call->client->load->bed->folder, &record);
}

/* ---- calls ---- */

static void note_reply(workload_t *load, uint32_t flags)
{
    uint64_t now_us = clock_monotonic_us();
    load->counts.replied++;
    if (flags & HISTORY_DURABLE) {
        load->counts.durable++;
        uint64_t gap_us = now_us - load->reply_us;
        load->gap_us = gap_us > load->gap_us ? gap_us : load->gap_us;
        load->reply_us = now_us;
    }
}

static void call_free(load_call_t *call)
{
    call->client->load->counts.open--;
    free(call);
}

/* A volatile call is over; a durable one will be sent again. */
static void call_is_unknown(load_call_t *call)
{
    load_client_t *client = call->client;
    client->load->counts.unknown++;
    if (!(call->flags & HISTORY_DURABLE)) {
        call_free(call);
        return;
    }
    call->next = NULL;
    if (client->again_last) {
        client->again_last->next = call;
    } else {
        client->again_first = call;
    }
    client->again_last = call;
}

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    load_call_t *call = context;
    workload_t *load = call->client->load;
    call->client->open--;
    switch (fabric_error_class(outcome->error)) {
    case FABRIC_CLASS_OK:
        note(call, call->flags & HISTORY_TELL ? HISTORY_ACCEPTED : HISTORY_REPLIED, outcome,
             payload);
        if (call->flags & HISTORY_TELL) {
            load->counts.accepted++;
            load->counts.durable++;
        } else {
            note_reply(load, call->flags);
        }
        break;
    case FABRIC_CLASS_FAILURE:
        note(call, HISTORY_FAILED, outcome, payload);
        load->counts.failed++;
        break;
    case FABRIC_CLASS_UNKNOWN:
        note(call, HISTORY_UNKNOWN, outcome, payload);
        call_is_unknown(call);
        return;
    case FABRIC_CLASS_RETRY:
    case FABRIC_CLASS_REJECTED:
    case FABRIC_CLASS_FENCED:
    case FABRIC_CLASS_USAGE:
    case FABRIC_CLASS_FATAL:
        note(call, HISTORY_REJECTED, outcome, payload);
        load->counts.rejected++;
        break;
    }
    call_free(call);
}

static void send(load_call_t *call)
{
    static fold_message_t message; /* large */
    char id[32];
    load_client_t *client = call->client;
    snprintf(id, sizeof id, FOLD_ID, call->asked.entity);
    message.asked = call->asked;
    padding_fill(&message.padding, call->padding, call->asked.number);
    fabric_call_t what = {
        .entity = fabric_entity(FOLD_TYPE, id),
        .message = call->flags & HISTORY_DURABLE ? &fold_append : &fold_echo,
        .request = &message,
        .tell = (call->flags & HISTORY_TELL) != 0,
        .timeout_ms = client->load->options.timeout_ms,
        .key = call->key,
    };
    note(call, HISTORY_INVOKED, NULL, fabric_bytes(NULL, 0));
    client->open++;
    fabric_error_t error = fabric_client_start(client->client, &what, call_ended, call, &call->key);
    if (error) {
        fabric_outcome_t outcome = {.error = error};
        print_error("workload: a call cannot be started: %s\n", fabric_error_name(error));
        call_ended(call, &outcome, fabric_bytes(NULL, 0));
    }
}

static void send_again(load_client_t *client)
{
    load_call_t *call = client->again_first;
    client->again_first = call->next;
    if (!call->next) {
        client->again_last = NULL;
    }
    call->flags |= HISTORY_AGAIN;
    client->load->counts.resent++;
    send(call);
}

static uint32_t choose_flags(workload_t *load)
{
    uint64_t dice = next_random(load) % 100;
    if (dice < load->options.volatile_percent) {
        return 0;
    }
    return dice < load->options.volatile_percent + load->options.tell_percent
               ? HISTORY_DURABLE | HISTORY_TELL
               : HISTORY_DURABLE;
}

static void send_new(load_client_t *client)
{
    workload_t *load = client->load;
    load_call_t *call = calloc(1, sizeof *call);
    if (!call) {
        abort();
    }
    call->client = client;
    call->flags = choose_flags(load);
    call->asked = (fold_request_t){
        .client = client->number,
        .entity = (uint32_t)(next_random(load) % load->options.entities) + 1,
        .number = ++client->next,
    };
    call->padding = padding_size(next_random(load), load->options.padding_max);
    load->counts.started++;
    load->counts.open++;
    load->due++;
    send(call);
}

/* ---- running ---- */

/* Starts the calls that are due. Calls that could not be started during an outage are not made up
 * for. */
static void start_calls(workload_t *load)
{
    uint64_t elapsed_us = clock_monotonic_us() - load->started_us;
    uint64_t allowed = elapsed_us * load->options.rate / 1000000;
    uint64_t burst = (uint64_t)load->options.rate * BURST_MS / 1000 + 1;
    if (allowed > load->due + burst) {
        load->due = allowed - burst;
    }
    bool some = true;
    while (some) {
        some = false;
        for (uint32_t i = 0; i < load->options.clients; i++) {
            load_client_t *client = &load->clients[i];
            if (client->open >= load->options.inflight) {
                continue;
            }
            if (client->again_first) {
                send_again(client);
                some = true;
            } else if (!load->ending && load->due < allowed) {
                send_new(client);
                some = true;
            }
        }
    }
}

static void step(workload_t *load)
{
    struct pollfd items[CLIENTS_MAX];
    start_calls(load);
    for (uint32_t i = 0; i < load->options.clients; i++) {
        items[i] = (struct pollfd){fabric_client_fd(load->clients[i].client), POLLIN, 0};
    }
    poll(items, load->options.clients, STEP_MS);
    for (uint32_t i = 0; i < load->options.clients; i++) {
        (void)fabric_client_process(load->clients[i].client);
    }
}

static bool never(void *context)
{
    (void)context;
    return false;
}

bool workload_run_until(workload_t *load, bool (*done)(void *context), void *context,
                        uint32_t timeout_ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    load->started_us = clock_monotonic_us();
    load->due = 0;
    while (!done(context)) {
        if (clock_monotonic_ms() >= deadline_ms) {
            return false;
        }
        step(load);
    }
    return true;
}

void workload_run(workload_t *load, uint32_t ms)
{
    (void)workload_run_until(load, never, NULL, ms);
}

workload_counts_t workload_counts(const workload_t *load)
{
    return load->counts;
}

void workload_mark(workload_t *load)
{
    load->reply_us = clock_monotonic_us();
    load->gap_us = 0;
}

uint32_t workload_gap_ms(const workload_t *load)
{
    uint64_t open_us = clock_monotonic_us() - load->reply_us;
    return (uint32_t)((open_us > load->gap_us ? open_us : load->gap_us) / 1000);
}

/* ---- begin and end ---- */

static uint32_t value_or(uint32_t value, uint32_t otherwise)
{
    return value == 0 ? otherwise : value == WORKLOAD_NONE ? 0 : value;
}

static void set_options(workload_t *load, const workload_options_t *given)
{
    workload_options_t *options = &load->options;
    if (given) {
        *options = *given;
    }
    options->urls = options->urls ? options->urls : load->bed->cluster.urls;
    options->clients = value_or(options->clients, 3);
    options->entities = value_or(options->entities, 24);
    options->inflight = value_or(options->inflight, 16);
    options->rate = value_or(options->rate, 800);
    options->tell_percent = value_or(options->tell_percent, 20);
    options->volatile_percent = value_or(options->volatile_percent, 15);
    options->timeout_ms = value_or(options->timeout_ms, 3000);
    options->settle_ms = value_or(options->settle_ms, 60000);
    options->memory_mib_max = value_or(options->memory_mib_max, 256);
    options->descriptors_max = value_or(options->descriptors_max, 200);
    load->random = options->seed ? options->seed : 1;
    assert_in_range(options->clients, 1, CLIENTS_MAX);
}

/* Closes the clients, which completes the calls, and frees the calls that would be sent again. */
static void close_clients(workload_t *load)
{
    for (uint32_t i = 0; i < load->options.clients; i++) {
        load_client_t *client = &load->clients[i];
        fabric_client_close(&client->client);
        while (client->again_first) {
            load_call_t *call = client->again_first;
            client->again_first = call->next;
            call_free(call);
        }
    }
}

static void abandon(void *context)
{
    workload_t *load = context;
    load->bed->at_end = NULL;
    close_clients(load);
    free(load);
}

workload_t *workload_start(testbed_t *bed, const workload_options_t *options)
{
    workload_t *load = calloc(1, sizeof *load);
    assert_non_null(load);
    assert_null(bed->at_end);
    load->bed = bed;
    bed->at_end = abandon;
    bed->at_end_context = load;
    set_options(load, options);
    workload_mark(load);
    for (uint32_t i = 0; i < load->options.clients; i++) {
        fabric_outcome_t outcome = {0};
        char name[32];
        load_client_t *client = &load->clients[i];
        *client = (load_client_t){.load = load, .number = i + 1};
        snprintf(name, sizeof name, "load-%u", i + 1);
        fabric_client_options_t how = {.name = name, .connect_timeout_ms = CONNECT_MS};
        fabric_error_t error =
            fabric_client_open(load->options.urls, &how, &client->client, &outcome);
        if (error) {
            fail_msg("%s: %s: %s", load->options.urls, fabric_error_name(error), outcome.text);
        }
    }
    return load;
}

static bool nothing_open(void *context)
{
    return ((workload_t *)context)->counts.open == 0;
}

/* What waits: messages that had not ended at their lane's checkpoint, and lanes whose entries are
 * above it. A lane without work keeps the entry of its adoption above it. */
static const char waiting[] =
    "SELECT (SELECT COUNT(*) FROM pending) + (SELECT COUNT(*) FROM checkpoint c WHERE EXISTS "
    "(SELECT 1 FROM journal j WHERE j.lane = c.lane AND j.number > c.number AND j.adopt = 0))";

/* Waits until each message has its final reply. A broker knows only its own shards, so the store
 * is asked where there may be several brokers. */
static void wait_drained(workload_t *load)
{
    reason_t reason = {{0}};
    testbed_t *bed = load->bed;
    uint64_t deadline_ms = clock_monotonic_ms() + load->options.settle_ms;
    if (bed->database[0]) {
        while (testbed_query_number(bed, waiting) > 0 && clock_monotonic_ms() < deadline_ms) {
            poll(NULL, 0, STEP_MS);
        }
        return;
    }
    status_brokers_t broker = status_at(load->clients[0].client);
    fabric_error_t error = status_wait_drained(&broker, load->options.settle_ms, &reason);
    if (error) { /* the checker will name the messages */
        print_error("workload: %s: %s\n", fabric_error_name(error), reason.text);
    }
}

static void print_counts(const workload_counts_t *counts)
{
    print_message("load: %llu calls, %llu replies, %llu accepted tells, %llu failed, %llu "
                  "rejected, %llu unknown, %llu sent again\n",
                  (unsigned long long)counts->started, (unsigned long long)counts->replied,
                  (unsigned long long)counts->accepted, (unsigned long long)counts->failed,
                  (unsigned long long)counts->rejected, (unsigned long long)counts->unknown,
                  (unsigned long long)counts->resent);
}

/* ---- what processes take ---- */

typedef struct sizes {
    checker_process_t items[CLUSTER_WORKERS_MAX + 2];
    size_t count;
} sizes_t;

static uint64_t count_descriptors(pid_t pid)
{
    char path[64];
    uint64_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *listing = opendir(path);
    while (listing && readdir(listing)) {
        count++;
    }
    if (listing) {
        closedir(listing);
    }
    return count > 2 ? count - 2 : 0; /* . and .. */
}

static uint64_t highest_memory_kib(pid_t pid)
{
    char path[64];
    char line[200];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "VmHWM: %llu kB", &kib) != 1) {
    }
    if (file) {
        fclose(file);
    }
    return kib;
}

static void add_size(sizes_t *sizes, process_t *process, const char *name, uint32_t number)
{
    if (!process_runs(process)) {
        return;
    }
    checker_process_t *item = &sizes->items[sizes->count++];
    snprintf(item->name, sizeof item->name, "%s %u", name, number);
    item->memory_kib = highest_memory_kib(process_child(process));
    item->descriptors = count_descriptors(process_child(process));
}

static void take_sizes(testbed_t *bed, sizes_t *sizes)
{
    add_size(sizes, &bed->cluster.broker, "broker", 1);
    add_size(sizes, &bed->cluster.standby, "broker", 2);
    for (uint32_t i = 0; i < bed->cluster.worker_count; i++) {
        add_size(sizes, &bed->cluster.workers[i], "worker", i + 1);
    }
}

static void print_sizes(const sizes_t *sizes)
{
    for (size_t i = 0; i < sizes->count; i++) {
        const checker_process_t *item = &sizes->items[i];
        print_message("%s%s: %llu MiB, %llu descriptors%s", i ? "" : "at the end: ", item->name,
                      (unsigned long long)(item->memory_kib / 1024),
                      (unsigned long long)item->descriptors, i + 1 < sizes->count ? "; " : "\n");
    }
}

/* Gives the verdict on what the processes left. */
static uint64_t check(testbed_t *bed, const workload_options_t *options, const sizes_t *sizes)
{
    history_t history = history_read(bed->folder);
    table_dump_t tables = table_dump_read(bed);
    checker_input_t input = {.history = &history,
                             .tables = &tables,
                             .dead_letters_max = options->dead_letters_max,
                             .processes = sizes->items,
                             .process_count = sizes->count,
                             .memory_kib_max = options->memory_mib_max * 1024ULL,
                             .descriptors_max = options->descriptors_max};
    checker_report_t report;
    checker_run(&input, &report);
    checker_print(&report);
    history_free(&history);
    table_dump_free(&tables);
    if (report.violations == 0 && report.uncounted < options->uncounted_min) {
        fail_msg("%llu executions ended for nothing, where at least %u had to: no fence was hit",
                 (unsigned long long)report.uncounted, options->uncounted_min);
    }
    return report.violations;
}

void workload_end_and_check(workload_t **load)
{
    workload_t *self = *load;
    testbed_t *bed = self->bed;
    workload_options_t options = self->options;
    sizes_t sizes = {.count = 0};
    self->ending = true;
    bool settled = workload_run_until(self, nothing_open, self, options.settle_ms);
    if (settled) {
        wait_drained(self);
    }
    workload_counts_t counts = self->counts;
    print_counts(&counts);
    *load = NULL;
    abandon(self);
    take_sizes(bed, &sizes);
    print_sizes(&sizes);
    testbed_stop_processes(bed);
    uint64_t violations = check(bed, &options, &sizes);
    if (violations > 0) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("the checker found %llu violations", (unsigned long long)violations);
    }
    if (!settled) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("%u calls are not settled after %u ms", counts.open, options.settle_ms);
    }
    assert_true(counts.replied > 0);
}
