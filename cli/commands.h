/* The commands of fabricctl. Each prints its result on standard output or one line on standard
 * error, and returns the exit code.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <stdio.h>

#include "cli/cluster_view.h"
#include "core/store.h"
#include "core/type_description.h"

/* The whole program. `drivers` ends with NULL. */
int cli_run(int argc, char **argv, const store_driver_t *const *drivers);

/* call TYPE ID TAG [JSON] and send TYPE ID TAG [JSON]; `tell` tells which. */
int cli_call(const cli_options_t *options, bool tell);
/* status */
int cli_status(const cli_options_t *options);
/* Adds the members about health to a merged document (cluster_merge.h). */
void cli_status_add_health(json_t *document, const fabric_health_t *health);
/* Prints the document as tables, and escapes its strings. */
void cli_status_print(json_t *document, FILE *file);
/* broker ls, broker drain NAME */
int cli_broker(const cli_options_t *options);
/* Rows of broker ls. The caller's. */
json_t *cli_broker_rows(const cluster_view_t *view);
/* runner ls, runner cordon|uncordon|drain NAME */
int cli_runner(const cli_options_t *options);
/* entity resume TYPE ID, entity clear TYPE ID, and the next two */
int cli_entity(const cli_options_t *options);
/* entity state TYPE ID */
int cli_entity_state(const cli_options_t *options, fabric_client_t *client);
/* entity events TYPE ID */
int cli_entity_events(const cli_options_t *options, fabric_client_t *client);
/* shard ls, shard show GROUP:NUMBER, shard plan */
int cli_shard(const cli_options_t *options);
/* type ls, type show TYPE [TAG], type forget TYPE */
int cli_type(const cli_options_t *options);
/* Rows of type ls, from a merged document (cluster_merge.h) and the descriptions of its types, in
 * their order; NULL: no broker knows it any more. The caller's. */
json_t *cli_type_rows(const json_t *merged, type_description_t *const *descriptions);
/* schema apply, schema status */
int cli_schema(const cli_options_t *options, const store_driver_t *const *drivers);
/* journal tail, journal show LANE NUMBER, journal repair */
int cli_journal(const cli_options_t *options, const store_driver_t *const *drivers);
/* message cancel REQUEST... */
int cli_message(const cli_options_t *options);
/* scheduled ls [TYPE [ID]], scheduled cancel REQUEST... */
int cli_scheduled(const cli_options_t *options, const store_driver_t *const *drivers);
/* error [NAME] */
int cli_explain(const cli_options_t *options);

/* Connects to a broker; on CLI_DONE the client is the caller's to close. `number` and
 * `first_sequence` as in fabric_client_options_t. */
int cli_connect(const cli_options_t *options, uint64_t number, uint64_t first_sequence,
                fabric_client_t **client);

/* Asks for the description of a type. On CLI_DONE it is the caller's. */
int cli_describe(const cli_options_t *options, fabric_client_t *client, const char *type,
                 type_description_t **description);
/* Says which messages the type has, since it has none of this tag. Returns the exit code. */
int cli_refuse_tag(const type_description_t *description, const char *tag);

/* cli_connect without printing an error: the outcome tells the error. */
fabric_error_t cli_open(const cli_options_t *options, uint64_t number, uint64_t first_sequence,
                        fabric_client_t **client, fabric_outcome_t *outcome);

/* A usage error: "... (InvalidArgument): run fabricctl --help". Returns CLI_USAGE. */
int cli_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
