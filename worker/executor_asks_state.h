/* Handlers that wait for answers: what executor_asks.c keeps. */
#ifndef WORKER_EXECUTOR_ASKS_STATE_H
#define WORKER_EXECUTOR_ASKS_STATE_H

#include "core/schema_memory.h"
#include "worker/asks.h"

struct executor;

typedef struct executor_asks {
    answers_t *answers;       /* NULL: the executor's entities cannot ask */
    bool answered;            /* the step before gave an answer */
    schema_memory_t elements; /* of an answer's lists that are views */
} executor_asks_t;

void executor_asks_init(executor_asks_t *asks, fabric_sender_t *sender, void (*wake)(void *context),
                        void *wake_context);
void executor_asks_free(executor_asks_t *asks);
/* Gives one answer to the function that waits for it; false: there is none. */
FABRIC_MUST_USE bool executor_asks_step(struct executor *executor);

#endif
