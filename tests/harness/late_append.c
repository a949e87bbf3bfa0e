/* An append that comes too late: see late_append.h. */
#include "tests/harness/late_append.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "mysql/mysql_url.h"

enum { STEP_MS = 10, WAIT_MAX_MS = 60000 };

#define APPEND "INSERT INTO journal"

typedef struct sessions {
    const char *database;
    int64_t frozen;    /* its number */
    int64_t appending; /* a session that runs an append; 0: there is none */
    bool frozen_waits;
} sessions_t;

/* Id, User, Host, db, Command, Time, State, Info. At times a server does not tell the last one. */
static void look(void *context, const fabric_bytes_t *columns)
{
    sessions_t *sessions = context;
    int64_t id = strtoll((const char *)columns[0].data, NULL, 10);
    bool appends =
        columns[7].size >= strlen(APPEND) && memcmp(columns[7].data, APPEND, strlen(APPEND)) == 0;
    if (appends && fabric_bytes_equal(columns[3], fabric_bytes_of(sessions->database))) {
        sessions->appending = id;
    }
    if (id == sessions->frozen) {
        sessions->frozen_waits = !fabric_bytes_equal(columns[4], fabric_bytes_of("Sleep"));
    }
}

static sessions_t read_sessions(testbed_t *bed, int64_t frozen)
{
    mysql_url_t url;
    assert_int_equal(mysql_url_parse(bed->cluster.database.url, NULL, &url), FABRIC_OK);
    sessions_t sessions = {.database = url.database, .frozen = frozen};
    testbed_query_rows(bed, "SHOW PROCESSLIST", look, &sessions);
    return sessions;
}

static void take_waits(void *context, const fabric_bytes_t *columns)
{
    *(int64_t *)context = strtoll((const char *)columns[1].data, NULL, 10);
}

/* A session that commits runs its append still, and holds no lock any more. MySQL's INNODB_TRX
 * cannot tell statements with binary values: there, any session that waits has to do. */
static bool waits_for_lock(testbed_t *bed, int64_t session)
{
    char sql[160];
    int64_t waits = 0;
    if (session == 0) {
        return false;
    }
    if (testbed_query_number(bed, "SELECT VERSION() LIKE '%MariaDB%'") != 0) {
        snprintf(sql, sizeof sql,
                 "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = "
                 "%lld AND trx_state = 'LOCK WAIT'",
                 (long long)session);
        return testbed_query_number(bed, sql) > 0;
    }
    testbed_query_rows(bed, "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'", take_waits,
                       &waits);
    return waits > 0;
}

/* Tells the session whose append waits. */
static testbed_lock_t *lock_journals(testbed_t *bed, late_append_run_fn *run, void *load,
                                     int64_t *session)
{
    testbed_lock_t *journals = testbed_lock(bed, "SELECT * FROM journal FOR UPDATE");
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (*session = read_sessions(bed, 0).appending, !waits_for_lock(bed, *session)) {
        run(load, STEP_MS);
        testbed_poll(deadline_ms, "an append that waits for a lock");
    }
    return journals;
}

testbed_lock_t *late_append_lock(testbed_t *bed, late_append_run_fn *run, void *load)
{
    int64_t session;
    return lock_journals(bed, run, load, &session);
}

uint64_t late_append_freeze(testbed_t *bed, const process_t *home, late_append_run_fn *run,
                            void *load)
{
    int64_t session;
    testbed_lock_t *journals = lock_journals(bed, run, load, &session);
    uint64_t frozen_ms = clock_monotonic_ms();
    testbed_freeze(home);
    while (read_sessions(bed, session).frozen_waits) {
        run(load, STEP_MS);
        testbed_poll(frozen_ms + WAIT_MAX_MS, "the end of an append's wait for a lock");
    }
    testbed_unlock(&journals);
    return frozen_ms;
}

unsigned late_append_thaw(testbed_t *bed, const process_t *home, const char *log,
                          late_append_run_fn *run, void *load)
{
    unsigned before = testbed_count_events(bed, log, "append.fenced");
    /* The home cannot learn that it is no member any more while nobody can read this table. */
    testbed_lock_t *members = testbed_lock(bed, "LOCK TABLES broker WRITE");
    testbed_thaw(home);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (testbed_count_events(bed, log, "append.fenced") == before) {
        run(load, STEP_MS);
        testbed_poll(deadline_ms, "the fence of an append that comes too late");
    }
    testbed_unlock(&members);
    return testbed_count_events(bed, log, "append.fenced") - before;
}
