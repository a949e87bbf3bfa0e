/* Ownership by entity type and shard in the router: the types of a shard have owners of their own,
 * which come and go without each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/router_driver.h"

static const char *const alive[] = {"c1", "w1", "w2", NULL};

static const token_t none = {0, 0};

typedef struct assigned {
    token_t of[DRIVER_SHARDS + 1]; /* by shard number */
} assigned_t;

/* Takes the assignments of all shards, which are of this type. */
static assigned_t take_assigned(driver_t *driver, const char *peer, const char *type)
{
    assigned_t assigned = {0};
    for (int i = 0; i < DRIVER_SHARDS; i++) {
        const message_assign_t *assign = &driver_take(driver, peer, KIND_ASSIGN)->as.assign;
        uint16_t number = shard_id_number((shard_id_t){(uint32_t)assign->shard});
        assert_true(fabric_bytes_equal(assign->type, fabric_bytes_of(type)));
        assert_true(token_equal(assigned.of[number], none));
        assigned.of[number] = (token_t){assign->home_epoch, assign->owner_sequence};
    }
    return assigned;
}

/* Two types, and their workers w1 (Counter) and w2 (Other). */
static driver_t *open_two(assigned_t *counter, assigned_t *other)
{
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_type(driver, "Other");
    driver_worker_hello(driver, "w1", 101, 1, 1000);
    driver_desire(driver, 101);
    *counter = take_assigned(driver, "w1", "Counter");
    driver->brings = "Other";
    driver_worker_hello(driver, "w2", 102, 1, 1000);
    driver_desire_type(driver, "Other", 102);
    *other = take_assigned(driver, "w2", "Other");
    return driver;
}

static void ask(driver_t *driver, uint64_t sequence, const char *type, const char *id,
                uint64_t flags)
{
    message_request_t request = driver_request(sequence, id, flags);
    request.type = fabric_bytes_of(type);
    driver_send(driver, "c1", request, &request);
    driver_commit(driver);
}

static void each_type_goes_to_its_owner(void **state)
{
    (void)state;
    assigned_t counter;
    assigned_t other;
    driver_t *driver = open_two(&counter, &other);
    ask(driver, 1, "Counter", "a", REQUEST_DURABLE);
    ask(driver, 2, "Other", "a", REQUEST_DURABLE);
    ask(driver, 3, "Counter", "a", 0);
    ask(driver, 4, "Other", "a", 0);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 2);
    assert_int_equal(driver_count(driver, "w2", KIND_DELIVER), 2);
    assert_true(
        fabric_bytes_equal(driver_delivery(driver, "w1")->type, fabric_bytes_of("Counter")));
    assert_true(fabric_bytes_equal(driver_delivery(driver, "w2")->type, fabric_bytes_of("Other")));
    driver_close(&driver);
}

static void a_runner_with_a_new_module_disturbs_nobody(void **state)
{
    (void)state;
    assigned_t counter;
    assigned_t other;
    driver_t *driver = open_two(&counter, &other);
    assert_int_equal(driver_count(driver, "w1", KIND_RELEASE), 0);
    assert_int_equal(driver_count(driver, "w1", KIND_ASSIGN), 0);
    ask(driver, 1, "Counter", "a", REQUEST_DURABLE);
    const message_deliver_t *delivery = driver_delivery(driver, "w1");
    uint16_t number = shard_id_number((shard_id_t){(uint32_t)delivery->shard});
    token_t token = {delivery->home_epoch, delivery->owner_sequence};
    assert_true(token_equal(token, counter.of[number])); /* as it was assigned */
    for (uint16_t i = 1; i <= DRIVER_SHARDS; i++) {
        assert_true(token_less(counter.of[i], other.of[i])); /* one counter for all types */
    }
    driver_close(&driver);
}

static void a_runner_that_leaves_loses_only_its_own(void **state)
{
    (void)state;
    assigned_t counter;
    assigned_t other;
    driver_t *driver = open_two(&counter, &other);
    ask(driver, 1, "Counter", "a", REQUEST_DURABLE);
    const message_deliver_t *kept = driver_delivery(driver, "w1");
    ask(driver, 2, "Other", "a", REQUEST_DURABLE);
    uint64_t lost = driver_delivery(driver, "w2")->request_id;
    driver_orders_forget(driver);
    driver_pass_alive(driver, 5000, (const char *const[]){"c1", "w1", NULL}); /* w2 is silent */
    assert_true(driver_ordered(driver, ROUTER_RUNNER_LEFT, 102));
    for (size_t i = 0; i < driver->order_count; i++) {
        const router_order_t *order = &driver->orders[i];
        assert_true(order->kind != ROUTER_OWNER_CHANGED || strcmp(order->name, "Other") == 0);
    }
    driver_result(driver, "w1", kept, STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    assert_int_equal(driver_counters(driver).redelivered, 0);
    driver->brings = "Counter,Other";
    driver_worker_hello(driver, "w3", 103, 1, 1000);
    driver_desire_type(driver, "Other", 103);
    driver_delivered(driver, "w3", lost, 2);
    assert_int_equal(driver_count(driver, "w1", KIND_RELEASE), 0);
    driver_close(&driver);
}

/* One worker owns both types of a shard, under two tokens. */
static void a_result_counts_under_the_token_of_its_own_type(void **state)
{
    (void)state;
    driver_t *driver = driver_open();
    driver_client(driver, "c1", 1);
    driver_type(driver, "Other");
    driver->brings = "Counter,Other";
    driver_worker_hello(driver, "w1", 101, 1, 1000);
    driver_desire(driver, 101);
    (void)take_assigned(driver, "w1", "Counter");
    driver_desire_type(driver, "Other", 101);
    assigned_t other = take_assigned(driver, "w1", "Other");
    ask(driver, 1, "Counter", "a", REQUEST_DURABLE);
    message_deliver_t delivery = *driver_delivery(driver, "w1");
    uint64_t own = delivery.owner_sequence;
    uint16_t number = shard_id_number((shard_id_t){(uint32_t)delivery.shard});
    delivery.owner_sequence = other.of[number].owner_sequence;
    driver_result(driver, "w1", &delivery, STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_counters(driver).results_refused, 1);
    delivery.owner_sequence = own;
    driver_result(driver, "w1", &delivery, STATUS_OK, FABRIC_OK);
    assert_int_equal(driver_counters(driver).results_refused, 1);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    driver_close(&driver);
}

/* A type moves to another runner while the other type of its shards stays. */
static void one_type_is_handed_over(void **state)
{
    (void)state;
    assigned_t counter;
    assigned_t other;
    driver_t *driver = open_two(&counter, &other);
    driver->brings = "Counter,Other";
    driver_worker_hello(driver, "w3", 103, 1, 1000);
    driver_desire(driver, 103);
    assert_int_equal(driver_count(driver, "w2", KIND_RELEASE), 0);
    for (int i = 0; i < DRIVER_SHARDS; i++) {
        message_release_t release = driver_take(driver, "w1", KIND_RELEASE)->as.release;
        uint16_t number = shard_id_number((shard_id_t){(uint32_t)release.shard});
        message_released_t wrong = {release.shard, release.home_epoch,
                                    other.of[number].owner_sequence};
        driver_send(driver, "w1", released, &wrong); /* of a type that it does not own */
        message_released_t right = {release.shard, release.home_epoch, release.owner_sequence};
        driver_send(driver, "w1", released, &right);
    }
    assigned_t moved = take_assigned(driver, "w3", "Counter");
    for (uint16_t i = 1; i <= DRIVER_SHARDS; i++) {
        assert_true(token_less(other.of[i], moved.of[i]));
    }
    assert_int_equal(driver_counters(driver).unexpected, DRIVER_SHARDS);
    ask(driver, 1, "Other", "a", REQUEST_DURABLE);
    driver_result(driver, "w2", driver_delivery(driver, "w2"), STATUS_OK, FABRIC_OK);
    driver_commit(driver);
    driver_replied(driver, "c1", 1);
    driver_pass_alive(driver, 1000, alive);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_goes_to_its_owner),
        cmocka_unit_test(a_runner_with_a_new_module_disturbs_nobody),
        cmocka_unit_test(a_runner_that_leaves_loses_only_its_own),
        cmocka_unit_test(a_result_counts_under_the_token_of_its_own_type),
        cmocka_unit_test(one_type_is_handed_over),
    };
    return cmocka_run_group_tests_name("ownership", tests, NULL, NULL);
}
