/* The worker: see <fabric/worker.h>. Puts the link's and the executors' threads together. */
#include <fabric/worker.h>

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/endpoint.h"
#include "core/memory.h"
#include "core/outcome.h"
#include "core/random.h"
#include "core/thread.h"
#include "worker/link_zmq.h"
#include "worker/worker_open.h"

#define EXECUTORS_MAX      ((uint32_t)CRASH_SLOTS_MAX)
#define WEIGHT_DEFAULT     100u
#define WINDOW_DEFAULT     16384u
#define GRACE_MS_DEFAULT   5000u
#define CONNECT_TIMEOUT_MS 5000u
#define STUCK_WAIT_MS      1000u /* for a handler that outlived the grace time */
#define BROKERS_GIVEN_MAX  LIMIT_BROKERS_MAX

struct fabric_worker {
    link_config_t config; /* its views point to the three buffers */
    char cluster_name[LIMIT_NAME_BYTES_MAX + 1];
    char name[LIMIT_NAME_BYTES_MAX + 1];
    wire_writer_t descriptions;
    type_table_t *types;
    char *brokers[BROKERS_GIVEN_MAX];
    size_t broker_count;
    crash_notes_t *notes; /* NULL: there is no supervisor */
    link_zmq_t *link;     /* NULL before start and after stop */
    executor_thread_t *executors[EXECUTORS_MAX];
    uint32_t process; /* thread_process() where it was started */
    bool stuck;       /* a handler did not return: its thread and all that it uses stay */
    executor_stats_t final_stats;
    uint64_t final_dropped;
    fabric_log_fn *log;
    void *log_context;
    pthread_mutex_t log_lock; /* for calls of `log` */
    pthread_mutex_t lock;     /* for what follows */
    pthread_cond_t changed;
    bool welcomed;
    bool refused;         /* for good */
    fabric_error_t error; /* by which a broker has refused the worker; FABRIC_OK: none has */
    reason_t reason;      /* the last word about brokers that did not welcome the worker */
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

/* ---- making one ---- */

typedef struct broker_list {
    fabric_worker_t *worker;
    fabric_error_t error;
    reason_t *reason;
} broker_list_t;

static void add_broker(void *context, const char *endpoint)
{
    broker_list_t *list = (broker_list_t *)context;
    fabric_worker_t *worker = list->worker;
    if (list->error != FABRIC_OK) {
        return;
    }
    if (!worker->config.allow_plaintext && !endpoint_is_local(endpoint)) {
        list->error = reason_set(list->reason, FABRIC_ERROR_PLAINTEXT_REFUSED,
                                 "%s leaves this machine and would not be encrypted: set "
                                 "allow_plaintext to connect all the same",
                                 endpoint);
    } else if (worker->broker_count == BROKERS_GIVEN_MAX) {
        list->error = reason_set(list->reason, FABRIC_ERROR_LIMIT_EXCEEDED,
                                 "more than %u brokers are given", BROKERS_GIVEN_MAX);
    } else {
        worker->brokers[worker->broker_count++] = memory_copy_string(endpoint);
    }
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value > 0 ? value : fallback;
}

static uint32_t core_count(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > (long)EXECUTORS_MAX ? EXECUTORS_MAX : (uint32_t)cores;
}

static fabric_error_t set_names(fabric_worker_t *worker, const fabric_worker_options_t *options,
                                reason_t *reason)
{
    const char *cluster_name = options->cluster_name ? options->cluster_name : "";
    if (strlen(cluster_name) > LIMIT_NAME_BYTES_MAX ||
        (options->name && strlen(options->name) > LIMIT_NAME_BYTES_MAX)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "a name has more than %d bytes",
                          LIMIT_NAME_BYTES_MAX);
    }
    strcpy(worker->cluster_name, cluster_name);
    if (options->name) {
        strcpy(worker->name, options->name);
    } else {
        char host[128] = "";
        gethostname(host, sizeof host - 1);
        snprintf(worker->name, sizeof worker->name, "%s:%ld", host, (long)getpid());
    }
    worker->config.cluster_name = fabric_bytes_of(worker->cluster_name);
    worker->config.name = fabric_bytes_of(worker->name);
    return FABRIC_OK;
}

static fabric_error_t set_brokers(fabric_worker_t *worker, const char *url, reason_t *reason)
{
    url = url ? url : endpoint_cluster_nodes();
    if (!url) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "no broker is named");
    }
    broker_list_t list = {.worker = worker, .reason = reason};
    fabric_error_t error = endpoint_list_parse(url, reason, add_broker, &list);
    return error != FABRIC_OK ? error : list.error;
}

static fabric_error_t set_types(fabric_worker_t *worker, const fabric_entity_type_t *const *types,
                                reason_t *reason)
{
    if (!types || !types[0]) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "a worker needs an entity type");
    }
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; types[i] && error == FABRIC_OK; i++) {
        error = type_table_add(worker->types, types[i], reason);
    }
    type_table_describe(worker->types, &worker->descriptions);
    worker->config.types = wire_writer_bytes(&worker->descriptions);
    return error;
}

static fabric_error_t configure(fabric_worker_t *worker, const fabric_worker_options_t *options,
                                reason_t *reason)
{
    link_config_t *config = &worker->config;
    worker->log = options->log;
    worker->log_context = options->log_context;
    config->executors = or_default(options->executors, core_count());
    config->weight = or_default(options->weight, WEIGHT_DEFAULT);
    config->app_version = options->app_version;
    config->window = or_default(options->window, WINDOW_DEFAULT);
    config->grace_ms = or_default(options->grace_ms, GRACE_MS_DEFAULT);
    config->allow_plaintext = options->allow_plaintext;
    if (config->executors > EXECUTORS_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "executors: at most %u threads",
                          EXECUTORS_MAX);
    }
    return set_names(worker, options, reason);
}

static void worker_free(fabric_worker_t *worker)
{
    for (size_t i = 0; i < worker->broker_count; i++) {
        free(worker->brokers[i]);
    }
    wire_writer_destroy(&worker->descriptions);
    type_table_destroy(&worker->types);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->log_lock);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

static fabric_worker_t *allocate_worker(void)
{
    pthread_condattr_t attributes;
    fabric_worker_t *worker = (fabric_worker_t *)memory_allocate_zeroed(1, sizeof *worker);
    if (pthread_mutex_init(&worker->lock, NULL) != 0 ||
        pthread_mutex_init(&worker->log_lock, NULL) != 0 ||
        pthread_condattr_init(&attributes) != 0 ||
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&worker->changed, &attributes) != 0) {
        abort();
    }
    pthread_condattr_destroy(&attributes);
    worker->types = type_table_new();
    return worker;
}

fabric_error_t worker_make(const char *url, const fabric_entity_type_t *const *types,
                           const fabric_worker_options_t *options, reason_t *reason,
                           fabric_worker_t **worker)
{
    static const fabric_worker_options_t defaults = {0};
    fabric_worker_t *self = allocate_worker();
    *worker = NULL;
    fabric_error_t error = configure(self, options ? options : &defaults, reason);
    if (error == FABRIC_OK) {
        error = set_brokers(self, url, reason);
    }
    if (error == FABRIC_OK) {
        error = set_types(self, types, reason);
    }
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
    worker->config.supervised = true;
}

/* ---- running ---- */

/* Whether this is a child, by fork(), of the process that started the worker: its threads are not
 * here, and its locks may be held for ever. */
static bool is_elsewhere(const fabric_worker_t *worker)
{
    return worker->link && worker->process != thread_process();
}

static void set_welcomed(fabric_worker_t *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->welcomed = true;
    worker->refused = false;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
}

/* A broker has not welcomed the worker. The first final refusal stays, else the last word. */
static void set_not_welcomed(fabric_worker_t *worker, const link_event_t *event, const char *text)
{
    pthread_mutex_lock(&worker->lock);
    if (!worker->refused) {
        worker->refused = event->final;
        worker->error = event->error;
        (void)reason_set(&worker->reason, event->error, "%s", text);
    }
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
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
        set_welcomed(worker);
        return;
    case LINK_EVENT_DISCONNECTED:
        report(worker, FABRIC_LOG_WARN, "worker.disconnected", event->endpoint);
        return;
    case LINK_EVENT_SILENT:
        report(worker, FABRIC_LOG_WARN, "worker.silent", event->endpoint);
        return;
    case LINK_EVENT_REFUSED:
        snprintf(text, sizeof text, "%s refused: %s%s%s", event->endpoint,
                 fabric_error_name(event->error), event->text[0] ? ": " : "", event->text);
        report(worker, event->final ? FABRIC_LOG_ERROR : FABRIC_LOG_WARN,
               event->final ? "worker.refused" : "worker.deferred", text);
        set_not_welcomed(worker, event, text);
        return;
    case LINK_EVENT_MALFORMED:
        snprintf(text, sizeof text, "%s: %s", event->endpoint, fabric_error_name(event->error));
        report(worker, FABRIC_LOG_WARN, "worker.malformed", text);
        return;
    case LINK_EVENT_UNRESOLVED:
        set_not_welcomed(worker, event, event->text);
        report(worker, FABRIC_LOG_WARN, "worker.unresolved", event->text);
        return;
    case LINK_EVENT_PLAINTEXT:
        snprintf(text, sizeof text,
                 "%s is in the map but leaves this machine: set allow_plaintext to connect",
                 event->endpoint);
        report(worker, FABRIC_LOG_WARN, "worker.plaintext", text);
        return;
    }
}

/* Ends the executors; false: a handler does not return. */
static bool end_executors(fabric_worker_t *worker)
{
    uint64_t until_ms = clock_monotonic_ms() + STUCK_WAIT_MS;
    for (uint32_t i = 0; i < worker->config.executors && worker->executors[i]; i++) {
        executor_thread_end(worker->executors[i]);
    }
    bool all = true;
    for (uint32_t i = 0; i < worker->config.executors && worker->executors[i]; i++) {
        all = executor_thread_wait(worker->executors[i], until_ms) && all;
    }
    return all;
}

static executor_stats_t sum_stats(const fabric_worker_t *worker)
{
    executor_stats_t sum = worker->final_stats;
    for (uint32_t i = 0; i < worker->config.executors && worker->executors[i]; i++) {
        executor_stats_t one = executor_thread_stats(worker->executors[i]);
        sum.handled += one.handled;
        sum.defects += one.defects;
        sum.entities += one.entities;
    }
    return sum;
}

static fabric_error_t make_link(fabric_worker_t *worker, reason_t *reason)
{
    fabric_error_t error = link_zmq_new(&worker->config, on_event, worker, reason, &worker->link);
    for (size_t i = 0; i < worker->broker_count && error == FABRIC_OK; i++) {
        error = link_zmq_add_endpoint(worker->link, worker->brokers[i]);
    }
    return error;
}

static fabric_error_t start_threads(fabric_worker_t *worker, reason_t *reason)
{
    fabric_error_t error = FABRIC_OK;
    executor_listener_t listener = {.notify = link_zmq_notify,
                                    .notify_context = worker->link,
                                    .report_defect = on_defect,
                                    .report_context = worker};
    for (uint32_t i = 0; i < worker->config.executors && error == FABRIC_OK; i++) {
        listener.slot = worker->notes ? crash_notes_slot(worker->notes, i) : NULL;
        error = executor_thread_start(worker->types, &listener, &worker->executors[i]);
    }
    if (error == FABRIC_OK) {
        error = link_zmq_start(worker->link, worker->executors);
    }
    return error == FABRIC_OK
               ? FABRIC_OK
               : reason_set(reason, error, "%u threads are needed, and the system gives fewer",
                            worker->config.executors + 1);
}

fabric_error_t worker_start(fabric_worker_t *worker, reason_t *reason)
{
    random_bytes(worker->config.incarnation.bytes, sizeof worker->config.incarnation.bytes);
    if (worker->notes) {
        crash_notes_begin(worker->notes, worker->config.incarnation);
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

static fabric_error_t wait_ready(fabric_worker_t *worker, uint32_t timeout_ms, reason_t *reason)
{
    uint64_t until_ms = clock_monotonic_ms() + timeout_ms;
    struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000L};
    pthread_mutex_lock(&worker->lock);
    while (!worker->welcomed && !worker->refused && clock_monotonic_ms() < until_ms) {
        pthread_cond_timedwait(&worker->changed, &worker->lock, &until);
    }
    fabric_error_t error = FABRIC_OK;
    if (worker->refused || !worker->welcomed) {
        error = worker->error != FABRIC_OK ? worker->error : FABRIC_ERROR_NOT_CONNECTED;
        *reason = worker->reason;
    }
    pthread_mutex_unlock(&worker->lock);
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
        error = wait_ready(worker, timeout_ms, &reason);
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
    uint32_t timeout_ms = or_default(options ? options->connect_timeout_ms : 0, CONNECT_TIMEOUT_MS);
    fabric_error_t error = worker_make(url, types, options, reason, worker);
    if (error != FABRIC_OK) {
        return error;
    }
    error = worker_start(*worker, reason);
    if (error == FABRIC_OK && timeout_ms != FABRIC_CONNECT_LATER) {
        error = wait_ready(*worker, timeout_ms, reason);
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
    link_zmq_stop(worker->link);
    if (!end_executors(worker)) {
        worker->stuck = true;
        report(worker, FABRIC_LOG_WARN, "worker.stuck",
               "a handler does not return; its thread is left behind");
        return;
    }
    worker->final_stats = sum_stats(worker);
    worker->final_dropped = link_zmq_dropped(worker->link);
    for (uint32_t i = 0; i < worker->config.executors; i++) {
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
        .entities = sum.entities,
        .shards = worker->link ? link_zmq_shards(worker->link) : 0,
        .dropped = worker->link ? link_zmq_dropped(worker->link) : worker->final_dropped,
    };
}
