/* Connectors and look-ups, with real sockets and a name server of the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "core/clock.h"
#include "core/connector_zmq.h"
#include "tests/harness/fake_names.h"

enum { WAIT_MAX_MS = 10000, SLOW_NOTICE_MS = 1000 };

typedef struct fixture {
    char folder[64];
    void *zmq;
    void *router; /* in the place of a broker; NULL: none */
    connector_host_t host;
    connector_t connector;
    atomic_uint wakes;
    reason_t reason; /* of the last UNRESOLVED */
    bool has_more;   /* perhaps not all events of the monitor were taken */
} fixture_t;

static void wake(void *context)
{
    atomic_fetch_add((atomic_uint *)context, 1);
}

static int setup(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/fabric-names-XXXXXX");
    if (!f || !mkdtemp(f->folder)) {
        return -1;
    }
    setenv(NAMES_FOLDER, f->folder, 1);
    f->zmq = zmq_ctx_new();
    f->host = (connector_host_t){.zmq = f->zmq, .wake = wake, .wake_context = &f->wakes};
    *state = f;
    return 0;
}

static void stop_listening(fixture_t *f)
{
    if (f->router) {
        zmq_close(f->router);
        f->router = NULL;
    }
}

static int teardown(void **state)
{
    fixture_t *f = *state;
    char path[128];
    stop_listening(f);
    connector_close(&f->connector, 0);
    zmq_ctx_term(f->zmq);
    fake_names_set("a", "unknown"); /* ends what still asks */
    snprintf(path, sizeof path, "%s/a", f->folder);
    unlink(path);
    rmdir(f->folder);
    free(f);
    return 0;
}

/* Listens at an address, on any port or a given one; false: it is none of this machine. */
static bool listen_at(fixture_t *f, const char *address, int *port)
{
    char endpoint[64];
    char bound[64];
    size_t size = sizeof bound;
    int ipv6 = strchr(address, '[') != NULL;
    int linger = 0;
    void *router = zmq_socket(f->zmq, ZMQ_ROUTER);
    zmq_setsockopt(router, ZMQ_IPV6, &ipv6, sizeof ipv6);
    zmq_setsockopt(router, ZMQ_LINGER, &linger, sizeof linger);
    if (*port) {
        snprintf(endpoint, sizeof endpoint, "tcp://%s:%d", address, *port);
    } else {
        snprintf(endpoint, sizeof endpoint, "tcp://%s:*", address);
    }
    if (zmq_bind(router, endpoint) != 0) {
        zmq_close(router);
        return false;
    }
    f->router = router;
    assert_int_equal(zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, bound, &size), 0);
    *port = (int)strtol(strrchr(bound, ':') + 1, NULL, 10);
    return true;
}

static void connect_to(fixture_t *f, const char *host, int port)
{
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "tcp://%s:%d", host, port);
    connector_open(&f->connector, &f->host, endpoint, clock_monotonic_ms());
}

/* One turn of a link's loop. */
/* Whether the monitor announces events. All of them are taken before it is asked again. */
static bool has_events(fixture_t *f)
{
    struct pollfd item = {.fd = f->connector.monitor_fd, .events = POLLIN};
    return f->has_more || (f->connector.socket && poll(&item, 1, 0) == 1);
}

static connector_event_t turn(fixture_t *f)
{
    uint64_t now_ms = clock_monotonic_ms();
    connector_event_t event = CONNECTOR_NOTHING;
    if (has_events(f)) {
        event = connector_next_event(&f->connector, now_ms);
        f->has_more = event != CONNECTOR_NOTHING;
    }
    if (event == CONNECTOR_NOTHING) {
        event = connector_tick(&f->connector, &f->host, now_ms, &f->reason);
    }
    if (event == CONNECTOR_NOTHING) {
        poll(NULL, 0, 1);
    }
    return event;
}

static void expect_within(fixture_t *f, connector_event_t event, uint64_t wait_max_ms)
{
    uint64_t deadline_ms = clock_monotonic_ms() + wait_max_ms;
    connector_event_t got = CONNECTOR_NOTHING;
    while (got == CONNECTOR_NOTHING && clock_monotonic_ms() < deadline_ms) {
        got = turn(f);
    }
    assert_int_equal(got, event);
}

static void expect(fixture_t *f, connector_event_t event)
{
    expect_within(f, event, WAIT_MAX_MS);
}

static bool is_connecting_to(const fixture_t *f, const char *address)
{
    char endpoint[128] = "";
    size_t size = sizeof endpoint;
    return f->connector.socket &&
           zmq_getsockopt(f->connector.socket, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0 &&
           strstr(endpoint, address) != NULL;
}

/* ---- tests ---- */

static void addresses_need_no_look_up(void **state)
{
    fixture_t *f = *state;
    int port = 0;
    assert_true(listen_at(f, "127.0.0.1", &port));
    connect_to(f, "127.0.0.1", port);
    assert_non_null(f->connector.socket);
    assert_true(connector_is_idle(&f->connector));
    expect(f, CONNECTOR_CONNECTED);
    stop_listening(f);
    expect(f, CONNECTOR_DISCONNECTED);
    assert_int_equal(atomic_load(&f->wakes), 0);
}

static void a_name_is_looked_up(void **state)
{
    fixture_t *f = *state;
    int port = 0;
    assert_true(listen_at(f, "127.0.0.1", &port));
    fake_names_set("a", "127.0.0.1");
    connect_to(f, "a", port);
    assert_null(f->connector.socket);
    expect(f, CONNECTOR_CONNECTED);
    assert_true(is_connecting_to(f, "tcp://127.0.0.1:"));
    assert_int_equal(atomic_load(&f->wakes), 1);
}

static void addresses_are_tried_in_turn(void **state)
{
    fixture_t *f = *state;
    int port = 0;
    assert_true(listen_at(f, "127.0.0.7", &port));
    fake_names_set("a", "::1 127.0.0.5 127.0.0.6 127.0.0.7 127.0.0.8");
    connect_to(f, "a", port);
    expect(f, CONNECTOR_CONNECTED);
    assert_true(is_connecting_to(f, "tcp://127.0.0.7:"));
    stop_listening(f);
    expect(f, CONNECTOR_DISCONNECTED); /* and all of them again */
    assert_true(listen_at(f, "127.0.0.6", &port));
    expect(f, CONNECTOR_CONNECTED);
    assert_true(is_connecting_to(f, "tcp://127.0.0.6:"));
}

/* Sockets are closed at the very moment at which libzmq reports that a connection was refused. */
static void a_refusal_while_sockets_are_closed_stops_nothing(void **state)
{
    enum { CLOSES = 2000, TURNS = 5 };
    fixture_t *f = *state;
    int port = 0;
    assert_true(listen_at(f, "127.0.0.7", &port));
    fake_names_set("a", "127.0.0.5 127.0.0.6 127.0.0.7");
    connect_to(f, "a", port);
    expect(f, CONNECTOR_CONNECTED);
    for (int i = 0; i < CLOSES; i++) {
        connect_to(f, "a", port); /* closes them, and makes others for some address */
        for (int j = 0; j < i % TURNS; j++) {
            (void)connector_next_event(&f->connector, clock_monotonic_ms());
            (void)connector_tick(&f->connector, &f->host, clock_monotonic_ms(), &f->reason);
        }
    }
    f->connector.connected = false;
    connect_to(f, "a", port);
    expect(f, CONNECTOR_CONNECTED);
}

static void a_name_of_an_ipv6_address(void **state)
{
    fixture_t *f = *state;
    int port = 0;
    if (!listen_at(f, "[::1]", &port)) {
        print_message("skip: a_name_of_an_ipv6_address: this machine has no IPv6\n");
        skip();
    }
    fake_names_set("a", "127.0.0.1 ::1"); /* only one of them serves */
    connect_to(f, "a", port);
    expect(f, CONNECTOR_CONNECTED);
    assert_true(is_connecting_to(f, "tcp://[::1]:"));
}

static void a_new_address_is_found(void **state)
{
    fixture_t *f = *state;
    int port = 0;
    assert_true(listen_at(f, "127.0.0.1", &port));
    fake_names_set("a", "127.0.0.1");
    connect_to(f, "a", port);
    expect(f, CONNECTOR_CONNECTED);
    stop_listening(f);
    expect(f, CONNECTOR_DISCONNECTED);
    assert_true(listen_at(f, "127.0.0.2", &port));
    fake_names_set("a", "127.0.0.2");
    connect_to(f, "a", port); /* as the link does after a while */
    expect(f, CONNECTOR_CONNECTED);
    assert_true(is_connecting_to(f, "tcp://127.0.0.2:"));
}

static void a_known_address_outlives_its_name_server(void **state)
{
    fixture_t *f = *state;
    int port = 0;
    assert_true(listen_at(f, "127.0.0.1", &port));
    fake_names_set("a", "127.0.0.1");
    connect_to(f, "a", port);
    expect(f, CONNECTOR_CONNECTED);
    fake_names_set("a", "silent");
    connect_to(f, "a", port);
    expect(f, CONNECTOR_CONNECTED);
    fake_names_set("a", "unknown");
    expect(f, CONNECTOR_UNRESOLVED);
    assert_true(is_connecting_to(f, "tcp://127.0.0.1:"));
    fake_names_set("a", "silent");
    connect_to(f, "a", port);
    expect(f, CONNECTOR_CONNECTED);
    fake_names_set("a", "127.0.0.9"); /* a connection that stands is left alone */
    while (f->connector.lookup) {
        assert_int_equal(turn(f), CONNECTOR_NOTHING);
    }
    assert_true(is_connecting_to(f, "tcp://127.0.0.1:"));
}

static void a_silent_name_server_is_told_once(void **state)
{
    fixture_t *f = *state;
    int port = 0;
    assert_true(listen_at(f, "127.0.0.1", &port));
    fake_names_set("a", "silent");
    connect_to(f, "a", port);
    uint64_t deadline_ms = connector_deadline(&f->connector);
    assert_in_range(deadline_ms, clock_monotonic_ms(), clock_monotonic_ms() + SLOW_NOTICE_MS);
    expect(f, CONNECTOR_UNRESOLVED);
    assert_non_null(strstr(f->reason.text, "tcp://a:"));
    assert_true(connector_deadline(&f->connector) == UINT64_MAX);
    connect_to(f, "a", port); /* the same look-up goes on */
    expect_within(f, CONNECTOR_NOTHING, 50);
    fake_names_set("a", "127.0.0.1");
    expect(f, CONNECTOR_CONNECTED);
}

static void a_name_that_fails_is_looked_up_again(void **state)
{
    fixture_t *f = *state;
    int port = 0;
    assert_true(listen_at(f, "127.0.0.1", &port));
    fake_names_set("a", "unknown");
    connect_to(f, "a", port);
    expect(f, CONNECTOR_UNRESOLVED);
    assert_string_equal(f->reason.text, "a: Name or service not known");
    assert_true(connector_deadline(&f->connector) != UINT64_MAX);
    expect_within(f, CONNECTOR_NOTHING, 1300); /* has failed once more: not said again */
    fake_names_set("a", "127.0.0.1");
    expect(f, CONNECTOR_CONNECTED);
}

/* Neither closing nor ending the context waits, and nobody is woken afterwards. */
static void closing_waits_for_no_name_server(void **state)
{
    fixture_t *f = *state;
    uint64_t start_ms = clock_monotonic_ms();
    fake_names_set("a", "silent");
    for (int i = 0; i < 50; i++) {
        connect_to(f, "a", 5700 + i);
        assert_true(turn(f) == CONNECTOR_NOTHING);
    }
    connector_close(&f->connector, 0);
    assert_true(connector_is_idle(&f->connector));
    void *context = zmq_ctx_new();
    zmq_ctx_term(context);
    assert_in_range(clock_monotonic_ms() - start_ms, 0, WAIT_MAX_MS / 2);
    fake_names_set("a", "127.0.0.1");
    expect_within(f, CONNECTOR_NOTHING, 100);
    assert_int_equal(atomic_load(&f->wakes), 0);
}

/* Look-ups that were left behind count until they end. */
static void look_ups_are_bounded(void **state)
{
    fixture_t *f = *state;
    fake_names_set("a", "silent");
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    for (int i = 0; i < LOOKUPS_MAX; i++) {
        lookup_t *lookup = lookup_start("tcp://a:1", wake, &f->wakes);
        assert_null(lookup_answer(lookup));
        lookup_destroy(&lookup);
    }
    lookup_t *lookup = lookup_start("tcp://a:1", wake, &f->wakes);
    assert_non_null(lookup_answer(lookup));
    assert_int_equal(lookup_answer(lookup)->count, 0);
    assert_non_null(strstr(lookup_answer(lookup)->failure.text, "a: "));
    lookup_destroy(&lookup);
    fake_names_set("a", "127.0.0.1");
    const lookup_answer_t *answer = NULL;
    while (!answer || answer->count == 0) {
        lookup_destroy(&lookup);
        lookup = lookup_start("tcp://a:1", wake, &f->wakes);
        while (!(answer = lookup_answer(lookup))) {
            poll(NULL, 0, 1);
        }
        assert_true(clock_monotonic_ms() < deadline_ms);
    }
    assert_string_equal(answer->addresses[0], "tcp://127.0.0.1:1");
    lookup_destroy(&lookup);
}

static void addresses_are_all_different(void **state)
{
    fixture_t *f = *state;
    fake_names_set("a", "127.0.0.1 ::1 127.0.0.1 127.0.0.2 ::1");
    lookup_t *lookup = lookup_start("tcp://a:00080", wake, &f->wakes);
    const lookup_answer_t *answer;
    while (!(answer = lookup_answer(lookup))) {
        poll(NULL, 0, 1);
    }
    assert_int_equal(answer->count, 3);
    assert_string_equal(answer->addresses[0], "tcp://127.0.0.1:80");
    assert_string_equal(answer->addresses[1], "tcp://[::1]:80");
    assert_string_equal(answer->addresses[2], "tcp://127.0.0.2:80");
    lookup_destroy(&lookup);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_need_no_look_up),
        TEST(a_name_is_looked_up),
        TEST(addresses_are_tried_in_turn),
        TEST(a_refusal_while_sockets_are_closed_stops_nothing),
        TEST(a_name_of_an_ipv6_address),
        TEST(a_new_address_is_found),
        TEST(a_known_address_outlives_its_name_server),
        TEST(a_silent_name_server_is_told_once),
        TEST(a_name_that_fails_is_looked_up_again),
        TEST(closing_waits_for_no_name_server),
        TEST(look_ups_are_bounded),
        TEST(addresses_are_all_different),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
