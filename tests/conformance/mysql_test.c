/* The store suite on MariaDB or MySQL. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "mysql/mysql_store.h"
#include "tests/lib/mariadb.h"
#include "tests/lib/store_suite.h"

static bool damage(const char *url, store_suite_damage_t kind)
{
    return mariadb_execute(url, kind == STORE_SUITE_NEWER_VERSION
                                    ? "UPDATE schema_version SET version = version + 1"
                                    : "CREATE TABLE mailbox (letter INT) ENGINE=InnoDB");
}

int main(void)
{
    char reason[256];
    if (!mariadb_start(reason)) {
        print_message("store: mysql: skipped: %s\n", reason);
        return 0;
    }
    store_suite_t suite = {.name = "mysql",
                           .driver = &mysql_store_driver,
                           .password = mariadb_password(),
                           .create = mariadb_fresh_database,
                           .destroy = mariadb_drop_database,
                           .damage = damage};
    int failed = store_suite_run(&suite);
    mariadb_stop();
    return failed;
}
