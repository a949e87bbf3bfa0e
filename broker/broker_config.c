/* The broker's configuration: see broker_config.h. */
#include "broker/broker_config.h"

#include <stdio.h>
#include <unistd.h>

#include "core/endpoint.h"
#include "core/limits.h"

const config_key_t broker_config_keys[] = {
    {"listen", CONFIG_TEXT, "tcp://127.0.0.1:5700", 0, 0, "ENDPOINT",
     "where clients, workers and other brokers connect"},
    {"publish", CONFIG_TEXT, "tcp://127.0.0.1:5701", 0, 0, "ENDPOINT",
     "where the shard map is published"},
    {"advertise", CONFIG_TEXT, NULL, 0, 0, "ENDPOINT",
     "what to tell others instead of `listen`, as behind address translation"},
    {"advertise_publish", CONFIG_TEXT, NULL, 0, 0, "ENDPOINT",
     "what to tell others instead of `publish`"},
    {"store", CONFIG_TEXT, "sqlite:fabric.db", 0, 0, "URL",
     "the database: sqlite:PATH or mysql://USER@HOST:PORT/DATABASE"},
    {"store_password", CONFIG_SECRET, NULL, 0, 0, "TEXT", "the password for the database"},
    {"connect_timeout_ms", CONFIG_UINT, "3000", 10, 600000, "MS",
     "the longest a connection to the database may take"},
    {"io_timeout_ms", CONFIG_UINT, "5000", 10, 600000, "MS",
     "the longest a call to the database may take"},
    {"cluster_name", CONFIG_TEXT, "fabric", 0, 0, "NAME",
     "the cluster's name, fixed when it is founded"},
    {"name", CONFIG_TEXT, NULL, 0, 0, "NAME",
     "name shown in the cluster's status (default: host and process id)"},
    {"shards_per_group", CONFIG_UINT, NULL, 0, LIMIT_SHARDS_PER_GROUP_MAX, "N",
     "shards of each group, fixed when the cluster is founded (then 300 unless given); unset or 0: "
     "the cluster's own"},
    {"lanes", CONFIG_UINT, NULL, 1, LIMIT_LANES_MAX, "N",
     "journals, fixed when the cluster is founded (then 12 unless given, 1 on SQLite); unset: the "
     "cluster's own"},
    {"appenders", CONFIG_UINT, "1", 1, LIMIT_LANES_MAX, "N",
     "database connections that append to journals; each has its share of the lanes"},
    {"lease_ms", CONFIG_UINT, "3000", 100, 600000, "MS",
     "how long a broker or worker may be silent before others take its place"},
    {"migrate", CONFIG_BOOL, "no", 0, 0, NULL,
     "make or migrate the database's tables at start; SQLite files always are"},
    {"allow_plaintext", CONFIG_BOOL, "no", 0, 0, NULL,
     "allow endpoints that leave this machine, without encryption"},
    {"allow_weak_durability", CONFIG_BOOL, "no", 0, 0, NULL,
     "start even where the database's settings could lose acknowledged commits"},
    {"drain_ms", CONFIG_UINT, "15000", 0, 600000, "MS",
     "the longest an orderly stop waits for workers to release their shards"},
    {"log_level", CONFIG_TEXT, "info", 0, 0, "LEVEL", "error, warn, info or debug"},
    {"client_heartbeat_ms", CONFIG_UINT, NULL, 10, 60000, "MS", "how often clients send a ping"},
    {"worker_heartbeat_ms", CONFIG_UINT, NULL, 10, 60000, "MS",
     "how often brokers and workers send each other a ping"},
    {"unreachable_grace_ms", CONFIG_UINT, NULL, 0, 60000, "MS",
     "how long a worker whose connection broke may take to come back"},
    {"crash_report_grace_ms", CONFIG_UINT, NULL, 0, 60000, "MS",
     "how long the report of a supervised worker's end may take, and its return"},
    {"registration_ms", CONFIG_UINT, NULL, 0, 600000, "MS",
     "how long after the cluster's first registration of an entity type durable messages of types "
     "that nobody has registered are held"},
    {"release_grace_ms", CONFIG_UINT, NULL, 0, 600000, "MS",
     "how long running handlers of a shard that moves may take"},
    {"attempts_max", CONFIG_UINT, NULL, 1, 1000000, "N",
     "defects after which a durable message becomes a dead letter"},
    {"crashes_max", CONFIG_UINT, NULL, 1, 1000000, "N",
     "crashes of workers on a durable message after which it becomes a dead letter"},
    {"backoff_ms", CONFIG_UINT, NULL, 1, 3600000, "MS", "the first wait after a defect"},
    {"backoff_max_ms", CONFIG_UINT, NULL, 1, 86400000, "MS",
     "the longest wait after a defect or a refusal of the owner"},
    {"pending_max", CONFIG_UINT, NULL, 1, 1000000000, "N",
     "durable messages that may be pending, in the database"},
    {"entity_pending_max", CONFIG_UINT, NULL, 1, 1000000000, "N",
     "durable messages of one entity that may be pending, in the database"},
    {"outgoing_max", CONFIG_UINT, NULL, 1, 1000000000, "N",
     "messages of one lane that handlers have told others and that are still to be sent; beyond "
     "them, "
     "what may tell more is refused (default 1000000)"},
    {"entity_window", CONFIG_UINT, NULL, 1, 1000000, "N",
     "durable messages of one entity in memory, about; the rest stays in the database"},
    {"memory_bytes_max", CONFIG_UINT, NULL, 1 << 20, UINT64_MAX, "BYTES",
     "bytes of all messages in memory, volatile ones included (default 1 GiB)"},
    {"batch_items_max", CONFIG_UINT, NULL, 1, 100000, "N",
     "messages and replies of one lane in one append"},
    {"checkpoint_ms", CONFIG_UINT, NULL, 10, 600000, "MS",
     "from one checkpoint of a lane to the next"},
    {"checkpoint_bytes", CONFIG_UINT, NULL, 1 << 16, UINT64_MAX, "BYTES",
     "bytes of journal after which a checkpoint begins at once (default 64 MiB)"},
    {"checkpoint_bytes_max", CONFIG_UINT, NULL, 1 << 20, UINT64_MAX, "BYTES",
     "bytes of journal that may wait for checkpoints before new work is refused (default 256 MiB)"},
    {"call_retention_ms", CONFIG_UINT, "600000", 1000, 31536000000, "MS",
     "how long the outcome of a call is kept for clients that ask again"},
    {"key_retention_ms", CONFIG_UINT, NULL, 1000, 31536000000, "MS",
     "how long a primary key stands, with the reply, after its message has ended (default 24 h)"},
    {"journal_bytes_max", CONFIG_UINT, "4294967296", 1 << 20, UINT64_MAX, "BYTES",
     "bytes of all journals; beyond them, outcomes are kept for less long"},
    {"client_memory_ms", CONFIG_UINT, NULL, 1000, 86400000, "MS",
     "how long the calls of a client that is away are remembered"},
    {"peers_max", CONFIG_UINT, NULL, 1, 1000000, "N", "clients and workers connected at once"},
    {NULL, CONFIG_TEXT, NULL, 0, 0, NULL, NULL}};

static void read_limit(const config_t *values, const char *name, uint32_t *limit)
{
    if (config_is_set(values, name)) {
        *limit = (uint32_t)config_uint(values, name);
    }
}

static void read_large_limit(const config_t *values, const char *name, uint64_t *limit)
{
    if (config_is_set(values, name)) {
        *limit = config_uint(values, name);
    }
}

static void read_limits(const config_t *values, router_config_t *router)
{
    router_config_defaults(router);
    read_limit(values, "lease_ms", &router->lease_ms);
    read_limit(values, "client_heartbeat_ms", &router->client_heartbeat_ms);
    read_limit(values, "worker_heartbeat_ms", &router->worker_heartbeat_ms);
    read_limit(values, "unreachable_grace_ms", &router->unreachable_grace_ms);
    read_limit(values, "crash_report_grace_ms", &router->crash_report_grace_ms);
    read_limit(values, "registration_ms", &router->registration_ms);
    read_limit(values, "release_grace_ms", &router->release_grace_ms);
    read_limit(values, "attempts_max", &router->attempts_max);
    read_limit(values, "crashes_max", &router->crashes_max);
    read_limit(values, "backoff_ms", &router->backoff_ms);
    read_limit(values, "backoff_max_ms", &router->backoff_max_ms);
    read_large_limit(values, "pending_max", &router->pending_max);
    read_large_limit(values, "entity_pending_max", &router->entity_pending_max);
    read_large_limit(values, "outgoing_max", &router->outgoing_max);
    read_limit(values, "entity_window", &router->entity_window);
    read_large_limit(values, "memory_bytes_max", &router->memory_bytes_max);
    read_limit(values, "batch_items_max", &router->batch_items_max);
    read_limit(values, "checkpoint_ms", &router->checkpoint_ms);
    read_large_limit(values, "checkpoint_bytes", &router->checkpoint_bytes);
    read_large_limit(values, "checkpoint_bytes_max", &router->checkpoint_bytes_max);
    read_large_limit(values, "key_retention_ms", &router->key_retention_ms);
    read_limit(values, "client_memory_ms", &router->client_memory_ms);
    read_limit(values, "peers_max", &router->peers_max);
}

static void read_store(const config_t *values, broker_config_t *config)
{
    config->store_url = config_text(values, "store");
    config->store_password = config_text(values, "store_password");
    config->cluster_name = config_text(values, "cluster_name");
    read_limit(values, "shards_per_group", &config->shards_per_group);
    read_limit(values, "lanes", &config->lanes);
    read_limit(values, "appenders", &config->appenders);
    read_limit(values, "connect_timeout_ms", &config->connect_timeout_ms);
    read_limit(values, "io_timeout_ms", &config->io_timeout_ms);
    read_large_limit(values, "call_retention_ms", &config->call_retention_ms);
    read_large_limit(values, "journal_bytes_max", &config->journal_bytes_max);
}

/* One endpoint: well-formed, and on this machine unless plain text may leave it. */
static fabric_error_t read_endpoint(const config_t *values, const char *key, bool bind,
                                    bool allow_plaintext, char endpoint[256], reason_t *reason)
{
    const char *text = config_text(values, key);
    endpoint[0] = '\0';
    if (!text) {
        return FABRIC_OK;
    }
    reason_t why = {{0}};
    if (endpoint_check(text, &why)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION, "%s: %s", key, why.text);
    }
    if (!bind && strchr(text, '*')) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "%s: '%s' cannot be connected to", key, text);
    }
    if (!allow_plaintext && !endpoint_is_local(text)) {
        return reason_set(reason, FABRIC_ERROR_PLAINTEXT_REFUSED,
                          "%s: %s leaves this machine without encryption: use a loopback or IPC "
                          "address, or set allow_plaintext",
                          key, text);
    }
    snprintf(endpoint, 256, "%s", text);
    return FABRIC_OK;
}

static fabric_error_t read_endpoints(const config_t *values, broker_config_t *config,
                                     reason_t *reason)
{
    const struct {
        const char *key;
        bool bind;
        char *endpoint;
    } rows[] = {{"listen", true, config->listen},
                {"publish", true, config->publish},
                {"advertise", false, config->advertise_router},
                {"advertise_publish", false, config->advertise_pub}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fabric_error_t error = read_endpoint(values, rows[i].key, rows[i].bind,
                                             config->allow_plaintext, rows[i].endpoint, reason);
        if (error) {
            return error;
        }
    }
    return FABRIC_OK;
}

static void name_process(const config_t *values, router_config_t *router)
{
    const char *name = config_text(values, "name");
    if (name && *name) {
        snprintf(router->name, sizeof router->name, "%.*s", LIMIT_NAME_BYTES_MAX, name);
        return;
    }
    char host[200] = "";
    if (gethostname(host, sizeof host - 1) != 0) {
        snprintf(host, sizeof host, "unknown");
    }
    snprintf(router->name, sizeof router->name, "%s:%ld", host, (long)getpid());
}

fabric_error_t broker_config_read(const config_t *values, broker_config_t *config, reason_t *reason)
{
    *config = (broker_config_t){0};
    read_store(values, config);
    read_limit(values, "drain_ms", &config->drain_ms);
    config->migrate = config_bool(values, "migrate");
    config->allow_plaintext = config_bool(values, "allow_plaintext");
    config->allow_weak_durability = config_bool(values, "allow_weak_durability");
    read_limits(values, &config->router);
    name_process(values, &config->router);
    size_t name_size = strlen(config->cluster_name);
    if (name_size < 1 || name_size > LIMIT_NAME_BYTES_MAX) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "cluster_name: must have 1 to %d bytes", LIMIT_NAME_BYTES_MAX);
    }
    const char *level = config_text(values, "log_level");
    if (log_level_parse(level, &config->log_level)) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "log_level: '%.20s' is none of error, warn, info, debug", level);
    }
    return read_endpoints(values, config, reason);
}
