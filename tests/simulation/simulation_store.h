/* The store as simulated brokers see it: the one in memory, behind calls that take time, fail, and
 * whose answers get lost. Calls are made within fibers.
 */
#ifndef TESTS_SIMULATION_SIMULATION_STORE_H
#define TESTS_SIMULATION_SIMULATION_STORE_H

#include "core/store.h"

#define SIMULATION_STORE_URL "simulated:"

extern const store_driver_t simulation_store_driver;

#endif
