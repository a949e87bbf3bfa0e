/* fabricctl from the command line to a command. */
#include "cli/commands.h"

#include <stdarg.h>
#include <string.h>

#include <fabric/version.h>

#include "cli/report.h"

int cli_usage_error(const char *format, ...)
{
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return cli_fail(FABRIC_ERROR_INVALID_ARGUMENT, "run: fabricctl --help", "%s", what);
}

fabric_error_t cli_open(const cli_options_t *options, uint64_t number, uint64_t first_sequence,
                        fabric_client_t **client, fabric_outcome_t *outcome)
{
    fabric_client_options_t client_options = {
        .cluster_name = options->cluster_name,
        .name = "fabricctl",
        .connect_timeout_ms = options->timeout_ms < 5000 ? options->timeout_ms : 5000,
        .call_timeout_ms = options->timeout_ms,
        .client_number = number,
        .first_sequence = first_sequence,
        .allow_plaintext = options->allow_plaintext,
        .forward = options->forward,
    };
    fabric_error_t error = fabric_client_open(options->url, &client_options, client, outcome);
    outcome->error = error;
    return error;
}

int cli_connect(const cli_options_t *options, uint64_t number, uint64_t first_sequence,
                fabric_client_t **client)
{
    fabric_outcome_t outcome = {0};
    fabric_error_t error = cli_open(options, number, first_sequence, client, &outcome);
    if (error) {
        return cli_fail(error, NULL, "%.300s: %s", *options->url ? options->url : "--url",
                        cli_outcome_text(&outcome));
    }
    return CLI_DONE;
}

static int run_command(const cli_options_t *options, const store_driver_t *const *drivers)
{
    if (options->argument_count == 0) {
        return cli_usage_error("a command is missing");
    }
    const char *command = options->arguments[0];
    if (strcmp(command, "type") == 0) {
        return cli_type(options);
    }
    if (options->json_schema) {
        return cli_usage_error("--output: only the command type knows jsonschema");
    }
    if (strcmp(command, "call") == 0) {
        return cli_call(options, false);
    }
    if (strcmp(command, "send") == 0) {
        return cli_call(options, true);
    }
    if (strcmp(command, "status") == 0) {
        return cli_status(options);
    }
    if (strcmp(command, "broker") == 0) {
        return cli_broker(options);
    }
    if (strcmp(command, "runner") == 0) {
        return cli_runner(options);
    }
    if (strcmp(command, "entity") == 0) {
        return cli_entity(options);
    }
    if (strcmp(command, "shard") == 0) {
        return cli_shard(options);
    }
    if (strcmp(command, "schema") == 0) {
        return cli_schema(options, drivers);
    }
    if (strcmp(command, "message") == 0) {
        return cli_message(options);
    }
    if (strcmp(command, "scheduled") == 0) {
        return cli_scheduled(options, drivers);
    }
    if (strcmp(command, "journal") == 0) {
        return cli_journal(options, drivers);
    }
    if (strcmp(command, "error") == 0) {
        return cli_explain(options);
    }
    return cli_usage_error("'%.60s' is no command", command);
}

/* Output that could not be written, for instance to a full disk, is an error. */
static int flush(int code)
{
    bool failed = ferror(stdout) != 0;
    if (fflush(stdout) == 0 && !failed) {
        return code;
    }
    return code != CLI_DONE ? code
                            : cli_fail(FABRIC_ERROR_INTERNAL, "look at where it goes",
                                       "standard output cannot be written");
}

static void warn_of_ignored(const cli_options_t *options)
{
    const char *ignored = config_ignored(options->config);
    if (*ignored) {
        fprintf(stderr, "fabricctl: these environment variables are not Fabric's: %s\n", ignored);
    }
}

int cli_run(int argc, char **argv, const store_driver_t *const *drivers)
{
    cli_options_t options;
    reason_t reason = {{0}};
    int code = CLI_DONE;
    fabric_error_t error = cli_options_load(&options, argc, argv, &reason);
    if (error) {
        code = cli_fail(error, "run: fabricctl --help", "%s", reason.text);
    } else if (options.help) {
        cli_print_usage(stdout);
    } else if (options.version) {
        printf("fabricctl %s\n", FABRIC_VERSION_STRING);
    } else {
        warn_of_ignored(&options);
        code = run_command(&options, drivers);
    }
    cli_options_destroy(&options);
    return flush(code);
}
