/* fabricctl schema: the tables of a database and the cluster that it belongs to. */
#include "cli/commands.h"

#include <string.h>

#include <jansson.h>

#include "cli/report.h"
#include "cli/store_report.h"
#include "core/printable.h"

#define DEFAULT_CLUSTER_NAME "fabric"

/* `version` is that of the database, as far as it is known. */
static int fail(const cli_options_t *options, uint32_t version, fabric_error_t error,
                const reason_t *reason)
{
    const char *remedy = version > STORE_SCHEMA_VERSION ? "install the release that made it" : NULL;
    char url[PRINTABLE_SIZE(100)];
    printable_url(options->store, url, sizeof url);
    return cli_fail(error, remedy, "%s: %s", url,
                    reason->text[0] ? reason->text : fabric_error_meaning(error));
}

/* Fills in name, shards and lanes of the cluster to found. Where the command line does not give
 * them, those of an existing cluster are used. */
static fabric_error_t wanted_cluster(const cli_options_t *options, store_t *store, uint32_t version,
                                     reason_t *reason, store_cluster_t *wanted)
{
    store_cluster_t present = {.shards_per_group = STORE_SHARDS_PER_GROUP_DEFAULT};
    snprintf(present.name, sizeof present.name, "%s", DEFAULT_CLUSTER_NAME);
    if (version > 0 && version < STORE_SCHEMA_VERSION) {
        present = (store_cluster_t){0}; /* as it was founded */
    } else if (version == STORE_SCHEMA_VERSION) {
        store_cluster_t any = {0};
        fabric_error_t error = store->driver->check(store, &any, reason, &present);
        if (error && error != FABRIC_ERROR_WRONG_SCHEMA_VERSION) { /* unfinished: to be applied */
            return error;
        }
    }
    const char *name = options->cluster_name ? options->cluster_name : present.name;
    *wanted = present;
    if (options->shards_per_group) {
        wanted->shards_per_group = options->shards_per_group;
    }
    if (options->lanes) {
        wanted->lanes = options->lanes;
    }
    snprintf(wanted->name, sizeof wanted->name, "%s", name);
    return FABRIC_OK;
}

static fabric_error_t apply(const cli_options_t *options, store_t *store, reason_t *reason,
                            uint32_t *version)
{
    store_cluster_t wanted = {0};
    fabric_error_t error = store->driver->schema_status(store, reason, version);
    if (!error) {
        error = wanted_cluster(options, store, *version, reason, &wanted);
    }
    return error ? error : store->driver->schema_apply(store, &wanted, reason);
}

static void print(const cli_options_t *options, uint32_t version, const store_cluster_t *cluster,
                  const store_facts_t *facts, const store_report_t *report)
{
    if (!options->json) {
        char name[PRINTABLE_SIZE(sizeof cluster->name)];
        char product[PRINTABLE_SIZE(sizeof facts->product)];
        printable_copy(cluster->name, name, sizeof name);
        printable_copy(facts->product, product, sizeof product);
        printf(
            "schema version   %u\ncluster          %s\nshards per group %u\nlanes            %u\n"
            "store            %s\ndurability       %s%s\n",
            version, name, cluster->shards_per_group, cluster->lanes, product, facts->durability,
            facts->durable ? "" : " (weak: acknowledged commits could be lost)");
        store_report_print(report, stdout);
        return;
    }
    json_t *document = json_pack("{s:I, s:s, s:I, s:I, s:s, s:s, s:b}", "schema_version",
                                 (json_int_t)version, "cluster", cluster->name, "shards_per_group",
                                 (json_int_t)cluster->shards_per_group, "lanes",
                                 (json_int_t)cluster->lanes, "store", facts->product, "durability",
                                 facts->durability, "durable", facts->durable);
    store_report_add(report, document);
    json_dumpf(document, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(document);
}

static fabric_error_t show(const cli_options_t *options, store_t *store, reason_t *reason,
                           uint32_t *version)
{
    store_cluster_t cluster = {0};
    store_cluster_t wanted = {.shards_per_group = options->shards_per_group,
                              .lanes = options->lanes};
    store_facts_t facts = {0};
    store_report_t report;
    fabric_error_t error = store->driver->schema_status(store, reason, version);
    if (!error && *version == 0) {
        error = reason_set(reason, FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                           "the database holds no tables of Fabric yet");
    } else if (!error && *version != STORE_SCHEMA_VERSION) {
        error = reason_set(reason, FABRIC_ERROR_WRONG_SCHEMA_VERSION,
                           "the database has schema version %u, this program %u", *version,
                           STORE_SCHEMA_VERSION);
    }
    if (!error) {
        snprintf(wanted.name, sizeof wanted.name, "%s",
                 options->cluster_name ? options->cluster_name : "");
        error = store->driver->check(store, &wanted, reason, &cluster);
    }
    if (!error) {
        error = store->driver->facts(store, &facts);
    }
    if (!error) {
        error = store_report_read(store, &report);
    }
    if (!error) {
        print(options, *version, &cluster, &facts, &report);
    }
    return error;
}

int cli_schema(const cli_options_t *options, const store_driver_t *const *drivers)
{
    const char *action = options->argument_count == 2 ? options->arguments[1] : "";
    bool applies = strcmp(action, "apply") == 0;
    if (!applies && strcmp(action, "status") != 0) {
        return cli_usage_error("schema takes one of: apply, status");
    }
    if (!options->store) {
        return cli_usage_error("--store: the database's URL is missing");
    }
    store_options_t store_options = {.url = options->store,
                                     .password = options->store_password,
                                     .connect_timeout_ms = options->timeout_ms,
                                     .io_timeout_ms = options->timeout_ms};
    reason_t reason = {{0}};
    uint32_t version = 0;
    store_t *store = NULL;
    fabric_error_t error = store_open(drivers, &store_options, &reason, &store);
    if (!error && applies) {
        error = apply(options, store, &reason, &version);
    }
    if (!error) {
        error = show(options, store, &reason, &version);
    }
    int code = error ? fail(options, version, error, &reason) : CLI_DONE;
    store_close(&store);
    return code;
}
