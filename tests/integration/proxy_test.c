/* Tests the proxy of the fault tests: client and server see each fault that it injects, and only
 * when a test asks for it; a real server shows that COMMITs and their answers are lost for
 * certain. */
#include "tests/harness/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <mysql.h>

#include "core/clock.h"
#include "mysql/mysql_url.h"
#include "tests/harness/mariadb.h"

enum { WAIT_MAX_MS = 20000, QUIET_MS = 60, DELAY_MS = 150, BIG_BYTES = 3 << 20 };
enum { ROUNDS = 5, STALL_S = 2 };

static char missing_server[256];

/* ---- a client and a server on two ends of a proxy ---- */

static struct {
    int listener;
    proxy_t *proxy;
    int client;
    int server;
} ends;

static int tcp_socket(void)
{
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(made >= 0);
    return made;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Connects to the proxy; -1 when it is refused. */
static int connect_client(void)
{
    struct sockaddr_in address = loopback(proxy_port(ends.proxy));
    int made = tcp_socket();
    if (connect(made, (const struct sockaddr *)&address, sizeof address) == 0) {
        return made;
    }
    assert_int_equal(errno, ECONNREFUSED);
    close(made);
    return -1;
}

static int set_up_ends(void **state)
{
    (void)state;
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    ends.listener = tcp_socket();
    assert_int_equal(bind(ends.listener, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(ends.listener, 8), 0);
    assert_int_equal(getsockname(ends.listener, (struct sockaddr *)&address, &size), 0);
    ends.proxy = proxy_start("127.0.0.1", ntohs(address.sin_port), PROXY_BYTES);
    assert_non_null(ends.proxy);
    ends.client = connect_client();
    assert_true(ends.client >= 0);
    ends.server = accept4(ends.listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(ends.server >= 0);
    return 0;
}

static int tear_down_ends(void **state)
{
    (void)state;
    proxy_stop(&ends.proxy);
    close(ends.client);
    close(ends.server);
    close(ends.listener);
    return 0;
}

static void put(int socket, const char *text)
{
    assert_int_equal(send(socket, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static bool is_readable(int socket, int wait_ms)
{
    struct pollfd item = {.fd = socket, .events = POLLIN};
    return poll(&item, 1, wait_ms) == 1;
}

/* Nothing arrives, and the connection does not end. */
static void expect_quiet(int socket)
{
    assert_false(is_readable(socket, QUIET_MS));
}

static void expect(int socket, const char *text)
{
    char got[64] = "";
    size_t size = 0;
    while (size < strlen(text)) {
        assert_true(is_readable(socket, WAIT_MAX_MS));
        ssize_t more = recv(socket, got + size, sizeof got - 1 - size, 0);
        assert_true(more > 0);
        size += (size_t)more;
    }
    got[size] = '\0';
    assert_string_equal(got, text);
}

static void expect_end(int socket, proxy_ending_t how)
{
    char byte;
    assert_true(is_readable(socket, WAIT_MAX_MS));
    ssize_t got = recv(socket, &byte, 1, 0);
    assert_int_equal(got, how == PROXY_CLOSE ? 0 : -1);
    assert_true(got == 0 || errno == ECONNRESET);
}

static void expect_both_ways(void)
{
    put(ends.client, "request");
    expect(ends.server, "request");
    put(ends.server, "answer");
    expect(ends.client, "answer");
}

/* The proxy holds so many connections, at once or a little later. */
static void expect_held(uint32_t count)
{
    uint64_t until_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (proxy_held(ends.proxy) != count) {
        assert_true(clock_monotonic_ms() < until_ms);
        poll(NULL, 0, 1);
    }
}

static void reconnect(void)
{
    close(ends.client);
    close(ends.server);
    ends.client = connect_client();
    assert_true(ends.client >= 0);
    ends.server = accept4(ends.listener, NULL, NULL, SOCK_CLOEXEC);
}

static void forwards(void **state)
{
    (void)state;
    expect_both_ways();
    assert_int_equal(proxy_bytes(ends.proxy, PROXY_TO_SERVER), strlen("request"));
    assert_int_equal(proxy_bytes(ends.proxy, PROXY_TO_CLIENT), strlen("answer"));
    assert_int_equal(proxy_connections(ends.proxy), 1);
    assert_int_equal(proxy_accepted(ends.proxy), 1);
    assert_int_equal(shutdown(ends.client, SHUT_WR), 0);
    expect_end(ends.server, PROXY_CLOSE);
    put(ends.server, "late"); /* half closed */
    expect(ends.client, "late");
}

/* More than sockets and the proxy hold: it goes through in order once it is read. */
static void forwards_much(void **state)
{
    (void)state;
    static uint8_t bytes[65536];
    size_t sent = 0;
    size_t received = 0;
    assert_int_equal(fcntl(ends.client, F_SETFL, O_NONBLOCK), 0);
    while (received < BIG_BYTES) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = (uint8_t)((sent + i) % 251);
        }
        size_t rest = BIG_BYTES - sent;
        ssize_t put_bytes = send(ends.client, bytes, rest < sizeof bytes ? rest : sizeof bytes, 0);
        sent += put_bytes > 0 ? (size_t)put_bytes : 0;
        if (put_bytes > 0) {
            continue;
        }
        assert_true(is_readable(ends.server, WAIT_MAX_MS));
        ssize_t got = recv(ends.server, bytes, sizeof bytes, 0);
        assert_true(got > 0);
        for (size_t i = 0; i < (size_t)got; i++) {
            assert_int_equal(bytes[i], (received + i) % 251);
        }
        received += (size_t)got;
    }
}

static void delays(void **state)
{
    (void)state;
    proxy_delay(ends.proxy, PROXY_TO_CLIENT, DELAY_MS);
    put(ends.client, "request");
    expect(ends.server, "request");
    uint64_t start_ms = clock_monotonic_ms();
    put(ends.server, "answer");
    expect(ends.client, "answer");
    assert_true(clock_monotonic_ms() - start_ms >= DELAY_MS - 1);
    proxy_delay(ends.proxy, PROXY_BOTH, WAIT_MAX_MS * 10);
    put(ends.client, "request");
    expect_quiet(ends.server);
    proxy_heal(ends.proxy);
    expect(ends.server, "request");
    expect_both_ways();
}

static void stalls(void **state)
{
    (void)state;
    proxy_stall(ends.proxy, PROXY_TO_SERVER, 3);
    put(ends.client, "request");
    expect(ends.server, "req");
    expect_quiet(ends.server);
    put(ends.server, "answer"); /* the other direction goes on */
    expect(ends.client, "answer");
    assert_int_equal(shutdown(ends.client, SHUT_WR), 0);
    expect_quiet(ends.server); /* nor does the end get through */
    proxy_heal(ends.proxy);
    expect(ends.server, "uest");
    expect_end(ends.server, PROXY_CLOSE);
}

/* Only the connection that has sent the text, in both directions. */
static void holds(void **state)
{
    (void)state;
    proxy_hold(ends.proxy, "hold this");
    expect_both_ways();
    assert_int_equal(proxy_held(ends.proxy), 0);
    put(ends.client, "do hold this");
    expect_held(1);
    expect_quiet(ends.server);
    put(ends.server, "answer");
    expect_quiet(ends.client);
    assert_int_equal(proxy_held(ends.proxy), 1);
    int held_client = ends.client;
    int held_server = ends.server;
    ends.client = connect_client();
    ends.server = accept4(ends.listener, NULL, NULL, SOCK_CLOEXEC);
    expect_both_ways();
    proxy_heal(ends.proxy);
    expect(held_server, "do hold this");
    expect(held_client, "answer");
    assert_int_equal(proxy_held(ends.proxy), 0);
    close(held_client);
    close(held_server);
}

static void corrupts(void **state)
{
    (void)state;
    proxy_corrupt(ends.proxy, PROXY_TO_SERVER, 2);
    put(ends.client, "request");
    expect(ends.server, "reauest"); /* q and a differ in one bit */
    expect_both_ways();
}

static void cuts(void **state)
{
    (void)state;
    proxy_cut(ends.proxy, PROXY_CLOSE);
    assert_int_equal(proxy_connections(ends.proxy), 0);
    expect_end(ends.client, PROXY_CLOSE);
    expect_end(ends.server, PROXY_CLOSE);
    reconnect();
    expect_both_ways();
    proxy_cut(ends.proxy, PROXY_RESET);
    expect_end(ends.client, PROXY_RESET);
    expect_end(ends.server, PROXY_RESET);
    reconnect();
    proxy_cut_after(ends.proxy, PROXY_TO_CLIENT, 4, PROXY_CLOSE);
    put(ends.server, "answer");
    expect(ends.client, "answ");
    expect_end(ends.client, PROXY_CLOSE);
    reconnect();
    expect_both_ways(); /* once */
}

static void refuses(void **state)
{
    (void)state;
    uint16_t port = proxy_port(ends.proxy);
    for (int i = 0; i < ROUNDS; i++) {
        proxy_refuse(ends.proxy, true);
        assert_int_equal(connect_client(), -1);
        expect_both_ways(); /* those that there are go on */
        proxy_refuse(ends.proxy, false);
        reconnect();
        expect_both_ways();
    }
    assert_int_equal(proxy_port(ends.proxy), port);
}

/* Where the server refuses, the client is cut off. */
static void server_away(void **state)
{
    (void)state;
    close(ends.listener);
    int client = connect_client();
    assert_true(client >= 0);
    expect_end(client, PROXY_RESET);
    close(client);
    expect_both_ways();
    ends.listener = tcp_socket();
}

/* ---- commits, as a real server takes them ---- */

static struct {
    char url[512];
    proxy_t *proxy;
} database;

/* Waits for `read_s` for an answer. */
static MYSQL *connect_database(bool through_proxy, unsigned read_s)
{
    mysql_url_t url;
    MYSQL *handle = mysql_init(NULL);
    assert_non_null(handle);
    assert_int_equal(mysql_url_parse(database.url, NULL, &url), FABRIC_OK);
    mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &read_s);
    unsigned port = through_proxy ? proxy_port(database.proxy) : url.port;
    if (!mysql_real_connect(handle, "127.0.0.1", url.user, mariadb_password(), url.database, port,
                            NULL, 0)) {
        fail_msg("%s", mysql_error(handle));
    }
    return handle;
}

static void run(MYSQL *handle, const char *statement)
{
    if (mysql_query(handle, statement)) {
        fail_msg("%s: %s", statement, mysql_error(handle));
    }
}

static int set_up_database(void **state)
{
    mysql_url_t url;
    if (missing_server[0]) {
        print_message("skip: %s: %s\n", (const char *)*state, missing_server);
        return 0;
    }
    assert_true(mariadb_fresh_database(database.url));
    assert_true(mariadb_execute(database.url, "CREATE TABLE journal (id INT PRIMARY KEY)"));
    assert_int_equal(mysql_url_parse(database.url, NULL, &url), FABRIC_OK);
    database.proxy = proxy_start("127.0.0.1", url.port, PROXY_MYSQL);
    assert_non_null(database.proxy);
    return 0;
}

static int tear_down_database(void **state)
{
    (void)state;
    if (!missing_server[0]) {
        proxy_stop(&database.proxy);
        mariadb_drop_database(database.url);
    }
    return 0;
}

static bool has_row(int id)
{
    MYSQL *handle = connect_database(false, WAIT_MAX_MS / 1000);
    char query[100];
    snprintf(query, sizeof query, "SELECT id FROM journal WHERE id = %d LOCK IN SHARE MODE", id);
    run(handle, query);
    MYSQL_RES *result = mysql_store_result(handle);
    assert_non_null(result);
    bool found = mysql_num_rows(result) == 1;
    mysql_free_result(result);
    mysql_close(handle);
    return found;
}

static bool insert_row(MYSQL *handle, int id)
{
    char statement[100];
    snprintf(statement, sizeof statement, "INSERT INTO journal VALUES (%d)", id);
    run(handle, "SET autocommit = 0");
    run(handle, statement);
    return mysql_commit(handle) == 0;
}

static bool append_row(MYSQL *handle, int id)
{
    static const char statement[] = "INSERT INTO journal VALUES (?)";
    MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_LONG, .buffer = &id};
    MYSQL_STMT *other = mysql_stmt_init(handle);
    MYSQL_STMT *prepared = mysql_stmt_init(handle);
    assert_non_null(other);
    assert_non_null(prepared);
    assert_int_equal(mysql_stmt_prepare(other, "DO ?", 4), 0); /* is executed, and no commit */
    assert_int_equal(mysql_stmt_bind_param(other, &bind), 0);
    assert_int_equal(mysql_stmt_execute(other), 0);
    assert_int_equal(mysql_stmt_prepare(prepared, statement, sizeof statement - 1), 0);
    assert_int_equal(mysql_stmt_bind_param(prepared, &bind), 0);
    bool answered = mysql_stmt_execute(prepared) == 0;
    mysql_stmt_close(prepared);
    mysql_stmt_close(other);
    return answered;
}

/* One commit through the proxy. Whether it was answered. If it is to be stalled, client and server
 * are to give up soon, and the server releases its locks. */
static bool commit_row(proxy_commit_t kind, int id, bool stalled)
{
    char setting[64];
    unsigned wait_s = stalled ? STALL_S : WAIT_MAX_MS / 1000;
    MYSQL *handle = connect_database(true, wait_s);
    snprintf(setting, sizeof setting, "SET wait_timeout = %u", wait_s);
    run(handle, setting);
    bool answered = kind == PROXY_TRANSACTION ? insert_row(handle, id) : append_row(handle, id);
    if (!answered) { /* a stalled connection cannot be closed in order */
        shutdown((int)handle->net.fd, SHUT_RDWR);
    }
    mysql_close(handle);
    return answered;
}

static void lose(proxy_commit_t kind, proxy_loss_t what, proxy_ending_t how)
{
    static int id = 0;
    proxy_commit_t other = kind == PROXY_APPEND ? PROXY_TRANSACTION : PROXY_APPEND;
    uint64_t lost = proxy_lost_commits(database.proxy, what);
    uint64_t commits = proxy_commits(database.proxy, kind);
    uint64_t others = proxy_commits(database.proxy, other);
    proxy_lose_commits(database.proxy, kind, what, 1, how);
    assert_true(commit_row(other, ++id, false)); /* is spared */
    assert_false(commit_row(kind, ++id, how == PROXY_STALL));
    assert_int_equal(proxy_lost_commits(database.proxy, what), lost + 1);
    assert_int_equal(has_row(id), what == PROXY_LOSE_ANSWER);
    assert_true(commit_row(kind, ++id, false)); /* the next is spared */
    assert_true(has_row(id));
    assert_int_equal(proxy_lost_commits(database.proxy, what), lost + 1);
    assert_int_equal(proxy_commits(database.proxy, kind), commits + 2);
    assert_int_equal(proxy_commits(database.proxy, other), others + 1);
}

static void lose_in_each_way(proxy_commit_t kind)
{
    for (int i = 0; i < ROUNDS; i++) {
        lose(kind, PROXY_LOSE_ANSWER, PROXY_CLOSE);
        lose(kind, PROXY_LOSE_ANSWER, PROXY_RESET);
        lose(kind, PROXY_LOSE_COMMIT, PROXY_CLOSE);
        lose(kind, PROXY_LOSE_COMMIT, PROXY_RESET);
    }
    lose(kind, PROXY_LOSE_ANSWER, PROXY_STALL);
    lose(kind, PROXY_LOSE_COMMIT, PROXY_STALL);
}

static void loses_commits(void **state)
{
    (void)state;
    if (missing_server[0]) {
        skip();
    }
    lose_in_each_way(PROXY_TRANSACTION);
    lose_in_each_way(PROXY_APPEND);
    proxy_heal(database.proxy);
    uint64_t until_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (proxy_connections(database.proxy) > 0 && clock_monotonic_ms() < until_ms) {
        poll(NULL, 0, 1); /* the server closes the connection a little later */
    }
    assert_int_equal(proxy_connections(database.proxy), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(forwards, set_up_ends, tear_down_ends),
        cmocka_unit_test_setup_teardown(forwards_much, set_up_ends, tear_down_ends),
        cmocka_unit_test_setup_teardown(delays, set_up_ends, tear_down_ends),
        cmocka_unit_test_setup_teardown(stalls, set_up_ends, tear_down_ends),
        cmocka_unit_test_setup_teardown(holds, set_up_ends, tear_down_ends),
        cmocka_unit_test_setup_teardown(corrupts, set_up_ends, tear_down_ends),
        cmocka_unit_test_setup_teardown(cuts, set_up_ends, tear_down_ends),
        cmocka_unit_test_setup_teardown(refuses, set_up_ends, tear_down_ends),
        cmocka_unit_test_setup_teardown(server_away, set_up_ends, tear_down_ends),
        {.name = "loses_commits",
         .test_func = loses_commits,
         .setup_func = set_up_database,
         .teardown_func = tear_down_database,
         .initial_state = (void *)(uintptr_t) "loses_commits"},
    };
    cmocka_set_test_filter(getenv("TEST_FILTER"));
    if (mariadb_start(missing_server)) {
        missing_server[0] = '\0';
    }
    int failed = cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
    mariadb_stop();
    return failed;
}
