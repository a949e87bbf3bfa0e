/* Results of workers. */
#ifndef BROKER_ROUTER_RESULT_H
#define BROKER_ROUTER_RESULT_H

#include "broker/router/runner_state.h"

void result_received(router_t *router, runner_t *runner, const message_result_t *result);
/* The same of a message that has changed its entity's persisted state. */
void result_received_with_state(router_t *router, runner_t *runner,
                                const message_result_state_t *changed);

#endif
