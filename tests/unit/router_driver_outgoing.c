/* The router's driver in the place of the mesh: see router_driver.h. */
#include "tests/unit/router_driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void add_note(driver_t *driver, fabric_bytes_t message)
{
    note_t **last = &driver->notes;
    while (*last) {
        last = &(*last)->next;
    }
    note_t *note = calloc(1, sizeof *note + message.size);
    assert_non_null(note);
    strcpy(note->peer, "mesh");
    memcpy(note->bytes, message.data, message.size);
    note->size = message.size;
    wire_reader_t own = wire_reader(fabric_bytes(note->bytes, note->size));
    assert_int_equal(message_open(&own, &note->kind), FABRIC_OK);
    assert_int_equal(message_get_outgoing(&own, &note->as.outgoing), FABRIC_OK);
    *last = note;
}

void driver_pull_outgoing(driver_t *driver)
{
    router_outgoing_t outgoing;
    while (router_next_outgoing(driver->router, &outgoing)) {
        wire_reader_t reader;
        wire_reader_t body;
        frame_head_t head;
        wire_writer_t frame = {0};
        frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
        message_put_outgoing(&frame, &outgoing.message);
        assert_int_equal(frame_open(wire_writer_bytes(&frame), &reader, &head), FABRIC_OK);
        assert_true(frame_next(&reader, &body));
        add_note(driver, fabric_bytes(body.next, wire_left(&body)));
        wire_writer_destroy(&frame);
    }
}
