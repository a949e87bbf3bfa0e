/* fabricctl entity state: the persisted state of one entity, as it is stored. */
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/report.h"
#include "core/clock.h"
#include "core/wire.h"

enum { AGAIN_MS = 20 };

/* What the entity's home says; the views point into its answer. */
typedef struct shown {
    bool stored;
    uint64_t version;
    fabric_bytes_t state;
} shown_t;

static bool read_answer(fabric_bytes_t document, shown_t *shown)
{
    wire_reader_t reader = wire_reader(document);
    uint32_t count = wire_get_map(&reader);
    for (uint32_t i = 0; i < count && !reader.failed; i++) {
        fabric_bytes_t key = wire_get_str(&reader);
        if (fabric_bytes_equal(key, fabric_bytes_of("stored"))) {
            shown->stored = wire_get_bool(&reader);
        } else if (fabric_bytes_equal(key, fabric_bytes_of("version"))) {
            shown->version = wire_get_uint(&reader);
        } else if (fabric_bytes_equal(key, fabric_bytes_of("state"))) {
            shown->state = wire_get_bin(&reader);
        } else {
            reader.failed = true;
        }
    }
    return wire_finish(&reader) == FABRIC_OK;
}

static int print_state(const cli_options_t *options, const type_description_t *type,
                       const shown_t *shown)
{
    const char *name = options->arguments[2];
    const char *id = options->arguments[3];
    if (!shown->stored) {
        return cli_fail(FABRIC_ERROR_NOT_FOUND, NULL, "%s %s has no stored state", name, id);
    }
    if (shown->version != type->state_version) {
        return cli_fail(FABRIC_ERROR_MALFORMED_MESSAGE, NULL,
                        "%s %s: the stored state is of version %llu, and the registered schema of "
                        "version %u: the entity's next change brings it up to date",
                        name, id, (unsigned long long)shown->version, type->state_version);
    }
    fabric_schema_fault_t fault = {""};
    char *json = NULL;
    fabric_error_t error = fabric_schema_to_json(type->state, shown->state, &fault, &json);
    if (error) {
        return cli_fail(error, NULL, "%s %s: %s", name, id, fault.text);
    }
    printf("%s\n", json);
    free(json);
    return CLI_DONE;
}

/* The answer that counts: that of the home, or the one that says most. */
static const fabric_broker_answer_t *choose(const fabric_broker_answer_t *answers, size_t count)
{
    const fabric_broker_answer_t *chosen = NULL;
    for (size_t i = 0; i < count; i++) {
        fabric_error_t error = answers[i].outcome.error;
        bool better = !chosen || chosen->outcome.error == FABRIC_ERROR_NOT_FOUND;
        if (error == FABRIC_OK) {
            return &answers[i];
        }
        if (better || error == FABRIC_ERROR_BUSY) {
            chosen = &answers[i];
        }
    }
    return chosen;
}

static int take(const cli_options_t *options, const type_description_t *type,
                const fabric_broker_answer_t *answer)
{
    shown_t shown = {0};
    if (!answer || answer->outcome.error == FABRIC_ERROR_NOT_FOUND) {
        return cli_fail(FABRIC_ERROR_NOT_FOUND, NULL, "%s %s has no home now: try again",
                        options->arguments[2], options->arguments[3]);
    }
    if (answer->outcome.error) {
        return cli_fail(answer->outcome.error, NULL, "broker %s: %s", answer->name,
                        cli_outcome_text(&answer->outcome));
    }
    if (!read_answer(fabric_bytes(answer->document, answer->size), &shown)) {
        return cli_fail(FABRIC_ERROR_MALFORMED_MESSAGE, "install matching releases on both sides",
                        "broker %s: its answer cannot be read", answer->name);
    }
    return print_state(options, type, &shown);
}

/* Only the home of the entity's shard knows, and it may change meanwhile: all are asked, and again
 * while the state is being read. */
static int ask(const cli_options_t *options, fabric_client_t *client,
               const type_description_t *type, fabric_bytes_t argument)
{
    uint64_t until_ms = clock_monotonic_ms() + options->timeout_ms;
    for (;;) {
        fabric_outcome_t outcome = {0};
        fabric_broker_answer_t *answers = NULL;
        size_t count = 0;
        fabric_error_t error = fabric_client_query_all(
            client, "state", argument, options->timeout_ms, &answers, &count, &outcome);
        const fabric_broker_answer_t *answer = error ? NULL : choose(answers, count);
        bool again =
            answer && answer->outcome.error == FABRIC_ERROR_BUSY && clock_monotonic_ms() < until_ms;
        int code = CLI_DONE;
        if (error) {
            code = cli_fail(error, NULL, "%s", cli_outcome_text(&outcome));
        } else if (!again) {
            code = take(options, type, answer);
        }
        fabric_broker_answers_free(&answers, &count);
        if (!again) {
            return code;
        }
        (void)fabric_client_wait(client, AGAIN_MS);
    }
}

int cli_entity_state(const cli_options_t *options, fabric_client_t *client)
{
    const char *name = options->arguments[2];
    type_description_t *type = NULL;
    int code = cli_describe(options, client, name, &type);
    if (code != CLI_DONE) {
        return code;
    }
    if (!type->state || type->event_count > 0) {
        code = cli_fail(FABRIC_ERROR_NOT_FOUND, NULL, "the states of %s are not persisted", name);
    } else {
        wire_writer_t argument = {0};
        wire_put_array(&argument, 2);
        wire_put_bin(&argument, fabric_bytes_of(name));
        wire_put_bin(&argument, fabric_bytes_of(options->arguments[3]));
        code = ask(options, client, type, wire_writer_bytes(&argument));
        wire_writer_destroy(&argument);
    }
    type_description_destroy(&type);
    return code;
}
