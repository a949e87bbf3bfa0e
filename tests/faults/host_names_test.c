/* Host names whose name server does not answer, whose addresses change, or that have IPv4 and IPv6
 * addresses: an address that cannot be resolved harms no other one, and neither deadlines nor the
 * end of a process wait for the name server.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/harness/invocation.h"
#include "tests/harness/fake_names.h"
#include "tests/harness/machine.h"
#include "tests/harness/process_facts.h"
#include "tests/harness/raw_peer.h"
#include "tests/harness/testbed.h"

enum {
    LEASE_MS = 2000,
    SILENCE_MS = 5000, /* longer than a lease, and than links wait before they connect anew */
    STOP_MS = 5000,
    HEAL_MS = 30000,
    CLIENT_MS = 1000,
    SLACK_MS = 4000,
    NO_ANSWER_MS = 3000, /* the longest wait of a broker for a name server */
    ADDRESS_SIZE = 200
};

static char lease[16];
static const char *const short_lease[] = {"--lease-ms", lease, NULL};
static const char *const plain_text[] = {"--allow-plaintext", NULL};
static const char *environment[4]; /* of processes that use the test's names */
static testbed_t *bed;

/* ---- processes ---- */

static void use_names(void **state)
{
    static char preload[FOLDER_PATH_SIZE + 64];
    static char sanitizer[1000];
    char programs[FOLDER_PATH_SIZE];
    bed = *state;
    machine_measure();
    snprintf(lease, sizeof lease, "%u", (unsigned)machine_scaled(LEASE_MS));
    assert_int_equal(folder_of_programs(NULL, programs), FABRIC_OK);
    const char *options = getenv("ASAN_OPTIONS");
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s/../tests/fake_names_module.so", programs);
    snprintf(sanitizer, sizeof sanitizer, "ASAN_OPTIONS=%s:verify_asan_link_order=0",
             options ? options : "");
    environment[0] = preload;
    environment[1] = sanitizer;
    setenv(NAMES_FOLDER, bed->folder, 1);
    bed->broker_arguments = short_lease;
    bed->worker_arguments = plain_text;
    bed->worker_environment = environment;
}

static unsigned long broker_port(void)
{
    return strtoul(strrchr(bed->cluster.url, ':') + 1, NULL, 10);
}

/* A port that was free a moment ago, so that nobody listens there. */
static unsigned long free_port(void)
{
    char endpoint[64];
    close(raw_listen(endpoint));
    return strtoul(strrchr(endpoint, ':') + 1, NULL, 10);
}

/* Starts a worker that is told these brokers. */
static void add_worker(const char *urls)
{
    char own[sizeof bed->cluster.urls];
    memcpy(own, bed->cluster.urls, sizeof own);
    snprintf(bed->cluster.urls, sizeof bed->cluster.urls, "%s", urls);
    testbed_add_worker(bed);
    memcpy(bed->cluster.urls, own, sizeof own);
}

static void expect_echo(void)
{
    probe_text_t request = {"hello"};
    probe_text_t reply = {{0}};
    fabric_outcome_t outcome = {0};
    fabric_error_t error = fabric_client_ask(bed->client, fabric_entity(PROBE_TYPE, "one"),
                                             &probe_volatile_echo, &request, &reply, &outcome);
    if (error) {
        cluster_print_logs(&bed->cluster, stderr);
        fail_msg("%s: %s", fabric_error_name(error), outcome.text);
    }
}

/* Runs fabricctl with the names of the test. */
static const invocation_t *run_ctl(const char *url, const char *timeout_ms, const char *command)
{
    static invocation_t invocation;
    const char *const arguments[] = {"fabricctl",    "--url",    url,     "--allow-plaintext",
                                     "--timeout-ms", timeout_ms, command, NULL};
    invocation_run(bed, arguments, environment, &invocation);
    return &invocation;
}

static void expect_status_from(const char *host)
{
    char url[ADDRESS_SIZE];
    snprintf(url, sizeof url, "tcp://%s:%lu", host, broker_port());
    const invocation_t *invocation = run_ctl(url, "20000", "status");
    if (invocation->status != 0) {
        fail_msg("%s: %s", url, invocation->complaints);
    }
}

/* ---- tests ---- */

static void a_worker_keeps_its_shards(void **state)
{
    char urls[ADDRESS_SIZE];
    use_names(state);
    testbed_start(bed, 0);
    fake_names_set("h1", "127.0.0.1");
    fake_names_set("h2", "127.0.0.1");
    snprintf(urls, sizeof urls, "fabric://h1:%lu,h2:%lu", broker_port(), free_port());
    add_worker(urls);
    testbed_wait_ready(bed, 1);
    fake_names_set("h1", "silent");
    fake_names_set("h2", "silent");
    uint64_t end_ms = clock_monotonic_ms() + machine_scaled(SILENCE_MS);
    while (clock_monotonic_ms() < end_ms ||
           testbed_count_events(bed, "worker-0.log", "worker.unresolved") == 0) {
        expect_echo();
        testbed_poll(end_ms + HEAL_MS, "the worker's complaint about a name");
    }
    assert_int_equal(testbed_count_events(bed, "broker.log", "runner.left"), 0);
    assert_int_equal(testbed_count_events(bed, "worker-0.log", "worker.disconnected"), 0);
    assert_int_equal(testbed_count_events(bed, "worker-0.log", "worker.unresolved"), 1);
    uint64_t stop_ms = clock_monotonic_ms();
    process_stop(&bed->cluster.workers[0], (uint32_t)machine_scaled(STOP_MS));
    assert_true(WIFEXITED(bed->cluster.workers[0].status));
    print_message("stopped after %llu ms\n", (unsigned long long)(clock_monotonic_ms() - stop_ms));
}

static void a_client_keeps_its_deadline(void **state)
{
    char timeout[16];
    char urls[ADDRESS_SIZE];
    use_names(state);
    testbed_start(bed, 0);
    fake_names_set("h1", "127.0.0.1");
    fake_names_set("h2", "silent");
    fake_names_set("h3", "unknown");
    snprintf(timeout, sizeof timeout, "%d", CLIENT_MS);
    uint64_t start_ms = clock_monotonic_ms();
    const invocation_t *invocation = run_ctl("tcp://h2:5700", timeout, "status");
    assert_in_range(clock_monotonic_ms() - start_ms, CLIENT_MS,
                    CLIENT_MS + machine_scaled(SLACK_MS));
    assert_int_equal(invocation->status, 4);
    snprintf(timeout, sizeof timeout, "%u", (unsigned)machine_scaled(CLIENT_MS));
    invocation = run_ctl("tcp://h3:5700", timeout, "status");
    assert_int_equal(invocation->status, 4);
    assert_non_null(strstr(invocation->complaints,
                           "tcp://h3:5700: NotConnected (22): h3: Name or service not known"));
    snprintf(urls, sizeof urls, "tcp://h2:%lu,tcp://h1:%lu", free_port(), broker_port());
    start_ms = clock_monotonic_ms();
    invocation = run_ctl(urls, "20000", "status");
    assert_int_equal(invocation->status, 0);
    assert_in_range(clock_monotonic_ms() - start_ms, 0, machine_scaled(SLACK_MS));
}

static void a_worker_follows_a_new_address(void **state)
{
    char url[ADDRESS_SIZE];
    use_names(state);
    testbed_start(bed, 0);
    fake_names_set("h1", "127.0.0.1");
    unsigned long port = broker_port();
    snprintf(url, sizeof url, "tcp://h1:%lu", port);
    add_worker(url);
    testbed_wait_ready(bed, 1);
    snprintf(bed->cluster.url, sizeof bed->cluster.url, "tcp://127.0.0.2:%lu", port);
    testbed_restart_broker(bed);
    fake_names_set("h1", "127.0.0.2");
    testbed_connect(bed);
    testbed_wait_ready(bed, 1);
    expect_echo();
}

/* One name for all brokers, as of a headless service: one of its addresses is dead. */
static void a_name_of_several_addresses(void **state)
{
    char url[ADDRESS_SIZE];
    use_names(state);
    testbed_start(bed, 0);
    fake_names_set("brokers", "127.0.0.2 127.0.0.3 127.0.0.1");
    snprintf(url, sizeof url, "fabric://brokers:%lu", broker_port());
    add_worker(url);
    testbed_wait_ready(bed, 1);
    expect_echo();
    expect_status_from("brokers");
    fake_names_set("brokers", "127.0.0.1 127.0.0.2");
    testbed_kill(&bed->cluster.workers[0]);
    add_worker(url);
    testbed_wait_ready(bed, 1);
    expect_status_from("brokers");
}

/* A broker at ::1, of which others know a name. */
static void names_of_ipv6_addresses(void **state)
{
    char url[ADDRESS_SIZE];
    use_names(state);
    if (access("/proc/net/if_inet6", R_OK) != 0) {
        testbed_skip(bed, "this machine has no IPv6");
    }
    testbed_start(bed, 0);
    fake_names_set("six", "::1");
    fake_names_set("both", "127.0.0.1 ::1");
    snprintf(bed->cluster.url, sizeof bed->cluster.url, "tcp://[::1]:*");
    testbed_restart_broker(bed);
    snprintf(url, sizeof url, "tcp://six:%lu", broker_port());
    add_worker(url);
    testbed_connect(bed);
    testbed_wait_ready(bed, 1);
    expect_echo();
    expect_status_from("six");
    expect_status_from("both");
}

static void brokers_listen_on_names(void **state)
{
    char path[INVOCATION_PATH_SIZE];
    char store[INVOCATION_PATH_SIZE + 8];
    static invocation_t invocation;
    use_names(state);
    bed->broker_environment = environment;
    testbed_start(bed, 0);
    fake_names_set("here", "::1 127.0.0.1");
    snprintf(bed->cluster.url, sizeof bed->cluster.url, "tcp://localhost:*");
    testbed_restart_broker(bed);
    assert_non_null(strstr(bed->cluster.url, "tcp://127.0.0.1:"));
    expect_status_from("localhost");
    static const char *const more[] = {"--allow-plaintext", NULL};
    bed->options.broker_arguments = more;
    snprintf(bed->cluster.url, sizeof bed->cluster.url, "tcp://here:*");
    testbed_restart_broker(bed);
    assert_non_null(strstr(bed->cluster.url, "tcp://127.0.0.1:"));
    snprintf(bed->cluster.url, sizeof bed->cluster.url, "tcp://lo:*"); /* a network interface */
    testbed_restart_broker(bed);
    assert_non_null(strstr(bed->cluster.url, "tcp://127.0.0.1:"));

    fake_names_set("nowhere", "unknown");
    fake_names_set("far", "silent");
    snprintf(store, sizeof store, "sqlite:%s", invocation_path(bed, "other.db", path));
    const char *arguments[] = {
        "fabric-broker",     "--listen", "tcp://nowhere:5700", "--store", store,
        "--allow-plaintext", NULL};
    invocation_run(bed, arguments, environment, &invocation);
    invocation_check(&invocation, __LINE__, 78,
                     "fabric-broker: cannot listen on tcp://nowhere:5700: nowhere: Name or service "
                     "not known",
                     arguments);
    arguments[2] = "tcp://far:5700";
    uint64_t start_ms = clock_monotonic_ms();
    invocation_run(bed, arguments, environment, &invocation);
    invocation_check(&invocation, __LINE__, 78,
                     "fabric-broker: cannot listen on tcp://far:5700: no name server answered*",
                     arguments);
    assert_in_range(clock_monotonic_ms() - start_ms, 0, NO_ANSWER_MS + machine_scaled(SLACK_MS));
}

/* The threads of this process. One that has been joined may be counted for a moment still. */
static size_t count_threads(void)
{
    enum { LOOKS = 20 };
    const process_t self = {.pid = getpid()};
    size_t fewest = SIZE_MAX;
    for (int i = 0; i < LOOKS; i++) {
        size_t count = process_threads(&self);
        fewest = count < fewest ? count : fewest;
        testbed_poll(UINT64_MAX, "");
    }
    return fewest;
}

/* A program may unload the library while a look-up still runs. */
static void the_library_is_unloaded(void **state)
{
    typedef fabric_error_t open_fn(const char *, const fabric_client_options_t *,
                                   fabric_client_t **, fabric_outcome_t *);
    char path[FOLDER_PATH_SIZE + 64];
    char programs[FOLDER_PATH_SIZE];
    use_names(state);
    fake_names_set("h1", "silent");
    assert_int_equal(folder_of_programs(NULL, programs), FABRIC_OK);
    snprintf(path, sizeof path, "%s/../lib/libfabric_client.so", programs);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    open_fn *open_client = (open_fn *)dlsym(library, "fabric_client_open");
    fabric_client_options_t options = {.connect_timeout_ms = 100, .allow_plaintext = true};
    fabric_client_t *client = NULL;
    size_t before = count_threads();
    assert_int_equal(open_client("tcp://h1:5700", &options, &client, NULL),
                     FABRIC_ERROR_NOT_CONNECTED);
    assert_int_equal(count_threads(), before + 1);
    assert_int_equal(dlclose(library), 0);
    fake_names_set("h1", "127.0.0.1");
    uint64_t deadline_ms = clock_monotonic_ms() + HEAL_MS;
    while (count_threads() > before) {
        testbed_poll(deadline_ms, "the end of the look-up");
    }
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"a_worker_keeps_its_shards", a_worker_keeps_its_shards, TESTBED_SQLITE},
        {"a_client_keeps_its_deadline", a_client_keeps_its_deadline, TESTBED_SQLITE},
        {"a_worker_follows_a_new_address", a_worker_follows_a_new_address, TESTBED_SQLITE},
        {"a_name_of_several_addresses", a_name_of_several_addresses, TESTBED_SQLITE},
        {"names_of_ipv6_addresses", names_of_ipv6_addresses, TESTBED_SQLITE},
        {"brokers_listen_on_names", brokers_listen_on_names, TESTBED_SQLITE},
        {"the_library_is_unloaded", the_library_is_unloaded, TESTBED_SQLITE},
    };
    return testbed_run("host_names", tests, sizeof tests / sizeof tests[0]);
}
