/* What brokers say: see cli_view.h. */
#include "tests/unit/cli_view.h"

#include <stdio.h>

#include "cli/cluster_merge.h"
#include "core/memory.h"

void cli_view_add(cluster_view_t *view, const char *id, const char *name, json_t *document)
{
    size_t count = view->count + 1;
    view->answers = memory_resize(view->answers, count, sizeof *view->answers);
    view->documents = memory_resize(view->documents, count, sizeof *view->documents);
    fabric_broker_answer_t *answer = &view->answers[view->count];
    *answer = (fabric_broker_answer_t){.broker = ""};
    snprintf(answer->broker, sizeof answer->broker, "%s", id);
    snprintf(answer->name, sizeof answer->name, "%s", name);
    snprintf(answer->endpoint, sizeof answer->endpoint, "tcp://h:%s", name);
    if (!document) {
        answer->outcome.error = FABRIC_ERROR_TIMEOUT;
        snprintf(answer->outcome.text, sizeof answer->outcome.text, "it is silent");
    }
    view->documents[view->count++] = document;
}

void cli_view_merge(cluster_view_t *view)
{
    json_decref(view->merged);
    view->merged = cluster_merge(view->answers, view->documents, view->count);
}

void cli_view_silence(cluster_view_t *view, size_t index)
{
    json_decref(view->documents[index]);
    view->documents[index] = NULL;
    cli_view_merge(view);
}
