/* Programs that cannot do what they should: their exit status, and one line that says why. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <sqlite3.h>

#include "core/limits.h"
#include "tests/harness/invocation.h"
#include "tests/harness/mariadb.h"
#include "tests/harness/probe_load.h"

enum { PATH_SIZE = INVOCATION_PATH_SIZE };

#define EXPECT(...) invocation_expect(bed, __LINE__, __VA_ARGS__, NULL)

#define ANYWHERE "--listen", "tcp://127.0.0.1:*", "--publish", "tcp://127.0.0.1:*"

static testbed_t *bed;

static void execute_sqlite(const char *path, const char *sql)
{
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

/* ---- tests ---- */

static void broker_arguments(void **state)
{
    char broker[PATH_SIZE];
    char path[PATH_SIZE];
    bed = *state;
    invocation_program("fabric-broker", broker);
    EXPECT(64, "fabric-broker: 'operand': no operand is expected*", "fabric-broker", "operand");
    EXPECT(64, "fabric-broker: '-x': no operand is expected*", "fabric-broker", "--", "-x");
    EXPECT(64, "fabric-broker: --nonsense: is no option*", "fabric-broker", "--nonsense");
    EXPECT(64, "fabric-broker: --lease-ms: a value is missing", "fabric-broker", "--lease-ms");
    EXPECT(64, "fabric-broker: --lease-ms:*'banana'*", "fabric-broker", "--lease-ms", "banana");
    EXPECT(64, "fabric-broker: --lease-ms:*", "fabric-broker", "--lease-ms", "1");
    EXPECT(64, "fabric-broker: --store-password: others can see*", "fabric-broker",
           "--store-password=secret");
    EXPECT(78, "fabric-broker: FABRIC_LEASE_SM: no Fabric program knows*FABRIC_LEASE_MS*", "env",
           "FABRIC_LEASE_SM=1", broker);
    EXPECT(78, "fabric-broker: FABRIC_LEASE_MS:*", "env", "FABRIC_LEASE_MS=banana", broker);
    invocation_write_file(bed, "broker.conf", "lease_ms = 500\nnonsense = 1\n", 0600, path);
    EXPECT(78, "fabric-broker: *broker.conf: *no key 'nonsense'*", "fabric-broker", "--config",
           path);
    invocation_write_file(bed, "broker.conf", "lease-ms = 3000\n", 0600, path);
    EXPECT(78, "fabric-broker: *broker.conf: *no key 'lease-ms'; is lease_ms meant[?]",
           "fabric-broker", "--config", path);
    invocation_write_file(bed, "broker.conf", "store = sqlite:/var/lib/fabric/hash#1.db\n", 0600,
                          path);
    EXPECT(78, "fabric-broker: *broker.conf: line 1: *#*stands in quotes*", "fabric-broker",
           "--config", path);
    invocation_write_file(bed, "broker.conf", "store_password = x\n", 0644, path);
    EXPECT(78, "fabric-broker: *secret 'store_password'*chmod 600*", "fabric-broker", "--config",
           path);
    EXPECT(78, "fabric-broker: *nothing.conf*", "fabric-broker", "--config",
           invocation_path(bed, "nothing.conf", path));
    EXPECT(78, "fabric-broker: listen: *leaves this machine*allow_plaintext*", "fabric-broker",
           "--listen", "tcp://0.0.0.0:5700");
    EXPECT(78, "fabric-broker: listen: *", "fabric-broker", "--listen", "carrier-pigeon");
    EXPECT(78, "fabric-broker: log_level: *", "fabric-broker", "--log-level", "loud");
}

static void broker_address(void **state)
{
    char store[PATH_SIZE + 8];
    char listen_on[64];
    char pattern[200];
    char path[PATH_SIZE];
    bed = *state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(taken, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(taken, 1), 0);
    assert_int_equal(getsockname(taken, (struct sockaddr *)&address, &size), 0);
    snprintf(listen_on, sizeof listen_on, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
    snprintf(pattern, sizeof pattern, "fabric-broker: *%s*", listen_on);
    snprintf(store, sizeof store, "sqlite:%s", invocation_path(bed, "address.db", path));
    EXPECT(69, pattern, "fabric-broker", "--listen", listen_on, "--publish", "tcp://127.0.0.1:*",
           "--store", store);
    EXPECT(69, pattern, "fabric-broker", "--listen", "tcp://127.0.0.1:*", "--publish", listen_on,
           "--store", store);
    close(taken);
}

/* A second broker does not take the socket file of a running one, and the file that a killed broker
 * left does not hinder a new one. */
static void broker_socket_file(void **state)
{
    char listen_on[120];
    char publish_on[120];
    char store[PATH_SIZE + 8];
    char path[PATH_SIZE];
    char pattern[PATH_SIZE + 100];
    bed = *state;
    snprintf(listen_on, sizeof listen_on, "ipc://%.107s", invocation_path(bed, "a.sock", path));
    snprintf(publish_on, sizeof publish_on, "ipc://%.107s", invocation_path(bed, "b.sock", path));
    snprintf(store, sizeof store, "sqlite:%s", invocation_path(bed, "other.db", path));
    snprintf(pattern, sizeof pattern, "fabric-broker: cannot listen on %s: *", listen_on);
    testbed_start(bed, 0);
    for (int i = 0; i < 2; i++) {
        snprintf(bed->cluster.url, sizeof bed->cluster.url, "%s", listen_on);
        testbed_restart_broker(bed);
        EXPECT(69, pattern, "fabric-broker", "--listen", listen_on, "--publish",
               "tcp://127.0.0.1:*", "--store", store);
        EXPECT(69, pattern, "fabric-broker", "--listen", "tcp://127.0.0.1:*", "--publish",
               listen_on, "--store", store);
        EXPECT(0, NULL, "fabricctl", "--url", listen_on, "status");
        testbed_kill(&bed->cluster.broker);
    }
    snprintf(pattern, sizeof pattern, "fabric-broker: cannot listen on %s: *lock*", publish_on);
    EXPECT(69, pattern, "fabric-broker", "--listen", publish_on, "--publish", publish_on, "--store",
           store);
    invocation_write_file(bed, "b.sock", "not to be lost", 0600, path);
    snprintf(pattern, sizeof pattern, "fabric-broker: cannot listen on %s: *no socket", publish_on);
    EXPECT(78, pattern, "fabric-broker", "--listen", publish_on, "--store", store);
    assert_int_equal(access(path, F_OK), 0);
}

/* The socket file of another program, without a lock. */
static void broker_socket_of_others(void **state)
{
    char listen_on[120];
    char store[PATH_SIZE + 8];
    char path[PATH_SIZE];
    char pattern[PATH_SIZE + 100];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bed = *state;
    snprintf(store, sizeof store, "sqlite:%s", invocation_path(bed, "other.db", path));
    snprintf(address.sun_path, sizeof address.sun_path, "%.107s",
             invocation_path(bed, "c.sock", path));
    snprintf(listen_on, sizeof listen_on, "ipc://%.107s", path);
    snprintf(pattern, sizeof pattern, "fabric-broker: cannot listen on %s: another*", listen_on);
    int taken = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(taken, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(taken, 1), 0);
    EXPECT(69, pattern, "fabric-broker", "--listen", listen_on, "--store", store);
    close(taken);
}

static void broker_store(void **state)
{
    char store[PATH_SIZE + 8];
    char path[PATH_SIZE];
    char foreign[PATH_SIZE];
    char foreign_store[PATH_SIZE + 8];
    char pattern[400];
    reason_t reason = {{0}};
    bed = *state;
    EXPECT(78, "fabric-broker: store: *", "fabric-broker", ANYWHERE, "--store", "oracle:x");
    EXPECT(69, "fabric-broker: store: *", "fabric-broker", ANYWHERE, "--store",
           "mysql://root@127.0.0.1:1/fabric");
    snprintf(store, sizeof store, "sqlite:%s", invocation_path(bed, "no/such/folder.db", path));
    EXPECT(69, "fabric-broker: store: *folder.db*", "fabric-broker", ANYWHERE, "--store", store);
    snprintf(foreign_store, sizeof foreign_store, "sqlite:%s",
             invocation_path(bed, "foreign.db", foreign));
    execute_sqlite(foreign, "CREATE TABLE mailbox (letter TEXT)");
    EXPECT(78, "fabric-broker: store: *another program*", "fabric-broker", ANYWHERE, "--store",
           foreign_store);
    invocation_write_file(bed, "text.db", "This is no database, but a text that is long enough.\n",
                          0600, path);
    snprintf(store, sizeof store, "sqlite:%s", path);
    EXPECT(78, "fabric-broker: store: *", "fabric-broker", ANYWHERE, "--store", store);

    testbed_start(bed, 0); /* founds the cluster "fabric" with 300 shards */
    const char *url = bed->cluster.database.url;
    snprintf(pattern, sizeof pattern, "fabric-broker: store: *is held by fabric-broker *pid %ld*",
             (long)bed->cluster.broker.pid);
    EXPECT(69, pattern, "fabric-broker", ANYWHERE, "--store", url);
    testbed_stop_processes(bed);
    EXPECT(78, "fabric-broker: store: *cluster 'fabric', not to 'other'*", "fabric-broker",
           ANYWHERE, "--store", url, "--cluster-name", "other");
    EXPECT(78, "fabric-broker: store: *shards_per_group=300, not 17*", "fabric-broker", ANYWHERE,
           "--store", url, "--shards-per-group", "17");
    execute_sqlite(url + strlen("sqlite:"), "UPDATE schema_version SET version = 99");
    EXPECT(78, "fabric-broker: store: *schema version 99*", "fabric-broker", ANYWHERE, "--store",
           url);
    snprintf(pattern, sizeof pattern, "UPDATE schema_version SET version = %d",
             STORE_SCHEMA_VERSION);
    execute_sqlite(url + strlen("sqlite:"), pattern);
    assert_int_equal(cluster_restart_broker(&bed->cluster, &reason), FABRIC_OK);
}

static void broker_server_store(void **state)
{
    char url[600];
    bed = *state;
    EXPECT(78, "fabric-broker: store: *schema version 0*fabricctl schema apply*", "fabric-broker",
           ANYWHERE, "--store", bed->database);
    /* a database that the server does not have */
    const char *slash = strchr(bed->database + strlen("mysql://"), '/');
    const char *query = strchr(bed->database, '?');
    snprintf(url, sizeof url, "%.*s/nowhere%s", (int)(slash - bed->database), bed->database,
             query ? query : "");
    EXPECT(69, "fabric-broker: store: *'nowhere'*", "fabric-broker", ANYWHERE, "--store", url);
    EXPECT(0, NULL, "fabricctl", "schema", "apply", "--store", bed->database, "--cluster-name",
           "mine");
    EXPECT(78, "fabric-broker: store: *cluster 'mine', not to 'fabric'*", "fabric-broker", ANYWHERE,
           "--store", bed->database);
    EXPECT(78, "fabric-broker: store: *300, not 17*", "fabric-broker", ANYWHERE, "--store",
           bed->database, "--cluster-name", "mine", "--shards-per-group", "17");
    /* as a former release says of itself */
    assert_true(mariadb_execute(bed->database, "UPDATE schema_version SET version = 2"));
    EXPECT(78, "fabric-broker: store: *schema version 2*fabricctl schema apply*", "fabric-broker",
           ANYWHERE, "--store", bed->database, "--cluster-name", "mine");
    EXPECT(0, NULL, "fabricctl", "schema", "apply", "--store", bed->database);
    EXPECT(78, "fabric-broker: store: *cluster 'mine', not to 'fabric'*", "fabric-broker", ANYWHERE,
           "--store", bed->database);
    assert_true(
        mariadb_execute(bed->database, "INSERT INTO schema_version VALUES (99, UTC_TIMESTAMP())"));
    EXPECT(78, "fabric-broker: store: *schema version 99*", "fabric-broker", ANYWHERE, "--store",
           bed->database, "--migrate");
}

static void broker_too_many(void **state)
{
    char fill[600];
    char pattern[200];
    bed = *state;
    EXPECT(0, NULL, "fabricctl", "schema", "apply", "--store", bed->database);
    snprintf(fill, sizeof fill,
             "INSERT INTO broker (incarnation, slot, counter, id_mark, name, router_endpoint,"
             " pub_endpoint, secret)"
             " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " SELECT UNHEX(LPAD(HEX(i), 32, 'f')), i, 1, 0, CONCAT('broker-', i),"
             " CONCAT('tcp://10.0.0.1:', i), CONCAT('tcp://10.0.0.2:', i), REPEAT('s', 16) FROM n",
             LIMIT_BROKERS_MAX);
    assert_true(mariadb_execute(bed->database, fill));
    snprintf(pattern, sizeof pattern, "fabric-broker: store: *it has %d brokers, as many as it may",
             LIMIT_BROKERS_MAX);
    EXPECT(69, pattern, "fabric-broker", ANYWHERE, "--store", bed->database);
}

static void worker_errors(void **state)
{
    char module[PATH_SIZE];
    char library[PATH_SIZE + 64];
    char text[PATH_SIZE];
    bed = *state;
    invocation_program("fabricctl", library);
    snprintf(strrchr(library, '/'), 64, "/../lib/libfabric_client.so");
    invocation_program("fabric", module);
    snprintf(strrchr(module, '/'), 64, "/../tests/probe_module.so");
    EXPECT(64, "*--nonsense*", "fabric-worker", "--nonsense");
    EXPECT(64, "*--module FILE*", "fabric-worker");
    EXPECT(64, "*takes options only*", "fabric-worker", module);
    EXPECT(64, "*takes options only*", "fabric-worker", "--module", module, "--", "-x");
    EXPECT(78, "*InvalidModule*nothing.so*", "fabric-worker", "--module", "/nothing.so");
    EXPECT(78, "*InvalidModule*libfabric_client.so*fabric_module*", "fabric-worker", "--module",
           library);
    invocation_write_file(bed, "text.so", "no module", 0600, text);
    EXPECT(78, "*InvalidModule*text.so*", "fabric-worker", "--module", text);
    EXPECT(78, "*PlaintextRefused*192.0.2.1*", "fabric-worker", "--module", module, "--url",
           "fabric://192.0.2.1:5700");
    testbed_start(bed, 0);
    EXPECT(78, "*ForeignCluster*cluster 'fabric'*", "fabric-worker", "--module", module, "--url",
           bed->cluster.url, "--cluster-name", "other");
}

static void command_line(void **state)
{
    bed = *state;
    EXPECT(2, "fabricctl: a command is missing (InvalidArgument): *", "fabricctl");
    EXPECT(2, "fabricctl: 'dance' is no command (InvalidArgument): *", "fabricctl", "dance");
    EXPECT(2, "fabricctl: '-x' is no command (InvalidArgument): *", "fabricctl", "--", "-x");
    EXPECT(2, "fabricctl: -x: is no option; -- goes before operands*", "fabricctl", "-x");
    EXPECT(3, "fabricctl: *-5*", "fabricctl", "error", "--", "-5");
    EXPECT(2, "fabricctl: --nonsense: *", "fabricctl", "--nonsense", "status");
    EXPECT(2, "fabricctl: --key: *", "fabricctl", "--key", "7", "status");
    EXPECT(2, "fabricctl: --output: *", "fabricctl", "-o", "xml", "status");
    EXPECT(3, "fabricctl: no error is named 'Sadness' (NotFound): *", "fabricctl", "error",
           "Sadness");
    EXPECT(4, "fabricctl: tcp://127.0.0.1:1: * (NotConnected): *", "fabricctl", "--url",
           "tcp://127.0.0.1:1", "--timeout-ms", "500", "status");
    EXPECT(4, "fabricctl: mysql:*(StoreUnavailable): *", "fabricctl", "schema", "status", "--store",
           "mysql://root@127.0.0.1:1/fabric");
    EXPECT(2, "fabricctl: *PlaintextRefused*", "fabricctl", "--url", "tcp://192.0.2.1:5700",
           "status");
}

static void bench_errors(void **state)
{
    bed = *state;
    EXPECT(64, "fabric-bench: --nonsense: *", "fabric-bench", "--nonsense");
    EXPECT(64, "fabric-bench: give one of: ask, tell*", "fabric-bench", "dance");
    EXPECT(64, "fabric-bench: give one of: ask, tell*", "fabric-bench", "--", "-x");
    EXPECT(69, "fabric-bench: tcp://127.0.0.1:1: *(NotConnected)", "fabric-bench", "ask", "--url",
           "tcp://127.0.0.1:1");
}

static void command_line_with_cluster(void **state)
{
    bed = *state;
    testbed_start(bed, 1);
    const char *url = bed->cluster.url;
    EXPECT(0, NULL, "fabricctl", "--url", url, "status");
    EXPECT(0, NULL, "fabricctl", "--url", url, "call", PROBE_TYPE, "x", "Echo",
           "{\"text\": \"hello\"}");
    EXPECT(0, NULL, "fabricctl", "--url", url, "send", PROBE_TYPE, "x", "Echo",
           "{\"text\": \"hello\"}");
    EXPECT(0, NULL, "fabricctl", "--url", url, "call", PROBE_TYPE, "--", "-5", "Echo",
           "{\"text\": \"hello\"}");
    EXPECT(0, NULL, "fabricctl", "--url", url, "send", "--", PROBE_TYPE, "-order", "Echo",
           "{\"text\": \"hello\"}");
    EXPECT(2, "fabricctl: -5: is no option; -- goes before operands*", "fabricctl", "--url", url,
           "call", PROBE_TYPE, "-5", "Echo");
    EXPECT(0, NULL, "fabricctl", "--url", url, "call", PROBE_TYPE, "--", "--order", "Echo",
           "{\"text\": \"hello\"}");
    EXPECT(2, "fabricctl: --order: is no option*", "fabricctl", "--url", url, "call", PROBE_TYPE,
           "--order", "Echo");
    EXPECT(1, "fabricctl: Probe/x Fail: code 7: out of cups (EntityFailure): *", "fabricctl",
           "--url", url, "call", PROBE_TYPE, "x", "Fail",
           "{\"code\": 7, \"text\": \"out of cups\"}");
    EXPECT(2, "fabricctl: Probe Echo: *text*", "fabricctl", "--url", url, "call", PROBE_TYPE, "x",
           "Echo", "{\"text\": 7}");
    EXPECT(2, "fabricctl: Probe Echo: *txet*", "fabricctl", "--url", url, "call", PROBE_TYPE, "x",
           "Echo", "{\"txet\": \"hello\"}");
    EXPECT(3, "fabricctl: no entity type is named 'Nobody' (UnknownEntityType): *", "fabricctl",
           "--url", url, "call", "Nobody", "x", "Echo");
    EXPECT(3, "fabricctl: Probe has no message 'Dance'; it has: Append, *", "fabricctl", "--url",
           url, "call", PROBE_TYPE, "x", "Dance");
    EXPECT(5, "fabricctl: Probe/x Hold: *run it again with --key*", "fabricctl", "--url", url,
           "--timeout-ms", "1000", "call", PROBE_TYPE, "x", "Hold", "{\"text\": \"never\"}");
    EXPECT(6, "fabricctl: *(ForeignCluster): *", "fabricctl", "--url", url, "--cluster-name",
           "other", "status");
}

/* Runs fabricctl, which must succeed, and returns its output. */
static const char *command(const char *const *arguments)
{
    static invocation_t invocation;
    invocation_run(bed, arguments, NULL, &invocation);
    invocation_check(&invocation, __LINE__, 0, NULL, arguments);
    return invocation.output;
}

/* What send prints can be given to commands, which then settle the same message. */
static void printed_key_is_taken(void **state)
{
    char first[200];
    char key[60];
    bed = *state;
    testbed_start(bed, 1);
    const char *arguments[] = {"fabricctl", "--url",  bed->cluster.url,  "send", PROBE_TYPE,
                               "x",         "Append", "{\"number\": 7}", NULL,   NULL,
                               NULL};
    snprintf(first, sizeof first, "%.199s", command(arguments));
    const char *printed = strstr(first, "call key ");
    assert_non_null(printed);
    assert_int_equal(sscanf(printed, "call key %59[0-9:]", key), 1);
    arguments[8] = "--key";
    arguments[9] = key;
    assert_string_equal(command(arguments), first);
    arguments[3] = "call";
    assert_string_equal(command(arguments), "handled\n");
    probe_starts_t starts = probe_starts_read(bed->folder);
    size_t count = probe_starts_count(&starts, "x");
    probe_starts_free(&starts);
    assert_int_equal(count, 1);
}

/* As Kubernetes sets it in each container for a service named fabric. */
#define KUBERNETES                                                                                 \
    "FABRIC_SERVICE_HOST=10.0.0.1", "FABRIC_SERVICE_PORT=5700", "FABRIC_PORT=tcp://10.0.0.1:5700", \
        "FABRIC_PORT_5700_TCP=tcp://10.0.0.1:5700", "FABRIC_PORT_5700_TCP_PROTO=tcp",              \
        "FABRIC_PORT_5700_TCP_PORT=5700", "FABRIC_PORT_5700_TCP_ADDR=10.0.0.1"

static void variables_of_other_programs(void **state)
{
    static const char *const environment[] = {KUBERNETES, NULL};
    char program[PATH_SIZE];
    bed = *state;
    bed->broker_environment = environment;
    bed->worker_environment = environment;
    testbed_start(bed, 1);
    assert_int_equal(testbed_count_events(bed, "broker.log", "environment.ignored"), 1);
    assert_int_equal(testbed_count_events(bed, "worker-0.log", "environment.ignored"), 1);
    EXPECT(0, "fabricctl: *FABRIC_SERVICE_HOST, FABRIC_SERVICE_PORT, FABRIC_PORT,*", "env",
           KUBERNETES, invocation_program("fabricctl", program), "--url", bed->cluster.url,
           "status");
    EXPECT(0, NULL, "fabricctl", "--url", bed->cluster.url, "status");
    EXPECT(64, "fabric-bench: give one of*", "env", KUBERNETES,
           invocation_program("fabric-bench", program), "dance");
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"broker_arguments", broker_arguments, TESTBED_SQLITE},
        {"broker_address", broker_address, TESTBED_SQLITE},
        {"broker_socket_file", broker_socket_file, TESTBED_SQLITE},
        {"broker_socket_of_others", broker_socket_of_others, TESTBED_SQLITE},
        {"broker_store", broker_store, TESTBED_SQLITE},
        {"broker_server_store", broker_server_store, TESTBED_MYSQL},
        {"broker_too_many", broker_too_many, TESTBED_MYSQL},
        {"worker_errors", worker_errors, TESTBED_SQLITE},
        {"variables_of_other_programs", variables_of_other_programs, TESTBED_SQLITE},
        {"bench_errors", bench_errors, TESTBED_SQLITE},
        {"command_line", command_line, TESTBED_SQLITE},
        {"printed_key_is_taken", printed_key_is_taken, TESTBED_SQLITE},
        {"command_line_with_cluster", command_line_with_cluster, TESTBED_SQLITE},
    };
    return testbed_run("errors", tests, sizeof tests / sizeof tests[0]);
}
