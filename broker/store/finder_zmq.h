/* The finder actor: a finder (finder.h) on a thread of its own, which runs look-ups in the order in
 * which it gets them, those of all lanes.
 *
 * Threading: start and stop on the router's thread; see find_operation_t for who owns what when.
 */
#ifndef BROKER_STORE_FINDER_ZMQ_H
#define BROKER_STORE_FINDER_ZMQ_H

#include "broker/key_page.h"
#include "broker/store/finder.h"
#include "broker/store/store_actor_zmq.h"

/* The router's thread owns it until finder_actor_send, the finder until it comes back. */
typedef struct find_operation {
    uint32_t lane;
    request_id_t floor;
    const call_key_t *calls; /* borrowed until it comes back */
    size_t call_count;
    const store_key_name_t *keys; /* borrowed until it comes back */
    size_t key_count;
    key_page_t page;

    fabric_error_t error;
    finder_answer_t answer; /* OK: whoever gets it back clears it */
} find_operation_t;

typedef struct finder_actor {
    store_actor_t base;
    finder_t *finder;
} finder_actor_t;

/* Starts the thread; connects at the first look-up. NO_RESOURCES. */
FABRIC_MUST_USE fabric_error_t finder_actor_start(finder_actor_t *self,
                                                  const finder_config_t *config, int halt_fd,
                                                  store_clock_t clock);
void finder_actor_send(finder_actor_t *self, find_operation_t *operation);
/* The next operation that is over, or NULL. */
find_operation_t *finder_actor_take(finder_actor_t *self);
/* Ends the thread after the look-ups that it has; promptly when halt_fd is readable. Answers that
 * were not taken are dropped. */
void finder_actor_stop(finder_actor_t *self);

#endif
