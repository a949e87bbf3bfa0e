/* A home's answers to whoever reads the events of an entity: the first byte gives the sequence
 * behind which they begin. What is read is in order, has tags and lies in the answer. */
#include <stdlib.h>
#include <string.h>

#include "libfabric_client/src/client_state.h"
#include "tests/fuzz/fuzz.h"

static void expect_within(fabric_bytes_t bytes, fabric_bytes_t document)
{
    assert_true(bytes.size == 0 || (bytes.data >= document.data &&
                                    bytes.data + bytes.size <= document.data + document.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = fuzz_input(data, size);
    uint64_t after = fuzz_byte(&input);
    uint64_t last = after;
    fabric_bytes_t document = fuzz_rest(&input);
    fabric_entity_events_t events = {0};
    if (client_read_events(document, after, &events)) {
        for (size_t i = 0; i < events.count; i++) {
            const fabric_entity_event_t *event = &events.events[i];
            assert_true(event->sequence > last);
            assert_true(event->tag.size > 0);
            assert_true(event->recorded_ms >= 0);
            expect_within(event->tag, document);
            expect_within(event->payload, document);
            last = event->sequence;
        }
        assert_true(events.last == last);
    }
    fabric_entity_events_free(&events);
    assert_null(events.events);
    return 0;
}

static void seed(uint32_t count, uint64_t first, bool more)
{
    wire_writer_t document = {0};
    wire_put_map(&document, 2);
    wire_put_text(&document, "events");
    wire_put_array(&document, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_put_array(&document, 6);
        wire_put_uint(&document, first + i);
        wire_put_text(&document, "Added");
        wire_put_uint(&document, 1);
        wire_put_uint(&document, 1700000000000);
        wire_put_uint(&document, 4096);
        wire_put_bin(&document, fabric_bytes("\x91\x01", 2));
    }
    wire_put_text(&document, "more");
    wire_put_bool(&document, more);
    fuzz_seed_after((uint8_t)(first - 1), wire_writer_bytes(&document));
    wire_writer_destroy(&document);
}

void fuzz_seeds(void)
{
    seed(0, 1, false);
    seed(3, 1, true);
    seed(2, 200, false);
}
