/* What a worker is started with: see worker_setup.h. */
#include "worker/worker_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/endpoint.h"
#include "core/memory.h"
#include "core/random.h"

#define WEIGHT_DEFAULT    100u
#define WINDOW_DEFAULT    16384u
#define GRACE_MS_DEFAULT  5000u
#define STUCK_MS_DEFAULT  10000u
#define RESIDENTS_DEFAULT 10000u

/* Deliveries of one entity that a broker sends before it has results: ENTITY_WINDOW there. */
#define ENTITY_DELIVERIES 16u

typedef struct broker_list {
    worker_setup_t *setup;
    fabric_error_t error;
    reason_t *reason;
} broker_list_t;

static void add_broker(void *context, const char *endpoint)
{
    broker_list_t *list = (broker_list_t *)context;
    worker_setup_t *setup = list->setup;
    if (list->error != FABRIC_OK) {
        return;
    }
    if (!setup->config.allow_plaintext && !endpoint_is_local(endpoint)) {
        list->error = reason_set(list->reason, FABRIC_ERROR_PLAINTEXT_REFUSED,
                                 "%s leaves this machine and would not be encrypted: set "
                                 "allow_plaintext to connect all the same",
                                 endpoint);
    } else if (setup->broker_count == LIMIT_BROKERS_MAX) {
        list->error = reason_set(list->reason, FABRIC_ERROR_LIMIT_EXCEEDED,
                                 "more than %u brokers are given", LIMIT_BROKERS_MAX);
    } else {
        setup->brokers[setup->broker_count++] = memory_copy_string(endpoint);
    }
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value > 0 ? value : fallback;
}

static uint32_t core_count(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1                            ? 1
           : cores > (long)WORKER_EXECUTORS_MAX ? WORKER_EXECUTORS_MAX
                                                : (uint32_t)cores;
}

static fabric_error_t set_names(worker_setup_t *setup, const fabric_worker_options_t *options,
                                reason_t *reason)
{
    const char *cluster_name = options->cluster_name ? options->cluster_name : "";
    if (strlen(cluster_name) > LIMIT_NAME_BYTES_MAX ||
        (options->name && strlen(options->name) > LIMIT_NAME_BYTES_MAX)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "a name has more than %d bytes",
                          LIMIT_NAME_BYTES_MAX);
    }
    strcpy(setup->cluster_name, cluster_name);
    if (options->name) {
        strcpy(setup->name, options->name);
    } else {
        char host[128] = "";
        gethostname(host, sizeof host - 1);
        snprintf(setup->name, sizeof setup->name, "%s:%ld", host, (long)getpid());
    }
    setup->config.cluster_name = fabric_bytes_of(setup->cluster_name);
    setup->config.name = fabric_bytes_of(setup->name);
    return FABRIC_OK;
}

static fabric_error_t set_brokers(worker_setup_t *setup, const char *url, reason_t *reason)
{
    url = url ? url : endpoint_cluster_nodes();
    if (!url) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "no broker is named");
    }
    broker_list_t list = {.setup = setup, .reason = reason};
    fabric_error_t error = endpoint_list_parse(url, reason, add_broker, &list);
    return error != FABRIC_OK ? error : list.error;
}

static fabric_error_t set_types(worker_setup_t *setup, const fabric_entity_type_t *const *types,
                                reason_t *reason)
{
    if (!types || !types[0]) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "a worker needs an entity type");
    }
    fabric_error_t error = FABRIC_OK;
    for (size_t i = 0; types[i] && error == FABRIC_OK; i++) {
        error = type_table_add(setup->types, types[i], reason);
    }
    type_table_describe(setup->types, &setup->descriptions);
    setup->config.types = wire_writer_bytes(&setup->descriptions);
    setup->config.slow_ms = type_table_slow_ms(setup->types);
    return error;
}

static fabric_error_t configure(worker_setup_t *setup, const fabric_worker_options_t *options,
                                reason_t *reason)
{
    link_config_t *config = &setup->config;
    setup->residents = or_default(options->residents, RESIDENTS_DEFAULT);
    config->executors = or_default(options->executors, core_count());
    if (config->executors > setup->residents) {
        config->executors = setup->residents; /* each has room for one at least */
    }
    config->weight = or_default(options->weight, WEIGHT_DEFAULT);
    config->app_version = options->app_version;
    config->window = or_default(options->window, WINDOW_DEFAULT);
    config->grace_ms = or_default(options->grace_ms, GRACE_MS_DEFAULT);
    config->stuck_ms = or_default(options->stuck_ms, STUCK_MS_DEFAULT);
    config->allow_plaintext = options->allow_plaintext;
    if (config->executors > WORKER_EXECUTORS_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "executors: at most %u threads",
                          WORKER_EXECUTORS_MAX);
    }
    return set_names(setup, options, reason);
}

fabric_error_t worker_setup_make(worker_setup_t *setup, const char *url,
                                 const fabric_entity_type_t *const *types,
                                 const fabric_worker_options_t *options, reason_t *reason)
{
    setup->types = type_table_new();
    fabric_error_t error = configure(setup, options, reason);
    if (error == FABRIC_OK) {
        error = set_brokers(setup, url, reason);
    }
    return error != FABRIC_OK ? error : set_types(setup, types, reason);
}

void worker_setup_supervise(worker_setup_t *setup, runner_standing_t standing)
{
    setup->config.supervised = true;
    (void)runner_standing_set(&setup->config.standing, standing);
}

/* Entities that wait for room take half of the window at most, so that deliveries to residents
 * always find some of it. */
executor_limits_t worker_setup_limits(const worker_setup_t *setup, uint32_t executor)
{
    uint32_t executors = setup->config.executors;
    if (setup->residents == FABRIC_UNBOUNDED) {
        return (executor_limits_t){UINT32_MAX, UINT32_MAX};
    }
    return (executor_limits_t){
        .residents_max = setup->residents / executors + (executor < setup->residents % executors),
        .outside_max = setup->config.window / 2 / ENTITY_DELIVERIES / executors,
    };
}

void worker_setup_begin(worker_setup_t *setup)
{
    random_bytes(setup->config.incarnation.bytes, sizeof setup->config.incarnation.bytes);
}

void worker_setup_clear(worker_setup_t *setup)
{
    for (size_t i = 0; i < setup->broker_count; i++) {
        free(setup->brokers[i]);
    }
    wire_writer_destroy(&setup->descriptions);
    type_table_destroy(&setup->types);
}
