/* The inside of a link, for link.c (what threads share) and link_zmq.c (sockets) alone. */
#ifndef CLIENT_LINK_STATE_H
#define CLIENT_LINK_STATE_H

#include <pthread.h>

#include "core/connector_zmq.h"
#include "libfabric_client/src/link.h"

struct client_link {
    pthread_t thread;
    bool started;
    uint32_t pending_max;

    /* the link thread's alone, once it runs */
    session_t *session;
    connector_host_t host;
    connector_t connectors[SESSION_PEERS_MAX]; /* one for each peer */
    bool reported; /* the welcome was told to client_link_wait_welcome */
    fabric_log_fn *log;
    void *log_context;

    /* under `mutex` */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    call_list_t submitted;
    uint64_t next_sequence;
    bool sleeping; /* the thread waits, or is about to: wake it */
    bool stopping;
    bool welcome;
    fabric_error_t refusal;
    reason_t refusal_text;
    fabric_error_t cause; /* why no broker has welcomed it so far */
    reason_t cause_text;
    int wake_fd; /* eventfd */

    /* under `completed_mutex` */
    pthread_mutex_t completed_mutex;
    call_list_t completed;
    int completed_fd; /* eventfd, readable while `completed` is not empty */

    atomic_size_t open_calls;
    atomic_uint_least64_t started_calls;
    atomic_uint_least64_t completed_calls;
    atomic_uint_least64_t accepted;
    atomic_uint_least64_t resent;
    atomic_uint_least64_t connections_made;
    atomic_uint_least64_t malformed;
    atomic_uint_least64_t unexpected;
};

/* ---- link.c, called by the link's thread ---- */

/* Takes all submitted calls. */
call_list_t client_link_take_submitted(client_link_t *link);
/* Whether the thread may sleep: nothing is submitted. If so, submitters wake it from now on. */
bool client_link_may_sleep(client_link_t *link);
void client_link_woken(client_link_t *link, bool signalled);
bool client_link_is_stopping(client_link_t *link);
/* Wakes the thread, whose argument it is. Any thread. */
void client_link_wake(void *link);
/* Tells the log, waiters and readers what the session has come to. */
void client_link_publish(client_link_t *link);

/* ---- link_zmq.c ---- */

/* NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t client_link_open_context(client_link_t *link, reason_t *reason);
void client_link_close_context(client_link_t *link);
/* The thread's function; its argument is the link. */
void *client_link_run(void *argument);

#endif
