/* A private cluster of real processes: see cluster.h. */
#include "tests/harness/cluster.h"

#include <string.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 40, READY_MS = 30000, WORKER_STOP_MS = 10000, BROKER_STOP_MS = 25000 };

#define PATH_SIZE (FOLDER_PATH_SIZE + 64)
#define ANY_PORT  "tcp://127.0.0.1:*"

static fabric_error_t find_program(const char *folder, const char *name, reason_t *reason,
                                   char path[PATH_SIZE])
{
    snprintf(path, PATH_SIZE, "%s/%s", folder, name);
    return access(path, R_OK) == 0 ? FABRIC_OK
                                   : reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                                                "%s is not there: build all of Fabric", path);
}

/* Finds the broker or the worker. */
static fabric_error_t find_tested(const cluster_t *cluster, const char *name, reason_t *reason,
                                  char path[PATH_SIZE])
{
    char shipped[FOLDER_PATH_SIZE];
    const char *programs = cluster->options->programs;
    if (programs) {
        return find_program(programs, name, reason, path);
    }
    fabric_error_t error = folder_of_programs(reason, shipped);
    return error ? error : find_program(shipped, name, reason, path);
}

/* Takes the router's endpoint out of the broker's ready line. */
static fabric_error_t parse_ready(const char *line, reason_t *reason, char *url, size_t url_size)
{
    static const char begin[] = "fabric-broker ready router=";
    if (strncmp(line, begin, sizeof begin - 1) != 0) {
        return reason_set(reason, FABRIC_ERROR_INTERNAL, "the broker says '%.200s'", line);
    }
    const char *endpoint = line + sizeof begin - 1;
    int size = (int)strcspn(endpoint, " ");
    return snprintf(url, url_size, "%.*s", size, endpoint) < (int)url_size
               ? FABRIC_OK
               : reason_set(reason, FABRIC_ERROR_INTERNAL, "the broker's endpoint is too long");
}

/* Appends NULL-terminated arguments to a NULL-terminated list. */
static void append(const char **arguments, const char *const *more)
{
    while (*arguments) {
        arguments++;
    }
    while (more && *more) {
        *arguments++ = *more++;
    }
    *arguments = NULL;
}

static fabric_error_t start_broker(const cluster_t *cluster, const char *listen,
                                   const char *publish, const char *log_name, reason_t *reason,
                                   process_t *broker, char url[CLUSTER_URL_SIZE])
{
    char path[PATH_SIZE];
    char log[PATH_SIZE];
    char line[1024];
    fabric_error_t error = find_tested(cluster, "fabric-broker", reason, path);
    if (error) {
        return error;
    }
    snprintf(log, sizeof log, "%s/%s", cluster->folder, log_name);
    const char *told = cluster->options->broker_store;
    const char *store = told ? told : cluster->database.url;
    const char *arguments[ARGUMENTS_MAX] = {path,    "--listen", listen, "--publish",
                                            publish, "--store",  store};
    append(arguments, cluster->options->broker_arguments);
    error = process_start_with(arguments, cluster->options->broker_environment, log, true, reason,
                               broker);
    if (error) {
        return error;
    }
    error = process_read_line(broker, READY_MS, line, sizeof line);
    if (error == FABRIC_ERROR_SHUTTING_DOWN) {
        return error;
    }
    return error ? reason_set(reason, FABRIC_ERROR_NOT_CONNECTED, "the broker does not start (%s)",
                              fabric_error_name(error))
                 : parse_ready(line, reason, url, CLUSTER_URL_SIZE);
}

const char *cluster_broker_log(uint32_t number, char name[32])
{
    if (number == 0) {
        return "broker.log";
    }
    snprintf(name, 32, "broker-%u.log", number);
    return name;
}

static void join_urls(cluster_t *cluster)
{
    size_t size = 0;
    for (uint32_t i = 0; i < cluster->broker_count; i++) {
        const char *url = cluster->broker_urls[i];
        size += (size_t)snprintf(cluster->urls + size, sizeof cluster->urls - size, "%s%s",
                                 size > 0 && url[0] ? "," : "", url);
    }
}

static fabric_error_t start_number(cluster_t *cluster, uint32_t number, const char *listen,
                                   const char *publish, reason_t *reason)
{
    char log[32];
    fabric_error_t error =
        start_broker(cluster, listen, publish, cluster_broker_log(number, log), reason,
                     &cluster->brokers[number], cluster->broker_urls[number]);
    if (!error) {
        join_urls(cluster);
    }
    return error;
}

fabric_error_t cluster_add_broker_at(cluster_t *cluster, const char *listen, const char *publish,
                                     reason_t *reason)
{
    if (cluster->broker_count == CLUSTER_BROKERS_MAX) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED, "too many brokers");
    }
    return start_number(cluster, cluster->broker_count++, listen, publish, reason);
}

fabric_error_t cluster_add_broker(cluster_t *cluster, reason_t *reason)
{
    return cluster_add_broker_at(cluster, ANY_PORT, ANY_PORT, reason);
}

fabric_error_t cluster_restart_number(cluster_t *cluster, uint32_t number, reason_t *reason)
{
    char listen[CLUSTER_URL_SIZE];
    snprintf(listen, sizeof listen, "%s", cluster->broker_urls[number]);
    process_stop(&cluster->brokers[number], BROKER_STOP_MS);
    return start_number(cluster, number, listen, ANY_PORT, reason);
}

fabric_error_t cluster_start_standby(cluster_t *cluster, reason_t *reason)
{
    return cluster_add_broker(cluster, reason);
}

fabric_error_t cluster_restart_standby(cluster_t *cluster, reason_t *reason)
{
    return cluster_restart_number(cluster, 1, reason);
}

fabric_error_t cluster_restart_broker(cluster_t *cluster, reason_t *reason)
{
    return cluster_restart_number(cluster, 0, reason);
}

static fabric_error_t start_worker(cluster_t *cluster, uint32_t number, reason_t *reason)
{
    char programs[FOLDER_PATH_SIZE];
    char path[PATH_SIZE];
    char module[PATH_SIZE];
    char log[PATH_SIZE];
    const cluster_options_t *options = cluster->options;
    const char *name = options->module ? options->module : "../bench/bench_module.so";
    fabric_error_t error = folder_of_programs(reason, programs);
    error = error ? error : find_tested(cluster, "fabric-worker", reason, path);
    error = error ? error : find_program(programs, name, reason, module);
    if (error) {
        return error;
    }
    snprintf(log, sizeof log, "%s/worker-%u.log", cluster->folder, number);
    const char *arguments[ARGUMENTS_MAX] = {path, "--module", module, "--url", cluster->urls};
    append(arguments, options->worker_arguments);
    return process_start_with(arguments, options->worker_environment, log, false, reason,
                              &cluster->workers[number]);
}

fabric_error_t cluster_add_worker(cluster_t *cluster, reason_t *reason)
{
    if (cluster->worker_count == CLUSTER_WORKERS_MAX) {
        return reason_set(reason, FABRIC_ERROR_LIMIT_EXCEEDED, "too many workers");
    }
    uint32_t number = cluster->worker_count++;
    cluster->workers[number] = PROCESS_NONE;
    return start_worker(cluster, number, reason);
}

fabric_error_t cluster_restart_worker(cluster_t *cluster, uint32_t number, reason_t *reason)
{
    process_stop(&cluster->workers[number], WORKER_STOP_MS);
    return start_worker(cluster, number, reason);
}

static void clear(cluster_t *cluster)
{
    *cluster = (cluster_t){.database = {.server = MARIADB_SERVER_NONE}};
    for (uint32_t i = 0; i < CLUSTER_BROKERS_MAX; i++) {
        cluster->brokers[i] = PROCESS_NONE;
    }
}

fabric_error_t cluster_start(cluster_t *cluster, const cluster_options_t *options,
                             const store_driver_t *const *drivers, reason_t *reason)
{
    clear(cluster);
    cluster->options = options;
    cluster->database.server.roomy = options->roomy;
    fabric_error_t error = folder_make(reason, cluster->folder);
    error = error ? error
                  : folder_file_system(cluster->folder, cluster->file_system,
                                       sizeof cluster->file_system);
    if (!error && options->database) {
        error = database_use(&cluster->database, options->database, options->lanes, drivers, reason,
                             &cluster->facts);
    } else if (!error) {
        error = database_start(&cluster->database, options->store, cluster->folder, options->lanes,
                               drivers, reason, &cluster->facts);
    }
    for (uint32_t i = 0; !error && (i == 0 || i < options->brokers); i++) {
        error = cluster_add_broker(cluster, reason);
    }
    for (uint32_t i = 0; i < options->workers && !error; i++) {
        error = cluster_add_worker(cluster, reason);
    }
    return error;
}

const char *cluster_casualty(cluster_t *cluster)
{
    static char name[32];
    for (uint32_t i = 0; i < cluster->broker_count; i++) {
        if (!process_runs(&cluster->brokers[i])) {
            return cluster_broker_log(i, name);
        }
    }
    for (uint32_t i = 0; i < cluster->worker_count; i++) {
        if (!process_runs(&cluster->workers[i])) {
            snprintf(name, sizeof name, "worker-%u.log", i);
            return name;
        }
    }
    return NULL;
}

void cluster_print_logs(const cluster_t *cluster, FILE *to)
{
    char name[32];
    if (!cluster->folder[0]) {
        return;
    }
    folder_print_end(cluster->folder, "database.log", to);
    for (uint32_t i = 0; i < cluster->broker_count; i++) {
        folder_print_end(cluster->folder, cluster_broker_log(i, name), to);
    }
    for (uint32_t i = 0; i < cluster->worker_count; i++) {
        snprintf(name, sizeof name, "worker-%u.log", i);
        folder_print_end(cluster->folder, name, to);
    }
}

void cluster_stop_workers(cluster_t *cluster)
{
    for (uint32_t i = 0; i < cluster->worker_count; i++) {
        process_stop(&cluster->workers[i], WORKER_STOP_MS);
    }
    cluster->worker_count = 0;
}

void cluster_stop(cluster_t *cluster)
{
    cluster_stop_workers(cluster);
    for (uint32_t i = cluster->broker_count; i > 0; i--) {
        process_stop(&cluster->brokers[i - 1], BROKER_STOP_MS);
    }
    database_stop(&cluster->database);
    folder_remove(cluster->folder);
    clear(cluster);
}
