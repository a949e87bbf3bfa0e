/* Opening, closing and watching a client. */
#include "libfabric_client/src/client_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/endpoint.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/random.h"

enum { CONNECT_TIMEOUT_MS = 5000, CALL_TIMEOUT_MS = 30000, SPIN_US = 2000 };

/* ---- opening ---- */

typedef struct first_contacts {
    client_link_t *link;
    bool allow_plaintext;
    fabric_error_t error;
    reason_t *reason;
} first_contacts_t;

static void add_contact(void *context, const char *endpoint)
{
    first_contacts_t *contacts = context;
    if (contacts->error) {
        return;
    }
    if (!contacts->allow_plaintext && !endpoint_is_local(endpoint)) {
        contacts->error = reason_set(contacts->reason, FABRIC_ERROR_PLAINTEXT_REFUSED,
                                     "%s leaves this machine without encryption; set "
                                     "allow_plaintext to use it all the same",
                                     endpoint);
        return;
    }
    contacts->error = client_link_add_endpoint(contacts->link, endpoint);
    if (contacts->error) {
        (void)reason_set(contacts->reason, contacts->error, "more than %d brokers are named",
                         SESSION_PEERS_MAX);
    }
}

static fabric_error_t add_contacts(client_link_t *link, const char *url, bool allow_plaintext,
                                   reason_t *reason)
{
    first_contacts_t contacts = {
        .link = link, .allow_plaintext = allow_plaintext, .reason = reason};
    fabric_error_t error = endpoint_list_parse(url, reason, add_contact, &contacts);
    return error ? error : contacts.error;
}

static session_forward_t forward_of(const fabric_client_options_t *options)
{
    switch (options->forward) {
    case FABRIC_FORWARD_AUTO:
        break;
    case FABRIC_FORWARD_ALWAYS:
        return SESSION_FORWARD_ALWAYS;
    case FABRIC_FORWARD_NEVER:
        return SESSION_FORWARD_NEVER;
    }
    return SESSION_FORWARD_AUTO;
}

static session_config_t config_of(const fabric_client_options_t *options, const char *name)
{
    session_config_t config = {
        .client_number = options->client_number,
        .first_sequence = options->client_number ? options->first_sequence : 0,
        .name = options->name ? options->name : name,
        .cluster_name = options->cluster_name,
        .pending_max = options->pending_max && options->pending_max < LIMIT_PENDING_CALLS_MAX
                           ? options->pending_max
                           : LIMIT_PENDING_CALLS_MAX,
        .allow_plaintext = options->allow_plaintext,
        .forward = forward_of(options),
        .events = options->log != NULL,
    };
    random_bytes(config.incarnation.bytes, sizeof config.incarnation.bytes);
    random_bytes(&config.seed, sizeof config.seed);
    while (config.client_number == 0) {
        random_bytes(&config.client_number, sizeof config.client_number);
    }
    return config;
}

static fabric_client_t *new_client(const fabric_client_options_t *options,
                                   const session_config_t *config)
{
    fabric_client_t *client = memory_allocate_zeroed(1, sizeof *client);
    client->number = config->client_number;
    client->process = thread_process();
    client->call_timeout_ms = options->call_timeout_ms ? options->call_timeout_ms : CALL_TIMEOUT_MS;
    client->spin_us = options->spin_us == 0                   ? SPIN_US
                      : options->spin_us == FABRIC_SPIN_NEVER ? 0
                                                              : options->spin_us;
    return client;
}

static void destroy_client(fabric_client_t **client)
{
    client_link_destroy(&(*client)->link);
    exchange_destroy(&(*client)->exchange);
    free(*client);
    *client = NULL;
}

static fabric_error_t connect(fabric_client_t *client, const char *url,
                              const fabric_client_options_t *options,
                              const session_config_t *config, reason_t *reason)
{
    fabric_error_t error =
        exchange_new(config->pending_max, config->first_sequence, reason, &client->exchange);
    if (!error) {
        error = client_link_new(config, client->exchange, options->log, options->log_context,
                                reason, &client->link);
    }
    if (!error) {
        error = add_contacts(client->link, url, options->allow_plaintext, reason);
    }
    if (!error) {
        error = client_link_start(client->link, reason);
    }
    if (!error && options->connect_timeout_ms != FABRIC_CONNECT_LATER) {
        error = exchange_wait_welcome(
            client->exchange,
            options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS, reason);
    }
    return error;
}

static fabric_error_t open_client(const char *url, const fabric_client_options_t *options,
                                  fabric_client_t **client, reason_t *reason)
{
    char name[128];
    url = url ? url : endpoint_cluster_nodes();
    if (!url) {
        return reason_set(reason, FABRIC_ERROR_INVALID_ARGUMENT, "no broker is named");
    }
    snprintf(name, sizeof name, "%s:%ld", program_invocation_short_name, (long)getpid());
    session_config_t config = config_of(options, name);
    fabric_client_t *self = new_client(options, &config);
    fabric_error_t error = connect(self, url, options, &config, reason);
    if (error) {
        destroy_client(&self);
    }
    *client = self;
    return error;
}

fabric_error_t fabric_client_open(const char *url, const fabric_client_options_t *options,
                                  fabric_client_t **client, fabric_outcome_t *outcome)
{
    static const fabric_client_options_t defaults = {0};
    reason_t reason = {{0}};
    int cancel = thread_hold_cancel();
    *client = NULL;
    fabric_error_t error = open_client(url, options ? options : &defaults, client, &reason);
    thread_allow_cancel(cancel);
    if (outcome) {
        outcome_of_reason(error, &reason, outcome);
    }
    return error;
}

fabric_error_t fabric_client_wait_ready(fabric_client_t *client, uint32_t timeout_ms,
                                        fabric_outcome_t *outcome)
{
    reason_t reason = {{0}};
    int cancel = thread_hold_cancel();
    fabric_error_t error = client_check_process(client, &reason);
    if (!error) {
        error = exchange_wait_welcome(client->exchange, timeout_ms, &reason);
    }
    thread_allow_cancel(cancel);
    if (outcome) {
        outcome_of_reason(error, &reason, outcome);
    }
    return error;
}

/* In a child of fork() all stays as it is: locks may be held for ever there, and libzmq's sockets
 * are the parent's. */
void fabric_client_close(fabric_client_t **client)
{
    fabric_client_t *self = *client;
    if (self && client_is_here(self)) {
        int cancel = thread_hold_cancel();
        client_link_stop(self->link);
        (void)client_run_completions(self);
        destroy_client(&self);
        thread_allow_cancel(cancel);
    }
    *client = NULL;
}

void fabric_client_stats(const fabric_client_t *client, fabric_client_stats_t *stats)
{
    *stats = exchange_stats(client->exchange);
}
