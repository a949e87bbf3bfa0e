/* A client of the RateLimiter entity: checks an API key so many times, and prints how often it was
 * allowed.
 *
 *     rate_limiter_client [URL [KEY [CHECKS]]]
 */
#include <fabric/client.h>

#include <stdio.h>
#include <stdlib.h>

#include "examples/rate_limiter/rate_limiter.h"

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "fabric://127.0.0.1:5700";
    const char *key = argc > 2 ? argv[2] : "api-key-1";
    long checks = argc > 3 ? strtol(argv[3], NULL, 10) : 1;
    long allowed = 0;
    fabric_client_t *client = NULL;
    fabric_outcome_t outcome;
    fabric_error_t error = fabric_client_open(url, NULL, &client, &outcome);
    for (long i = 0; i < checks && error == FABRIC_OK; i++) {
        rate_limiter_verdict_t verdict = {0};
        error = fabric_client_ask(client, fabric_entity("RateLimiter", key), &rate_limiter_check,
                                  NULL, &verdict, &outcome);
        allowed += verdict.allowed;
    }
    fabric_client_close(&client);
    if (error != FABRIC_OK) {
        fprintf(stderr, "rate_limiter_client: %s: %s\n", fabric_error_name(error), outcome.text);
        return 1;
    }
    printf("%s: %ld of %ld allowed\n", key, allowed, checks);
    return 0;
}
