/* fabricctl call and send: one message to one entity, from JSON and back. */
#include "cli/commands.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/report.h"
#include "core/clock.h"
#include "core/failures.h"
#include "core/limits.h"
#include "core/memory.h"

/* JSON is up to six times as long as its payload, because of base64 and escapes. */
#define JSON_BYTES_MAX ((size_t)LIMIT_PAYLOAD_BYTES_MAX * 8)

/* What the command line asks for. */
typedef struct request {
    const char *type;
    const char *id;
    const char *tag;
    char *json; /* owned */
} request_t;

static bool is_name(const char *text)
{
    size_t size = strlen(text);
    return size > 0 && size <= LIMIT_NAME_BYTES_MAX;
}

/* All of standard input as one text; NULL where it is too long, holds a NUL or cannot be read. */
static char *read_input(void)
{
    char *text = NULL;
    size_t size = 0;
    size_t capacity = 0;
    size_t count = 0;
    do {
        size += count;
        if (size + 1 >= capacity) {
            capacity = capacity ? capacity * 2 : 4096;
            text = memory_resize(text, capacity, 1);
        }
        count = fread(text + size, 1, capacity - size - 1, stdin);
    } while (count > 0 && size <= JSON_BYTES_MAX);
    text[size] = '\0';
    if (ferror(stdin) || size > JSON_BYTES_MAX || strlen(text) != size) {
        free(text);
        return NULL;
    }
    return text;
}

static int take_arguments(const cli_options_t *options, request_t *request)
{
    static const char *const whats[] = {"TYPE", "ID", "TAG"};
    char **arguments = options->arguments;
    if (options->argument_count < 4 || options->argument_count > 5) {
        return cli_usage_error("%s takes TYPE ID TAG [JSON]", arguments[0]);
    }
    for (size_t i = 0; i < 3; i++) {
        if (!is_name(arguments[i + 1])) {
            return cli_usage_error("%s must have 1 to %d bytes", whats[i], LIMIT_NAME_BYTES_MAX);
        }
    }
    const char *json = options->argument_count == 5 ? arguments[4] : "{}";
    *request = (request_t){arguments[1], arguments[2], arguments[3], NULL};
    request->json = strcmp(json, "-") == 0 ? read_input() : memory_copy_string(json);
    if (!request->json) {
        return cli_usage_error("standard input holds no JSON text of at most %zu bytes",
                               JSON_BYTES_MAX);
    }
    return CLI_DONE;
}

static bool is_unknown_type(fabric_error_t error)
{
    return error == FABRIC_ERROR_NOT_FOUND || error == FABRIC_ERROR_UNKNOWN_ENTITY_TYPE;
}

/* The encoded description of a type, as a broker has it. */
typedef struct answer {
    uint8_t *document;
    size_t size;
    fabric_outcome_t outcome;
} answer_t;

/* Takes over the description of the first broker that knows the type, or else the outcome of one
 * that did not answer. */
static fabric_error_t take_best(fabric_broker_answer_t *answers, size_t count, answer_t *answer)
{
    for (size_t i = 0; i < count; i++) {
        fabric_broker_answer_t *one = &answers[i];
        if (i == 0 || !one->outcome.error || is_unknown_type(answer->outcome.error)) {
            answer->outcome = one->outcome;
        }
        if (!one->outcome.error) {
            answer->document = one->document;
            answer->size = one->size;
            one->document = NULL;
            break;
        }
    }
    return answer->outcome.error;
}

/* Brokers learn of new types one after another, so all are asked before a type counts as unknown.
 */
static fabric_error_t ask_all(const cli_options_t *options, fabric_client_t *client,
                              const char *type, answer_t *answer)
{
    fabric_broker_answer_t *answers = NULL;
    size_t count = 0;
    fabric_error_t error =
        fabric_client_query_all(client, "describe", fabric_bytes_of(type), options->timeout_ms,
                                &answers, &count, &answer->outcome);
    if (!error) {
        error = take_best(answers, count, answer);
    }
    fabric_broker_answers_free(&answers, &count);
    return error;
}

int cli_describe(const cli_options_t *options, fabric_client_t *client, const char *type,
                 type_description_t **description)
{
    answer_t answer = {0};
    fabric_error_t error =
        fabric_client_query(client, "describe", fabric_bytes_of(type), options->timeout_ms,
                            &answer.document, &answer.size, &answer.outcome);
    if (is_unknown_type(error)) {
        error = ask_all(options, client, type, &answer);
    }
    if (is_unknown_type(error)) {
        return cli_fail(FABRIC_ERROR_UNKNOWN_ENTITY_TYPE, NULL, "no entity type is named '%s'",
                        type);
    }
    if (error) {
        answer.outcome.error = error;
        return cli_fail(error, NULL, "%s: %s", type, cli_outcome_text(&answer.outcome));
    }
    wire_reader_t reader = wire_reader(fabric_bytes(answer.document, answer.size));
    error = type_description_parse(&reader, description);
    free(answer.document);
    if (error) {
        return cli_fail(error, "install matching releases on both sides",
                        "%s: the broker's description of the type cannot be read", type);
    }
    return CLI_DONE;
}

int cli_refuse_tag(const type_description_t *description, const char *tag)
{
    char tags[1024] = "";
    size_t used = 0;
    for (size_t i = 0; i < description->message_count && used < sizeof tags; i++) {
        used += (size_t)snprintf(tags + used, sizeof tags - used, "%s%s", i > 0 ? ", " : "",
                                 description->messages[i].tag);
    }
    return cli_fail(FABRIC_ERROR_UNKNOWN_MESSAGE, NULL, "%s has no message '%s'; it has: %s",
                    description->name, tag, tags);
}

static int report_failure(const request_t *request, const fabric_outcome_t *outcome)
{
    char remedy[160];
    const char *text = cli_outcome_text(outcome);
    switch (fabric_error_class(outcome->error)) {
    case FABRIC_CLASS_UNKNOWN:
        snprintf(remedy, sizeof remedy,
                 "run it again with --key %" PRIu64 ":%" PRIu64 " to learn the outcome",
                 outcome->key.client, outcome->key.sequence);
        return cli_fail(outcome->error, remedy, "%s/%s %s: %s", request->type, request->id,
                        request->tag, text);
    case FABRIC_CLASS_FAILURE:
        if (outcome->error == FABRIC_ERROR_ENTITY_FAILURE && !outcome->failure) {
            return cli_fail(outcome->error, NULL, "%s/%s %s: code %" PRIu64 ": %s", request->type,
                            request->id, request->tag, outcome->code, text);
        }
        break;
    case FABRIC_CLASS_OK:
    case FABRIC_CLASS_RETRY:
    case FABRIC_CLASS_REJECTED:
    case FABRIC_CLASS_FENCED:
    case FABRIC_CLASS_USAGE:
    case FABRIC_CLASS_FATAL:
        break;
    }
    return cli_fail(outcome->error, NULL, "%s/%s %s: %s", request->type, request->id, request->tag,
                    text);
}

/* A typed failure is an answer: it is printed as a reply is, under the name "failure". */
static int print_failure(const request_t *request, const message_description_t *message,
                         const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    char *json = NULL;
    if (failure_to_json(failures_of(message->failures), outcome->code, payload, NULL, &json) ==
        FABRIC_OK) {
        puts(json);
        free(json);
    }
    return report_failure(request, outcome);
}

static int print_reply(const cli_options_t *options, const request_t *request,
                       const message_description_t *message, fabric_bytes_t payload)
{
    fabric_schema_fault_t fault = {{0}};
    char *json = NULL;
    if (payload.size == 0 && options->key.client) { /* the key of a message that wanted no reply */
        puts(options->json ? "{\"handled\": true}" : "handled");
        return CLI_DONE;
    }
    fabric_error_t error = fabric_schema_to_json(message->reply, payload, &fault, &json);
    if (error) {
        return cli_fail(error, NULL, "%s/%s %s was handled, but its reply cannot be read: %s",
                        request->type, request->id, request->tag, fault.text);
    }
    puts(json);
    free(json);
    return CLI_DONE;
}

/* Logs name a message by its request id; --key takes the call key. The key of a volatile message is
 * not printed, because nothing can be learnt under it afterwards. */
static void print_accepted(const cli_options_t *options, const fabric_outcome_t *outcome,
                           bool durable)
{
    char key[64] = "";
    if (durable) {
        snprintf(key, sizeof key,
                 options->json ? ", \"call_key\": \"%" PRIu64 ":%" PRIu64 "\""
                               : ", call key %" PRIu64 ":%" PRIu64,
                 outcome->key.client, outcome->key.sequence);
    }
    printf(options->json ? "{\"request_id\": \"%" PRIu64 "\"%s}\n"
                         : "accepted: request %" PRIu64 "%s\n",
           outcome->request_id, key);
}

static int64_t deliver_at(const cli_options_t *options)
{
    return options->delay_ms > 0 ? clock_wall_ms() + (int64_t)options->delay_ms
                                 : options->deliver_at_ms;
}

static int send_payload(const cli_options_t *options, fabric_client_t *client,
                        const request_t *request, const message_description_t *message, bool tell,
                        fabric_bytes_t payload)
{
    fabric_message_type_t type = {.tag = message->tag,
                                  .request = message->request,
                                  .reply = message->reply,
                                  .durable = message->durable,
                                  .failures = failures_of(message->failures)};
    fabric_call_t call = {.entity = fabric_entity(request->type, request->id),
                          .message = &type,
                          .payload = payload,
                          .tell = tell,
                          .key = options->key,
                          .deliver_at_ms = deliver_at(options),
                          .cancel_at_deadline = options->cancel};
    fabric_outcome_t outcome = {0};
    uint8_t *reply = NULL;
    size_t reply_size = 0;
    fabric_error_t error = fabric_client_call(client, &call, NULL, tell ? NULL : &reply,
                                              tell ? NULL : &reply_size, &outcome);
    int code = CLI_DONE;
    if (outcome.failure) {
        code = print_failure(request, message, &outcome, fabric_bytes(reply, reply_size));
    } else if (error) {
        outcome.error = error;
        code = report_failure(request, &outcome);
    } else if (tell) {
        print_accepted(options, &outcome, message->durable);
    } else {
        code = print_reply(options, request, message, fabric_bytes(reply, reply_size));
    }
    free(reply);
    return code;
}

static int encode_and_send(const cli_options_t *options, fabric_client_t *client,
                           const request_t *request, const type_description_t *description,
                           bool tell)
{
    const message_description_t *message =
        type_description_message(description, fabric_bytes_of(request->tag));
    if (!message) {
        return cli_refuse_tag(description, request->tag);
    }
    fabric_schema_fault_t fault = {{0}};
    uint8_t *payload = NULL;
    size_t size = 0;
    fabric_error_t error =
        fabric_schema_from_json(message->request, request->json, &fault, &payload, &size);
    if (error) {
        (void)cli_fail(error, "correct the JSON", "%s %s: %s", request->type, request->tag,
                       fault.text);
        return CLI_USAGE; /* nothing was sent: the argument is wrong */
    }
    int code = send_payload(options, client, request, message, tell, fabric_bytes(payload, size));
    free(payload);
    return code;
}

int cli_call(const cli_options_t *options, bool tell)
{
    request_t request = {0};
    fabric_client_t *client = NULL;
    type_description_t *description = NULL;
    int code = take_arguments(options, &request);
    if (code == CLI_DONE) { /* a call's key belongs to its client: become that client again */
        uint64_t first_sequence = options->key.client ? options->key.sequence + 1 : 0;
        code = cli_connect(options, options->key.client, first_sequence, &client);
    }
    if (code == CLI_DONE) {
        code = cli_describe(options, client, request.type, &description);
    }
    if (code == CLI_DONE) {
        code = encode_and_send(options, client, &request, description, tell);
    }
    type_description_destroy(&description);
    fabric_client_close(&client);
    free(request.json);
    return code;
}
