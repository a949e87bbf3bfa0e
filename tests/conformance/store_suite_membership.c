/* The store suite: brokers, their slots and the ids that they reserve. */
#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <string.h>

static fabric_error_t renew(store_fixture_t *fixture, incarnation_t incarnation, uint64_t id_mark)
{
    return fixture->driver->broker_renew(fixture->store, incarnation, id_mark);
}

static fabric_error_t leave(store_fixture_t *fixture, incarnation_t incarnation)
{
    return fixture->driver->broker_leave(fixture->store, incarnation);
}

static fabric_error_t remove_broker(store_fixture_t *fixture, incarnation_t incarnation)
{
    return fixture->driver->broker_remove(fixture->store, fixture->term,
                                          fixture->broker.incarnation, incarnation);
}

static void test_sr_07_register_twice_keeps_the_machine(void **state)
{
    store_fixture_t *fixture = *state;
    store_broker_t again = broker_of(9, 1);
    store_join_t join = fixture_join(fixture, &again);
    assert_int_equal(join.machine, fixture->machine);
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 1);
    assert_true(incarnation_equal(fixture->brokers[0].incarnation, again.incarnation));
    assert_error(FABRIC_ERROR_FENCED, renew(fixture, fixture->broker.incarnation, 1));
    assert_ok(renew(fixture, again.incarnation, 1));
    /* A lost answer: the same incarnation joins again. */
    join = fixture_join(fixture, &again);
    assert_int_equal(join.machine, fixture->machine);
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 1);
}

static void test_sr_07_list_shows_what_was_registered(void **state)
{
    store_fixture_t *fixture = *state;
    store_broker_t other = broker_of(2, 2);
    memset(other.name, 'n', 255);
    other.secret = (broker_secret_t){{0, 0xff, '\'', 'a', '"', '\\', 0, '\n', 0x80, ' ', [15] = 0}};
    store_join_t join = fixture_join(fixture, &other);
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 2);
    const store_broker_t *listed = &fixture->brokers[1];
    assert_true(incarnation_equal(listed->incarnation, other.incarnation));
    assert_int_equal(listed->machine, join.machine);
    assert_int_equal(listed->id_mark, 0);
    assert_string_equal(listed->name, other.name);
    assert_string_equal(listed->router_endpoint, other.router_endpoint);
    assert_string_equal(listed->pub_endpoint, other.pub_endpoint);
    assert_memory_equal(listed->secret.bytes, other.secret.bytes, sizeof other.secret.bytes);
}

/* The next incarnation of a broker has a secret of its own. */
static void a_secret_belongs_to_one_incarnation(void **state)
{
    store_fixture_t *fixture = *state;
    for (uint8_t i = 0; i < 3; i++) {
        store_broker_t next = broker_of(40 + i, 1);
        memset(next.secret.bytes, 'a' + i, sizeof next.secret.bytes);
        fixture_join(fixture, &next);
        assert_ok(renew(fixture, next.incarnation, 1));
        fixture_brokers(fixture);
        assert_int_equal(fixture->broker_count, 1);
        assert_memory_equal(fixture->brokers[0].secret.bytes, next.secret.bytes,
                            sizeof next.secret.bytes);
    }
}

static void test_sr_07_rs_01_renewal_is_visible_and_leaving_empties_the_list(void **state)
{
    store_fixture_t *fixture = *state;
    fixture_brokers(fixture);
    uint64_t counter = fixture->brokers[0].counter;
    assert_ok(renew(fixture, fixture->broker.incarnation, 5000));
    fixture_brokers(fixture);
    assert_int_equal(fixture->brokers[0].counter, counter + 1);
    assert_int_equal(fixture->brokers[0].id_mark, 5000);
    assert_ok(leave(fixture, fixture->broker.incarnation));
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 0);
    assert_error(FABRIC_ERROR_FENCED, renew(fixture, fixture->broker.incarnation, 6000));
    assert_ok(leave(fixture, fixture->broker.incarnation));
}

static void leaving_gives_up_the_lanes_of_that_broker_only(void **state)
{
    store_fixture_t *fixture = *state;
    incarnation_t self = fixture->broker.incarnation;
    store_broker_t other = broker_of(2, 2);
    fixture_join(fixture, &other);
    store_hold_t none = {.lane = 2};
    fixture_assign(fixture, &none, other.incarnation);
    assert_ok(leave(fixture, self));
    for (uint32_t lane = 0; lane < 2; lane++) {
        assert_true(incarnation_is_none(lane_row(fixture, lane).holder));
        assert_int_equal(lane_row(fixture, lane).epoch, 1);
    }
    assert_true(incarnation_equal(lane_row(fixture, 2).holder, other.incarnation));
    store_entry_t adopt = adopt_of(&fixture->hold, 2);
    assert_error(FABRIC_ERROR_FENCED,
                 fixture->driver->lane_take(fixture->store, &fixture->hold, &adopt));
    assert_error(FABRIC_ERROR_FENCED, put_rows(fixture, &fixture->hold_1, 7, 1, 1));
}

static void slots_of_live_brokers_are_their_own(void **state)
{
    store_fixture_t *fixture = *state;
    store_broker_t b = broker_of(2, 2);
    store_broker_t c = broker_of(3, 3);
    store_join_t second = fixture_join(fixture, &b);
    store_join_t third = fixture_join(fixture, &c);
    assert_int_not_equal(second.machine, fixture->machine);
    assert_int_not_equal(third.machine, fixture->machine);
    assert_int_not_equal(third.machine, second.machine);
    assert_true(third.machine < LIMIT_MACHINES_MAX);
    assert_ok(renew(fixture, fixture->broker.incarnation, 1));
    assert_ok(leave(fixture, b.incarnation));
    store_broker_t d = broker_of(4, 4);
    store_join_t fourth = fixture_join(fixture, &d);
    assert_int_not_equal(fourth.machine, fixture->machine);
    assert_int_not_equal(fourth.machine, third.machine);
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 3);
    assert_ok(renew(fixture, fixture->broker.incarnation, 1));
    assert_ok(renew(fixture, c.incarnation, 1));
    assert_ok(renew(fixture, d.incarnation, 1));
}

/* Ids up to the mark may have been made, also by a broker that did not live to use them. */
static void a_slots_next_holder_gets_its_id_mark(void **state)
{
    store_fixture_t *fixture = *state;
    uint64_t high = UINT64_C(1) << 62;
    store_broker_t again = broker_of(9, 1);
    assert_ok(renew(fixture, fixture->broker.incarnation, 5000));
    store_join_t join = fixture_join(fixture, &again);
    assert_int_equal(join.machine, fixture->machine);
    assert_int_equal(join.high_id, 5000);
    fixture_brokers(fixture);
    assert_int_equal(fixture->brokers[0].id_mark, 5000);
    /* It never sinks. */
    assert_ok(renew(fixture, again.incarnation, 4000));
    assert_ok(renew(fixture, again.incarnation, 0));
    assert_error(FABRIC_ERROR_FENCED, renew(fixture, fixture->broker.incarnation, 9000));
    store_broker_t third = broker_of(10, 1);
    assert_int_equal(fixture_join(fixture, &third).high_id, 5000);
    assert_ok(renew(fixture, third.incarnation, high));
    store_broker_t fourth = broker_of(11, 1);
    assert_int_equal(fixture_join(fixture, &fourth).high_id, high);
}

static void the_mark_stays_with_the_slot_of_a_broker_that_is_gone(void **state)
{
    store_fixture_t *fixture = *state;
    for (uint8_t i = 0; i < 2; i++) {
        store_broker_t gone = broker_of(20 + i, 20);
        store_join_t join = fixture_join(fixture, &gone);
        uint64_t mark = 7000 + 1000u * i;
        assert_ok(renew(fixture, gone.incarnation, mark));
        assert_ok(i == 0 ? leave(fixture, gone.incarnation)
                         : remove_broker(fixture, gone.incarnation));
        /* Adapters may lease another free slot first; whoever gets the slot gets its mark. */
        uint32_t wanted = join.machine;
        uint8_t tries = 0;
        store_broker_t next;
        do {
            uint8_t number = (uint8_t)(30 + 10 * i + tries);
            next = broker_of(number, number);
            join = fixture_join(fixture, &next);
        } while (join.machine != wanted && ++tries < 9);
        assert_int_equal(join.machine, wanted);
        assert_int_equal(join.high_id, mark);
    }
}

static void a_removed_broker_cannot_renew(void **state)
{
    store_fixture_t *fixture = *state;
    store_broker_t other = broker_of(2, 2);
    fixture_join(fixture, &other);
    store_hold_t none = {.lane = 2};
    store_hold_t hold = fixture_assign(fixture, &none, other.incarnation);
    assert_ok(remove_broker(fixture, other.incarnation));
    assert_error(FABRIC_ERROR_FENCED, renew(fixture, other.incarnation, 1));
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 1);
    /* Its lanes are the coordinator's business. */
    assert_true(incarnation_equal(lane_row(fixture, 2).holder, other.incarnation));
    assert_int_equal(lane_row(fixture, 2).epoch, hold.epoch);
    assert_ok(remove_broker(fixture, other.incarnation));
    assert_ok(remove_broker(fixture, incarnation_of(99)));
    assert_ok(renew(fixture, fixture->broker.incarnation, 1));
}

/* No incarnation is no member: freed slots bear it. */
static void nobody_is_no_member(void **state)
{
    store_fixture_t *fixture = *state;
    incarnation_t nobody = {{0}};
    store_broker_t other = broker_of(2, 2);
    fixture_join(fixture, &other);
    assert_ok(leave(fixture, other.incarnation));
    assert_error(FABRIC_ERROR_FENCED, renew(fixture, nobody, 1));
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, 1);
}

static void join_tells_the_time(void **state)
{
    store_fixture_t *fixture = *state;
    store_broker_t other = broker_of(5, 5);
    store_join_t join = fixture_join(fixture, &other);
    assert_true(join.now_ms > INT64_C(1735689600000)); /* 2025, the epoch of ids */
    assert_true(join.now_ms < INT64_C(4102444800000)); /* 2100 */
}

static void a_broker_too_many_is_told_so(void **state)
{
    store_fixture_t *fixture = *state;
    store_join_t join = {.machine = 4711};
    store_broker_t broker = broker_of(0, 0);
    for (uint32_t i = 0; i < LIMIT_BROKERS_MAX - 1; i++) {
        memcpy(broker.incarnation.bytes, &i, sizeof i);
        broker.incarnation.bytes[15] = 0xaa;
        snprintf(broker.router_endpoint, sizeof broker.router_endpoint, "tcp://10.0.0.1:%u",
                 1000 + i);
        fixture_join(fixture, &broker);
    }
    broker = broker_of(2, 2);
    assert_error(FABRIC_ERROR_BUSY, fixture->driver->broker_join(fixture->store, &broker, &join));
    assert_int_equal(join.machine, 4711);
    assert_ok(renew(fixture, fixture->broker.incarnation, 1));
    fixture_brokers(fixture);
    assert_int_equal(fixture->broker_count, LIMIT_BROKERS_MAX);
    /* Who comes back takes its own place. */
    broker = broker_of(9, 1);
    assert_int_equal(fixture_join(fixture, &broker).machine, fixture->machine);
    assert_ok(leave(fixture, broker.incarnation));
    broker = broker_of(2, 2);
    assert_int_equal(fixture_join(fixture, &broker).machine, fixture->machine);
}

int store_suite_membership(void)
{
    static const struct CMUnitTest tests[] = {
        FOUNDED_TEST(test_sr_07_register_twice_keeps_the_machine),
        FOUNDED_TEST(test_sr_07_list_shows_what_was_registered),
        FOUNDED_TEST(a_secret_belongs_to_one_incarnation),
        FOUNDED_TEST(test_sr_07_rs_01_renewal_is_visible_and_leaving_empties_the_list),
        FOUNDED_TEST(leaving_gives_up_the_lanes_of_that_broker_only),
        FOUNDED_TEST(slots_of_live_brokers_are_their_own),
        FOUNDED_TEST(a_slots_next_holder_gets_its_id_mark),
        FOUNDED_TEST(the_mark_stays_with_the_slot_of_a_broker_that_is_gone),
        FOUNDED_TEST(a_removed_broker_cannot_renew),
        FOUNDED_TEST(nobody_is_no_member),
        FOUNDED_TEST(join_tells_the_time),
        FOUNDED_TEST(a_broker_too_many_is_told_so),
    };
    return cmocka_run_group_tests_name("membership", tests, NULL, NULL);
}
