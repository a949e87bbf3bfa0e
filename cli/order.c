/* An order to a broker: see order.h. */
#include "cli/order.h"

#include <stdlib.h>
#include <unistd.h>

#include "cli/report.h"
#include "core/clock.h"

enum { POLL_US = 100000 };

static int give(const cli_options_t *options, fabric_client_t *client, const cli_order_t *order)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    fabric_outcome_t outcome = {0};
    fabric_error_t error =
        fabric_client_query_at(client, order->broker, order->query, order->argument,
                               options->timeout_ms, &bytes, &size, &outcome);
    free(bytes);
    outcome.error = error;
    return error ? cli_fail(error, NULL, "%s: %s", order->name, cli_outcome_text(&outcome))
                 : CLI_DONE;
}

static int wait_for(const cli_options_t *options, fabric_client_t *client, const cli_order_t *order)
{
    char remedy[64];
    uint64_t until_ms = clock_monotonic_ms() + options->wait_ms;
    for (;;) {
        cluster_view_t view = {0};
        int code = cluster_view_ask(options, client, true, &view);
        bool done = code == CLI_DONE && order->is_done(&view, order->context);
        cluster_view_destroy(&view);
        if (code != CLI_DONE || done) {
            return code;
        }
        if (clock_monotonic_ms() >= until_ms) {
            snprintf(remedy, sizeof remedy, "look with: fabricctl %s ls", order->what);
            return cli_fail(FABRIC_ERROR_TIMEOUT, remedy, "%s %s: the order is not carried out yet",
                            order->what, order->name);
        }
        usleep(POLL_US);
    }
}

int cli_order(const cli_options_t *options, fabric_client_t *client, const cli_order_t *order)
{
    int code = give(options, client, order);
    return code == CLI_DONE && !options->no_wait ? wait_for(options, client, order) : code;
}
