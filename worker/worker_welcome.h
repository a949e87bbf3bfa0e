/* Whether a broker has welcomed the worker, for those who wait for it.
 *
 * Threading: any thread.
 */
#ifndef WORKER_WORKER_WELCOME_H
#define WORKER_WORKER_WELCOME_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/reason.h"

typedef struct worker_welcome {
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t changed;
    bool welcomed;
    bool refused;         /* for good */
    fabric_error_t error; /* by which a broker has refused the worker; FABRIC_OK: none has */
    reason_t reason;      /* the last word about brokers that did not welcome the worker */
} worker_welcome_t;

/* Takes a zeroed struct. */
void worker_welcome_init(worker_welcome_t *welcome);
void worker_welcome_clear(worker_welcome_t *welcome);
void worker_welcome_note(worker_welcome_t *welcome);
/* A broker has not welcomed the worker. The first final refusal stays, else the last word. */
void worker_welcome_refused(worker_welcome_t *welcome, fabric_error_t error, bool final,
                            const char *text);
/* Waits until a broker has welcomed or finally refused the worker. Errors as
 * fabric_worker_wait_ready(), with a reason. */
FABRIC_MUST_USE fabric_error_t worker_welcome_wait(worker_welcome_t *welcome, uint32_t timeout_ms,
                                                   reason_t *reason);

#endif
