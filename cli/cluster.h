/* What all brokers of a cluster say together. Each broker is the authority for its own lanes and
 * shards only, so all of them are asked, at the same time, and their documents are merged.
 *
 * The merged document has these keys; `fabricctl status -o json` prints it:
 *   - healthy, reasons, health: whether the cluster is healthy, why not (sentences), and the
 *     numbers of fabric_health_t under their names;
 *   - cluster, map_term, map_sequence: the newest that any broker knows;
 *   - brokers: of each broker of the map, its incarnation, name, router, and `answers`; with true
 *     also pub, state, pending, oldest_pending_ms, fence, store and counters as it says itself,
 *     with false error and text;
 *   - lanes: of each lane that a broker holds, what its holder says, and broker and broker_name;
 *   - runners: each runner once, as the brokers say it; owned and outstanding are sums, and its
 *     state is "healthy" only where all brokers that know it say so;
 *   - types: each type once, with all runners that any broker names, and sums of served, moving,
 *     unserved and waiting over the lanes of all brokers that answer;
 *   - shards: each shard once, in the words of its home; `healthy` is null where its home does not
 *     answer;
 *   - counters: the sums.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include <jansson.h>

#include "cli/commands.h"

typedef struct cli_cluster {
    fabric_broker_answer_t *answers; /* of all brokers of the map */
    size_t count;
    size_t answering; /* of them */
    fabric_health_t health;
    json_t *document;
} cli_cluster_t;

/* Asks all brokers for their status, within options->timeout_ms, and merges what they say. On
 * CLI_DONE at least one has answered. On any other code the error line is printed. The cluster is
 * to be destroyed in either case. */
int cli_cluster_ask(const cli_options_t *options, fabric_client_t *client, cli_cluster_t *cluster);
/* Takes a zeroed cluster, too. */
void cli_cluster_destroy(cli_cluster_t *cluster);

/* Merges the status documents (JSON) of those answers that have one; `documents` has one for each
 * answer, NULL: it does not answer. The merged document is the caller's. */
json_t *cli_cluster_merge(const fabric_broker_answer_t *answers, json_t *const *documents,
                          size_t count);

/* Adds the members about health to a merged document. */
void cli_cluster_add_health(json_t *document, const fabric_health_t *health);

/* The element of an array of objects in which `key` is this text; NULL: there is none. */
json_t *cli_find(const json_t *array, const char *key, const char *text);
/* The text of a member, or "-" where there is none. */
const char *cli_text_of(const json_t *object, const char *key);
/* The number of a member, or 0. */
long long cli_number_of(const json_t *object, const char *key);
/* Escapes control bytes in all strings: other programs choose the names of workers and brokers. */
void cli_make_printable(json_t *value);

#endif
