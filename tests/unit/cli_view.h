/* What brokers say, without asking any: for tests of fabricctl. */
#ifndef TESTS_UNIT_CLI_VIEW_H
#define TESTS_UNIT_CLI_VIEW_H

#include "cli/cluster_view.h"

/* Adds a broker to a zeroed view, with its status, which becomes the view's. NULL: it does not
 * answer in time. */
void cli_view_add(cluster_view_t *view, const char *id, const char *name, json_t *document);
/* Merges what the brokers of the view say, also once more after a change. */
void cli_view_merge(cluster_view_t *view);
/* The broker at this place does not answer any more. */
void cli_view_silence(cluster_view_t *view, size_t index);

#endif
