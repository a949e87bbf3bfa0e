/* The worker's link with a clock of its own. The test plays the brokers and the executors. It takes
 * what the link sends one message after another; pings are left out.
 *
 * The link begins at 1,000 ms with endpoint 0, whose socket is open and not connected. Brokers have
 * a lease of 3,000 ms, a heartbeat of 50 ms and one map, (1, 1), without groups; all assignments
 * and deliveries are of one shard. A failed expectation fails the cmocka test.
 */
#ifndef TESTS_UNIT_LINK_DRIVER_H
#define TESTS_UNIT_LINK_DRIVER_H

#include "core/message.h"
#include "worker/link.h"

#define LINK_DRIVER_SHARD 0x10003u
enum {
    LINK_DRIVER_LEASE_MS = 3000,
    LINK_DRIVER_HEARTBEAT_MS = 50,
    LINK_DRIVER_GRACE_MS = 500,
    LINK_DRIVER_SHARDS = 300 /* of a group */
};

typedef struct link_driver {
    link_t *link;
    uint64_t now_ms;
    wire_writer_t said;  /* the frame to the link that is being written */
    wire_writer_t frame; /* the last one pulled */
    wire_reader_t messages;
    wire_reader_t body;  /* of the last message that was taken */
    uint64_t connection; /* of the last hello that was taken */
} link_driver_t;

/* A test's state is its driver. */
int link_driver_setup(void **state);
int link_driver_teardown(void **state);
#define LINK_TEST(name)                                                                            \
    cmocka_unit_test_setup_teardown(name, link_driver_setup, link_driver_teardown)

/* ---- what the link says ---- */

/* Takes the next message to an endpoint and expects this kind; its fields are still in `body`. */
void talk_expect(link_driver_t *d, uint32_t endpoint, message_kind_t kind);
void talk_expect_silence(link_driver_t *d, uint32_t endpoint);
/* Expects a hello, with a larger connection number than any before, and nothing else. */
void talk_expect_hello(link_driver_t *d, uint32_t endpoint);
/* The next two look at endpoint 0. */
void talk_expect_not_taken(link_driver_t *d, uint64_t request_id);
void talk_expect_released(link_driver_t *d, uint64_t owner_sequence);
/* Takes events up to the first of this kind, which has this error; false: there is none. */
bool talk_has_event(link_driver_t *d, link_event_kind_t kind, fabric_error_t error);
/* Expects this action on this endpoint's socket, and no other action. */
void talk_expect_socket(link_driver_t *d, uint32_t endpoint, link_socket_t action);
void talk_expect_no_socket(link_driver_t *d);

/* ---- what brokers say ---- */

/* Moves the clock and calls link_tick. */
void talk_pass(link_driver_t *d, uint64_t ms);
void talk_pass_to_deadline(link_driver_t *d);
/* Sends a frame with one message to the link: its kind, in lower case, and its fields. */
#define talk_say(d, endpoint, kind, ...)                                                           \
    do {                                                                                           \
        message_##kind##_t message_ = {__VA_ARGS__};                                               \
        talk_frame_begin(d);                                                                       \
        message_put_##kind(&(d)->said, &message_);                                                 \
        talk_frame_end(d, endpoint);                                                               \
    } while (0)
void talk_frame_begin(link_driver_t *d);
void talk_frame_end(link_driver_t *d, uint32_t endpoint);
/* Sends any bytes to the link, as one frame. */
void talk_receive(link_driver_t *d, uint32_t endpoint, fabric_bytes_t bytes);

/* Connects, is welcomed, and tells its health: that message is at hand. */
void talk_join(link_driver_t *d, uint32_t endpoint, uint8_t broker);
void talk_welcome(link_driver_t *d, uint32_t endpoint, uint8_t broker, uint8_t cluster,
                  uint64_t connection);
void talk_assign_type(link_driver_t *d, uint32_t endpoint, const char *type, uint64_t epoch,
                      uint64_t owner_sequence);
void talk_assign(link_driver_t *d, uint32_t endpoint, uint64_t epoch, uint64_t owner_sequence);
/* All that follow are on endpoint 0. */
/* Joins broker 1, is assigned the shard under token (1, 1) and takes the work of beginning it. */
void talk_own(link_driver_t *d);
void talk_release(link_driver_t *d, uint64_t owner_sequence, uint64_t grace_ms);
void talk_deliver(link_driver_t *d, uint64_t owner_sequence, uint64_t request_id);
/* Announces a version of the map. */
void talk_ping(link_driver_t *d, uint64_t map_term, uint64_t map_sequence);

/* ---- executors ---- */

/* Takes the next piece of work. `owner_sequence` is that of the token, but for deliveries. */
void talk_expect_work(link_driver_t *d, work_kind_t kind, uint64_t owner_sequence);
void talk_stopped(link_driver_t *d, uint64_t connection, uint64_t owner_sequence);
void talk_result(link_driver_t *d, uint64_t connection, uint64_t request_id);

#endif
