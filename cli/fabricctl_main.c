/* fabricctl: the command line of Fabric, with every store adapter that it may meet. */
#include "cli/commands.h"
#include "mysql/mysql_store.h"
#include "sqlite/sqlite_store.h"

int main(int argc, char **argv)
{
    static const store_driver_t *const drivers[] = {&mysql_store_driver, &sqlite_store_driver,
                                                    NULL};
    return cli_run(argc, argv, drivers);
}
