/* What the brokers of a cluster say together. Each broker is the authority for the shards of the
 * lanes that it holds, and knows the runners that are connected to it.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_CLUSTER_VIEW_H
#define CLI_CLUSTER_VIEW_H

#include <jansson.h>

#include "cli/cluster.h"
#include "cli/names.h"

typedef struct view_broker {
    char id[33]; /* its incarnation */
    char name[256];
    char router[256];
    json_t *document; /* its status; NULL: it does not answer */
} view_broker_t;

typedef struct cluster_view {
    view_broker_t *brokers;
    size_t count;
} cluster_view_t;

/* Asks all brokers of the cluster. Those that do not answer are named on standard error, unless
 * `quiet`. CLI_CANNOT_CONNECT: none does, and an error was printed. `view` is to be destroyed in
 * either case. */
int cluster_view_ask(const cli_options_t *options, fabric_client_t *client, bool quiet,
                     cluster_view_t *view);
void cluster_view_destroy(cluster_view_t *view);
/* The status of one broker, the caller's; false: it does not answer in time. */
bool cli_ask(fabric_client_t *client, const char *broker, uint32_t timeout_ms, json_t **document);
/* Gives a broker an order, as a query. An error is printed, with the name of whom it is about. */
int cli_order(const cli_options_t *options, fabric_client_t *client, const char *broker,
              const char *query, fabric_bytes_t argument, const char *about);
/* Adds a broker with its status as JSON text; NULL: it does not answer. */
void cluster_view_add(cluster_view_t *view, const char *id, const char *name, const char *router,
                      const char *json);

/* The first document; NULL: no broker has answered. */
const json_t *cluster_view_any(const cluster_view_t *view);
/* The broker's place among those of the view; `count`: there is none of this id. */
size_t cluster_view_index(const cluster_view_t *view, const char *id);
/* The number of lanes of the cluster. */
uint32_t cluster_view_lanes(const cluster_view_t *view);
/* The broker that holds each lane: an array of ids, or nulls. The caller's. */
json_t *cluster_view_holders(const cluster_view_t *view);

/* ---- runners ---- */

/* All runners, an array of objects: id, name, standing, state, weight, app_version, owned,
 * outstanding, types. The caller's. */
json_t *cluster_view_runners(const cluster_view_t *view);
/* Rows of broker ls. The caller's. */
json_t *cli_broker_rows(const cluster_view_t *view);
/* Find the broker or runner that is called `wanted`, or print an error: see names.h. */
int cli_find_broker(const cluster_view_t *view, const char *wanted, size_t *index);
int cli_find_runner(const json_t *runners, const char *wanted, size_t *index);
/* A name for each element of an array of objects: the members `id_key` and "name". The caller's to
 * free; valid as long as the array. */
cli_name_t *cli_names_of(const json_t *array, const char *id_key);

#endif
