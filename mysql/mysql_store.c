/* The adapter's table of functions. */
#include "mysql/mysql_store.h"

#include "mysql/mysql_operations.h"

const store_driver_t mysql_store_driver = {
    .scheme = "mysql",
    .open = mysql_store_open,
    .close = mysql_store_close,
    .schema_status = mysql_schema_status,
    .schema_apply = mysql_schema_apply,
    .check = mysql_schema_check,
    .facts = mysql_schema_facts,
    .broker_join = mysql_broker_join,
    .broker_renew = mysql_broker_renew,
    .broker_leave = mysql_broker_leave,
    .broker_list = mysql_broker_list,
    .coordinator_read = mysql_coordinator_read,
    .coordinator_take = mysql_coordinator_take,
    .take_homes = mysql_take_homes,
    .group_put = mysql_group_put,
    .type_put = mysql_type_put,
    .runner_put = mysql_runner_put,
    .runner_remove = mysql_runner_remove,
    .group_list = mysql_group_list,
    .type_list = mysql_type_list,
    .runner_list = mysql_runner_list,
    .shard_list = mysql_shard_list,
    .high_id = mysql_high_id,
    .commit = mysql_batch_commit,
    .settle = mysql_batch_settle,
    .load_pending = mysql_load_pending,
    .find_calls = mysql_find_calls,
    .find_keys = mysql_find_keys,
    .find_replies = mysql_find_replies,
};
