/* fabric-bench as a whole.
 *
 * Threading: the main thread only.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "core/store.h"

/* Runs one benchmark and returns the exit status of the process. `drivers` ends with NULL. */
int bench_run(int argc, char **argv, const store_driver_t *const *drivers, const char *zmq_version);

#endif
