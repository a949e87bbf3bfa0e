/* What the brokers of a cluster say: all are asked, at the same time.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_CLUSTER_VIEW_H
#define CLI_CLUSTER_VIEW_H

#include <jansson.h>

#include <fabric/client.h>

#include "cli/options.h"

typedef struct cluster_view {
    fabric_broker_answer_t *answers; /* of all brokers of the map */
    json_t **documents;              /* the status of each; NULL: it does not answer */
    size_t count;
    json_t *merged; /* what they say together: see cluster_merge.h */
} cluster_view_t;

/* Asks all brokers of the cluster, within options->timeout_ms. Those that do not answer are named
 * on standard error, unless `quiet` and others do. CLI_CANNOT_CONNECT: none does. On any code but
 * CLI_DONE an error was printed. `view` is to be destroyed in either case. */
int cluster_view_ask(const cli_options_t *options, fabric_client_t *client, bool quiet,
                     cluster_view_t *view);
/* Takes a zeroed view, too. */
void cluster_view_destroy(cluster_view_t *view);

/* The first document; NULL: no broker has answered. */
const json_t *cluster_view_any(const cluster_view_t *view);
/* The number of lanes of the cluster. */
uint32_t cluster_view_lanes(const cluster_view_t *view);

#endif
