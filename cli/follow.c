/* Following a standby, which knows little, to the home that it names. */
#include "cli/commands.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/report.h"
#include "core/document.h"

enum { FOLLOWS_MAX = 4 }; /* brokers that name one another: a takeover is under way */

/* The broker's status document as JSON text, the caller's. */
static int ask(const cli_options_t *options, fabric_client_t *client, char **json)
{
    uint8_t *document = NULL;
    size_t size = 0;
    fabric_outcome_t outcome = {0};
    fabric_error_t error = fabric_client_query(client, "status", fabric_bytes(NULL, 0),
                                               options->timeout_ms, &document, &size, &outcome);
    if (error) {
        outcome.error = error;
        return cli_fail(error, NULL, "status: %s", cli_outcome_text(&outcome));
    }
    error = document_to_json(fabric_bytes(document, size), json);
    free(document);
    return error ? cli_fail(error, "install matching releases on both sides",
                            "the broker's status cannot be read")
                 : CLI_DONE;
}

/* The endpoint of the broker that answers; the URL that was asked, if the broker is not in its own
 * list. */
static void copy_endpoint(const cli_options_t *options, const json_t *document,
                          char endpoint[CLI_ENDPOINT_SIZE])
{
    size_t index;
    const json_t *broker;
    const char *self = json_string_value(json_object_get(document, "broker"));
    const char *found = options->url;
    json_array_foreach(json_object_get(document, "brokers"), index, broker)
    {
        const char *incarnation = json_string_value(json_object_get(broker, "incarnation"));
        const char *router = json_string_value(json_object_get(broker, "router"));
        if (self && incarnation && router && strcmp(self, incarnation) == 0) {
            found = router;
        }
    }
    snprintf(endpoint, CLI_ENDPOINT_SIZE, "%s", found);
}

/* Closes the connection to the standby and connects to the home that it names. */
static int go_home(const cli_options_t *options, const char *standby, const char *home,
                   fabric_client_t **client)
{
    fabric_outcome_t outcome = {0};
    fabric_client_close(client);
    if (!home) {
        return cli_fail(FABRIC_ERROR_NOT_CONNECTED, "ask again in a moment",
                        "%s is a standby and does not know yet which broker is the home", standby);
    }
    cli_options_t at_home = *options;
    at_home.url = home;
    fabric_error_t error = cli_open(&at_home, 0, 0, client, &outcome);
    if (error) {
        bool silent = error == FABRIC_ERROR_NOT_CONNECTED;
        return cli_fail(error, silent ? "check that broker, or wait for the takeover" : NULL,
                        "%s is a standby, and its home %s cannot be asked: %s", standby, home,
                        cli_outcome_text(&outcome));
    }
    return CLI_DONE;
}

int cli_follow(const cli_options_t *options, fabric_client_t **client, char **json,
               char standby[CLI_ENDPOINT_SIZE])
{
    for (int i = 0; i < FOLLOWS_MAX; i++) {
        char *text = NULL;
        int code = ask(options, *client, &text);
        if (code != CLI_DONE) {
            return code;
        }
        json_t *document = json_loads(text, 0, NULL);
        const char *state = json_string_value(json_object_get(document, "state"));
        if (!state || strcmp(state, "standby") != 0) { /* or it is of a release without states */
            json_decref(document);
            *json = text;
            return CLI_DONE;
        }
        copy_endpoint(options, document, standby);
        code =
            go_home(options, standby, json_string_value(json_object_get(document, "home")), client);
        json_decref(document);
        free(text);
        if (code != CLI_DONE) {
            return code;
        }
    }
    return cli_fail(FABRIC_ERROR_NOT_CONNECTED, "ask again in a moment",
                    "each broker names another one as the home");
}
