/* Opening, closing and watching a client, and running completions. */
#include "libfabric_client/src/client_state.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/endpoint.h"
#include "core/limits.h"
#include "core/memory.h"

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
        .events = options->log != NULL,
    };
    clock_random(config.incarnation.bytes, sizeof config.incarnation.bytes);
    clock_random(&config.seed, sizeof config.seed);
    while (config.client_number == 0) {
        clock_random(&config.client_number, sizeof config.client_number);
    }
    return config;
}

static fabric_error_t open_link(const char *url, const fabric_client_options_t *options,
                                const session_config_t *config, reason_t *reason,
                                client_link_t **link)
{
    fabric_error_t error =
        client_link_new(config, options->log, options->log_context, reason, link);
    if (error) {
        return error;
    }
    error = add_contacts(*link, url, options->allow_plaintext, reason);
    if (!error) {
        error = client_link_start(*link, reason);
    }
    if (!error && options->connect_timeout_ms != FABRIC_CONNECT_LATER) {
        error = client_link_wait_welcome(
            *link, options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS,
            reason);
    }
    if (error) {
        client_link_destroy(link);
    }
    return error;
}

static fabric_error_t open_client(const char *url, const fabric_client_options_t *options,
                                  fabric_client_t **client, fabric_outcome_t *outcome)
{
    char name[128];
    reason_t reason = {{0}};
    client_link_t *link = NULL;
    snprintf(name, sizeof name, "%s:%ld", program_invocation_short_name, (long)getpid());
    session_config_t config = config_of(options, name);
    fabric_error_t error =
        url ? open_link(url, options, &config, &reason, &link)
            : reason_set(&reason, FABRIC_ERROR_INVALID_ARGUMENT, "no broker is named");
    if (outcome) {
        outcome_of_reason(error, &reason, outcome);
    }
    if (error) {
        return error;
    }
    fabric_client_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->number = config.client_number;
    self->process = thread_process();
    self->call_timeout_ms = options->call_timeout_ms ? options->call_timeout_ms : CALL_TIMEOUT_MS;
    self->spin_us = options->spin_us == 0 ? SPIN_US : options->spin_us;
    self->spin_us = self->spin_us == FABRIC_SPIN_NEVER ? 0 : self->spin_us;
    self->link = link;
    *client = self;
    return FABRIC_OK;
}

fabric_error_t fabric_client_open(const char *url, const fabric_client_options_t *options,
                                  fabric_client_t **client, fabric_outcome_t *outcome)
{
    static const fabric_client_options_t defaults = {0};
    int cancel = thread_hold_cancel();
    *client = NULL;
    fabric_error_t error = open_client(url, options ? options : &defaults, client, outcome);
    thread_allow_cancel(cancel);
    return error;
}

fabric_error_t fabric_client_wait_ready(fabric_client_t *client, uint32_t timeout_ms,
                                        fabric_outcome_t *outcome)
{
    reason_t reason = {{0}};
    int cancel = thread_hold_cancel();
    fabric_error_t error = client_check_process(client, &reason);
    if (!error) {
        error = client_link_wait_welcome(client->link, timeout_ms, &reason);
    }
    thread_allow_cancel(cancel);
    if (outcome) {
        outcome_of_reason(error, &reason, outcome);
    }
    return error;
}

static size_t run_completions(fabric_client_t *client);

/* In a child of fork() all stays as it is: locks may be held for ever there, and libzmq's sockets are
 * the parent's. */
void fabric_client_close(fabric_client_t **client)
{
    fabric_client_t *self = *client;
    if (self && client_is_here(self)) {
        int cancel = thread_hold_cancel();
        client_link_stop(self->link);
        (void)run_completions(self);
        client_link_destroy(&self->link);
        free(self);
        thread_allow_cancel(cancel);
    }
    *client = NULL;
}

bool client_is_here(const fabric_client_t *client)
{
    return client->process == thread_process();
}

/* ---- completions ---- */

int fabric_client_fd(const fabric_client_t *client)
{
    return client_is_here(client) ? client_link_fd(client->link) : -1;
}

static size_t run_completions(fabric_client_t *client)
{
    call_list_t calls = client_link_take_completed(client->link);
    size_t count = calls.count;
    while (calls.first) {
        call_t *call = calls.first;
        fabric_outcome_t outcome;
        ready_list_remove(&calls, call);
        outcome_of(call, client->number, &outcome);
        outcome_decode(call, NULL, &outcome);
        call->complete(call->context, &outcome,
                       outcome.error ? (fabric_bytes_t){NULL, 0} : call->answer);
        client_link_release(client->link, &call);
    }
    return count;
}

size_t fabric_client_process(fabric_client_t *client)
{
    if (!client_is_here(client)) {
        return 0;
    }
    int cancel = thread_hold_cancel();
    size_t count = run_completions(client);
    thread_allow_cancel(cancel);
    return count;
}

static bool completions_wait(void *context)
{
    return poll((struct pollfd *)context, 1, 0) > 0;
}

static size_t wait_for_completions(fabric_client_t *client, uint32_t timeout_ms)
{
    uint64_t end_ms = clock_monotonic_ms() + timeout_ms;
    struct pollfd item = {.fd = client_link_fd(client->link), .events = POLLIN};
    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        uint64_t left_ms = end_ms > now_ms ? end_ms - now_ms : 0;
        if (left_ms > 0 && !client_spin(client, completions_wait, &item)) {
            (void)poll(&item, 1, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX);
        }
        size_t count = run_completions(client);
        if (count > 0 || left_ms == 0) {
            return count;
        }
    }
}

size_t fabric_client_wait(fabric_client_t *client, uint32_t timeout_ms)
{
    if (!client_is_here(client)) {
        return 0;
    }
    int cancel = thread_hold_cancel();
    size_t count = wait_for_completions(client, timeout_ms);
    thread_allow_cancel(cancel);
    return count;
}

void fabric_client_stats(const fabric_client_t *client, fabric_client_stats_t *stats)
{
    *stats = client_link_stats(client->link);
}
