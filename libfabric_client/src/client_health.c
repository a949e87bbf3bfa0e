/* The health of a cluster: all brokers are asked at the same time, and what they say is summed. */
#include "core/health.h"
#include "libfabric_client/src/client_state.h"

static void add(health_sum_t *sum, const fabric_broker_answer_t *answer)
{
    const char *why = answer->outcome.text;
    if (!answer->outcome.error) {
        if (!health_sum_add(sum, answer->name, answer->endpoint,
                            fabric_bytes(answer->document, answer->size))) {
            return;
        }
        why = "what it says cannot be read";
    }
    health_sum_add_silent(sum, answer->name, answer->endpoint, why);
}

void fabric_health_of_answers(const fabric_broker_answer_t *answers, size_t count,
                              fabric_health_t *health)
{
    health_sum_t *sum = health_sum_new();
    for (size_t i = 0; i < count; i++) {
        add(sum, &answers[i]);
    }
    health_sum_end(sum, health);
    health_sum_destroy(&sum);
}

fabric_error_t fabric_client_health(fabric_client_t *client, uint32_t timeout_ms,
                                    fabric_health_t *health, fabric_outcome_t *outcome)
{
    fabric_broker_answer_t *answers = NULL;
    size_t count = 0;
    fabric_error_t error = fabric_client_query_all(client, "health", fabric_bytes(NULL, 0),
                                                   timeout_ms, &answers, &count, outcome);
    if (!error) {
        fabric_health_of_answers(answers, count, health);
    }
    fabric_broker_answers_free(&answers, &count);
    return error;
}
