/* Trying an endpoint: only a refusal at all of its addresses counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/coordinator/probe_zmq.h"
#include "core/clock.h"

#define WAIT_MS 2000 /* for answers that come at once, on a busy machine */

/* A TCP socket on a free port of this machine, which listens or does not. */
static int bind_port(bool listens, uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    if (listens) {
        assert_int_equal(listen(fd, 1), 0);
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static void a_port_without_a_listener_refuses(void **state)
{
    (void)state;
    uint16_t port;
    char endpoint[64];
    int fd = bind_port(false, &port);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    assert_true(probe_refuses(endpoint, WAIT_MS));
    close(fd);
}

static void a_listener_does_not_refuse_even_if_it_is_frozen(void **state)
{
    (void)state;
    uint16_t port;
    char endpoint[64];
    int fd = bind_port(true, &port);
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    for (int i = 0; i < 4; i++) { /* nobody accepts: its backlog fills up */
        assert_false(probe_refuses(endpoint, 50));
    }
    close(fd);
}

static void a_name_refuses_at_all_of_its_addresses(void **state)
{
    (void)state;
    uint16_t port;
    char endpoint[64];
    int fd = bind_port(true, &port);
    snprintf(endpoint, sizeof endpoint, "tcp://localhost:%u", port);
    assert_false(probe_refuses(endpoint, WAIT_MS)); /* its IPv6 address refuses, if it has one */
    close(fd);
    fd = bind_port(false, &port);
    snprintf(endpoint, sizeof endpoint, "tcp://localhost:%u", port);
    assert_true(probe_refuses(endpoint, WAIT_MS));
    close(fd);
}

static void what_is_not_known_in_time_is_no_refusal(void **state)
{
    (void)state;
    uint64_t before_ms = clock_monotonic_ms();
    assert_false(probe_refuses("tcp://name.invalid:5700", 20));
    assert_false(probe_refuses("tcp://127.0.0.1", 20));
    assert_false(probe_refuses("tcp://[::1]", 20));
    assert_false(probe_refuses("tcp://:", 20));
    assert_false(probe_refuses("inproc://broker", 20));
    assert_false(probe_refuses("ipc://", 20));
    assert_false(probe_refuses("", 20));
    assert_true(clock_monotonic_ms() - before_ms < WAIT_MS);
}

static void an_address_of_ipv6_is_understood(void **state)
{
    (void)state;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t size = sizeof address;
    char endpoint[64];
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0) {
        skip(); /* this machine has no IPv6 */
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(endpoint, sizeof endpoint, "tcp://[::1]:%u", ntohs(address.sin6_port));
    assert_true(probe_refuses(endpoint, WAIT_MS));
    assert_int_equal(listen(fd, 1), 0);
    assert_false(probe_refuses(endpoint, WAIT_MS));
    close(fd);
}

static void listen_at(int fd, const char *path, size_t extra)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + extra);
    if (path[0] == '@') {
        address.sun_path[0] = '\0';
    }
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 1), 0);
}

static void a_path_without_a_listener_refuses(void **state)
{
    (void)state;
    char folder[] = "/tmp/fabric-probe-XXXXXX";
    char path[64], endpoint[80];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(endpoint, sizeof endpoint, "ipc://%s", path);
    bool missing = probe_refuses(endpoint, WAIT_MS);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    listen_at(fd, path, 1);
    bool listening = probe_refuses(endpoint, WAIT_MS);
    close(fd); /* as kill -9 leaves it: the file is still there */
    bool left = probe_refuses(endpoint, WAIT_MS);
    unlink(path);
    rmdir(folder);
    assert_true(missing);
    assert_false(listening);
    assert_true(left);
}

static void an_abstract_socket_is_found(void **state)
{
    (void)state;
    char name[64], endpoint[80];
    snprintf(name, sizeof name, "@fabric-probe-%ld", (long)getpid());
    snprintf(endpoint, sizeof endpoint, "ipc://%s", name);
    assert_true(probe_refuses(endpoint, WAIT_MS));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    listen_at(fd, name, 0);
    assert_false(probe_refuses(endpoint, WAIT_MS));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_without_a_listener_refuses),
        cmocka_unit_test(a_listener_does_not_refuse_even_if_it_is_frozen),
        cmocka_unit_test(a_name_refuses_at_all_of_its_addresses),
        cmocka_unit_test(what_is_not_known_in_time_is_no_refusal),
        cmocka_unit_test(an_address_of_ipv6_is_understood),
        cmocka_unit_test(a_path_without_a_listener_refuses),
        cmocka_unit_test(an_abstract_socket_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
