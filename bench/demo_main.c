/* fabric-demo: runs the demonstration of `make demo`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fabric/version.h>

#include "core/exit_codes.h"
#include "tests/harness/cluster.h"
#include "bench/demo.h"
#include "tests/harness/stop.h"
#include "mysql/mysql_store.h"
#include "sqlite/sqlite_store.h"

static const char usage[] =
    "usage: fabric-demo [--store sqlite|mysql|mysql://URL of an empty database] [--brokers N]\n";

static const char help[] =
    "\nRuns the main job on a private cluster, which is removed afterwards: a broker, three "
    "workers, 20,000\n"
    "durable messages to 1,000 entities, and a kill -9 of one worker in the middle. Nothing may be "
    "lost.\n"
    "With several brokers one of them is killed, too.\n"
    "\n"
    "  --store STORE  sqlite (default), mysql (a private MariaDB server), or the URL of an empty "
    "database\n"
    "  --brokers N    1 (default) to 8 brokers share the lanes; more than one not on SQLite\n"
    "  --help         this text\n"
    "  --version      the version\n"
    "\n"
    "Exit status: 0 nothing was lost, 1 something was, or the job could not be done, 64 usage.\n";

static bool take_options(int argc, char **argv, demo_options_t *options)
{
    for (int i = 1; i < argc; i += 2) {
        char *end = "";
        if (i + 1 == argc) {
            return false;
        }
        if (strcmp(argv[i], "--store") == 0) {
            options->store = argv[i + 1];
        } else if (strcmp(argv[i], "--brokers") == 0) {
            options->brokers = (uint32_t)strtoul(argv[i + 1], &end, 10);
        } else {
            return false;
        }
        if (*end || options->brokers < 1 || options->brokers > CLUSTER_BROKERS_MAX) {
            return false;
        }
    }
    bool shared = options->brokers == 1 || strcmp(options->store, "sqlite") != 0;
    return shared && database_is_kind(options->store);
}

int main(int argc, char **argv)
{
    static const store_driver_t *const drivers[] = {&mysql_store_driver, &sqlite_store_driver,
                                                    NULL};
    demo_options_t options = {
        .store = "sqlite", .brokers = 1, .messages = 20000, .entities = 1000, .inflight = 256};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        return printf("%s%s", usage, help) < 0;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        return printf("fabric-demo %s\n", FABRIC_VERSION_STRING) < 0;
    }
    if (!take_options(argc, argv, &options)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    stop_install();
    int status = demo_run(&options, drivers);
    stop_die();
    return status;
}
