/* A cluster under load whose database is about to fail: see outage.h. */
#include "tests/harness/outage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "mysql/mysql_url.h"
#include "tests/harness/machine.h"

#define BROKER_USER "fabric_broker"

enum {
    CALL_MS = 800, /* less than a long outage: callers get their errors */
    WARM_UP_CALLS = 100,
    BACK_MS = 60000, /* for a server to answer again */
    WORKERS = 2,
    REFUSED_MS = 300,
    QUIET_MS = 50,
    GRACE_MS = 1000,
};

static const char *const usual_arguments[] = {
    "--lease-ms", "1500", "--io-timeout-ms", "1000", "--connect-timeout-ms", "1000", NULL};

static outage_t present;

uint32_t outage_rounds(uint32_t usual)
{
    const char *text = getenv("FABRIC_FAULT_REPEAT");
    unsigned long number = text ? strtoul(text, NULL, 10) : 0;
    return number > 0 && number < 1000000 ? (uint32_t)number : usual;
}

/* ---- connections past the proxy ---- */

MYSQL *outage_connect(const outage_t *outage, bool administrator, unsigned *error)
{
    mysql_url_t url;
    MYSQL *connection = mysql_init(NULL);
    assert_non_null(connection);
    assert_int_equal(mysql_url_parse(outage->bed->database, NULL, &url), FABRIC_OK);
    if (mysql_real_connect(connection, "127.0.0.1", administrator ? url.user : BROKER_USER, NULL,
                           url.database, url.port, administrator ? url.socket : NULL, 0)) {
        /* A failed test leaves the connection open: the server must then release its locks. */
        outage_execute(connection, "SET SESSION wait_timeout = 60 "
                                   "/*M! , SESSION idle_transaction_timeout = 15 */");
        return connection;
    }
    unsigned number = mysql_errno(connection);
    if (!error) {
        fail_msg("%s", mysql_error(connection));
    }
    mysql_close(connection);
    *error = number;
    return NULL;
}

void outage_execute(MYSQL *connection, const char *statement)
{
    if (mysql_query(connection, statement)) {
        fail_msg("%s: %s", statement, mysql_error(connection));
    }
    assert_int_equal(mysql_field_count(connection), 0);
}

void outage_permit_insert(const outage_t *outage, MYSQL *administrator, bool permit)
{
    mysql_url_t url;
    char statement[300];
    assert_int_equal(mysql_url_parse(outage->bed->database, NULL, &url), FABRIC_OK);
    snprintf(statement, sizeof statement,
             permit ? "GRANT INSERT ON %s.* TO " BROKER_USER "@'%%'"
                    : "REVOKE INSERT ON %s.* FROM " BROKER_USER "@'%%'",
             url.database);
    outage_execute(administrator, statement);
}

typedef struct progress {
    const workload_t *load;
    uint64_t durable;
} progress_t;

static bool has_progress(void *context)
{
    const progress_t *progress = context;
    return workload_counts(progress->load).durable > progress->durable;
}

/* ---- starting ---- */

static void drop_leftovers(void)
{
    if (present.bed) {
        proxy_stop(&present.proxy);
        json_decref(present.before);
        mariadb_server_kill(present.server); /* which ends its settings, too */
        mariadb_revive();
    }
    present = (outage_t){0};
}

static void choose_store(outage_t *outage, bool proxied)
{
    mysql_url_t url;
    assert_int_equal(mysql_url_parse(outage->bed->database, NULL, &url), FABRIC_OK);
    unsigned port = url.port;
    if (proxied) {
        outage->proxy = proxy_start("127.0.0.1", port, PROXY_MYSQL);
        assert_non_null(outage->proxy);
        port = proxy_port(outage->proxy);
    }
    snprintf(outage->store, sizeof outage->store, "mysql://" BROKER_USER "@127.0.0.1:%u/%s", port,
             url.database);
    MYSQL *administrator = outage_connect(outage, true, NULL);
    char grant[300];
    snprintf(grant, sizeof grant, "GRANT ALL ON %s.* TO " BROKER_USER "@'%%'", url.database);
    outage_execute(administrator, "CREATE USER IF NOT EXISTS " BROKER_USER "@'%'");
    outage_execute(administrator, grant);
    mysql_close(administrator);
    outage->bed->broker_store = outage->store;
}

static void start_cluster(testbed_t *bed, bool standby)
{
    reason_t reason = {{0}};
    if (!standby) {
        testbed_start(bed, WORKERS);
        return;
    }
    bed->lanes = 1;
    testbed_start(bed, 0);
    assert_int_equal(cluster_start_standby(&bed->cluster, &reason), FABRIC_OK);
    for (int i = 0; i < WORKERS; i++) {
        testbed_add_worker(bed);
    }
    testbed_connect(bed);
    testbed_wait_ready(bed, WORKERS);
}

outage_t *outage_start(testbed_t *bed, const outage_options_t *options)
{
    static const outage_options_t none = {0};
    options = options ? options : &none;
    if (!mariadb_own()) {
        testbed_skip(bed, "the server is not the test's own");
    }
    drop_leftovers();
    present = (outage_t){.bed = bed, .server = mariadb_own()};
    machine_measure();
    choose_store(&present, options->proxied);
    bed->broker_arguments = options->broker_arguments ? options->broker_arguments : usual_arguments;
    start_cluster(bed, options->standby);
    workload_options_t load = options->load;
    load.timeout_ms = load.timeout_ms ? load.timeout_ms : CALL_MS;
    present.load = workload_start(bed, &load);
    progress_t warm = {present.load, WARM_UP_CALLS};
    assert_true(workload_run_until(present.load, has_progress, &warm, BACK_MS));
    present.before = testbed_status(bed->client);
    return &present;
}

/* ---- running ---- */

void outage_run(outage_t *outage, uint32_t ms)
{
    workload_run(outage->load, ms);
}

static bool server_answers(void *context)
{
    unsigned error = 0;
    MYSQL *connection = outage_connect(context, true, &error);
    bool answers = connection && mysql_query(connection, "DO 1") == 0;
    if (connection) {
        mysql_close(connection);
    }
    return answers;
}

void outage_recover(outage_t *outage)
{
    outage_recover_within(outage, OUTAGE_RECOVERY_MS);
}

void outage_recover_within(outage_t *outage, uint32_t bound_ms)
{
    if (!workload_run_until(outage->load, server_answers, outage, BACK_MS)) {
        fail_msg("the server does not answer");
    }
    progress_t progress = {outage->load, workload_counts(outage->load).durable};
    uint64_t back_ms = clock_monotonic_ms();
    bool recovered = workload_run_until(outage->load, has_progress, &progress, BACK_MS);
    uint32_t took_ms = (uint32_t)(clock_monotonic_ms() - back_ms);
    outage->recoveries++;
    outage->recovery_ms_sum += took_ms;
    outage->recovery_ms_max = took_ms > outage->recovery_ms_max ? took_ms : outage->recovery_ms_max;
    if (!recovered || took_ms > machine_scaled(bound_ms)) {
        cluster_print_logs(&outage->bed->cluster, stderr);
        fail_msg("calls were accepted %u ms after the database was back, not %u", took_ms,
                 (unsigned)machine_scaled(bound_ms));
    }
}

void outage_expect_standstill(outage_t *outage, uint32_t ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + machine_scaled(GRACE_MS);
    uint64_t durable = 0;
    do { /* callers hear a little later of calls that were accepted before */
        durable = workload_counts(outage->load).durable;
        workload_run(outage->load, (uint32_t)machine_scaled(QUIET_MS));
    } while (workload_counts(outage->load).durable > durable && clock_monotonic_ms() < deadline_ms);
    workload_run(outage->load, ms);
    assert_int_equal(workload_counts(outage->load).durable, durable);
}

static fabric_error_t call_refused(const outage_t *outage, fabric_outcome_t *outcome)
{
    static const probe_text_t hello = {"hello"};
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "refused"),
                          .message = &probe_echo,
                          .request = &hello,
                          .timeout_ms = (uint32_t)machine_scaled(REFUSED_MS)};
    return fabric_client_call(outage->bed->client, &call, NULL, NULL, NULL, outcome);
}

static bool has_words(const fabric_outcome_t *outcome, const char *words)
{
    return strstr(outcome->text, "the database is unavailable: ") && strstr(outcome->text, words);
}

static void fail_call(const outage_t *outage, const fabric_outcome_t *outcome)
{
    cluster_print_logs(&outage->bed->cluster, stderr);
    fail_msg("a call while the database is away: %s: %s", fabric_error_name(outcome->error),
             outcome->text);
}

void outage_expect_refusal(outage_t *outage, const char *words)
{
    fabric_outcome_t outcome = {.error = FABRIC_ERROR_OUTCOME_UNKNOWN};
    /* A call that has been sent once more when its deadline comes is unknown. */
    for (int tries = 0; tries < 5 && outcome.error == FABRIC_ERROR_OUTCOME_UNKNOWN; tries++) {
        (void)call_refused(outage, &outcome);
    }
    if (outcome.error != FABRIC_ERROR_PERSISTENCE || !has_words(&outcome, words)) {
        fail_call(outage, &outcome);
    }
}

void outage_expect_words(outage_t *outage, const char *words)
{
    fabric_outcome_t outcome = {.error = FABRIC_OK};
    fabric_error_t error = call_refused(outage, &outcome);
    bool failed = error == FABRIC_ERROR_PERSISTENCE || error == FABRIC_ERROR_OUTCOME_UNKNOWN;
    if (!failed || !has_words(&outcome, words)) {
        fail_call(outage, &outcome);
    }
}

uint32_t outage_log_lines(const outage_t *outage, const char *first, const char *second)
{
    char path[FOLDER_PATH_SIZE + 32];
    char line[2000];
    uint32_t count = 0;
    snprintf(path, sizeof path, "%s/broker.log", outage->bed->cluster.folder);
    FILE *log = fopen(path, "r");
    assert_non_null(log);
    while (fgets(line, sizeof line, log)) {
        count += strstr(line, first) && strstr(line, second);
    }
    fclose(log);
    return count;
}

/* ---- the end ---- */

static void expect_same(const json_t *before, const json_t *after, const char *key)
{
    const json_t *was = json_object_get(before, key);
    const json_t *is = json_object_get(after, key);
    if (json_equal(was, is)) {
        return;
    }
    for (size_t i = 0; json_is_array(was) && i < json_array_size(was); i++) {
        if (!json_equal(json_array_get(was, i), json_array_get(is, i))) {
            was = json_array_get(was, i);
            is = json_array_get(is, i);
            break;
        }
    }
    char *was_text = json_dumps(was, JSON_ENCODE_ANY);
    char *is_text = json_dumps(is, JSON_ENCODE_ANY);
    print_error("%s: was %s, is %s\n", key, was_text, is_text);
    free(was_text);
    free(is_text);
    fail_msg("the outage has moved something: %s", key);
}

/* No process has ended or restarted, and no live process was taken for dead. */
static void expect_nothing_moved(outage_t *outage)
{
    testbed_t *bed = outage->bed;
    const char *casualty = cluster_casualty(&bed->cluster);
    if (casualty) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("a process has ended: see %s", casualty);
    }
    testbed_wait_ready(bed, WORKERS);
    json_t *after = testbed_status(bed->client);
    expect_same(outage->before, after, "broker");
    expect_same(outage->before, after, "map_term");
    expect_same(outage->before, after, "brokers");
    expect_same(outage->before, after, "shards");
    json_decref(after);
    assert_int_equal(outage_log_lines(outage, "warn fenced", ""), 0);
    assert_int_equal(outage_log_lines(outage, "runner.left", ""), 0);
}

void outage_end(outage_t **outage)
{
    outage_t *self = *outage;
    *outage = NULL;
    if (self->proxy) {
        proxy_heal(self->proxy);
    }
    expect_nothing_moved(self);
    if (self->recoveries > 0) {
        print_message("recovery: %u times, on average %u ms, at most %u ms after the database\n",
                      self->recoveries, (unsigned)(self->recovery_ms_sum / self->recoveries),
                      self->recovery_ms_max);
    }
    workload_end_and_check(&self->load);
    proxy_stop(&self->proxy);
    json_decref(self->before);
    present = (outage_t){0};
}
