/* fabricctl entity: what operators do about one entity. */
#include "cli/commands.h"

#include <string.h>

#include "cli/report.h"
#include "core/wire.h"

/* The answer of the broker at which the entity was parked; NULL: there is none. */
static const fabric_broker_answer_t *find_done(const fabric_broker_answer_t *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (answers[i].outcome.error == FABRIC_OK) {
            return &answers[i];
        }
    }
    return NULL;
}

/* The first answer that does not say that the entity is not parked there; NULL: all say so. */
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

static int conclude(const char *type, const char *id, const fabric_broker_answer_t *answers,
                    size_t count)
{
    if (find_done(answers, count)) {
        printf("%s %s goes on\n", type, id);
        return CLI_DONE;
    }
    const fabric_broker_answer_t *silent = find_silent(answers, count);
    if (silent) {
        return cli_fail(silent->outcome.error, NULL, "broker %s: %s", silent->name,
                        cli_outcome_text(&silent->outcome));
    }
    return cli_fail(FABRIC_ERROR_NOT_FOUND, NULL, "%s %s is not parked", type, id);
}

/* Only the home of the entity's shard can resume it, and it may change meanwhile: all are asked. */
static int resume(const cli_options_t *options, fabric_client_t *client)
{
    const char *type = options->arguments[2];
    const char *id = options->arguments[3];
    wire_writer_t argument = {0};
    fabric_outcome_t outcome = {0};
    fabric_broker_answer_t *answers = NULL;
    size_t count = 0;
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of(type));
    wire_put_bin(&argument, fabric_bytes_of(id));
    fabric_error_t error = fabric_client_query_all(client, "resume", wire_writer_bytes(&argument),
                                                   options->timeout_ms, &answers, &count, &outcome);
    int code = error ? cli_fail(error, NULL, "%s", cli_outcome_text(&outcome))
                     : conclude(type, id, answers, count);
    fabric_broker_answers_free(&answers, &count);
    wire_writer_destroy(&argument);
    return code;
}

int cli_entity(const cli_options_t *options)
{
    if (options->argument_count != 4 || strcmp(options->arguments[1], "resume") != 0) {
        return cli_usage_error("entity takes: resume TYPE ID");
    }
    fabric_client_t *client = NULL;
    int code = cli_connect(options, 0, 0, &client);
    if (code == CLI_DONE) {
        code = resume(options, client);
    }
    fabric_client_close(&client);
    return code;
}
