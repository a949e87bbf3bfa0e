/* The SQLite adapter's table of functions. */
#include "sqlite/sqlite_store.h"

#include "sqlite/sqlite_assignment.h"
#include "sqlite/sqlite_commit.h"
#include "sqlite/sqlite_connection.h"
#include "sqlite/sqlite_load.h"
#include "sqlite/sqlite_membership.h"
#include "sqlite/sqlite_schema.h"

const store_driver_t sqlite_store_driver = {
    .scheme = "sqlite",
    .open = sqlite_connection_open,
    .close = sqlite_connection_close,
    .schema_status = sqlite_schema_status,
    .schema_apply = sqlite_schema_apply,
    .check = sqlite_check,
    .facts = sqlite_facts,
    .broker_join = sqlite_broker_join,
    .broker_renew = sqlite_broker_renew,
    .broker_leave = sqlite_broker_leave,
    .broker_list = sqlite_broker_list,
    .coordinator_read = sqlite_coordinator_read,
    .coordinator_take = sqlite_coordinator_take,
    .take_homes = sqlite_take_homes,
    .group_put = sqlite_group_put,
    .type_put = sqlite_type_put,
    .runner_put = sqlite_runner_put,
    .runner_remove = sqlite_runner_remove,
    .group_list = sqlite_group_list,
    .type_list = sqlite_type_list,
    .runner_list = sqlite_runner_list,
    .shard_list = sqlite_shard_list,
    .high_id = sqlite_high_id,
    .commit = sqlite_commit,
    .settle = sqlite_settle,
    .load_pending = sqlite_load_pending,
    .find_calls = sqlite_find_calls,
    .find_keys = sqlite_find_keys,
    .find_replies = sqlite_find_replies,
};
