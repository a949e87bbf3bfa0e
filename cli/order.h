/* An order to a broker, which the cluster carries out in its own time.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_ORDER_H
#define CLI_ORDER_H

#include "cli/cluster_view.h"

typedef struct cli_order {
    const char *broker; /* its incarnation */
    const char *query;
    fabric_bytes_t argument;
    const char *what; /* whom it is about: "broker" or "runner", and the name */
    const char *name;
    bool (*is_done)(const cluster_view_t *view, const void *context); /* as the brokers say */
    const void *context;
} cli_order_t;

/* Gives the order and waits, at most options->wait_ms and not with options->no_wait, until it is
 * done. An error is printed. */
int cli_order(const cli_options_t *options, fabric_client_t *client, const cli_order_t *order);

#endif
