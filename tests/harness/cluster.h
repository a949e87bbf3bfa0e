/* A private cluster for a benchmark, the demonstration or a test: a database on a disk, and the
 * shipped fabric-broker and fabric-worker as processes that talk over TCP on loopback. Stopping
 * the cluster ends the processes and removes the files.
 *
 * Threading: the main thread only.
 */
#ifndef TESTS_HARNESS_CLUSTER_H
#define TESTS_HARNESS_CLUSTER_H

#include "tests/harness/database.h"

enum { CLUSTER_WORKERS_MAX = 64, CLUSTER_BROKERS_MAX = 8 };

/* URLs of all brokers, separated by commas. */
enum { CLUSTER_URL_SIZE = 300, CLUSTER_URLS_SIZE = CLUSTER_BROKERS_MAX * CLUSTER_URL_SIZE };

typedef struct cluster {
    char folder[FOLDER_PATH_SIZE];
    char file_system[32]; /* of the database's files */
    union {               /* of brokers; empty: it was never started */
        char broker_urls[CLUSTER_BROKERS_MAX][CLUSTER_URL_SIZE];
        struct {
            char url[CLUSTER_URL_SIZE]; /* of the first one */
            char standby_url[CLUSTER_URL_SIZE];
        };
    };
    char urls[CLUSTER_URLS_SIZE]; /* of all brokers, for clients and workers */
    store_facts_t facts;
    database_t database;
    union {
        process_t brokers[CLUSTER_BROKERS_MAX];
        struct {
            process_t broker; /* the first one */
            process_t standby;
        };
    };
    uint32_t broker_count;
    process_t workers[CLUSTER_WORKERS_MAX];
    uint32_t worker_count;
    const struct cluster_options *options;
} cluster_t;

typedef struct cluster_options {
    const char *store; /* see database_start */
    uint32_t workers;
    uint32_t brokers;         /* at the start; 0: one */
    uint32_t lanes;           /* that it is founded with; 0: as many as the store's default */
    bool roomy;               /* a private MariaDB gets the cache and the log of a measurement */
    const char *database;     /* URL of an empty database; NULL: a private one */
    const char *module;       /* seen from the shipped programs; NULL: the benchmark's */
    const char *broker_store; /* what brokers are told instead of the database's URL; or NULL */
    const char *const *broker_arguments; /* besides the usual ones, NULL-terminated; or NULL */
    const char *const *worker_arguments; /* likewise */
    const char *programs;                /* folder of broker and worker; NULL: the shipped ones */
    /* "NAME=value" for processes that are started from now on, NULL-terminated; or NULL. */
    const char *const *broker_environment;
    const char *const *worker_environment;
} cluster_options_t;

/* Starts everything; shards may still be without owners on return. The options must outlive the
 * cluster. After an error cluster_stop() must be called as well. */
FABRIC_MUST_USE fabric_error_t cluster_start(cluster_t *cluster, const cluster_options_t *options,
                                             const store_driver_t *const *drivers,
                                             reason_t *reason);
/* Starts one more broker on the same database, as the last of cluster->brokers; workers that are
 * started afterwards know it. */
FABRIC_MUST_USE fabric_error_t cluster_add_broker(cluster_t *cluster, reason_t *reason);
/* The same with endpoints to listen and publish at; cluster->broker_urls gets what the broker
 * advertises. */
FABRIC_MUST_USE fabric_error_t cluster_add_broker_at(cluster_t *cluster, const char *listen,
                                                     const char *publish, reason_t *reason);
/* Starts the broker of that number again, at the address it had, after it has ended. */
FABRIC_MUST_USE fabric_error_t cluster_restart_number(cluster_t *cluster, uint32_t number,
                                                      reason_t *reason);
/* The name of a broker's log. */
const char *cluster_broker_log(uint32_t number, char name[32]);
/* cluster_add_broker for the second one. */
FABRIC_MUST_USE fabric_error_t cluster_start_standby(cluster_t *cluster, reason_t *reason);
/* Starts one more worker, as the last of cluster->workers. */
FABRIC_MUST_USE fabric_error_t cluster_add_worker(cluster_t *cluster, reason_t *reason);
/* Stops all workers in order; the cluster has none then. */
void cluster_stop_workers(cluster_t *cluster);
/* Starts the worker of that number again, after it has ended. */
FABRIC_MUST_USE fabric_error_t cluster_restart_worker(cluster_t *cluster, uint32_t number,
                                                      reason_t *reason);
/* Starts the broker again, at the address it had, after it has ended. */
FABRIC_MUST_USE fabric_error_t cluster_restart_broker(cluster_t *cluster, reason_t *reason);
/* Starts the second broker again, at the address it had, after it has ended. */
FABRIC_MUST_USE fabric_error_t cluster_restart_standby(cluster_t *cluster, reason_t *reason);
/* NULL while the brokers and all workers run, else the name of the log of one that has ended. */
const char *cluster_casualty(cluster_t *cluster);
/* Prints the ends of all logs. */
void cluster_print_logs(const cluster_t *cluster, FILE *to);
/* Stops the processes and removes the folder. Takes a zeroed or half started cluster. */
void cluster_stop(cluster_t *cluster);

#endif
