/* Cancelling messages by their request ids: see cancel_requests.h. */
#include "cli/cancel_requests.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/table.h"
#include "core/clock.h"
#include "core/document.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/printable.h"
#include "core/snowflake.h"
#include "core/wire.h"

enum { REQUESTS_MAX = 256, AGAIN_US = 100000 };

typedef struct request {
    request_id_t id;
    char outcome[16]; /* what the broker that has it says; empty: none has, or says, anything */
    char error[40];
} request_t;

typedef struct cancelling {
    request_t requests[REQUESTS_MAX];
    size_t count;
    bool lanes[LIMIT_LANES_MAX]; /* those whose homes have answered, of lane_count */
    size_t lane_count;           /* 0: no broker has said */
    /* Of a broker that did not answer; OK: all did. */
    fabric_outcome_t silence;
    char silent[PRINTABLE_SIZE(256)];
} cancelling_t;

/* ---- answers ---- */

static bool is_open(const request_t *request)
{
    return request->outcome[0] == '\0' || strcmp(request->outcome, "moved") == 0;
}

static request_t *find(cancelling_t *cancelling, uint64_t id)
{
    for (size_t i = 0; i < cancelling->count; i++) {
        if (cancelling->requests[i].id.value == id) {
            return &cancelling->requests[i];
        }
    }
    return NULL;
}

static void take_request(cancelling_t *cancelling, const json_t *said)
{
    request_t *request = find(cancelling, (uint64_t)cli_number_of(said, "request_id"));
    const char *outcome = cli_text_of(said, "outcome");
    if (request && is_open(request) && strcmp(outcome, "unknown") != 0) {
        snprintf(request->outcome, sizeof request->outcome, "%s", outcome);
        snprintf(request->error, sizeof request->error, "%s", cli_text_of(said, "error"));
    }
}

static void take_document(cancelling_t *cancelling, const json_t *document)
{
    size_t index;
    json_t *element;
    long long lanes = cli_number_of(document, "lane_count");
    cancelling->lane_count = lanes > 0 && lanes <= LIMIT_LANES_MAX ? (size_t)lanes : 0;
    json_array_foreach(json_object_get(document, "lanes"), index, element)
    {
        json_int_t lane = json_integer_value(element);
        if (lane >= 0 && lane < LIMIT_LANES_MAX) {
            cancelling->lanes[lane] = true;
        }
    }
    json_array_foreach(json_object_get(document, "requests"), index, element)
    {
        take_request(cancelling, element);
    }
}

static void take_answer(cancelling_t *cancelling, const fabric_broker_answer_t *answer)
{
    char *text = NULL;
    json_t *document = NULL;
    fabric_outcome_t outcome = answer->outcome;
    if (!outcome.error && !document_to_json(fabric_bytes(answer->document, answer->size), &text)) {
        document = json_loads(text, 0, NULL);
    }
    if (document) {
        take_document(cancelling, document);
    } else {
        outcome.error = outcome.error ? outcome.error : FABRIC_ERROR_MALFORMED_MESSAGE;
        cancelling->silence = outcome;
        printable_copy(answer->name, cancelling->silent, sizeof cancelling->silent);
    }
    json_decref(document);
    free(text);
}

/* ---- asking ---- */

static void put_argument(const cancelling_t *cancelling, uint64_t wait_ms, wire_writer_t *argument)
{
    uint32_t open = 0;
    for (size_t i = 0; i < cancelling->count; i++) {
        open += is_open(&cancelling->requests[i]);
    }
    wire_put_array(argument, 2);
    wire_put_uint(argument, wait_ms);
    wire_put_array(argument, open);
    for (size_t i = 0; i < cancelling->count; i++) {
        if (is_open(&cancelling->requests[i])) {
            wire_put_uint(argument, cancelling->requests[i].id.value);
        }
    }
}

/* The brokers answer a little before the client gives them up. */
static fabric_error_t ask(cancelling_t *cancelling, fabric_client_t *client, uint32_t left_ms,
                          fabric_outcome_t *outcome)
{
    wire_writer_t argument = {0};
    fabric_broker_answer_t *answers = NULL;
    size_t count = 0;
    put_argument(cancelling, left_ms - left_ms / 4, &argument);
    fabric_error_t error = fabric_client_query_all(client, "cancel", wire_writer_bytes(&argument),
                                                   left_ms, &answers, &count, outcome);
    memset(cancelling->lanes, 0, sizeof cancelling->lanes);
    cancelling->silence = (fabric_outcome_t){.error = FABRIC_OK};
    for (size_t i = 0; !error && i < count; i++) {
        take_answer(cancelling, &answers[i]);
    }
    fabric_broker_answers_free(&answers, &count);
    wire_writer_destroy(&argument);
    return error;
}

/* The first lane whose home has not answered; lane_count: there is none. */
static size_t missing_lane(const cancelling_t *cancelling)
{
    size_t lane = 0;
    while (lane < cancelling->lane_count && cancelling->lanes[lane]) {
        lane++;
    }
    return lane;
}

/* Whether asking again may bring more: a message or a lane is on its way to another home. */
static bool is_on_its_way(const cancelling_t *cancelling)
{
    bool covered = cancelling->lane_count > 0 && missing_lane(cancelling) == cancelling->lane_count;
    for (size_t i = 0; i < cancelling->count; i++) {
        const request_t *request = &cancelling->requests[i];
        if (is_open(request) && (!covered || request->outcome[0] != '\0')) {
            return true;
        }
    }
    return false;
}

static int ask_until_known(const cli_options_t *options, fabric_client_t *client,
                           cancelling_t *cancelling)
{
    uint64_t until_ms = clock_monotonic_ms() + options->timeout_ms;
    for (;;) {
        fabric_outcome_t outcome = {0};
        uint64_t now_ms = clock_monotonic_ms();
        uint32_t left_ms = now_ms < until_ms ? (uint32_t)(until_ms - now_ms) : 1;
        fabric_error_t error = ask(cancelling, client, left_ms, &outcome);
        if (error) {
            outcome.error = error;
            return cli_fail(error, NULL, "%s", cli_outcome_text(&outcome));
        }
        if (!is_on_its_way(cancelling) || clock_monotonic_ms() + AGAIN_US / 1000 >= until_ms) {
            return CLI_DONE;
        }
        usleep(AGAIN_US);
    }
}

/* ---- what has become of each ---- */

/* No home has the message: is that for sure? */
static int conclude_open(const cancelling_t *cancelling, const request_t *request)
{
    size_t lane = missing_lane(cancelling);
    if (request->outcome[0] != '\0') {
        return cli_fail(FABRIC_ERROR_NOT_HOME, "ask again",
                        "request %" PRIu64 ": its lane is on its way to another home",
                        request->id.value);
    }
    if (cancelling->lane_count > 0 && lane == cancelling->lane_count) {
        return cli_fail(FABRIC_ERROR_NOT_FOUND, "look with: fabricctl scheduled ls",
                        "request %" PRIu64 " waits nowhere: it was never accepted, or ended longer "
                        "ago than the journals tell",
                        request->id.value);
    }
    if (cancelling->silence.error) {
        return cli_fail(cancelling->silence.error, NULL,
                        "request %" PRIu64 " may be in lane %zu: broker %s: %s", request->id.value,
                        lane, cancelling->silent, cli_outcome_text(&cancelling->silence));
    }
    return cli_fail(FABRIC_ERROR_NOT_HOME, "ask again",
                    "request %" PRIu64 " may be in lane %zu, which has no home at present",
                    request->id.value, lane);
}

static int conclude(const cli_options_t *options, const cancelling_t *cancelling,
                    const request_t *request)
{
    const char *outcome = request->outcome;
    if (is_open(request)) {
        return conclude_open(cancelling, request);
    }
    if (strcmp(outcome, "cancelled") == 0) {
        if (!options->json) {
            printf("request %" PRIu64 " is cancelled\n", request->id.value);
        }
        return CLI_DONE;
    }
    if (strcmp(outcome, "ended") == 0) {
        fprintf(stderr, "fabricctl: request %" PRIu64 " has ended already: %s\n", request->id.value,
                request->error);
        return CLI_REFUSED;
    }
    if (strcmp(outcome, "running") == 0) {
        return cli_fail(FABRIC_ERROR_TIMEOUT, "ask again later",
                        "request %" PRIu64 ": its handler was told to stop, and still runs",
                        request->id.value);
    }
    if (strcmp(outcome, "failed") == 0) {
        return cli_fail(FABRIC_ERROR_PERSISTENCE, "ask again",
                        "request %" PRIu64 ": the database did not let its home look for it",
                        request->id.value);
    }
    return cli_fail(FABRIC_ERROR_TIMEOUT, "ask again",
                    "request %" PRIu64 ": its home has not found or stored its end in time",
                    request->id.value);
}

static json_t *json_of(const request_t *request)
{
    json_t *row = json_object();
    json_object_set_new(row, "request_id", json_integer((json_int_t)request->id.value));
    json_object_set_new(row, "outcome",
                        json_string(request->outcome[0] ? request->outcome : "unknown"));
    if (strcmp(request->outcome, "ended") == 0) {
        json_object_set_new(row, "error", json_string(request->error));
    }
    return row;
}

static int conclude_all(const cli_options_t *options, const cancelling_t *cancelling)
{
    int first = CLI_DONE;
    json_t *rows = json_array();
    for (size_t i = 0; i < cancelling->count; i++) {
        int code = conclude(options, cancelling, &cancelling->requests[i]);
        first = first == CLI_DONE ? code : first;
        json_array_append_new(rows, json_of(&cancelling->requests[i]));
    }
    if (options->json) {
        cli_json_print(rows, stdout);
    }
    json_decref(rows);
    return first;
}

/* ---- the command ---- */

/* Names each id once. Returns CLI_DONE, or the exit code. */
static int read_ids(const cli_options_t *options, cancelling_t *cancelling)
{
    size_t given = options->argument_count - 2;
    if (given == 0 || given > REQUESTS_MAX) {
        return cli_usage_error("cancel takes 1 to %d request ids", REQUESTS_MAX);
    }
    for (size_t i = 0; i < given; i++) {
        const char *text = options->arguments[2 + i];
        request_t request = {.id = {0}};
        if (snowflake_parse(text, &request.id) != FABRIC_OK || request.id.value == 0 ||
            request.id.value > INT64_MAX) {
            return cli_usage_error("'%.60s' is no request id", text);
        }
        if (!find(cancelling, request.id.value)) {
            cancelling->requests[cancelling->count++] = request;
        }
    }
    return CLI_DONE;
}

int cli_cancel_requests(const cli_options_t *options)
{
    cancelling_t *cancelling = memory_allocate_zeroed(1, sizeof *cancelling);
    fabric_client_t *client = NULL;
    int code = read_ids(options, cancelling);
    code = code == CLI_DONE ? cli_connect(options, 0, 0, &client) : code;
    code = code == CLI_DONE ? ask_until_known(options, client, cancelling) : code;
    code = code == CLI_DONE ? conclude_all(options, cancelling) : code;
    fabric_client_close(&client);
    free(cancelling);
    return code;
}
