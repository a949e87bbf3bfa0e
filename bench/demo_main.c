/* fabric-demo: runs the demonstration of `make demo`. */
#include <stdio.h>
#include <string.h>

#include <fabric/version.h>

#include "core/exit_codes.h"
#include "tests/harness/database.h"
#include "bench/demo.h"
#include "tests/harness/stop.h"
#include "mysql/mysql_store.h"
#include "sqlite/sqlite_store.h"

static const char usage[] =
    "usage: fabric-demo [--store sqlite|mysql|mysql://URL of an empty database]\n";

static const char help[] =
    "\nRuns the main job on a private cluster, which is removed afterwards: a broker, three "
    "workers, 20,000\n"
    "durable messages to 1,000 entities, and a kill -9 of one worker in the middle. Nothing may be "
    "lost.\n"
    "\n"
    "  --store STORE  sqlite (default), mysql (a private MariaDB server), or the URL of an empty "
    "database\n"
    "  --help         this text\n"
    "  --version      the version\n"
    "\n"
    "Exit status: 0 nothing was lost, 1 something was, or the job could not be done, 64 usage.\n";

int main(int argc, char **argv)
{
    static const store_driver_t *const drivers[] = {&mysql_store_driver, &sqlite_store_driver,
                                                    NULL};
    demo_options_t options = {
        .store = "sqlite", .messages = 20000, .entities = 1000, .inflight = 256};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        return printf("%s%s", usage, help) < 0;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        return printf("fabric-demo %s\n", FABRIC_VERSION_STRING) < 0;
    }
    bool known = argc == 1 || (argc == 3 && strcmp(argv[1], "--store") == 0);
    if (argc == 3) {
        options.store = argv[2];
    }
    if (!known || !database_is_kind(options.store)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    stop_install();
    int status = demo_run(&options, drivers);
    stop_die();
    return status;
}
