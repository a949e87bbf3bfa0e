/* The store of simulated brokers: the store in memory, behind calls that take time, fail, or lose
 * their answers. Calls are made within fibers.
 */
#ifndef TESTS_SIMULATION_SIMULATION_STORE_H
#define TESTS_SIMULATION_SIMULATION_STORE_H

#include "core/store.h"

#define SIMULATION_STORE_URL "simulated:"

extern const store_driver_t simulation_store_driver;

#endif
