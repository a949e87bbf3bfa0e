/* fabric-bench: measures throughput and latency of a Fabric cluster. This file names the store
 * adapters. */
#include <stdio.h>

#include <zmq.h>

#include "bench/run.h"
#include "mysql/mysql_store.h"
#include "sqlite/sqlite_store.h"

int main(int argc, char **argv)
{
    static const store_driver_t *const drivers[] = {&mysql_store_driver, &sqlite_store_driver,
                                                    NULL};
    char version[32];
    int major = 0;
    int minor = 0;
    int patch = 0;
    zmq_version(&major, &minor, &patch);
    snprintf(version, sizeof version, "%d.%d.%d", major, minor, patch);
    return bench_run(argc, argv, drivers, version);
}
