/* fabric-demo: runs the demonstration of `make demo`. */
#include <stdio.h>
#include <string.h>

#include "bench/database.h"
#include "bench/demo.h"
#include "bench/stop.h"
#include "mysql/mysql_store.h"
#include "sqlite/sqlite_store.h"

int main(int argc, char **argv)
{
    static const store_driver_t *const drivers[] = {&mysql_store_driver, &sqlite_store_driver,
                                                    NULL};
    demo_options_t options = {
        .store = "sqlite", .messages = 20000, .entities = 1000, .inflight = 256};
    bool known = argc == 1 || (argc == 3 && strcmp(argv[1], "--store") == 0);
    if (argc == 3) {
        options.store = argv[2];
    }
    if (!known || !database_is_kind(options.store)) {
        fprintf(stderr,
                "usage: fabric-demo [--store sqlite|mysql|mysql://URL of an empty database]\n");
        return 64;
    }
    stop_install();
    int status = demo_run(&options, drivers);
    stop_die();
    return status;
}
