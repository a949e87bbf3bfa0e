/* Endpoints: checks, locality and broker lists. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/endpoint.h"
#include "core/limits.h"

static void test_cf_02_endpoints_are_tcp_with_a_port_or_ipc_with_a_path(void **state)
{
    (void)state;
    const char *const right[] = {
        "tcp://127.0.0.1:5700", "tcp://broker-1.example_x.org:1", "tcp://[::1]:65535", "tcp://*:*",
        "tcp://127.0.0.1:*",    "ipc:///run/fabric.sock",         "ipc://@abstract",   "ipc://*"};
    const char *const wrong[] = {"",
                                 "127.0.0.1:5700",
                                 "tcp://",
                                 "tcp://127.0.0.1",
                                 "tcp://127.0.0.1:",
                                 "tcp://:5700",
                                 "tcp://h:0",
                                 "tcp://h:65536",
                                 "tcp://h:99999999999999999999",
                                 "tcp://h:57a",
                                 "tcp://h:5700/",
                                 "tcp://a b:5700",
                                 "tcp://h:5700 ",
                                 "tcp://h;g:5700",
                                 "tcp://[::1:5700",
                                 "tcp://[::1]5700",
                                 "tcp://[no]:5700",
                                 "tcp://[]:1",
                                 "tcp://u@h:5700",
                                 "ipc://",
                                 "udp://h:5700",
                                 "inproc://x",
                                 "TCP://h:5700",
                                 "tcp://h:5700\n",
                                 "tcp://h\xc3\xbc:5700"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        reason_t reason = {""};
        assert_int_equal(endpoint_check(right[i], &reason), FABRIC_OK);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        reason_t reason = {""};
        if (endpoint_check(wrong[i], &reason) != FABRIC_ERROR_INVALID_ARGUMENT) {
            fail_msg("taken: %s", wrong[i]);
        }
        assert_true(strlen(reason.text) > 0);
    }
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    char text[400] = "ipc://";
    memset(text + 6, 'p', 107);
    assert_int_equal(endpoint_check(text, NULL), FABRIC_OK);
    memset(text + 6, 'p', 108);
    assert_int_equal(endpoint_check(text, NULL), FABRIC_ERROR_INVALID_ARGUMENT);
    memcpy(text, "tcp://", 6);
    memset(text + 6, 'h', 300);
    memcpy(text + LIMIT_ENDPOINT_BYTES_MAX - 2, ":1", 3);
    assert_int_equal(strlen(text), LIMIT_ENDPOINT_BYTES_MAX);
    assert_int_equal(endpoint_check(text, NULL), FABRIC_OK);
    memcpy(text + LIMIT_ENDPOINT_BYTES_MAX - 2, ":12", 4);
    assert_int_equal(endpoint_check(text, NULL), FABRIC_ERROR_INVALID_ARGUMENT);
}

static void local_endpoints_are_told_from_others(void **state)
{
    (void)state;
    const char *const local[] = {"ipc:///run/x", "tcp://127.0.0.1:5700", "tcp://127.1.2.3:*",
                                 "tcp://localhost:1", "tcp://[::1]:1"};
    const char *const remote[] = {"tcp://*:5700",        "tcp://0.0.0.0:5700",
                                  "tcp://10.0.0.1:1",    "tcp://127.0.0.1.example.org:1",
                                  "tcp://127.example:1", "tcp://localhost.example.org:1",
                                  "tcp://[::]:1",        "tcp://[::2]:1",
                                  "tcp://1270.0.0.1:1",  "tcp://128.0.0.1:1",
                                  "udp://127.0.0.1:1",   "tcp://eth0:1"};
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
        assert_true(endpoint_is_local(local[i]));
    }
    for (size_t i = 0; i < sizeof remote / sizeof remote[0]; i++) {
        if (endpoint_is_local(remote[i])) {
            fail_msg("taken for local: %s", remote[i]);
        }
    }
}

static void names_are_told_from_addresses(void **state)
{
    (void)state;
    char host[LIMIT_ENDPOINT_BYTES_MAX + 1];
    char port[ENDPOINT_PORT_SIZE];
    const char *const others[] = {
        "tcp://127.0.0.1:1", "tcp://[::1]:1", "tcp://*:1",  "ipc:///run/x",
        "ipc://name:1",      "tcp://*:*",     "tcp://name", ""};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(endpoint_has_name(others[i], host, port));
    }
    assert_true(endpoint_has_name("tcp://127.0.0.1.example.org:65535", host, port));
    assert_string_equal(host, "127.0.0.1.example.org");
    assert_string_equal(port, "65535");
    assert_true(endpoint_has_name("tcp://127.1:0000000000005700", host, port));
    assert_string_equal(host, "127.1");
    assert_string_equal(port, "5700");
    assert_true(endpoint_has_name("tcp://localhost:*", host, port));
    assert_string_equal(port, "*");
}

static void join(void *context, const char *endpoint)
{
    char *text = context;
    strcat(text, endpoint);
    strcat(text, " ");
}

static void assert_list(const char *url, const char *expected)
{
    char text[600] = "";
    reason_t reason = {""};
    assert_int_equal(endpoint_list_parse(url, &reason, join, text), FABRIC_OK);
    assert_string_equal(text, expected);
}

static void broker_lists_become_endpoints(void **state)
{
    (void)state;
    assert_list("fabric://h1:5700,h2:5701", "tcp://h1:5700 tcp://h2:5701 ");
    assert_list("fabric://h1,h2", "tcp://h1:5700 tcp://h2:5700 ");
    assert_list("fabric://[::1],[::2]:7", "tcp://[::1]:5700 tcp://[::2]:7 ");
    assert_list("tcp://h1:1,ipc:///run/x", "tcp://h1:1 ipc:///run/x ");
    assert_list("fabric://h1,tcp://h2:3,fabric://h4,ipc://@x",
                "tcp://h1:5700 tcp://h2:3 tcp://h4:5700 ipc://@x ");
    assert_list("h1", "tcp://h1:5700 ");
}

static void one_wrong_element_refuses_the_list(void **state)
{
    (void)state;
    const char *const wrong[] = {"",
                                 ",",
                                 "h1,",
                                 "h1,,h2",
                                 "fabric://",
                                 "fabric://h1, h2",
                                 "h1,tcp://h2",
                                 "h1,tcp://*:5700",
                                 "h1,h2:*",
                                 "h1,http://h2",
                                 "h1,fabric://fabric://h2",
                                 "h1,h2:99999",
                                 "h1,ipc://*",
                                 "h1/"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[600] = "";
        reason_t reason = {""};
        if (endpoint_list_parse(wrong[i], &reason, join, text) != FABRIC_ERROR_INVALID_ARGUMENT) {
            fail_msg("taken: %s", wrong[i]);
        }
        assert_string_equal(text, "");
        assert_true(strlen(reason.text) > 0);
    }
    char text[600] = "";
    char list[300];
    memset(list, 'h', sizeof list);
    list[254] = '\0';
    assert_int_equal(endpoint_list_parse(list, NULL, join, text), FABRIC_ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cf_02_endpoints_are_tcp_with_a_port_or_ipc_with_a_path),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(local_endpoints_are_told_from_others),
        cmocka_unit_test(names_are_told_from_addresses),
        cmocka_unit_test(broker_lists_become_endpoints),
        cmocka_unit_test(one_wrong_element_refuses_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
