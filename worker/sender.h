/* Sending messages of entities (<fabric/ask.h>): what a handler, or another function of an entity,
 * sends by. A worker sends by a client of its own; a test of an entity alone plays the cluster.
 *
 * Threading: any thread, at once. A completion is called on any thread, maybe before `start` has
 * returned, once for each call that was started.
 */
#ifndef WORKER_SENDER_H
#define WORKER_SENDER_H

#include <fabric/ask.h>
#include <fabric/client.h>

#include "core/reason.h"

/* How many asks and tells of a worker are under way at once, at most. */
#define SENDER_PENDING_MAX 16384u
/* For how long a worker that stops waits until its tells are accepted, and a finalizer for an
 * answer; those of a worker that stops all together. */
#define SENDER_WAIT_MS 2000u

struct fabric_sender {
    /* Sends an ask, or returns why not. Never blocks. `key`, by which the call may be cancelled, is
     * written by the calling thread. */
    fabric_error_t (*start)(fabric_sender_t *sender, const fabric_call_t *call,
                            fabric_completion_fn *complete, void *context, fabric_call_key_t *key);
    /* The caller of that ask wants it to end; it completes sooner or later. */
    void (*cancel)(fabric_sender_t *sender, fabric_call_key_t key);
    /* Sends a message without a reply. */
    fabric_error_t (*tell)(fabric_sender_t *sender, const fabric_call_t *call);
    /* A handler has told this with its reply, if there is one: it does not leave by the sender.
     * NULL: nobody wants to know. */
    void (*note)(fabric_sender_t *sender, const fabric_call_t *call);
    /* Sends an ask and waits for its end, which is in `outcome`. */
    void (*wait)(fabric_sender_t *sender, const fabric_call_t *call, void *reply,
                 fabric_outcome_t *outcome);
};

/* How an ask or a tell goes out. */
fabric_call_t sender_call_of_ask(const fabric_ask_t *ask);
fabric_call_t sender_call_of_tell(const fabric_tell_t *tell);

/* ---- sender_client.c: by a client ---- */

/* Takes a line about a tell that was not accepted. Any thread. */
typedef void sender_report_fn(void *context, const char *text);

typedef struct sender_config {
    char *const *brokers; /* endpoints; borrowed, as all here, until the sender is destroyed */
    size_t broker_count;
    const char *cluster_name;
    const char *name;
    bool allow_plaintext;
    sender_report_fn *report;
    void *report_context;
} sender_config_t;

/* A sender that opens its client when it is used first. */
fabric_sender_t *sender_client_new(const sender_config_t *config);
/* The worker stops: from the first wait on, all waits together have SENDER_WAIT_MS, and those that
 * come later end as closed. */
void sender_client_begin_stop(fabric_sender_t *sender);
/* Waits until tells are accepted, and ends all that is under way: nothing is sent after this.
 * Nobody waits for a message by it. */
void sender_client_close(fabric_sender_t *sender);
/* Frees a sender that is closed, or was never used. */
void sender_client_destroy(fabric_sender_t **sender);

#endif
