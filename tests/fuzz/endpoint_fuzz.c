/* Endpoints and store URLs. Every endpoint of a list is one, and the list of them means the same.
 * The parts of a store's URL survive another writing of it; a reason never tells what may be a
 * password. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/endpoint.h"
#include "core/limits.h"
#include "mysql/mysql_url.h"
#include "tests/fuzz/fuzz.h"

/* ---- lists ---- */

static void collect(void *context, const char *endpoint)
{
    wire_writer_t *list = context;
    reason_t reason = {{0}};
    if (endpoint_check(endpoint, &reason)) {
        fail_msg("%s", reason.text);
    }
    (void)endpoint_is_local(endpoint);
    if (list->size > 0) {
        wire_append(list, ",", 1);
    }
    wire_append(list, endpoint, strlen(endpoint));
}

static void check_list(const char *text)
{
    wire_writer_t list = {0};
    wire_writer_t again = {0};
    reason_t reason = {{0}};
    if (endpoint_list_parse(text, &reason, collect, &list)) {
        assert_int_equal(list.size, 0);
        assert_true(reason.text[0] && !strchr(reason.text, '\n'));
    } else {
        wire_append(&list, "", 1);
        assert_int_equal(endpoint_list_parse((const char *)list.data, &reason, collect, &again),
                         FABRIC_OK);
        wire_append(&again, "", 1);
        assert_string_equal((const char *)again.data, (const char *)list.data);
    }
    wire_writer_destroy(&list);
    wire_writer_destroy(&again);
}

/* ---- store URLs ---- */

static void put_escaped(wire_writer_t *url, const char *part)
{
    char escaped[4];
    for (; *part; part++) {
        snprintf(escaped, sizeof escaped, "%%%02x", (unsigned char)*part);
        wire_append(url, escaped, 3);
    }
}

static void put_text(wire_writer_t *url, const char *text)
{
    wire_append(url, text, strlen(text));
}

static void expect_rewritten(const mysql_url_t *parts)
{
    wire_writer_t url = {0};
    mysql_url_t again;
    char port[16];
    snprintf(port, sizeof port, ":%u/", parts->port);
    put_text(&url, "mysql://");
    put_escaped(&url, parts->user);
    put_text(&url, "@");
    put_escaped(&url, parts->host);
    put_text(&url, port);
    put_escaped(&url, parts->database);
    if (parts->socket[0]) {
        put_text(&url, "?socket=");
        put_escaped(&url, parts->socket);
    }
    wire_append(&url, "", 1);
    assert_int_equal(mysql_url_parse((const char *)url.data, NULL, &again), FABRIC_OK);
    assert_string_equal(again.user, parts->user);
    assert_string_equal(again.host, parts->host);
    assert_string_equal(again.database, parts->database);
    assert_string_equal(again.socket, parts->socket);
    assert_int_equal(again.port, parts->port);
    wire_writer_destroy(&url);
}

static void check_store(const char *text)
{
    mysql_url_t parts;
    mysql_url_t untouched;
    reason_t reason = {{0}};
    memset(&parts, 0xa5, sizeof parts);
    memset(&untouched, 0xa5, sizeof untouched);
    if (mysql_url_parse(text, &reason, &parts)) {
        assert_memory_equal(&parts, &untouched, sizeof parts);
        assert_true(reason.text[0] && !strchr(reason.text, '\n'));
        assert_null(strstr(reason.text, "hunter2"));
    } else {
        expect_rewritten(&parts);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(fabric_bytes(data, size));
    reason_t reason = {{0}};
    check_list(text);
    check_store(text);
    if (endpoint_check(text, &reason) == FABRIC_OK) {
        assert_true(strlen(text) <= LIMIT_ENDPOINT_BYTES_MAX);
    }
    free(text);
    return 0;
}

void fuzz_seeds(void)
{
    fuzz_seed(fabric_bytes_of("fabric://h1:5700,h2"));
    fuzz_seed(fabric_bytes_of("tcp://127.0.0.1:*,ipc:///run/fabric.sock"));
    fuzz_seed(fabric_bytes_of("tcp://[::1]:1,[fe80::1],localhost"));
    fuzz_seed(fabric_bytes_of("mysql://fabric@db/fabric"));
    fuzz_seed(fabric_bytes_of("mysql://a%40b@[::1]:3307/f?socket=/run/m.sock"));
    fuzz_seed(fabric_bytes_of("mysql://user:hunter2@db:1/x?socket=hunter2"));
}
