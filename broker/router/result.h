/* Results of workers. */
#ifndef BROKER_ROUTER_RESULT_H
#define BROKER_ROUTER_RESULT_H

#include "broker/router/runner_state.h"

void result_received(router_t *router, runner_t *runner, const message_result_t *result);
/* Ends a volatile message in flight of which nobody knows whether it was handled. */
void message_lose(router_t *router, message_t *message, const char *text);
/* A message that waits becomes a dead letter: its attempts are used up. */
void message_give_up(router_t *router, message_t *message);

#endif
