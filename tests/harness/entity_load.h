/* Load for fault tests beside that of the workload: Purses and Tellers together. See purse_load.h
 * and teller_load.h.
 *
 * Threading: the thread that uses the client.
 */
#ifndef TESTS_HARNESS_ENTITY_LOAD_H
#define TESTS_HARNESS_ENTITY_LOAD_H

#include "tests/harness/purse_load.h"
#include "tests/harness/teller_load.h"

typedef struct entity_load {
    purse_load_t purses;
    teller_load_t tellers;
} entity_load_t;

void entity_load_start(entity_load_t *load, fabric_client_t *client);
void entity_load_step(entity_load_t *load);
/* True when no call is open any more; starts none. `load`: an entity_load_t. */
bool entity_load_ends(void *load);
uint32_t entity_load_open(const entity_load_t *load);
/* Only after the end. */
void entity_load_check(entity_load_t *load, testbed_t *bed);

#endif
