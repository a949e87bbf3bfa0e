/* The entity type Till: see till.h. Built as a module for fabric-worker. */
#include <fabric/ask.h>
#include <fabric/worker.h>

#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/till.h"

static bool run(MYSQL *mysql, const char *text)
{
    return mysql_real_query(mysql, text, strlen(text)) == 0;
}

/* The entity's name in hexadecimal digits. */
static void name_of(const fabric_context_t *context, char name[64])
{
    fabric_bytes_t id = fabric_context_id(context);
    name[0] = '\0';
    for (size_t i = 0; i < id.size && 2 * i + 2 < 64; i++) {
        snprintf(name + 2 * i, 3, "%02x", id.data[i]);
    }
}

static bool read_sum(MYSQL *mysql, const char *name, int64_t *sum)
{
    char text[200];
    snprintf(text, sizeof text, "SELECT SUM(amount) FROM till_row WHERE till = x'%s'", name);
    MYSQL_RES *result = run(mysql, text) ? mysql_store_result(mysql) : NULL;
    MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
    bool found = row && row[0];
    *sum = found ? strtoll(row[0], NULL, 10) : 0;
    if (result) {
        mysql_free_result(result);
    }
    return found;
}

static bool tell(fabric_context_t *context, int64_t amount)
{
    const till_entry_t entry = {amount, TILL_REPLY};
    const fabric_tell_t told = {
        .entity = fabric_entity(TILL_TYPE, TILL_TOLD), .message = &till_book, .request = &entry};
    return fabric_tell(context, &told) == FABRIC_OK;
}

static fabric_result_t book(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    const till_entry_t *entry = request;
    MYSQL *mysql = fabric_context_mysql(context);
    char name[64];
    char text[200];
    (void)state;
    if (!mysql) {
        return fabric_defect(context, "there is no connection");
    }
    name_of(context, name);
    snprintf(text, sizeof text, "INSERT INTO till_row VALUES (x'%s', %lld)", name,
             (long long)entry->amount);
    if (!run(mysql, text) || !read_sum(mysql, name, &((till_sum_t *)reply)->sum)) {
        return fabric_defect(context, "%s", mysql_error(mysql));
    }
    switch ((till_course_t)entry->course) {
    case TILL_REPLY:
        return FABRIC_REPLY;
    case TILL_FAIL:
        return fabric_fail(context, 7, "not this one");
    case TILL_BREAK:
        return fabric_defect(context, "it broke");
    case TILL_COMMIT:
        return run(mysql, "COMMIT") ? FABRIC_REPLY : FABRIC_DEFECT;
    case TILL_COMMIT_MORE:
        return run(mysql, "COMMIT") && run(mysql, "START TRANSACTION") ? FABRIC_REPLY
                                                                       : FABRIC_DEFECT;
    case TILL_ROLL_BACK:
        return run(mysql, "ROLLBACK") ? FABRIC_REPLY : FABRIC_DEFECT;
    case TILL_DEFINE:
        return run(mysql, "CREATE TABLE IF NOT EXISTS till_other (id INT)") ? FABRIC_REPLY
                                                                            : FABRIC_DEFECT;
    case TILL_LEAVE:
        return run(mysql, "SELECT 1") ? FABRIC_REPLY : FABRIC_DEFECT;
    case TILL_LATER:
        (void)fabric_later(context);
        return FABRIC_PENDING;
    case TILL_TELL:
        return tell(context, entry->amount) ? FABRIC_REPLY : FABRIC_DEFECT;
    case TILL_TELL_FAIL:
        return tell(context, entry->amount) ? fabric_fail(context, 7, "not this one")
                                            : FABRIC_DEFECT;
    }
    return FABRIC_DEFECT;
}

static fabric_result_t ping(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)state;
    (void)request;
    ((till_sum_t *)reply)->sum = fabric_context_mysql(context) != NULL;
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {{&till_book, book}, {&till_ping, ping}};
static const fabric_entity_type_t till = {
    .name = TILL_TYPE, .handlers = handlers, .handler_count = 2, .tells = true};
FABRIC_MODULE(&till);
