/* Results of workers. */
#ifndef BROKER_ROUTER_RESULT_H
#define BROKER_ROUTER_RESULT_H

#include "broker/router/runner_state.h"

void result_received(router_t *router, runner_t *runner, const message_result_t *result);

#endif
