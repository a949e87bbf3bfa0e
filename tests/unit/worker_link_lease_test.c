/* The worker's link and time: leases, heartbeats, and messages that renew no lease. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/link_driver.h"

static void lease(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    talk_assign(d, 0, 1, 1);
    work_t *work = link_next_work(d->link);
    const work_lease_t *lease_of = work->lease;
    assert_int_equal(atomic_load(&lease_of->start_until_ms), d->now_ms + 1500);
    work_destroy(&work);
    d->now_ms += 1000;
    talk_ping(d, 1, 1);
    assert_int_equal(atomic_load(&lease_of->start_until_ms), d->now_ms + 1500);
    talk_pass(d, 2999);
    assert_int_equal(link_shards(d->link), 1);
    talk_pass(d, 1);
    assert_int_equal(link_shards(d->link), 0);
    assert_true(talk_has_event(d, LINK_EVENT_SILENT, FABRIC_OK));
    talk_expect_work(d, WORK_STOP, 1);
    assert_int_equal(atomic_load(&lease_of->start_until_ms), 0);
    talk_expect_socket(d, 0, LINK_SOCKET_REOPEN);
}

static void frames_found_after_a_freeze_renew_nothing(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_own(d);
    d->now_ms += 5000;
    talk_deliver(d, 1, 20);
    talk_expect_work(d, WORK_STOP, 1);
    assert_null(link_next_work(d->link));
    assert_int_equal(link_shards(d->link), 0);
}

static void heartbeats(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    link_tick(d->link, d->now_ms);
    wire_writer_t frame = {0};
    assert_true(link_next_frame(d->link, 0, &frame));
    assert_int_equal(link_next_deadline(d->link), d->now_ms + 50);
    link_tick(d->link, d->now_ms + 49);
    assert_false(link_next_frame(d->link, 0, &frame));
    link_tick(d->link, d->now_ms + 50);
    assert_true(link_next_frame(d->link, 0, &frame));
    wire_writer_destroy(&frame);
}

/* Nothing more may be read from the socket: it is closed at once, and opened again later. */
static void what_no_broker_sends_ends_the_connection(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_own(d);
    link_unreadable(d->link, 0, d->now_ms);
    assert_true(talk_has_event(d, LINK_EVENT_MALFORMED, FABRIC_ERROR_MALFORMED_MESSAGE));
    talk_expect_socket(d, 0, LINK_SOCKET_CLOSE);
    assert_int_equal(link_shards(d->link), 0);
    talk_expect_work(d, WORK_ORPHAN, 1);
    talk_pass(d, 1000);
    talk_expect_no_socket(d);
    talk_pass_to_deadline(d);
    talk_expect_work(d, WORK_STOP, 1);
    talk_pass_to_deadline(d);
    talk_expect_socket(d, 0, LINK_SOCKET_REOPEN);
    talk_join(d, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(lease),
        LINK_TEST(frames_found_after_a_freeze_renew_nothing),
        LINK_TEST(heartbeats),
        LINK_TEST(what_no_broker_sends_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
