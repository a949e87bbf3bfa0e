/* What the brokers of a cluster say: see cluster_view.h. */
#include "cli/cluster_view.h"

#include <stdlib.h>

#include "cli/cluster_merge.h"
#include "cli/json.h"
#include "cli/names.h"
#include "cli/report.h"
#include "core/document.h"
#include "core/memory.h"
#include "core/printable.h"

/* The answer's document; NULL: there is none, or it cannot be read, and the answer says why. */
static json_t *load(fabric_broker_answer_t *answer)
{
    char *text = NULL;
    json_t *document = NULL;
    if (!answer->outcome.error &&
        !document_to_json(fabric_bytes(answer->document, answer->size), &text)) {
        document = json_loads(text, 0, NULL);
    }
    free(text);
    if (!answer->outcome.error && !document) {
        answer->outcome.error = FABRIC_ERROR_MALFORMED_MESSAGE;
        snprintf(answer->outcome.text, sizeof answer->outcome.text,
                 "the broker's status cannot be read");
    }
    return document;
}

static void complain(const fabric_broker_answer_t *answer)
{
    char name[PRINTABLE_SIZE(sizeof answer->name)];
    char text[PRINTABLE_SIZE(sizeof answer->outcome.text)];
    printable_copy(answer->name, name, sizeof name);
    printable_copy(cli_outcome_text(&answer->outcome), text, sizeof text);
    fprintf(stderr, "fabricctl: broker %s (%.*s) at %s does not answer: %s (%s)\n", name,
            CLI_ID_DIGITS_SHOWN, answer->broker, answer->endpoint, text,
            fabric_error_name(answer->outcome.error));
}

static void take_answers(cluster_view_t *view)
{
    view->documents = memory_allocate_zeroed(view->count, sizeof *view->documents);
    for (size_t i = 0; i < view->count; i++) {
        view->documents[i] = load(&view->answers[i]);
    }
    view->merged = cluster_merge(view->answers, view->documents, view->count);
}

int cluster_view_ask(const cli_options_t *options, fabric_client_t *client, bool quiet,
                     cluster_view_t *view)
{
    fabric_outcome_t outcome = {0};
    *view = (cluster_view_t){0};
    fabric_error_t error =
        fabric_client_query_all(client, "status", fabric_bytes(NULL, 0), options->timeout_ms,
                                &view->answers, &view->count, &outcome);
    if (error) {
        outcome.error = error;
        return cli_fail(error, NULL, "status: %s", cli_outcome_text(&outcome));
    }
    take_answers(view);
    bool any = cluster_view_any(view) != NULL;
    for (size_t i = 0; i < view->count; i++) {
        if (!view->documents[i] && !(any && quiet)) {
            complain(&view->answers[i]);
        }
    }
    return any ? CLI_DONE
               : cli_fail(FABRIC_ERROR_NOT_CONNECTED, NULL,
                          "none of the cluster's brokers answers");
}

void cluster_view_destroy(cluster_view_t *view)
{
    for (size_t i = 0; i < view->count; i++) {
        json_decref(view->documents[i]);
    }
    free(view->documents);
    json_decref(view->merged);
    fabric_broker_answers_free(&view->answers, &view->count);
    *view = (cluster_view_t){0};
}

const json_t *cluster_view_any(const cluster_view_t *view)
{
    size_t i = 0;
    while (i < view->count && !view->documents[i]) {
        i++;
    }
    return i < view->count ? view->documents[i] : NULL;
}

uint32_t cluster_view_lanes(const cluster_view_t *view)
{
    return (uint32_t)cli_number_of(cluster_view_any(view), "lanes_of_cluster");
}
