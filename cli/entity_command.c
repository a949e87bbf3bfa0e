/* fabricctl entity: what operators do about one entity. */
#include "cli/commands.h"

#include <inttypes.h>
#include <string.h>

#include "cli/report.h"
#include "core/wire.h"

/* What is asked of all brokers, and done by one. */
typedef struct entity_order {
    const char *query;
    const char *nobody; /* what it means if no broker finds the entity, behind type and id */
} entity_order_t;

static const entity_order_t orders[] = {
    {"resume", "is not parked"},
    {"clear", "has no home now: try again"},
};

static const entity_order_t *find_order(const char *name)
{
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (strcmp(orders[i].query, name) == 0) {
            return &orders[i];
        }
    }
    return NULL;
}

/* The answer of the broker that has done it; NULL: there is none. */
static const fabric_broker_answer_t *find_done(const fabric_broker_answer_t *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (answers[i].outcome.error == FABRIC_OK) {
            return &answers[i];
        }
    }
    return NULL;
}

/* The first answer that does not say that the entity is not found there; NULL: all say so. */
static const fabric_broker_answer_t *find_silent(const fabric_broker_answer_t *answers,
                                                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (answers[i].outcome.error != FABRIC_ERROR_NOT_FOUND) {
            return &answers[i];
        }
    }
    return NULL;
}

/* Of a number with a name, in a map of numbers; 0: it is not there. */
static uint64_t number_of(fabric_bytes_t document, const char *name)
{
    wire_reader_t reader = wire_reader(document);
    uint32_t count = wire_get_map(&reader);
    for (uint32_t i = 0; i < count && !reader.failed; i++) {
        fabric_bytes_t key = wire_get_str(&reader);
        uint64_t value = wire_get_uint(&reader);
        if (fabric_bytes_equal(key, fabric_bytes_of(name))) {
            return reader.failed ? 0 : value;
        }
    }
    return 0;
}

static void print_done(const entity_order_t *order, const cli_options_t *options,
                       const fabric_broker_answer_t *done)
{
    const char *type = options->arguments[2];
    const char *id = options->arguments[3];
    uint64_t ended = number_of(fabric_bytes(done->document, done->size), "ended");
    if (strcmp(order->query, "resume") == 0) {
        printf("%s %s goes on\n", type, id);
    } else if (options->json) {
        printf("{\"cleared\": true, \"ended\": %" PRIu64 "}\n", ended);
    } else {
        printf("%s %s is cleared: %" PRIu64 " message%s ended\n", type, id, ended,
               ended == 1 ? "" : "s");
    }
}

static int conclude(const entity_order_t *order, const cli_options_t *options,
                    const fabric_broker_answer_t *answers, size_t count)
{
    const fabric_broker_answer_t *done = find_done(answers, count);
    if (done) {
        print_done(order, options, done);
        return CLI_DONE;
    }
    const fabric_broker_answer_t *silent = find_silent(answers, count);
    if (silent) {
        return cli_fail(silent->outcome.error, NULL, "broker %s: %s", silent->name,
                        cli_outcome_text(&silent->outcome));
    }
    return cli_fail(FABRIC_ERROR_NOT_FOUND, NULL, "%s %s %s", options->arguments[2],
                    options->arguments[3], order->nobody);
}

/* Only the home of the entity's shard can do it, and it may change meanwhile: all are asked. */
static int carry_out(const entity_order_t *order, const cli_options_t *options,
                     fabric_client_t *client)
{
    wire_writer_t argument = {0};
    fabric_outcome_t outcome = {0};
    fabric_broker_answer_t *answers = NULL;
    size_t count = 0;
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of(options->arguments[2]));
    wire_put_bin(&argument, fabric_bytes_of(options->arguments[3]));
    fabric_error_t error =
        fabric_client_query_all(client, order->query, wire_writer_bytes(&argument),
                                options->timeout_ms, &answers, &count, &outcome);
    int code = error ? cli_fail(error, NULL, "%s", cli_outcome_text(&outcome))
                     : conclude(order, options, answers, count);
    fabric_broker_answers_free(&answers, &count);
    wire_writer_destroy(&argument);
    return code;
}

int cli_entity(const cli_options_t *options)
{
    const char *what = options->argument_count == 4 ? options->arguments[1] : "";
    bool shows = strcmp(what, "state") == 0;
    bool lists = strcmp(what, "events") == 0;
    const entity_order_t *order = find_order(what);
    if (!order && !shows && !lists) {
        return cli_usage_error(
            "entity takes: resume TYPE ID, clear TYPE ID, state TYPE ID, events TYPE ID");
    }
    fabric_client_t *client = NULL;
    int code = cli_connect(options, 0, 0, &client);
    if (code == CLI_DONE && shows) {
        code = cli_entity_state(options, client);
    } else if (code == CLI_DONE) {
        code = lists ? cli_entity_events(options, client) : carry_out(order, options, client);
    }
    fabric_client_close(&client);
    return code;
}
