/* A broker with pending messages whose workers crash: see poison_driver.h. */
#include "tests/unit/poison_driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/address.h"

const char *const poison_everyone[] = {"c1", "w1", "w2", NULL};
const char *const poison_client_only[] = {"c1", NULL};

/* An entity id that begins with `name` and lies in the first shard; always the same one. */
const char *poison_in_first_shard(const char *name)
{
    static char id[32];
    for (unsigned i = 0;; i++) {
        snprintf(id, sizeof id, "%s-%u", name, i);
        if (address_shard_number(fabric_bytes_of(id), DRIVER_SHARDS) == 1) {
            return id;
        }
    }
}

driver_t *poison_open(const poison_loaded_t *loaded, size_t count, bool supervised)
{
    router_config_t config;
    driver_config(&config);
    config.attempts_max = ATTEMPTS_MAX;
    config.crashes_max = CRASHES_MAX;
    config.backoff_ms = BACKOFF_MS;
    driver_t *driver = driver_new(&config);
    driver->supervised = supervised;
    message_chain_t chain = {0};
    for (size_t i = 0; i < count; i++) {
        message_request_t request =
            driver_request(i + 1, poison_in_first_shard(loaded[i].entity), REQUEST_DURABLE);
        store_message_t stored = {.id = {FIRST_ID + i},
                                  .shard = shard_id_make(1, 1),
                                  .flags = REQUEST_DURABLE,
                                  .type = request.type,
                                  .entity = request.id,
                                  .tag = request.tag,
                                  .payload = request.payload,
                                  .call = {77, i + 1}};
        journal_attempts_t counts = {loaded[i].attempts, loaded[i].crashes};
        message_chain_add(&chain, &stored, counts, NULL);
    }
    driver_homes(driver, chain.first);
    driver_client(driver, "c1", 1);
    return driver;
}

/* ---- what is expected ---- */

/* The worker's next delivery is this one. */
const message_deliver_t *poison_expect_delivery(driver_t *driver, const char *peer, uint64_t index)
{
    const message_deliver_t *delivery = driver_delivery(driver, peer);
    assert_int_equal(delivery->request_id, FIRST_ID + index);
    return delivery;
}

const message_deliver_t *poison_expect_alone(driver_t *driver, const char *peer, uint64_t index)
{
    const message_deliver_t *delivery = poison_expect_delivery(driver, peer, index);
    assert_true(delivery->flags & DELIVER_ALONE);
    return delivery;
}

void poison_expect_over(driver_t *driver, const char *peer, const message_deliver_t *delivery)
{
    const message_alone_over_t *over = &driver_take(driver, peer, KIND_ALONE_OVER)->as.alone_over;
    assert_int_equal(over->shard, delivery->shard);
    assert_int_equal(over->home_epoch, delivery->home_epoch);
    assert_int_equal(over->owner_sequence, delivery->owner_sequence);
    assert_int_equal(over->request_id, delivery->request_id);
}

void poison_expect_none(driver_t *driver, const char *peer)
{
    assert_int_equal(driver_count(driver, peer, KIND_DELIVER), 0);
}

void poison_answer(driver_t *driver, const char *peer, const message_deliver_t *delivery)
{
    driver_result(driver, peer, delivery, STATUS_OK, FABRIC_OK);
}

/* The next batch holds the counts of one message and nothing else. The caller commits it. */
void poison_expect_counts_taken(driver_t *driver, uint64_t index, uint32_t attempts,
                                uint32_t crashes)
{
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_non_null(batch);
    assert_int_equal(batch->attempt_count, 1);
    assert_int_equal(batch->attempts[0].message->id.value, FIRST_ID + index);
    assert_int_equal(batch->attempts[0].attempts.attempts, attempts);
    assert_int_equal(batch->attempts[0].attempts.crashes, crashes);
}

void poison_expect_counts(driver_t *driver, uint64_t index, uint32_t attempts, uint32_t crashes)
{
    poison_expect_counts_taken(driver, index, attempts, crashes);
    driver_batch_done(driver, 0);
}

void poison_expect_no_counts(driver_t *driver)
{
    const lane_batch_t *batch;
    while ((batch = driver_take_batch(driver, 0))) {
        assert_int_equal(batch->attempt_count, 0);
        driver_batch_done(driver, 0);
    }
}

void poison_expect_dead_letter(driver_t *driver, uint64_t index, uint32_t attempts,
                               fabric_error_t cause, const char *text)
{
    const lane_batch_t *batch = driver_take_batch(driver, 0);
    assert_non_null(batch);
    assert_int_equal(batch->end_count, 1);
    const batch_end_t *end = &batch->ends[0];
    assert_true(end->dead);
    assert_int_equal(end->message->id.value, FIRST_ID + index);
    assert_int_equal(end->attempts.attempts + end->attempts.crashes, attempts);
    assert_int_equal(end->cause, cause);
    assert_int_equal(end->text.size, strlen(text));
    assert_memory_equal(end->text.data, text, strlen(text));
    driver_batch_done(driver, 0);
}

/* ---- what happens ---- */

void poison_ready(driver_t *driver, const char *peer, const message_deliver_t *delivery)
{
    message_alone_ready_t ready = {delivery->shard, delivery->home_epoch, delivery->owner_sequence,
                                   delivery->request_id};
    driver_send(driver, peer, alone_ready, &ready);
}

void poison_go(driver_t *driver, const char *peer, const message_deliver_t *delivery)
{
    poison_ready(driver, peer, delivery);
    const message_alone_go_t *go = &driver_take(driver, peer, KIND_ALONE_GO)->as.alone_go;
    assert_int_equal(go->shard, delivery->shard);
    assert_int_equal(go->home_epoch, delivery->home_epoch);
    assert_int_equal(go->owner_sequence, delivery->owner_sequence);
    assert_int_equal(go->request_id, delivery->request_id);
}

void poison_crash(driver_t *driver, unsigned number, uint64_t index)
{
    uint64_t id = FIRST_ID + index;
    driver_crashed(driver, number, &id, 1, SIGNAL);
}

void poison_say_goodbye(driver_t *driver, const char *peer)
{
    message_bye_t goodbye = {.reason = {NULL, 0}};
    driver_send(driver, peer, bye, &goodbye);
}

/* The worker is gone, and no supervisor reports why. */
void poison_die(driver_t *driver, const char *peer)
{
    driver_gone(driver, peer);
    driver_pass_alive(driver, driver->supervised ? REPORT_MS : DEAD_MS, poison_client_only);
}

/* Two workers, numbers 101 and 102, die while all pending messages are in flight. */
void poison_die_twice(driver_t *driver)
{
    driver_worker(driver, "d1", 101);
    poison_die(driver, "d1");
    driver_worker(driver, "d2", 102);
    poison_die(driver, "d2");
    driver_forget(driver);
    poison_expect_no_counts(driver);
}
