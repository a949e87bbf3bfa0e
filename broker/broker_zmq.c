/* One incarnation of a broker: see broker_zmq.h. */
#include "broker/broker_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/socket_file_zmq.h"
#include "core/clock.h"
#include "core/context_zmq.h"
#include "core/crash_point.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/random.h"

#define SOCKETS_MAX 65535
/* For the connections of the store actors that connect later, and for a first peer. */
#define SPARE_DESCRIPTORS 12
#define LINGER_MS         200u /* for messages that wait in sockets at an orderly stop */

broker_t *broker_new(const broker_config_t *config, const store_driver_t *const *drivers,
                     durable_term_t *durable)
{
    broker_t *broker = memory_allocate_zeroed(1, sizeof *broker);
    broker->config = config;
    broker->drivers = drivers;
    broker->durable = durable;
    broker->halt_fd = -1;
    broker->claims[0] = broker->claims[1] = -1;
    random_bytes(broker->incarnation.bytes, sizeof broker->incarnation.bytes);
    random_bytes(broker->secret.bytes, sizeof broker->secret.bytes);
    return broker;
}

/* ---- opening ---- */

static fabric_error_t open_sockets(broker_t *broker, reason_t *reason)
{
    broker->halt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (broker->halt_fd < 0) {
        return reason_set(reason, FABRIC_ERROR_NO_RESOURCES, "no descriptor: %s", strerror(errno));
    }
    fabric_error_t error = context_open(SOCKETS_MAX, reason, &broker->zmq);
    if (error) {
        return error;
    }
    broker->shell.zmq = broker->zmq;
    broker->shell.listen = broker->config->listen;
    broker->shell.publish = broker->config->publish;
    error = socket_file_claim(broker->config->listen, reason, &broker->claims[0]);
    if (!error) {
        error = socket_file_claim(broker->config->publish, reason, &broker->claims[1]);
    }
    return error ? error : router_shell_bind(&broker->shell, reason);
}

/* The endpoint that others are told: as configured, else as bound. */
static fabric_error_t choose_endpoint(const char *configured, const char *bound, const char *key,
                                      char endpoint[256], reason_t *reason)
{
    const char *chosen = configured[0] ? configured : bound;
    if (strstr(chosen, "://0.0.0.0:") || strstr(chosen, "://[::]:")) {
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "%s: nobody can connect to %s: set it to this machine's address", key,
                          chosen);
    }
    memcpy(endpoint, chosen, strlen(chosen) + 1);
    return FABRIC_OK;
}

static fabric_error_t choose_endpoints(broker_t *broker, reason_t *reason)
{
    fabric_error_t error =
        choose_endpoint(broker->config->advertise_router, broker->shell.bound_router, "advertise",
                        broker->router_endpoint, reason);
    return error ? error
                 : choose_endpoint(broker->config->advertise_pub, broker->shell.bound_pub,
                                   "advertise_publish", broker->pub_endpoint, reason);
}

static fabric_error_t join(broker_t *broker, store_join_t *joined, reason_t *reason)
{
    store_broker_t self = {.incarnation = broker->incarnation, .secret = broker->secret};
    memcpy(self.name, broker->config->router.name, sizeof self.name);
    memcpy(self.router_endpoint, broker->router_endpoint, sizeof self.router_endpoint);
    memcpy(self.pub_endpoint, broker->pub_endpoint, sizeof self.pub_endpoint);
    fabric_error_t error = broker->store->driver->broker_join(broker->store, &self, joined);
    if (error == FABRIC_ERROR_BUSY) {
        return reason_set(reason, error,
                          "store: cannot join the cluster: it has %d brokers, as many as it may",
                          LIMIT_BROKERS_MAX);
    }
    return error ? reason_set(reason, error, "store: cannot join the cluster: %s",
                              store_error_text(broker->store, error))
                 : FABRIC_OK;
}

static void make_router(broker_t *broker, const store_join_t *joined)
{
    router_config_t config = broker->config->router;
    config.incarnation = broker->incarnation;
    config.machine = joined->machine;
    config.high_id = joined->high_id;
    config.store_now_ms = joined->now_ms;
    memcpy(config.cluster_id, broker->cluster.id, sizeof config.cluster_id);
    memcpy(config.cluster_name, broker->cluster.name, sizeof config.cluster_name);
    config.shards_per_group = broker->cluster.shards_per_group;
    config.lanes = broker->cluster.lanes;
    config.slice_rows_max = broker->store->driver->slice_rows_max;
    memcpy(config.router_endpoint, broker->router_endpoint, sizeof config.router_endpoint);
    memcpy(config.pub_endpoint, broker->pub_endpoint, sizeof config.pub_endpoint);
    broker->router = router_new(&config, clock_monotonic_ms());
}

static connection_config_t connection_config(const broker_t *broker)
{
    connection_config_t config = {.drivers = broker->drivers, .options = broker->options};
    config.options.exclusive = false;
    return config;
}

/* Each has a lane at least. */
static uint32_t appender_count(const broker_t *broker)
{
    uint32_t lanes = broker->cluster.lanes;
    return broker->config->appenders < lanes ? broker->config->appenders : lanes;
}

static fabric_error_t start_appenders(broker_t *broker, store_clock_t clock, reason_t *reason)
{
    connection_config_t config = connection_config(broker);
    fabric_error_t error = FABRIC_OK;
    for (uint32_t i = 0; !error && i < appender_count(broker); i++) {
        error =
            appender_actor_start(&broker->appenders[i], &config, broker->halt_fd, clock, reason);
    }
    return error;
}

/* So much of a lane's journal may be above its checkpoint: what waits at the bound where new work
 * is refused, and the results of what was accepted before. */
static uint64_t tail_bytes_max(const broker_t *broker)
{
    uint64_t bytes = broker->config->router.checkpoint_bytes_max;
    return bytes > UINT64_MAX / 2 ? UINT64_MAX : 2 * bytes;
}

static fabric_error_t start_store_actors(broker_t *broker, const store_join_t *joined,
                                         reason_t *reason)
{
    store_clock_t clock = {.store_ms = joined->now_ms, .at_ms = clock_monotonic_ms()};
    connection_config_t connection = connection_config(broker);
    retention_t retention = {.call_retention_ms = broker->config->call_retention_ms,
                             .lane_bytes_max =
                                 broker->config->journal_bytes_max / broker->cluster.lanes};
    loader_config_t loader = {.connection = connection,
                              .lanes = broker->cluster.lanes,
                              .name = broker->config->router.name,
                              .tail_bytes_max = tail_bytes_max(broker)};
    finder_config_t finder = {.connection = connection};
    finder_config_defaults(&finder);
    fabric_error_t error = start_appenders(broker, clock, reason);
    if (error) {
        return error;
    }
    error = checkpointer_actor_start(&broker->checkpointer, &connection, &retention,
                                     broker->halt_fd, clock);
    if (!error) {
        error = loader_actor_start(&broker->loader, "loader", &loader, broker->halt_fd, clock);
    }
    if (!error) {
        error = loader_actor_start(&broker->adopter, "adopter", &loader, broker->halt_fd, clock);
    }
    if (!error) {
        error = finder_actor_start(&broker->finder, &finder, broker->halt_fd, clock);
    }
    return error ? reason_set(reason, error, "the threads for the store cannot be started") : error;
}

static fabric_error_t start_coordinator(broker_t *broker, const store_join_t *joined,
                                        reason_t *reason)
{
    coordinator_config_t config = {.incarnation = broker->incarnation,
                                   .shards_per_group = broker->cluster.shards_per_group,
                                   .lanes = broker->cluster.lanes,
                                   .high_id = joined->high_id,
                                   .lease_ms = broker->config->router.lease_ms,
                                   .untransactional = !broker->store->driver->direct_begin,
                                   .durable = broker->durable};
    fabric_error_t error = coordinator_actor_start(&broker->coordinator, &config, broker->drivers,
                                                   &broker->options, &broker->store);
    return error ? reason_set(reason, error, "the coordinator's thread cannot be started") : error;
}

fabric_error_t broker_open(broker_t *broker, reason_t *reason)
{
    store_join_t joined = {0};
    fabric_error_t error = broker_open_store(broker, reason);
    if (!error) {
        error = open_sockets(broker, reason);
    }
    if (!error) {
        error = choose_endpoints(broker, reason);
    }
    if (!error) {
        CRASH_POINT(JOIN_BEFORE);
        error = join(broker, &joined, reason);
    }
    if (!error) {
        CRASH_POINT(JOIN_AFTER);
        make_router(broker, &joined);
        error = start_store_actors(broker, &joined, reason);
    }
    error = error ? error : start_coordinator(broker, &joined, reason);
    return error ? error : context_probe_descriptors(SPARE_DESCRIPTORS, reason);
}

broker_identity_t broker_identity(const broker_t *broker)
{
    return (broker_identity_t){.incarnation = broker->incarnation,
                               .router_endpoint = broker->router_endpoint,
                               .pub_endpoint = broker->pub_endpoint,
                               .bound_router = broker->shell.bound_router,
                               .bound_pub = broker->shell.bound_pub};
}

/* ---- running ---- */

static void log_end(const broker_t *broker, fabric_error_t error)
{
    router_counters_t n;
    router_counters(broker->router, &n);
    log_event(LOG_INFO_LEVEL, "broker.stopped", log_text("cause", fabric_error_name(error)),
              log_uint("accepted", n.accepted), log_uint("ended", n.ended),
              log_uint("delivered", n.delivered), log_uint("redelivered", n.redelivered),
              log_uint("rejected", n.rejected), log_uint("volatile", n.volatile_handled),
              log_uint("results_refused", n.results_refused), log_uint("malformed", n.malformed),
              log_uint("dead_letters", n.dead_letters), log_uint("entries", n.entries),
              log_uint("checkpoints", n.checkpoints), log_uint("loaded", n.loaded),
              log_uint("damaged", n.damaged), log_uint("pending", n.pending),
              log_uint("stored", n.stored), log_uint("journal_bytes", n.journal_bytes));
}

/* Ends the threads, store actors first: nothing may be written after the broker has left the
 * store. */
static void stop_threads(broker_t *broker, bool leave)
{
    if (broker->halt_fd >= 0) {
        uint64_t one = 1;
        ssize_t written = write(broker->halt_fd, &one, sizeof one);
        (void)written; /* a full eventfd is readable already */
    }
    for (uint32_t i = 0; i < LIMIT_LANES_MAX; i++) {
        appender_actor_stop(&broker->appenders[i]);
    }
    checkpointer_actor_stop(&broker->checkpointer);
    loader_actor_stop(&broker->loader);
    loader_actor_stop(&broker->adopter);
    finder_actor_stop(&broker->finder);
    coordinator_actor_stop(&broker->coordinator, leave);
}

static mesh_config_t mesh_config(const broker_t *broker)
{
    const router_config_t *router = &broker->config->router;
    mesh_config_t config = {.incarnation = broker->incarnation,
                            .secret = broker->secret,
                            .lease_ms = router->lease_ms,
                            .allow_plaintext = broker->config->allow_plaintext};
    memcpy(config.cluster_id, broker->cluster.id, sizeof config.cluster_id);
    memcpy(config.cluster_name, broker->cluster.name, sizeof config.cluster_name);
    memcpy(config.name, router->name, sizeof config.name);
    return config;
}

fabric_error_t broker_run(broker_t *broker, int stop_fd, void (*ready)(void *context),
                          void *context)
{
    broker->shell.stop_fd = stop_fd;
    broker->shell.drain_ms = broker->config->drain_ms;
    broker->shell.router = broker->router;
    broker->shell.storage = (storage_t){.router = broker->router,
                                        .lane_count = broker->cluster.lanes,
                                        .appenders = broker->appenders,
                                        .appender_count = appender_count(broker),
                                        .checkpointer = &broker->checkpointer,
                                        .loader = &broker->loader,
                                        .adopter = &broker->adopter,
                                        .finder = &broker->finder,
                                        .call_retention_ms = broker->config->call_retention_ms};
    broker->shell.coordinator = &broker->coordinator;
    broker->shell.mesh_config = mesh_config(broker);
    broker->shell.ready = ready;
    broker->shell.ready_context = context;
    fabric_error_t error = router_shell_run(&broker->shell);
    log_end(broker, error);
    stop_threads(broker, error == FABRIC_OK);
    router_shell_close(&broker->shell, error ? 0 : LINGER_MS);
    return error;
}

bool broker_drains(const broker_t *broker)
{
    return broker->shell.draining;
}

void broker_destroy(broker_t **broker)
{
    broker_t *self = *broker;
    if (!self) {
        return;
    }
    stop_threads(self, false);
    router_shell_close(&self->shell, 0);
    context_close(&self->zmq); /* removes the files of ipc:// endpoints */
    socket_file_release(&self->claims[0]);
    socket_file_release(&self->claims[1]);
    router_destroy(&self->router);
    store_close(&self->store);
    if (self->halt_fd >= 0) {
        close(self->halt_fd);
    }
    free(self);
    *broker = NULL;
}
