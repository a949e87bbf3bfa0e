/* fabricctl type forget: see forget.h. */
#include "cli/forget.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/json.h"
#include "cli/report.h"
#include "core/clock.h"
#include "core/document.h"
#include "core/limits.h"
#include "core/random.h"
#include "core/wire.h"

enum { POLL_US = 20000 };

/* One command. */
typedef struct forget {
    const cli_options_t *options;
    fabric_client_t *client;
    const char *type;
    const char *holder; /* the incarnation of the broker that holds the term */
    uint64_t token;
    bool unknown;  /* whether the type is forgotten is not known */
    json_t *lanes; /* array of [number, epoch, whole] */
} forget_t;

static json_t *load(const uint8_t *bytes, size_t size)
{
    char *text = NULL;
    json_t *document = NULL;
    if (!document_to_json(fabric_bytes(bytes, size), &text)) {
        document = json_loads(text, 0, NULL);
    }
    free(text);
    return document;
}

static void put_lanes(const json_t *lanes, wire_writer_t *argument)
{
    size_t index;
    const json_t *lane;
    wire_put_array(argument, (uint32_t)json_array_size(lanes));
    json_array_foreach((json_t *)(uintptr_t)lanes, index, lane)
    {
        wire_put_array(argument, 3);
        wire_put_uint(argument, (uint64_t)json_integer_value(json_array_get(lane, 0)));
        wire_put_uint(argument, (uint64_t)json_integer_value(json_array_get(lane, 1)));
        wire_put_bool(argument, json_is_true(json_array_get(lane, 2)));
    }
}

static wire_writer_t make_argument(const forget_t *forget, bool lanes)
{
    wire_writer_t argument = {0};
    wire_put_array(&argument, lanes ? 3 : 2);
    wire_put_bin(&argument, fabric_bytes_of(forget->type));
    wire_put_uint(&argument, forget->token);
    if (lanes) {
        put_lanes(forget->lanes, &argument);
    }
    return argument;
}

/* Asks the holder of the term. On FABRIC_OK the document is the caller's. */
static fabric_error_t ask_holder(const forget_t *forget, const char *query, json_t **document,
                                 fabric_outcome_t *outcome)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    wire_writer_t argument = make_argument(forget, strcmp(query, "type_forget") == 0);
    fabric_error_t error =
        fabric_client_query_at(forget->client, forget->holder, query, wire_writer_bytes(&argument),
                               forget->options->timeout_ms, &bytes, &size, outcome);
    wire_writer_destroy(&argument);
    if (!error) {
        *document = load(bytes, size);
        error = *document ? FABRIC_OK : FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    free(bytes);
    outcome->error = error;
    return error;
}

/* ---- what keeps the type ---- */

static void append(char *line, size_t line_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void append(char *line, size_t line_size, const char *format, ...)
{
    size_t used = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line + used, line_size - used, format, arguments);
    va_end(arguments);
}

/* The runners that bring the type, each once: a runner is connected to all brokers. */
static json_t *bringers(json_t *const *documents, size_t count)
{
    json_t *names = json_object();
    for (size_t i = 0; i < count; i++) {
        size_t index;
        json_t *name;
        json_array_foreach(json_object_get(documents[i], "runners"), index, name)
        {
            json_object_set_new(names, json_string_value(name), json_true());
        }
    }
    return names;
}

static bool name_bringers(const char *type, json_t *const *documents, size_t count, char *line,
                          size_t line_size)
{
    json_t *names = bringers(documents, count);
    size_t found = json_object_size(names);
    const char *name;
    json_t *value;
    if (found > 0) {
        append(line, line_size, "type %s is brought by runner%s ", type, found > 1 ? "s" : "");
        size_t left = found;
        json_object_foreach(names, name, value)
        {
            append(line, line_size, "%s%s", name, --left > 0 ? ", " : "");
        }
    }
    json_decref(names);
    return found > 0;
}

static bool name_messages(const char *type, const char *const *brokers, json_t *const *documents,
                          size_t count, char *line, size_t line_size)
{
    long long messages = 0, scheduled = 0;
    for (size_t i = 0; i < count; i++) {
        long long waits = cli_number_of(documents[i], "scheduled");
        messages += cli_number_of(documents[i], "pending") + waits;
        scheduled += waits;
    }
    if (messages == 0) {
        return false;
    }
    append(line, line_size, "%lld message%s of type %s %s pending", messages,
           messages == 1 ? "" : "s", type, messages == 1 ? "is" : "are");
    if (scheduled > 0) {
        append(line, line_size, ", %lld of them scheduled", scheduled);
    }
    const char *before = ": ";
    for (size_t i = 0; i < count; i++) {
        long long here =
            cli_number_of(documents[i], "pending") + cli_number_of(documents[i], "scheduled");
        if (here > 0) {
            append(line, line_size, "%s%lld at broker %s", before, here, brokers[i]);
            before = ", ";
        }
    }
    return true;
}

bool cli_forget_judge(const char *type, const char *const *brokers, json_t *const *documents,
                      size_t count, char *line, size_t line_size)
{
    line[0] = '\0';
    return name_bringers(type, documents, count, line, line_size) ||
           name_messages(type, brokers, documents, count, line, line_size);
}

/* ---- closing ---- */

/* CLI_DONE: no broker has anything of the type. Else an error was printed. */
static int judge_documents(forget_t *forget, const fabric_broker_answer_t *answers,
                           json_t *const *documents, size_t count)
{
    const char *names[LIMIT_BROKERS_MAX];
    char line[1024];
    for (size_t i = 0; i < count; i++) {
        names[i] = answers[i].name;
        json_array_extend(forget->lanes, json_object_get(documents[i], "lanes"));
    }
    if (cli_forget_judge(forget->type, names, documents, count, line, sizeof line)) {
        return cli_fail(FABRIC_ERROR_TYPE_IN_USE, NULL, "%s", line);
    }
    for (size_t i = 0; i < count; i++) {
        if (json_is_true(json_object_get(documents[i], "reading"))) {
            return cli_fail(FABRIC_ERROR_BUSY, "try again",
                            "broker %s still reads which messages it has", names[i]);
        }
    }
    return CLI_DONE;
}

static int judge(forget_t *forget, const fabric_broker_answer_t *answers, size_t count)
{
    json_t *documents[LIMIT_BROKERS_MAX] = {NULL};
    int code = CLI_DONE;
    size_t loaded = 0;
    for (; loaded < count && loaded < LIMIT_BROKERS_MAX && code == CLI_DONE; loaded++) {
        const fabric_broker_answer_t *answer = &answers[loaded];
        fabric_error_t error = answer->outcome.error;
        documents[loaded] = error ? NULL : load(answer->document, answer->size);
        if (!documents[loaded]) {
            code = cli_fail(error ? error : FABRIC_ERROR_MALFORMED_MESSAGE, NULL,
                            "broker %s does not take part: %s", answer->name,
                            error ? cli_outcome_text(&answer->outcome) : "its answer is none");
        }
    }
    if (code == CLI_DONE) {
        code = judge_documents(forget, answers, documents, loaded);
    }
    for (size_t i = 0; i < loaded; i++) {
        json_decref(documents[i]);
    }
    return code;
}

/* The holder of the term first: it begins no write when that was too long ago. */
static int close_type(forget_t *forget)
{
    fabric_outcome_t outcome = {0};
    json_t *document = NULL;
    fabric_error_t error = ask_holder(forget, "type_close", &document, &outcome);
    json_decref(document);
    if (error) {
        return cli_fail(error, NULL, "type %s: %s", forget->type, cli_outcome_text(&outcome));
    }
    fabric_broker_answer_t *answers = NULL;
    size_t count = 0;
    wire_writer_t argument = make_argument(forget, false);
    error = fabric_client_query_all(forget->client, "type_close", wire_writer_bytes(&argument),
                                    forget->options->timeout_ms, &answers, &count, &outcome);
    int code = error ? cli_fail(error, NULL, "%s", cli_outcome_text(&outcome))
                     : judge(forget, answers, count);
    fabric_broker_answers_free(&answers, &count);
    wire_writer_destroy(&argument);
    return code;
}

/* ---- forgetting ---- */

static int forget_type(forget_t *forget)
{
    for (;;) {
        fabric_outcome_t outcome = {0};
        json_t *document = NULL;
        if (ask_holder(forget, "type_forget", &document, &outcome)) {
            forget->unknown = true;
            return cli_fail(FABRIC_ERROR_OUTCOME_UNKNOWN, "look with: fabricctl type ls",
                            "type %s: %s", forget->type, cli_outcome_text(&outcome));
        }
        bool done = json_is_true(json_object_get(document, "done"));
        fabric_error_t error = (fabric_error_t)cli_number_of(document, "error");
        int code = done && error ? cli_fail(error, NULL, "type %s: %s", forget->type,
                                            cli_text_of(document, "text"))
                                 : CLI_DONE;
        json_decref(document);
        if (done) {
            forget->unknown = error == FABRIC_ERROR_OUTCOME_UNKNOWN;
            return code;
        }
        usleep(POLL_US);
    }
}

/* ---- opening ---- */

/* Whether all brokers say that they have read the type; those that have not answered are named on
 * standard error where `complain`. */
static bool opened(const forget_t *forget, bool complain)
{
    fabric_broker_answer_t *answers = NULL;
    size_t count = 0;
    wire_writer_t argument = make_argument(forget, false);
    bool all =
        fabric_client_query_all(forget->client, "type_open", wire_writer_bytes(&argument),
                                forget->options->timeout_ms, &answers, &count, NULL) == FABRIC_OK;
    for (size_t i = 0; i < count; i++) {
        json_t *document =
            answers[i].outcome.error ? NULL : load(answers[i].document, answers[i].size);
        bool done = json_is_true(json_object_get(document, "done"));
        if (!done && complain) {
            fprintf(stderr,
                    "fabricctl: broker %s has not said that it knows: it reads the type by "
                    "itself in some seconds\n",
                    answers[i].name);
        }
        all = all && done;
        json_decref(document);
    }
    fabric_broker_answers_free(&answers, &count);
    wire_writer_destroy(&argument);
    return all;
}

static void open_type(const forget_t *forget)
{
    uint64_t until_ms = clock_monotonic_ms() + forget->options->timeout_ms;
    bool late = false;
    while (!opened(forget, late) && !late) {
        usleep(POLL_US);
        late = clock_monotonic_ms() >= until_ms;
    }
}

int cli_forget(const cli_options_t *options, fabric_client_t *client, const cluster_view_t *view)
{
    forget_t forget = {.options = options,
                       .client = client,
                       .type = options->arguments[2],
                       .holder = cli_text_of(cluster_view_any(view), "holder"),
                       .lanes = json_array()};
    random_bytes(&forget.token, sizeof forget.token);
    int code = CLI_DONE;
    for (size_t i = 0; i < view->count && code == CLI_DONE; i++) {
        if (!view->documents[i]) {
            code = cli_fail(FABRIC_ERROR_NOT_CONNECTED, NULL,
                            "all brokers have to take part, and broker %s does not answer",
                            view->answers[i].name);
        }
    }
    bool began = code == CLI_DONE;
    code = began ? close_type(&forget) : code;
    code = code == CLI_DONE ? forget_type(&forget) : code;
    if (began && !forget.unknown) { /* else it stays closed until the brokers know */
        open_type(&forget);
    }
    if (code == CLI_DONE) {
        printf("type %s is forgotten\n", forget.type);
    }
    json_decref(forget.lanes);
    return code;
}
