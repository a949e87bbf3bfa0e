/* Results of workers. */
#ifndef BROKER_ROUTER_RESULT_H
#define BROKER_ROUTER_RESULT_H

#include "broker/router/runner_state.h"
#include "core/journal/events.h"

void result_received(router_t *router, runner_t *runner, const message_result_t *result);
/* The same of a message that has left a persisted state, or events, beside its reply. */
void result_received_with_effects(router_t *router, runner_t *runner,
                                  const message_result_t *result, const journal_effects_t *effects);

#endif
