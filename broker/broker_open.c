/* Opening the store, and what must hold of it before a broker joins the cluster. */
#include "broker/broker_state.h"

#include <stdio.h>

#include "core/log.h"

/* Errors without a reason of their own get the database's words, or the error's meaning. */
static fabric_error_t explain(const store_t *store, reason_t *reason, fabric_error_t error,
                              const char *what)
{
    if (error && reason->text[0] == '\0') {
        return reason_set(reason, error, "store: %s: %s", what, store_error_text(store, error));
    }
    return error;
}

/* An operator makes a server's tables, or lets the broker make them with `migrate`. A file that a
 * broker makes itself needs no permission. */
static bool may_migrate(const broker_t *broker)
{
    return broker->config->migrate || strcmp(broker->store->driver->scheme, "mysql") != 0;
}

/* The cluster as it is configured; zero: its own. */
static store_cluster_t wanted_cluster(const broker_t *broker)
{
    store_cluster_t wanted = {.shards_per_group = broker->config->shards_per_group,
                              .lanes = broker->config->lanes};
    snprintf(wanted.name, sizeof wanted.name, "%s", broker->config->cluster_name);
    return wanted;
}

static fabric_error_t migrate(broker_t *broker, reason_t *reason)
{
    uint32_t version = 0;
    const store_driver_t *driver = broker->store->driver;
    fabric_error_t error = driver->schema_status(broker->store, reason, &version);
    if (error || version == STORE_SCHEMA_VERSION) {
        return explain(broker->store, reason, error, "cannot read its schema version");
    }
    if (version < STORE_SCHEMA_VERSION && !may_migrate(broker)) {
        return reason_set(
            reason, FABRIC_ERROR_WRONG_SCHEMA_VERSION,
            "store: the database has schema version %u and this program needs %u: run fabricctl "
            "schema apply, or start with --migrate",
            version, (unsigned)STORE_SCHEMA_VERSION);
    }
    store_cluster_t wanted = wanted_cluster(broker);
    return explain(broker->store, reason, driver->schema_apply(broker->store, &wanted, reason),
                   "cannot migrate its schema");
}

static fabric_error_t check_facts(broker_t *broker, reason_t *reason)
{
    store_facts_t facts = {.durable = false};
    fabric_error_t error = broker->store->driver->facts(broker->store, &facts);
    if (error) {
        return explain(broker->store, reason, error, "cannot read its settings");
    }
    if (!facts.durable && !broker->config->allow_weak_durability) {
        return reason_set(
            reason, FABRIC_ERROR_STORE_UNSAFE,
            "store: %s could lose acknowledged commits (%s): correct the settings, or "
            "set allow_weak_durability",
            facts.product, facts.durability);
    }
    log_event(LOG_INFO_LEVEL, "store.open", log_text("product", facts.product),
              log_text("durability", facts.durability));
    return FABRIC_OK;
}

/* A missing row looks like a fence, but may mean that the database was restored from an old
 * copy. */
static fabric_error_t check_past(broker_t *broker, reason_t *reason)
{
    store_coordinator_t row = {0};
    fabric_error_t error = broker->store->driver->coordinator_read(broker->store, &row);
    return error ? explain(broker->store, reason, error, "cannot read who coordinates")
                 : durable_term_check(broker->durable, &broker->cluster, row.term, reason);
}

fabric_error_t broker_open_store(broker_t *broker, reason_t *reason)
{
    snprintf(broker->holder, sizeof broker->holder, "fabric-broker listening on %s",
             broker->config->listen);
    broker->options = (store_options_t){.url = broker->config->store_url,
                                        .password = broker->config->store_password,
                                        .connect_timeout_ms = broker->config->connect_timeout_ms,
                                        .io_timeout_ms = broker->config->io_timeout_ms,
                                        .exclusive = true,
                                        .holder = broker->holder};
    fabric_error_t error = store_open(broker->drivers, &broker->options, reason, &broker->store);
    if (error) {
        return error; /* the adapter has said why the store cannot be opened */
    }
    error = migrate(broker, reason);
    if (error) {
        return error;
    }
    store_cluster_t wanted = wanted_cluster(broker);
    error = broker->store->driver->check(broker->store, &wanted, reason, &broker->cluster);
    if (error) {
        return explain(broker->store, reason, error, "cannot be used");
    }
    error = check_facts(broker, reason);
    return error ? error : check_past(broker, reason);
}
