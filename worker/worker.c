/* The worker: see <fabric/worker.h>. Puts the link's and the executors' threads together. */
#include <fabric/worker.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/memory.h"
#include "core/outcome.h"
#include "core/thread.h"
#include "worker/link_zmq.h"
#include "worker/worker_open.h"
#include "worker/worker_setup.h"
#include "worker/worker_welcome.h"

#define CONNECT_TIMEOUT_MS 5000u
/* For a handler that outlived the grace time, and for finalizers that wait for answers. */
#define STUCK_WAIT_MS (SENDER_WAIT_MS + 1000u)

struct fabric_worker {
    worker_setup_t setup;
    crash_notes_t *notes; /* NULL: there is no supervisor */
    link_zmq_t *link;     /* NULL before start and after stop */
    executor_thread_t *executors[WORKER_EXECUTORS_MAX];
    fabric_sender_t *sender;       /* NULL before start */
    transaction_config_t database; /* its url is NULL: there is none */
    uint32_t process;              /* thread_process() where it was started */
    bool stuck; /* a handler did not return: its thread and all that it uses stay */
    executor_stats_t final_stats;
    uint64_t final_dropped;
    fabric_log_fn *log;
    void *log_context;
    pthread_mutex_t log_lock; /* for calls of `log` */
    worker_welcome_t welcome;
};

/* Tells the program of one event at a time, on whichever thread of the worker's. */
static void report(fabric_worker_t *worker, fabric_log_level_t level, const char *code,
                   const char *text)
{
    if (worker->log) {
        pthread_mutex_lock(&worker->log_lock);
        worker->log(worker->log_context, level, code, text);
        pthread_mutex_unlock(&worker->log_lock);
    }
}

/* On an executor's thread. */
static void on_defect(void *context, const char *text)
{
    report((fabric_worker_t *)context, FABRIC_LOG_WARN, "worker.defect", text);
}

static void on_slow(void *context, const char *text)
{
    report((fabric_worker_t *)context, FABRIC_LOG_WARN, "worker.slow", text);
}

static void on_evicted(void *context, const char *text)
{
    report((fabric_worker_t *)context, FABRIC_LOG_WARN, "worker.evicted", text);
}

static void on_rolled_back(void *context, const char *text)
{
    report((fabric_worker_t *)context, FABRIC_LOG_WARN, "worker.rolled_back", text);
}

static void on_untold(void *context, const char *text)
{
    report((fabric_worker_t *)context, FABRIC_LOG_WARN, "worker.untold", text);
}

/* ---- making one ---- */

static void worker_free(fabric_worker_t *worker)
{
    sender_client_destroy(&worker->sender);
    worker_setup_clear(&worker->setup);
    worker_welcome_clear(&worker->welcome);
    pthread_mutex_destroy(&worker->log_lock);
    free(worker);
}

static fabric_worker_t *allocate_worker(const fabric_worker_options_t *options)
{
    fabric_worker_t *worker = (fabric_worker_t *)memory_allocate_zeroed(1, sizeof *worker);
    if (pthread_mutex_init(&worker->log_lock, NULL) != 0) {
        abort();
    }
    worker_welcome_init(&worker->welcome);
    worker->log = options->log;
    worker->log_context = options->log_context;
    return worker;
}

fabric_error_t worker_make(const char *url, const fabric_entity_type_t *const *types,
                           const fabric_worker_options_t *options, reason_t *reason,
                           fabric_worker_t **worker)
{
    static const fabric_worker_options_t defaults = {0};
    options = options ? options : &defaults;
    fabric_worker_t *self = allocate_worker(options);
    *worker = NULL;
    fabric_error_t error = worker_setup_make(&self->setup, url, types, options, reason);
    if (error != FABRIC_OK) {
        worker_free(self);
        return error;
    }
    *worker = self;
    return FABRIC_OK;
}

void worker_note_crashes(fabric_worker_t *worker, crash_notes_t *notes)
{
    worker->notes = notes;
    worker_setup_supervise(&worker->setup, crash_notes_standing(notes));
}

void worker_use_database(fabric_worker_t *worker, const transaction_config_t *database)
{
    worker->database = *database;
}

/* ---- running ---- */

/* Whether this is a child, by fork(), of the process that started the worker: its threads are not
 * here, and its locks may be held for ever. */
static bool is_elsewhere(const fabric_worker_t *worker)
{
    return worker->link && worker->process != thread_process();
}

/* On the link's thread. */
static void on_event(void *context, const link_event_t *event)
{
    fabric_worker_t *worker = (fabric_worker_t *)context;
    char text[1024];
    switch (event->kind) {
    case LINK_EVENT_ABSENT:
        report(worker, FABRIC_LOG_WARN, "worker.waiting",
               "no broker has taken this worker in yet; trying on");
        return;
    case LINK_EVENT_WELCOMED:
        if (worker->notes) {
            crash_notes_add_broker(worker->notes, event->endpoint);
        }
        snprintf(text, sizeof text, "%s of cluster %s", event->endpoint, event->text);
        report(worker, FABRIC_LOG_INFO, "worker.welcomed", text); /* before anybody goes on */
        worker_welcome_note(&worker->welcome);
        return;
    case LINK_EVENT_DISCONNECTED:
        report(worker, FABRIC_LOG_WARN, "worker.disconnected", event->endpoint);
        return;
    case LINK_EVENT_SILENT:
        report(worker, FABRIC_LOG_WARN, "worker.silent", event->endpoint);
        return;
    case LINK_EVENT_UNSETTLED:
        report(worker, FABRIC_LOG_WARN, "worker.unsettled", event->endpoint);
        return;
    case LINK_EVENT_REFUSED:
        snprintf(text, sizeof text, "%s refused: %s%s%s", event->endpoint,
                 fabric_error_name(event->error), event->text[0] ? ": " : "", event->text);
        report(worker, event->final ? FABRIC_LOG_ERROR : FABRIC_LOG_WARN,
               event->final ? "worker.refused" : "worker.deferred", text);
        worker_welcome_refused(&worker->welcome, event->error, event->final, text);
        return;
    case LINK_EVENT_MALFORMED:
        snprintf(text, sizeof text, "%s: %s", event->endpoint, fabric_error_name(event->error));
        report(worker, FABRIC_LOG_WARN, "worker.malformed", text);
        return;
    case LINK_EVENT_STANDING:
        if (worker->notes) {
            crash_notes_set_standing(worker->notes, event->standing);
        }
        snprintf(text, sizeof text, "%s, by way of %s", runner_standing_name(event->standing),
                 event->endpoint);
        report(worker, FABRIC_LOG_INFO, "worker.standing", text);
        return;
    case LINK_EVENT_UNRESOLVED:
        worker_welcome_refused(&worker->welcome, event->error, event->final, event->text);
        report(worker, FABRIC_LOG_WARN, "worker.unresolved", event->text);
        return;
    case LINK_EVENT_PLAINTEXT:
        snprintf(text, sizeof text,
                 "%s is in the map but leaves this machine: set allow_plaintext to connect",
                 event->endpoint);
        report(worker, FABRIC_LOG_WARN, "worker.plaintext", text);
        return;
    case LINK_EVENT_STUCK:
        snprintf(text, sizeof text, "executor %u has been at one step for %llu ms: %s",
                 (unsigned)event->executor, (unsigned long long)event->step_ms, event->text);
        report(worker, FABRIC_LOG_WARN, "worker.stuck", text);
        return;
    case LINK_EVENT_RECOVERED:
        snprintf(text, sizeof text, "executor %u goes on", (unsigned)event->executor);
        report(worker, FABRIC_LOG_INFO, "worker.recovered", text);
        return;
    case LINK_EVENT_SLOW:
        on_slow(worker, event->text);
        return;
    }
}

/* Ends the executors; false: a handler does not return. */
static bool end_executors(fabric_worker_t *worker)
{
    uint64_t until_ms = clock_monotonic_ms() + STUCK_WAIT_MS;
    for (uint32_t i = 0; i < worker->setup.config.executors && worker->executors[i]; i++) {
        executor_thread_end(worker->executors[i]);
    }
    bool all = true;
    for (uint32_t i = 0; i < worker->setup.config.executors && worker->executors[i]; i++) {
        all = executor_thread_wait(worker->executors[i], until_ms) && all;
    }
    return all;
}

static executor_stats_t sum_stats(const fabric_worker_t *worker)
{
    executor_stats_t sum = worker->final_stats;
    for (uint32_t i = 0; i < worker->setup.config.executors && worker->executors[i]; i++) {
        executor_stats_t one = executor_thread_stats(worker->executors[i]);
        sum.handled += one.handled;
        sum.defects += one.defects;
        sum.slow += one.slow;
        sum.evicted += one.evicted;
        sum.entities += one.entities;
    }
    return sum;
}

static fabric_error_t make_link(fabric_worker_t *worker, reason_t *reason)
{
    fabric_error_t error =
        link_zmq_new(&worker->setup.config, on_event, worker, reason, &worker->link);
    for (size_t i = 0; i < worker->setup.broker_count && error == FABRIC_OK; i++) {
        error = link_zmq_add_endpoint(worker->link, worker->setup.brokers[i]);
    }
    return error;
}

static fabric_sender_t *make_sender(fabric_worker_t *worker)
{
    const worker_setup_t *setup = &worker->setup;
    return sender_client_new(&(sender_config_t){
        .brokers = setup->brokers,
        .broker_count = setup->broker_count,
        .cluster_name = setup->cluster_name[0] ? setup->cluster_name : NULL,
        .name = setup->name,
        .allow_plaintext = setup->config.allow_plaintext,
        .report = on_untold,
        .report_context = worker,
    });
}

static fabric_error_t start_threads(fabric_worker_t *worker, reason_t *reason)
{
    fabric_error_t error = FABRIC_OK;
    worker->sender = make_sender(worker);
    executor_listener_t listener = {
        .notify = link_zmq_notify,
        .notify_context = worker->link,
        .report_defect = on_defect,
        .report_slow = on_slow,
        .report_evicted = on_evicted,
        .report_rolled_back = on_rolled_back,
        .database = &worker->database,
        .report_context = worker,
        .sender = worker->sender,
        .runner = {.name = worker->setup.name, .app_version = worker->setup.config.app_version}};
    for (uint32_t i = 0; i < worker->setup.config.executors && error == FABRIC_OK; i++) {
        listener.slot = worker->notes ? crash_notes_slot(worker->notes, i) : NULL;
        executor_limits_t limits = worker_setup_limits(&worker->setup, i);
        error =
            executor_thread_start(worker->setup.types, &limits, &listener, &worker->executors[i]);
    }
    if (error == FABRIC_OK) {
        error = link_zmq_start(worker->link, worker->executors);
    }
    return error == FABRIC_OK
               ? FABRIC_OK
               : reason_set(reason, error, "%u threads are needed, and the system gives fewer",
                            worker->setup.config.executors + 1);
}

/* Transactional messages commit in the brokers' database, to which only fabric-worker connects. */
static fabric_error_t check_database(const fabric_worker_t *worker, reason_t *reason)
{
    const char *type = NULL;
    const fabric_handler_t *handler = type_table_transactional(worker->setup.types, &type);
    return !handler || worker->database.url
               ? FABRIC_OK
               : reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT,
                            "entity type %s: message %s is transactional, which needs "
                            "fabric-worker with --database, the URL of the brokers' database",
                            type, handler->message->tag);
}

fabric_error_t worker_start(fabric_worker_t *worker, reason_t *reason)
{
    fabric_error_t checked = check_database(worker, reason);
    if (checked != FABRIC_OK) {
        return checked;
    }
    worker_setup_begin(&worker->setup);
    if (worker->notes) {
        crash_notes_begin(worker->notes, worker->setup.config.incarnation);
    }
    worker->process = thread_process();
    fabric_error_t error = make_link(worker, reason);
    if (error == FABRIC_OK) {
        error = start_threads(worker, reason);
    }
    if (error != FABRIC_OK) {
        fabric_worker_stop(worker);
    }
    return error;
}

fabric_error_t fabric_worker_wait_ready(fabric_worker_t *worker, uint32_t timeout_ms,
                                        fabric_outcome_t *outcome)
{
    reason_t reason = {""};
    fabric_error_t error;
    int cancel = thread_hold_cancel();
    if (is_elsewhere(worker)) {
        error = reason_set(&reason, FABRIC_ERROR_INVALID_ARGUMENT,
                           "the worker belongs to the process that opened it");
    } else if (!worker->link) {
        error = reason_set(&reason, FABRIC_ERROR_CLOSED, "the worker is stopped");
    } else {
        error = worker_welcome_wait(&worker->welcome, timeout_ms, &reason);
    }
    thread_allow_cancel(cancel);
    if (outcome) {
        outcome_of_reason(error, &reason, outcome);
    }
    return error;
}

static fabric_error_t open_worker(const char *url, const fabric_entity_type_t *const *types,
                                  const fabric_worker_options_t *options, reason_t *reason,
                                  fabric_worker_t **worker)
{
    uint32_t timeout_ms =
        options && options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    fabric_error_t error = worker_make(url, types, options, reason, worker);
    if (error != FABRIC_OK) {
        return error;
    }
    error = worker_start(*worker, reason);
    if (error == FABRIC_OK && timeout_ms != FABRIC_CONNECT_LATER) {
        error = worker_welcome_wait(&(*worker)->welcome, timeout_ms, reason);
    }
    if (error != FABRIC_OK) {
        fabric_worker_close(worker);
    }
    return error;
}

fabric_error_t fabric_worker_open(const char *url, const fabric_entity_type_t *const *types,
                                  const fabric_worker_options_t *options, fabric_worker_t **worker,
                                  fabric_outcome_t *outcome)
{
    reason_t reason = {""};
    int cancel = thread_hold_cancel();
    fabric_error_t error = open_worker(url, types, options, &reason, worker);
    thread_allow_cancel(cancel);
    if (outcome) {
        outcome_of_reason(error, &reason, outcome);
    }
    return error;
}

static void stop(fabric_worker_t *worker)
{
    if (worker->sender) {
        sender_client_begin_stop(worker->sender);
    }
    link_zmq_stop(worker->link);
    if (!end_executors(worker)) {
        worker->stuck = true;
        report(worker, FABRIC_LOG_WARN, "worker.stuck",
               "a handler does not return; its thread is left behind");
        return;
    }
    if (worker->sender) {
        sender_client_close(worker->sender); /* after the last finalizer */
    }
    worker->final_stats = sum_stats(worker);
    worker->final_dropped = link_zmq_dropped(worker->link);
    for (uint32_t i = 0; i < worker->setup.config.executors; i++) {
        executor_thread_destroy(&worker->executors[i]);
    }
    link_zmq_destroy(&worker->link);
}

void fabric_worker_stop(fabric_worker_t *worker)
{
    if (worker->link && !worker->stuck && !is_elsewhere(worker)) {
        int cancel = thread_hold_cancel();
        stop(worker);
        thread_allow_cancel(cancel);
    }
}

void fabric_worker_close(fabric_worker_t **worker)
{
    if (!*worker) {
        return;
    }
    fabric_worker_stop(*worker);
    if (!(*worker)->stuck && !is_elsewhere(*worker)) {
        worker_free(*worker);
    }
    *worker = NULL;
}

void fabric_worker_stats(const fabric_worker_t *worker, fabric_worker_stats_t *stats)
{
    *stats = (fabric_worker_stats_t){0};
    if (is_elsewhere(worker)) {
        return;
    }
    executor_stats_t sum = sum_stats(worker);
    *stats = (fabric_worker_stats_t){
        .handled = sum.handled,
        .defects = sum.defects,
        .slow = sum.slow,
        .evicted = sum.evicted,
        .entities = sum.entities,
        .shards = worker->link ? link_zmq_shards(worker->link) : 0,
        .dropped = worker->link ? link_zmq_dropped(worker->link) : worker->final_dropped,
    };
}
