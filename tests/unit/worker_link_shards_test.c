/* The worker's link: which shards it owns, under which tokens, and when it gives them back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/link_driver.h"

static void tokens(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    talk_deliver(d, 2, 10); /* nothing assigned yet */
    talk_expect_not_taken(d, 10);
    talk_assign(d, 0, 1, 2);
    talk_expect_work(d, WORK_BEGIN, 2);
    assert_int_equal(link_shards(d->link), 1);
    talk_assign(d, 0, 1, 2); /* again */
    talk_assign(d, 0, 1, 1); /* older */
    assert_null(link_next_work(d->link));
    talk_deliver(d, 1, 11);
    talk_expect_not_taken(d, 11);
    talk_deliver(d, 3, 12);
    talk_expect_not_taken(d, 12);
    talk_deliver(d, 2, 13);
    talk_expect_work(d, WORK_DELIVERIES, 0);
    talk_assign(d, 0, 1, 3);
    talk_expect_work(d, WORK_STOP, 2);
    talk_expect_work(d, WORK_BEGIN, 3);
    assert_int_equal(link_shards(d->link), 1);
    talk_say(d, 0, assign, .shard = 0x1ffffu, .home_epoch = 1, .owner_sequence = 1,
             .type = fabric_bytes_of("T")); /* number too large */
    talk_say(d, 0, assign, .shard = UINT64_MAX, .home_epoch = 1, .owner_sequence = 1,
             .type = fabric_bytes_of("T"));
    talk_assign_type(d, 0, "", 1, 9);
    assert_true(talk_has_event(d, LINK_EVENT_MALFORMED, FABRIC_ERROR_INVALID_ARGUMENT));
    assert_int_equal(link_shards(d->link), 1);
    talk_expect_silence(d, 0);
}

static void release(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    message_result_t result;
    talk_own(d);
    talk_release(d, 9, 1);
    talk_expect_released(d, 9); /* not held: nothing to wait for */
    talk_release(d, 1, 700);
    work_t *work = link_next_work(d->link);
    assert_int_equal(work->kind, WORK_STOP);
    assert_int_equal(work->deadline_ms, d->now_ms + 700);
    work_destroy(&work);
    talk_expect_silence(d, 0); /* until the executor confirms */
    talk_result(d, d->connection, 77);
    talk_stopped(d, d->connection, 1);
    talk_expect(d, 0, KIND_RESULT);
    assert_int_equal(message_get_result(&d->body, &result), FABRIC_OK);
    assert_int_equal(result.request_id, 77);
    talk_expect_released(d, 1);
    assert_int_equal(link_shards(d->link), 0);
    talk_deliver(d, 1, 14);
    talk_expect_not_taken(d, 14);
    talk_assign(d, 0, 1, 1); /* late, of the token that was given back */
    assert_int_equal(link_shards(d->link), 0);
}

static void reconnect_loses_the_shards(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_join(d, 0, 1);
    uint64_t old_connection = d->connection;
    talk_assign(d, 0, 1, 1);
    talk_expect_work(d, WORK_BEGIN, 1);
    link_disconnected(d->link, 0, d->now_ms);
    assert_true(talk_has_event(d, LINK_EVENT_DISCONNECTED, FABRIC_OK));
    talk_expect_work(d, WORK_ORPHAN, 1);
    assert_int_equal(link_shards(d->link), 0);
    talk_result(d, old_connection, 5);
    talk_join(d, 0, 1);
    talk_expect_work(d, WORK_STOP, 1);
    talk_result(d, old_connection, 6); /* of the broken connection */
    talk_stopped(d, old_connection, 1);
    talk_expect_silence(d, 0);
    talk_assign(d, 0, 1, 2);
    talk_expect_work(d, WORK_BEGIN, 2);
    talk_result(d, d->connection, 7);
    talk_expect(d, 0, KIND_RESULT);
}

static void takeover_by_another_home(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    assert_int_equal(link_add_endpoint(d->link, "tcp://127.0.0.1:2"), FABRIC_OK);
    talk_expect_socket(d, 1, LINK_SOCKET_OPEN);
    talk_join(d, 0, 1);
    talk_join(d, 1, 2);
    talk_assign(d, 0, 1, 1);
    talk_expect_work(d, WORK_BEGIN, 1);
    talk_assign(d, 1, 2, 1);
    talk_expect_work(d, WORK_STOP, 1);
    talk_expect_work(d, WORK_BEGIN, 1);
    talk_deliver(d, 1, 30); /* of the deposed home */
    talk_expect_not_taken(d, 30);
    talk_assign(d, 0, 1, 2);
    assert_null(link_next_work(d->link));
    assert_int_equal(link_shards(d->link), 1);
}

static void deliver_of_type(link_driver_t *d, const char *type, uint64_t owner_sequence,
                            uint64_t request_id)
{
    talk_say(d, 0, deliver, .shard = LINK_DRIVER_SHARD, .home_epoch = 1,
             .owner_sequence = owner_sequence, .activation = 1, .request_id = request_id,
             .delivery = 1, .attempt = 1, .flags = REQUEST_DURABLE, .type = fabric_bytes_of(type),
             .id = fabric_bytes_of("i"), .tag = fabric_bytes_of("M"),
             .payload = fabric_bytes_of("payload"));
}

/* The types of a shard are owned, given back and lost each for itself. */
static void types_of_a_shard(void **state)
{
    link_driver_t *d = (link_driver_t *)*state;
    talk_own(d); /* type T under token 1 */
    talk_assign_type(d, 0, "U", 1, 2);
    talk_expect_work(d, WORK_BEGIN, 2); /* and no WORK_STOP of the other type */
    assert_int_equal(link_shards(d->link), 2);
    talk_assign_type(d, 0, "V", 1, 2); /* a token names one ownership */
    assert_null(link_next_work(d->link));
    deliver_of_type(d, "T", 1, 20);
    talk_expect_work(d, WORK_DELIVERIES, 0);
    deliver_of_type(d, "U", 2, 21);
    talk_expect_work(d, WORK_DELIVERIES, 0);
    deliver_of_type(d, "T", 2, 22); /* under the token of the other type */
    talk_expect_not_taken(d, 22);
    talk_release(d, 2, 700);
    talk_expect_work(d, WORK_STOP, 2);
    deliver_of_type(d, "T", 1, 23);
    talk_expect_work(d, WORK_DELIVERIES, 0);
    talk_stopped(d, d->connection, 2);
    talk_expect_released(d, 2);
    assert_int_equal(link_shards(d->link), 1);
    talk_assign_type(d, 0, "T", 1, 3);
    talk_expect_work(d, WORK_STOP, 1);
    talk_expect_work(d, WORK_BEGIN, 3);
    assert_int_equal(link_shards(d->link), 1);
    talk_expect_silence(d, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(tokens),
        LINK_TEST(release),
        LINK_TEST(reconnect_loses_the_shards),
        LINK_TEST(takeover_by_another_home),
        LINK_TEST(types_of_a_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
