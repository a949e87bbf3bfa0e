/* The link: states, snapshots and events, which go the way of the deliveries that they come
 * before. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/journal/events.h"
#include "tests/unit/link_driver.h"

/* Takes the next piece of work, with one delivery. */
static work_t *expect_given(link_driver_t *d, uint64_t flags)
{
    work_t *work = link_next_work(d->link);
    assert_non_null(work);
    assert_int_equal(work->kind, WORK_DELIVERIES);
    assert_int_equal(work->count, 1);
    const message_deliver_t *given = &work->deliveries[0];
    assert_true(given->flags == (REQUEST_DURABLE | flags));
    assert_int_equal(given->shard, LINK_DRIVER_SHARD);
    assert_int_equal(given->home_epoch, 1);
    assert_int_equal(given->owner_sequence, 1);
    assert_int_equal(given->activation, 5);
    assert_true(fabric_bytes_equal(given->type, fabric_bytes_of("T")));
    assert_true(fabric_bytes_equal(given->id, fabric_bytes_of("a")));
    return work;
}

static void say_state(link_driver_t *d, const char *type, uint64_t version, uint64_t sequence)
{
    talk_say(d, 0, entity_state, .shard = LINK_DRIVER_SHARD, .home_epoch = 1, .owner_sequence = 1,
             .activation = 5, .type = fabric_bytes_of(type), .id = fabric_bytes_of("a"),
             .version = version, .state = fabric_bytes_of("state"), .sequence = sequence);
}

static void say_events(link_driver_t *d, const char *type, fabric_bytes_t events, uint64_t more)
{
    talk_say(d, 0, entity_events, .shard = LINK_DRIVER_SHARD, .home_epoch = 1, .owner_sequence = 1,
             .activation = 5, .type = fabric_bytes_of(type), .id = fabric_bytes_of("a"), .first = 8,
             .events = events, .more = more);
}

static fabric_bytes_t one_event(wire_writer_t *array)
{
    wire_writer_t list = {0};
    journal_events_put(&list, fabric_bytes_of("Paid"), 1, fabric_bytes_of("payload"));
    journal_events_put_array(array,
                             &(journal_events_t){.count = 1, .list = wire_writer_bytes(&list)});
    wire_writer_destroy(&list);
    return wire_writer_bytes(array);
}

static void a_state_and_events_reach_the_executor(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    wire_writer_t array = {0};
    talk_own(d);
    say_state(d, "T", 2, 7);
    work_t *work = expect_given(d, WORK_STATE);
    assert_int_equal(work->deliveries[0].attempt, 2);
    assert_true(work->deliveries[0].position == 7);
    assert_true(fabric_bytes_equal(work->deliveries[0].payload, fabric_bytes_of("state")));
    work_destroy(&work);
    say_events(d, "T", one_event(&array), 1);
    work = expect_given(d, WORK_STATE | WORK_EVENTS);
    assert_int_equal(work->deliveries[0].attempt, 1);
    assert_true(work->deliveries[0].position == 8);
    assert_true(fabric_bytes_equal(work->deliveries[0].payload, wire_writer_bytes(&array)));
    work_destroy(&work);
    wire_writer_destroy(&array);
}

static void what_is_malformed_is_dropped(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    wire_writer_t array = {0};
    talk_own(d);
    say_state(d, "", 2, 7);
    say_state(d, "T", UINT64_C(1) << 32, 7);
    say_events(d, "", one_event(&array), 1);
    say_events(d, "T", wire_writer_bytes(&array), 2);
    say_events(d, "T", fabric_bytes_of("garbage"), 0);
    say_events(d, "T", fabric_bytes_of(""), 0);
    assert_null(link_next_work(d->link));
    assert_int_equal(link_dropped(d->link), 6);
    wire_writer_destroy(&array);
}

/* Of an ownership that is over they have no use. */
static void others_are_dropped(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    wire_writer_t array = {0};
    talk_join(d, 0, 1);
    say_state(d, "T", 2, 7);
    say_events(d, "T", one_event(&array), 0);
    assert_null(link_next_work(d->link));
    assert_int_equal(link_dropped(d->link), 2);
    wire_writer_destroy(&array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(a_state_and_events_reach_the_executor),
        LINK_TEST(what_is_malformed_is_dropped),
        LINK_TEST(others_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
