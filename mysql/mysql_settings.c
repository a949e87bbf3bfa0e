/* The server's settings, the sizes of tables, and the lock of a migration. */
#include "mysql/mysql_settings.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB (UINT64_C(1) << 20)
/* A statement holds 8 MiB at most, so twice that is room enough; InnoDB's log has to take ten. */
#define PACKET_BYTES_MIN   (16 * MIB)
#define REDO_LOG_BYTES_MIN (80 * MIB)
/* Larger entries go through a file on their way into the binary log. */
#define BINLOG_CACHE_BYTES_GOAL (1 * MIB)

typedef struct settings {
    uint64_t read_only;
    uint64_t flush_log;
    uint64_t sync_binlog;
    uint64_t log_bin;
    uint64_t packet_bytes;
    uint64_t log_file_bytes;
    uint64_t log_files;      /* of older servers; else there is one */
    uint64_t redo_log_bytes; /* MySQL 8.0.30 and later */
    uint64_t binlog_cache_bytes;
    char binlog_format[16];
    char version[64];
} settings_t;

static const struct {
    const char *name;
    size_t offset;
    size_t text_size; /* 0: a number, or ON and OFF */
} variables[] = {
    {"read_only", offsetof(settings_t, read_only), 0},
    {"innodb_flush_log_at_trx_commit", offsetof(settings_t, flush_log), 0},
    {"sync_binlog", offsetof(settings_t, sync_binlog), 0},
    {"log_bin", offsetof(settings_t, log_bin), 0},
    {"max_allowed_packet", offsetof(settings_t, packet_bytes), 0},
    {"innodb_log_file_size", offsetof(settings_t, log_file_bytes), 0},
    {"innodb_log_files_in_group", offsetof(settings_t, log_files), 0},
    {"innodb_redo_log_capacity", offsetof(settings_t, redo_log_bytes), 0},
    {"binlog_cache_size", offsetof(settings_t, binlog_cache_bytes), 0},
    {"binlog_format", offsetof(settings_t, binlog_format),
     sizeof((settings_t *)NULL)->binlog_format},
    {"version", offsetof(settings_t, version), sizeof((settings_t *)NULL)->version},
};

static void note_variable(void *context, char **row)
{
    for (size_t i = 0; row[0] && row[1] && i < sizeof variables / sizeof variables[0]; i++) {
        char *place = (char *)context + variables[i].offset;
        if (strcmp(row[0], variables[i].name) != 0) {
            continue;
        }
        if (variables[i].text_size > 0) {
            snprintf(place, variables[i].text_size, "%s", row[1]);
        } else {
            /* MariaDB 12 has several words for read-only. */
            uint64_t value = strcmp(row[1], "OFF") != 0;
            if (row[1][0] >= '0' && row[1][0] <= '9') {
                value = strtoull(row[1], NULL, 10);
            }
            memcpy(place, &value, sizeof value);
        }
    }
}

static fabric_error_t read_settings(mysql_store_t *store, settings_t *settings)
{
    *settings = (settings_t){.log_files = 1};
    return mysql_query_text(
        store,
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', "
        "'innodb_flush_log_at_trx_commit',"
        " 'sync_binlog', 'log_bin', 'max_allowed_packet', 'innodb_log_file_size',"
        " 'innodb_log_files_in_group', 'innodb_redo_log_capacity', 'binlog_cache_size',"
        " 'binlog_format', 'version')",
        note_variable, settings);
}

fabric_error_t mysql_check_settings(sql_store_t *store, reason_t *reason)
{
    settings_t settings;
    fabric_error_t error = read_settings(mysql_store_of(store), &settings);
    if (error) {
        return error;
    }
    uint64_t redo_log_bytes = settings.redo_log_bytes
                                  ? settings.redo_log_bytes
                                  : settings.log_file_bytes * settings.log_files;
    if (settings.read_only) {
        return reason_set(reason, FABRIC_ERROR_STORE_UNAVAILABLE,
                          "store: the server is read-only: connect to the primary, or run SET "
                          "GLOBAL read_only=0");
    }
    if (settings.packet_bytes < PACKET_BYTES_MIN) {
        return reason_set(reason, FABRIC_ERROR_STORE_UNSAFE,
                          "store: max_allowed_packet is %llu bytes, and an append may need %llu: "
                          "set max_allowed_packet=16M",
                          (unsigned long long)settings.packet_bytes,
                          (unsigned long long)PACKET_BYTES_MIN);
    }
    if (redo_log_bytes < REDO_LOG_BYTES_MIN) {
        return reason_set(reason, FABRIC_ERROR_STORE_UNSAFE,
                          "store: InnoDB's redo log has %llu bytes and is to have at least %llu: "
                          "set innodb_log_file_size=96M (MySQL 8.0.30 and later: "
                          "innodb_redo_log_capacity)",
                          (unsigned long long)redo_log_bytes,
                          (unsigned long long)REDO_LOG_BYTES_MIN);
    }
    if (settings.log_bin && strcmp(settings.binlog_format, "STATEMENT") == 0) {
        return reason_set(reason, FABRIC_ERROR_STORE_UNSAFE,
                          "store: the binary log has the format STATEMENT, which does not work "
                          "with READ COMMITTED: set binlog_format=ROW");
    }
    return FABRIC_OK;
}

fabric_error_t mysql_facts(store_t *base, store_facts_t *facts)
{
    sql_store_t *store = sql_store_of(base);
    settings_t settings;
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    error = sql_end(store, read_settings(mysql_store_of(store), &settings));
    if (error) {
        return error;
    }
    *facts = (store_facts_t){0};
    snprintf(facts->product, sizeof facts->product, "%s %.*s",
             mysql_store_of(store)->is_mariadb ? "MariaDB" : "MySQL",
             (int)strcspn(settings.version, "-"), settings.version);
    bool is_small = settings.log_bin && settings.binlog_cache_bytes < BINLOG_CACHE_BYTES_GOAL;
    snprintf(facts->durability, sizeof facts->durability,
             "innodb_flush_log_at_trx_commit=%llu sync_binlog=%llu log_bin=%llu%s",
             (unsigned long long)settings.flush_log, (unsigned long long)settings.sync_binlog,
             (unsigned long long)settings.log_bin,
             is_small ? " (binlog_cache_size is under 1 MiB: larger entries go through a file)"
                      : "");
    facts->durable =
        settings.flush_log == 1 && (settings.log_bin == 0 || settings.sync_binlog == 1);
    facts->read_only = settings.read_only != 0;
    return FABRIC_OK;
}

/* ---- sizes ---- */

typedef struct listing {
    store_visit_table_fn *visit;
    void *context;
} listing_t;

static void visit_table(void *context, char **row)
{
    const listing_t *listing = context;
    if (row[0] && row[1] && row[2]) {
        listing->visit(listing->context, row[0], strtoull(row[1], NULL, 10),
                       strtoull(row[2], NULL, 10));
    }
}

fabric_error_t mysql_table_list(store_t *base, store_visit_table_fn *visit, void *context)
{
    sql_store_t *store = sql_store_of(base);
    listing_t listing = {visit, context};
    fabric_error_t error = sql_begin(store, SQL_READ);
    if (error) {
        return error;
    }
    if (!mysql_store_of(store)->is_mariadb) { /* MySQL tells sizes of a day ago otherwise */
        error = mysql_execute(store, "SET SESSION information_schema_stats_expiry = 0");
    }
    error = error ? error
                  : mysql_query_text(mysql_store_of(store),
                                     "SELECT table_name, table_rows, data_length + index_length"
                                     " FROM information_schema.tables WHERE table_schema ="
                                     " DATABASE() AND table_comment = 'fabric' ORDER BY table_name",
                                     visit_table, &listing);
    return sql_end(store, error);
}

/* ---- the lock of a migration ---- */

/* At most 64 characters. MySQL 9 has no MD5() any more. */
#define LOCK_NAME "CONCAT('fabric.', LEFT(SHA2(DATABASE(), 256), 32))"

static void note_lock(void *context, char **row)
{
    *(bool *)context = row[0] && strcmp(row[0], "1") == 0;
}

/* Between administrators who live at the same time; correctness does not rest on it, because every
 * step of a migration can be repeated. */
fabric_error_t mysql_schema_lock(sql_store_t *base)
{
    bool locked = false;
    fabric_error_t error = sql_begin(base, SQL_READ);
    if (error) {
        return error;
    }
    error =
        sql_end(base, mysql_query_text(mysql_store_of(base), "SELECT GET_LOCK(" LOCK_NAME ", 1)",
                                       note_lock, &locked));
    return !error && !locked ? FABRIC_ERROR_STORE_BUSY : error;
}

fabric_error_t mysql_schema_unlock(sql_store_t *base, fabric_error_t error)
{
    mysql_store_t *store = mysql_store_of(base);
    reason_t words = base->base.last_error;
    bool released = false;
    if (!store->session.lost) {
        (void)mysql_query_text(store, "SELECT RELEASE_LOCK(" LOCK_NAME ")", note_lock, &released);
    }
    base->base.last_error = words;
    return error;
}
