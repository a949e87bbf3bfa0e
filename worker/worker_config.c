/* The configuration keys of fabric-worker: see worker_config.h. */
#include "worker/worker_config.h"

#include <stddef.h>

const config_key_t worker_config_keys[] = {
    {"module", CONFIG_LIST, NULL, 0, 0, "FILE", "module with entity types; may be repeated"},
    {"url", CONFIG_TEXT, "fabric://127.0.0.1:5700", 0, 0, "URL",
     "brokers to connect to first, separated by commas"},
    {"cluster_name", CONFIG_TEXT, NULL, 0, 0, "NAME",
     "name of the cluster; brokers of another are refused"},
    {"name", CONFIG_TEXT, NULL, 0, 0, "NAME",
     "name shown in the cluster's status (default: host and process id)"},
    {"executors", CONFIG_UINT, "0", 0, 64, "COUNT",
     "threads that run entities; 0: the number of cores"},
    {"weight", CONFIG_UINT, "100", 1, 10000, "NUMBER",
     "share of the shards compared with other workers"},
    {"app_version", CONFIG_UINT, "0", 0, INT64_MAX, "NUMBER",
     "version of the modules, larger for newer ones: shards do not move to older ones; 0: none"},
    {"window", CONFIG_UINT, "16384", 1, 1048576, "COUNT",
     "deliveries that may wait in this worker at once"},
    {"residents", CONFIG_UINT, "10000", 1, 1000000000, "COUNT",
     "entities that may have state in this worker at once"},
    {"database", CONFIG_TEXT, NULL, 0, 0, "URL",
     "the brokers' database, mysql://USER@HOST:PORT/DATABASE, for transactional messages"},
    {"database_password", CONFIG_SECRET, NULL, 0, 0, "TEXT", "the password for that database"},
    {"connect_timeout_ms", CONFIG_UINT, "3000", 10, 600000, "MS",
     "the longest a connection to that database may take"},
    {"io_timeout_ms", CONFIG_UINT, "5000", 10, 600000, "MS",
     "the longest a statement of that database may take"},
    {"grace_ms", CONFIG_UINT, "5000", 1, 600000, "MS",
     "time for running handlers when a shard moves away or the worker stops"},
    {"stuck_ms", CONFIG_UINT, "10000", 10, 86400000, "MS",
     "a handler that does not return for longer makes the worker count as stuck"},
    {"allow_plaintext", CONFIG_BOOL, "no", 0, 0, NULL,
     "connect to addresses beyond this machine without encryption"},
    {"no_supervisor", CONFIG_BOOL, "no", 0, 0, NULL,
     "run the entities in this very process, as for a debugger: a crash ends it and nobody is "
     "told"},
    {"log_level", CONFIG_TEXT, "info", 0, 0, "LEVEL", "error, warn, info or debug"},
    {NULL, CONFIG_TEXT, NULL, 0, 0, NULL, NULL},
};
