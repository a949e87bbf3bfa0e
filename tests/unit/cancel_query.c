/* The query "cancel": see cancel_query.h. */
#include "tests/unit/cancel_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

void cancel_query_send(driver_t *driver, const char *peer, uint64_t sequence, uint64_t wait_ms,
                       const uint64_t *ids, size_t count)
{
    wire_writer_t argument = {0};
    wire_put_array(&argument, 2);
    wire_put_uint(&argument, wait_ms);
    wire_put_array(&argument, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        wire_put_uint(&argument, ids[i]);
    }
    message_query_t query = {.sequence = sequence,
                             .name = fabric_bytes_of("cancel"),
                             .argument = wire_writer_bytes(&argument)};
    driver_send(driver, peer, query, &query);
    wire_writer_destroy(&argument);
}

static void copy_text(char *text, size_t size, fabric_bytes_t from)
{
    snprintf(text, size, "%.*s", (int)from.size, (const char *)from.data);
}

/* The map of one request; its id is returned. */
static uint64_t read_request(wire_reader_t *reader, cancel_outcome_t *outcome)
{
    uint64_t id = 0;
    *outcome = (cancel_outcome_t){{0}, {0}};
    uint32_t members = wire_get_map(reader);
    for (uint32_t i = 0; i < members; i++) {
        fabric_bytes_t key = wire_get_str(reader);
        if (fabric_bytes_equal(key, fabric_bytes_of("request_id"))) {
            id = wire_get_uint(reader);
        } else if (fabric_bytes_equal(key, fabric_bytes_of("outcome"))) {
            copy_text(outcome->outcome, sizeof outcome->outcome, wire_get_str(reader));
        } else {
            copy_text(outcome->error, sizeof outcome->error, wire_get_str(reader));
        }
    }
    return id;
}

/* Leaves the reader at the requests. */
static bool read_head(wire_reader_t *reader, uint32_t lane)
{
    bool has = false;
    assert_int_equal(wire_get_map(reader), 3);
    (void)wire_get_str(reader);
    (void)wire_get_uint(reader); /* lanes of the cluster */
    (void)wire_get_str(reader);
    uint32_t lanes = wire_get_array(reader);
    for (uint32_t i = 0; i < lanes; i++) {
        has |= wire_get_uint(reader) == lane;
    }
    (void)wire_get_str(reader);
    return has;
}

cancel_outcome_t cancel_query_outcome(fabric_bytes_t document, uint64_t id)
{
    wire_reader_t reader = wire_reader(document);
    cancel_outcome_t outcome, result = {{0}, {0}};
    (void)read_head(&reader, 0);
    uint32_t count = wire_get_array(&reader);
    for (uint32_t i = 0; i < count; i++) {
        if (read_request(&reader, &outcome) == id) {
            result = outcome;
        }
    }
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
    return result;
}

bool cancel_query_has_lane(fabric_bytes_t document, uint32_t lane)
{
    wire_reader_t reader = wire_reader(document);
    return read_head(&reader, lane);
}
