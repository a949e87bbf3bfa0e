/* fabricctl type forget: see broker/router/forgetting.h for the steps.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_FORGET_H
#define CLI_FORGET_H

#include "cli/cluster_view.h"

/* Forgets the type options->arguments[2], as the whole cluster knows it. Returns the exit code. */
int cli_forget(const cli_options_t *options, fabric_client_t *client, const cluster_view_t *view);

/* ---- for tests ---- */

/* What the brokers have of the type, by their answers to type_close (documents, in the order of the
 * names): writes one line, and returns whether there is anything that keeps the type. */
bool cli_forget_judge(const char *type, const char *const *brokers, json_t *const *documents,
                      size_t count, char *line, size_t line_size);

#endif
