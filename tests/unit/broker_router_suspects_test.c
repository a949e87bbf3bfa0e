/* Messages that were in flight to workers that died: suspicions, company, attempts, dead letters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/address.h"
#include "tests/unit/router_driver.h"

enum { FIRST_ID = 1000, ATTEMPTS_MAX = 3, LEASE_MS = 3000, DEAD_MS = 250, BACKOFF_MS = 500 };

static const char *const everyone[] = {"c1", "w1", "w2", NULL};
static const char *const client_only[] = {"c1", NULL};

/* What is pending in the store when the broker becomes home: all in one shard, in this order. */
typedef struct loaded {
    const char *entity;
    store_tally_t tally;
} loaded_t;

/* An entity id that begins with `name` and lies in the first shard; always the same one. */
static const char *in_first_shard(const char *name)
{
    static char id[32];
    for (unsigned i = 0;; i++) {
        snprintf(id, sizeof id, "%s-%u", name, i);
        if (address_shard_number(fabric_bytes_of(id), DRIVER_SHARDS) == 1) {
            return id;
        }
    }
}

static driver_t *open_loaded(const loaded_t *loaded, size_t count)
{
    router_config_t config;
    driver_config(&config);
    config.attempts_max = ATTEMPTS_MAX;
    config.backoff_ms = BACKOFF_MS;
    driver_t *driver = driver_new(&config);
    message_t *first = NULL;
    message_t **end = &first;
    for (size_t i = 0; i < count; i++) {
        message_request_t request =
            driver_request(i + 1, in_first_shard(loaded[i].entity), REQUEST_DURABLE);
        store_message_t stored = {.id = {FIRST_ID + i},
                                  .shard = shard_id_make(1, 1),
                                  .flags = REQUEST_DURABLE,
                                  .type = request.type,
                                  .entity = request.id,
                                  .tag = request.tag,
                                  .payload = request.payload,
                                  .call = {77, i + 1}};
        *end = message_new(&stored);
        (*end)->tally = loaded[i].tally;
        end = &(*end)->chain;
    }
    driver_homes(driver, first);
    driver_client(driver, "c1", 1);
    return driver;
}

#define OPEN(...)                                                                                  \
    open_loaded((const loaded_t[]){__VA_ARGS__},                                                   \
                sizeof((const loaded_t[]){__VA_ARGS__}) / sizeof(loaded_t))

/* The worker's next delivery is this one. */
static const message_deliver_t *expect_delivery(driver_t *driver, const char *peer, uint64_t index)
{
    const message_deliver_t *delivery = driver_delivery(driver, peer);
    assert_int_equal(delivery->request_id, FIRST_ID + index);
    return delivery;
}

static void expect_none(driver_t *driver, const char *peer)
{
    assert_int_equal(driver_count(driver, peer, KIND_DELIVER), 0);
}

static void answer(driver_t *driver, const char *peer, const message_deliver_t *delivery)
{
    driver_result(driver, peer, delivery, STATUS_OK, FABRIC_OK);
}

static void die(driver_t *driver, const char *peer)
{
    driver_gone(driver, peer);
    driver_pass_alive(driver, DEAD_MS, client_only);
}

/* The next batch holds one tally alone, and is committed. */
static void expect_tally(driver_t *driver, uint64_t index, uint32_t attempts, uint32_t suspicions)
{
    const store_batch_t *batch = driver_take_batch(driver, 0);
    assert_non_null(batch);
    assert_int_equal(batch->attempt_count, 1);
    assert_int_equal(batch->attempts[0].id.value, FIRST_ID + index);
    assert_int_equal(batch->attempts[0].tally.attempts, attempts);
    assert_int_equal(batch->attempts[0].tally.suspicions, suspicions);
    driver_batch_done(driver, 0);
}

static void expect_no_tally(driver_t *driver)
{
    const store_batch_t *batch;
    while ((batch = driver_take_batch(driver, 0))) {
        assert_int_equal(batch->attempt_count, 0);
        driver_batch_done(driver, 0);
    }
}

/* ---- suspicions ---- */

static void they_are_durable_before_the_next_delivery(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", {0}}, {"a", {0}}, {"b", {0}});
    driver_worker(driver, "w1", 101);
    for (uint64_t i = 0; i < 3; i++) {
        expect_delivery(driver, "w1", i);
    }
    die(driver, "w1");
    driver_worker(driver, "w2", 102);
    const store_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->attempt_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(batch->attempts[i].tally.suspicions, 1);
        assert_int_equal(batch->attempts[i].tally.attempts, 0);
    }
    driver_ask(driver, "c1", 1, "c", 0); /* another entity goes on */
    assert_int_equal(driver_delivery(driver, "w2")->id.data[0], 'c');
    driver_pass_alive(driver, 100, everyone);
    expect_none(driver, "w2");
    driver_batch_done(driver, 0);
    for (uint64_t i = 0; i < 3; i++) {
        const message_deliver_t *again = expect_delivery(driver, "w2", i);
        assert_int_equal(again->attempt, 1);
        assert_int_equal(again->delivery, 3); /* loaded, w1, w2 */
    }
    assert_int_equal(driver_counters(driver).runner_deaths, 1);
    assert_int_equal(driver_counters(driver).suspicions, 3);
    driver_close(&driver);
}

/* While the tally of a message is being committed nothing overtakes it in its entity. */
static void nothing_overtakes_one_that_waits_for_its_tally(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", {0}});
    driver_worker(driver, "w1", 101);
    expect_delivery(driver, "w1", 0);
    driver_ask(driver, "c1", 1, in_first_shard("a"), REQUEST_DURABLE);
    assert_non_null(driver_take_batch(driver, 0)); /* with the second message */
    die(driver, "w1");
    driver_worker(driver, "w2", 102);
    driver_batch_done(driver, 0);
    expect_none(driver, "w2");
    expect_tally(driver, 0, 0, 1);
    expect_delivery(driver, "w2", 0);
    driver_close(&driver);
}

static void a_tally_that_the_store_refuses_stops_nobody(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", {0}});
    driver_worker(driver, "w1", 101);
    die(driver, "w1");
    driver_worker(driver, "w2", 102);
    assert_non_null(driver_take_batch(driver, 0));
    store_rejection_t rejection = {.item = STORE_ITEM_ATTEMPT};
    router_batch_done(driver->router, 0, &rejection, 1, driver->now_ms);
    driver_pull(driver);
    expect_delivery(driver, "w2", 0);
    driver_close(&driver);
}

/* The coordinator moves shards whenever a worker joins, also while another one is missing. */
static void wanting_another_owner_meanwhile_hides_no_death(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", {0}});
    driver_worker(driver, "w1", 101);
    expect_delivery(driver, "w1", 0);
    driver_gone(driver, "w1");
    driver_pass_alive(driver, 60, client_only);
    driver_worker_hello(driver, "w2", 102, 1, 1000);
    driver_desire(driver, 102);
    expect_none(driver, "w2");
    driver_pass_alive(driver, DEAD_MS, (const char *const[]){"c1", "w2", NULL});
    expect_tally(driver, 0, 0, 1);
    expect_delivery(driver, "w2", 0);
    driver_close(&driver);
}

static void silence_is_no_death(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", {0}});
    driver_worker(driver, "w1", 101);
    driver_pass_alive(driver, LEASE_MS + 100, client_only);
    assert_true(driver_ordered(driver, ROUTER_RUNNER_LEFT, 101));
    expect_no_tally(driver);
    driver_worker(driver, "w2", 102);
    expect_delivery(driver, "w2", 0);
    assert_int_equal(driver_counters(driver).runner_deaths, 0);
    driver_close(&driver);
}

static void coming_back_within_the_grace_is_no_death(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", {0}});
    driver_worker(driver, "w1", 101);
    driver_gone(driver, "w1");
    driver_pass_alive(driver, 60, client_only);
    driver_worker_hello(driver, "w2", 101, 2, 1000);
    driver_pass_alive(driver, 1000, everyone);
    expect_no_tally(driver);
    expect_delivery(driver, "w2", 0);
    driver_close(&driver);
}

static void who_says_goodbye_does_not_die(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", {0}});
    driver_worker(driver, "w1", 101);
    message_bye_t goodbye = {.reason = {NULL, 0}};
    driver_send(driver, "w1", bye, &goodbye);
    die(driver, "w1");
    driver_pass_alive(driver, 1000, client_only);
    expect_no_tally(driver);
    driver_worker(driver, "w2", 102);
    expect_delivery(driver, "w2", 0);
    driver_close(&driver);
}

/* ---- company ---- */

static void a_second_suspicion_means_few_others(void **state)
{
    (void)state;
    loaded_t loaded[41] = {{"", {0}}};
    char names[40][12];
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        loaded[i].entity = names[i];
        loaded[i].tally.suspicions = 1; /* as always */
    }
    loaded[40] = (loaded_t){"s", {0, 2}};
    driver_t *driver = open_loaded(loaded, 41);
    driver_worker(driver, "w1", 101);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 40);
    for (uint64_t i = 0; i < 8; i++) {
        answer(driver, "w1", expect_delivery(driver, "w1", i));
    }
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 32);
    driver_ask(driver, "c1", 1, "v", 0); /* does not overtake it, nor make it wait */
    answer(driver, "w1", expect_delivery(driver, "w1", 8));
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 32);
    for (uint64_t i = 9; i < 40; i++) {
        const message_deliver_t *delivery = expect_delivery(driver, "w1", i);
        if (i == 39) {
            answer(driver, "w1", delivery);
        }
    }
    const message_deliver_t *suspect = expect_delivery(driver, "w1", 40);
    assert_int_equal(suspect->attempt, 1);
    driver_delivery(driver, "w1"); /* "v": again 32 */
    for (uint64_t i = 2; i < 6; i++) {
        driver_ask(driver, "c1", i, "w", 0);
    }
    expect_none(driver, "w1");
    answer(driver, "w1", suspect);
    assert_int_equal(driver_count(driver, "w1", KIND_DELIVER), 4);
    driver_close(&driver);
}

static void a_third_one_means_none(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", {0}}, {"b", {0}}, {"s", {0, 3}}, {"c", {0}});
    driver_worker(driver, "w1", 101);
    const message_deliver_t *a = expect_delivery(driver, "w1", 0);
    const message_deliver_t *b = expect_delivery(driver, "w1", 1);
    expect_none(driver, "w1"); /* nothing overtakes it for the runner's credit */
    answer(driver, "w1", a);
    expect_none(driver, "w1");
    answer(driver, "w1", b);
    expect_none(driver, "w1");
    const store_batch_t *batch = driver_take_batch(driver, 0); /* its attempt, durable first */
    assert_int_equal(batch->attempt_count, 1);
    assert_int_equal(batch->attempts[0].tally.attempts, 1);
    assert_int_equal(batch->attempts[0].tally.suspicions, 3);
    driver_ask(driver, "c1", 1, "v", 0);
    expect_none(driver, "w1");
    driver_batch_done(driver, 0);
    const message_deliver_t *suspect = expect_delivery(driver, "w1", 2);
    assert_int_equal(suspect->attempt, 1);
    driver_pass_alive(driver, 1000, everyone);
    expect_none(driver, "w1");
    answer(driver, "w1", suspect);
    expect_delivery(driver, "w1", 3);
    driver_delivery(driver, "w1"); /* "v" */
    expect_no_tally(driver);       /* nothing to give back: it has ended */
    driver_close(&driver);
}

static void waiting_for_solitude_and_solitude_are_bounded(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"slow", {0}}, {"s", {0, 3}}, {"s", {0}}, {"b", {0}});
    driver_worker(driver, "w1", 101);
    expect_delivery(driver, "w1", 0);
    driver_pass_alive(driver, LEASE_MS - 200, everyone);
    expect_none(driver, "w1");
    assert_null(driver_take_batch(driver, 0));
    driver_pass_alive(driver, 300, everyone);
    expect_tally(driver, 1, 1, 3);
    expect_delivery(driver, "w1", 1);
    driver_pass_alive(driver, LEASE_MS - 200, everyone);
    expect_none(driver, "w1");
    driver_pass_alive(driver, 300, everyone);
    expect_delivery(driver, "w1", 3); /* others again, but not behind it in its entity */
    expect_none(driver, "w1");
    expect_tally(driver, 1, 0, 3); /* the attempt is given back */
    die(driver, "w1");
    const store_batch_t *batch = driver_take_batch(driver, 0); /* suspicions only */
    assert_int_equal(batch->attempt_count, 3);
    assert_int_equal(batch->attempts[0].tally.suspicions, 1);
    assert_int_equal(batch->attempts[1].tally.suspicions, 4);
    assert_int_equal(batch->attempts[1].tally.attempts, 0);
    assert_int_equal(batch->attempts[2].tally.suspicions, 1);
    driver_close(&driver);
}

/* Who has had its lease of solitude makes nobody wait for another one. */
static void who_comes_later_does_not_wait_for_the_old(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", {0, 3}});
    driver_worker(driver, "w1", 101);
    expect_tally(driver, 0, 1, 3);
    expect_delivery(driver, "w1", 0);
    driver_pass_alive(driver, LEASE_MS + 100, everyone);
    expect_no_tally(driver); /* alone all the time */
    driver_ask(driver, "c1", 1, "v", 0);
    driver_delivery(driver, "w1");
    expect_tally(driver, 0, 0, 3);
    driver_close(&driver);
}

static void one_behind_others_of_its_entity_waits_for_these_only(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", {0}}, {"a", {0, 3}}, {"a", {0}}, {"b", {0}});
    driver_worker(driver, "w1", 101);
    const message_deliver_t *a = expect_delivery(driver, "w1", 0);
    const message_deliver_t *b = expect_delivery(driver, "w1", 3); /* the runner is not kept free */
    expect_none(driver, "w1");
    answer(driver, "w1", a);
    expect_no_tally(driver); /* now it waits for "b" */
    answer(driver, "w1", b);
    expect_tally(driver, 1, 1, 3);
    answer(driver, "w1", expect_delivery(driver, "w1", 1));
    expect_delivery(driver, "w1", 2);
    driver_close(&driver);
}

/* ---- attempts ---- */

static const message_deliver_t *deliver_alone(driver_t *driver, const char *peer, unsigned number)
{
    driver_worker(driver, peer, number);
    expect_tally(driver, 0, 1, 3);
    return expect_delivery(driver, peer, 0);
}

static void what_was_not_taken_is_given_back(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", {0, 3}}, {"b", {0}});
    const message_deliver_t *suspect = deliver_alone(driver, "w1", 101);
    driver_result(driver, "w1", suspect, STATUS_NOT_TAKEN, FABRIC_ERROR_ENTITY_NOT_ASSIGNED);
    expect_tally(driver, 0, 0, 3);
    expect_delivery(driver, "w1", 1);
    driver_close(&driver);
}

static void a_lost_lease_gives_back(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", {0, 3}});
    deliver_alone(driver, "w1", 101);
    driver_pass_alive(driver, LEASE_MS + 100, client_only);
    expect_tally(driver, 0, 0, 3);
    deliver_alone(driver, "w2", 102);
    driver_close(&driver);
}

static void a_link_that_flaps_gives_back(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", {0, 3}});
    deliver_alone(driver, "w1", 101);
    driver_worker_hello(driver, "w2", 101, 2, 1000);
    expect_tally(driver, 0, 0, 3);
    expect_tally(driver, 0, 1, 3);
    assert_int_equal(expect_delivery(driver, "w2", 0)->attempt, 1);
    driver_close(&driver);
}

static void a_hand_over_gives_back(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", {0, 3}});
    const message_deliver_t *suspect = deliver_alone(driver, "w1", 101);
    driver_desire(driver, 0);
    message_released_t released = {suspect->shard, suspect->home_epoch, suspect->owner_sequence};
    driver_send(driver, "w1", released, &released);
    expect_tally(driver, 0, 0, 3);
    driver_close(&driver);
}

static void one_that_was_only_about_to_begin_is_given_back(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", {0, 3}});
    driver_worker(driver, "w1", 101);
    assert_non_null(driver_take_batch(driver, 0)); /* its attempt */
    router_desire(driver->router, shard_id_make(1, 1), driver_runner(0), driver->now_ms);
    driver_pull(driver);
    char id[8] = "v0"; /* of another shard, which still is the runner's */
    do {
        id[1]++;
    } while (address_shard_number(fabric_bytes_of(id), DRIVER_SHARDS) == 1);
    driver_ask(driver, "c1", 1, id, 0);
    driver_delivery(driver, "w1"); /* the runner is kept free no more */
    driver_batch_done(driver, 0);
    expect_none(driver, "w1");
    expect_tally(driver, 0, 0, 3);
    driver_close(&driver);
}

static void a_defect_alone_is_one_attempt(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", {0, 3}});
    const message_deliver_t *suspect = deliver_alone(driver, "w1", 101);
    driver_result(driver, "w1", suspect, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    expect_no_tally(driver); /* it was counted before */
    driver_pass_alive(driver, BACKOFF_MS, everyone);
    expect_tally(driver, 0, 2, 3);
    assert_int_equal(expect_delivery(driver, "w1", 0)->attempt, 2);
    driver_close(&driver);
}

/* ---- deaths alone ---- */

static void a_death_alone_is_an_attempt_and_waits_out_its_backoff(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", {0, 3}}, {"s", {0}}, {"b", {0}});
    const char *const workers[] = {"w1", "w2"};
    for (unsigned i = 0; i < 2; i++) {
        driver_worker(driver, workers[i], 101 + i);
        if (i > 0) { /* others go on */
            answer(driver, workers[i], expect_delivery(driver, workers[i], 2));
            expect_no_tally(driver);
            driver_pass_alive(driver, BACKOFF_MS, (const char *const[]){"c1", workers[i], NULL});
        }
        expect_tally(driver, 0, i + 1, 3 + i);
        assert_int_equal(expect_delivery(driver, workers[i], 0)->attempt, i + 1);
        expect_none(driver, workers[i]);
        die(driver, workers[i]);
        const store_batch_t *batch = driver_take_batch(driver, 0);
        assert_int_equal(batch->attempt_count, 1); /* of nobody else */
        assert_int_equal(batch->attempts[0].tally.attempts, i + 1);
        assert_int_equal(batch->attempts[0].tally.suspicions, 4 + i);
        driver_batch_done(driver, 0);
    }
    driver_close(&driver);
}

static void the_dead_letter_tells_its_cause(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"other", {0}});
    driver_worker(driver, "w1", 101);
    answer(driver, "w1", expect_delivery(driver, "w1", 0));
    driver_ask(driver, "c1", 1, "s", REQUEST_DURABLE);
    driver_ask(driver, "c1", 2, "s", REQUEST_DURABLE);
    driver_commit(driver);
    char peer[8] = "w1";
    unsigned deaths = 0;
    while (driver_counters(driver).dead_letters == 0) {
        assert_true(++deaths <= 3 + ATTEMPTS_MAX);
        for (int rounds = 0; driver_count(driver, peer, KIND_DELIVER) == 0; rounds++) {
            assert_true(rounds < 100);
            driver_commit(driver);
            driver_pass_alive(driver, 50, (const char *const[]){"c1", peer, NULL});
        }
        die(driver, peer);
        if (deaths < 3 + ATTEMPTS_MAX) {
            driver_commit(driver);
            snprintf(peer, sizeof peer, "w%u", deaths + 1);
            driver_worker(driver, peer, 101 + deaths);
        } else {
            const store_batch_t *batch = driver_take_batch(driver, 0);
            assert_int_equal(batch->attempt_count, 1);
            driver_batch_done(driver, 0);
        }
    }
    assert_int_equal(deaths, 3 + ATTEMPTS_MAX);
    const store_batch_t *batch = driver_take_batch(driver, 0); /* it needs no worker */
    assert_int_equal(batch->reply_count, 1);
    assert_int_equal(batch->dead_letter_count, 1);
    assert_int_equal(batch->dead_letters[0].error, FABRIC_ERROR_RUNNER_UNAVAILABLE);
    assert_int_equal(batch->dead_letters[0].attempts, ATTEMPTS_MAX);
    assert_int_equal(driver_count(driver, "c1", KIND_REPLY), 0);
    driver_batch_done(driver, 0);
    const message_reply_t *reply = driver_replied(driver, "c1", 1);
    assert_int_equal(reply->status, STATUS_DEFECT);
    assert_int_equal(reply->error, FABRIC_ERROR_DEAD_LETTER);
    char text[256] = "";
    memcpy(text, reply->payload.data, reply->payload.size);
    assert_string_equal(text,
                        "given up after 3 attempts: 6 worker processes ended while they had it");
    driver_worker(driver, "w9", 120);
    driver_commit(driver);
    const message_deliver_t *next = driver_delivery(driver, "w9");
    assert_true(next->request_id > 0);
    answer(driver, "w9", next);
    driver_commit(driver);
    driver_replied(driver, "c1", 2);
    assert_int_equal(driver_counters(driver).pending, 0);
    driver_close(&driver);
}

/* A slow handler is out while another one is alone: the death names that one. */
static void a_death_alone_accuses_nobody_else(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"slow", {0}}, {"s", {0, 3}});
    driver_worker(driver, "w1", 101);
    expect_delivery(driver, "w1", 0);
    driver_pass_alive(driver, LEASE_MS + 100, everyone);
    expect_tally(driver, 1, 1, 3);
    expect_delivery(driver, "w1", 1);
    die(driver, "w1");
    expect_tally(driver, 1, 1, 4);
    driver_worker(driver, "w2", 102);
    expect_delivery(driver, "w2", 0);
    driver_close(&driver);
}

static void expect_given_up(driver_t *driver, const char *text)
{
    driver_worker(driver, "w1", 101);
    expect_none(driver, "w1");
    const store_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->dead_letter_count, 1);
    assert_int_equal(batch->dead_letters[0].text.size, strlen(text));
    assert_memory_equal(batch->dead_letters[0].text.data, text, strlen(text));
    driver_batch_done(driver, 0);
    expect_none(driver, "w1");
    driver_close(&driver);
}

/* It crashes only after others have joined it, or home and worker have died together. */
static void suspicions_alone_end_it_at_last(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"s", {0, 3 * (1 + ATTEMPTS_MAX) - 1}});
    driver_worker(driver, "w1", 101);
    expect_tally(driver, 0, 1, 3 * (1 + ATTEMPTS_MAX) - 1);
    expect_delivery(driver, "w1", 0);
    driver_close(&driver);
    expect_given_up(OPEN({"s", {0, 3 * (1 + ATTEMPTS_MAX)}}),
                    "given up after 0 attempts: 12 worker processes ended while they had it");
    expect_given_up(OPEN({"s", {ATTEMPTS_MAX, 4}}),
                    "given up after 3 attempts: 4 worker processes ended while they had it");
    expect_given_up(OPEN({"s", {ATTEMPTS_MAX, 0}}),
                    "given up after 3 attempts: the last one did not come to an end");
}

/* Dead letters take their place in the order of their entity. */
static void one_that_is_given_up_waits_for_those_before_it(void **state)
{
    (void)state;
    driver_t *driver = OPEN({"a", {0}}, {"a", {ATTEMPTS_MAX, 3}}, {"a", {0}});
    driver_worker(driver, "w1", 101);
    const message_deliver_t *first = expect_delivery(driver, "w1", 0);
    expect_none(driver, "w1");
    assert_null(driver_take_batch(driver, 0));
    answer(driver, "w1", first);
    expect_delivery(driver, "w1", 2);
    const store_batch_t *batch = driver_take_batch(driver, 0);
    assert_int_equal(batch->reply_count, 2);
    assert_int_equal(batch->replies[0]->id.value, FIRST_ID);
    assert_int_equal(batch->replies[1]->id.value, FIRST_ID + 1);
    driver_batch_done(driver, 0);
    driver_close(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_durable_before_the_next_delivery),
        cmocka_unit_test(nothing_overtakes_one_that_waits_for_its_tally),
        cmocka_unit_test(a_tally_that_the_store_refuses_stops_nobody),
        cmocka_unit_test(wanting_another_owner_meanwhile_hides_no_death),
        cmocka_unit_test(silence_is_no_death),
        cmocka_unit_test(coming_back_within_the_grace_is_no_death),
        cmocka_unit_test(who_says_goodbye_does_not_die),
        cmocka_unit_test(a_second_suspicion_means_few_others),
        cmocka_unit_test(a_third_one_means_none),
        cmocka_unit_test(waiting_for_solitude_and_solitude_are_bounded),
        cmocka_unit_test(who_comes_later_does_not_wait_for_the_old),
        cmocka_unit_test(one_behind_others_of_its_entity_waits_for_these_only),
        cmocka_unit_test(what_was_not_taken_is_given_back),
        cmocka_unit_test(a_lost_lease_gives_back),
        cmocka_unit_test(a_link_that_flaps_gives_back),
        cmocka_unit_test(a_hand_over_gives_back),
        cmocka_unit_test(one_that_was_only_about_to_begin_is_given_back),
        cmocka_unit_test(a_defect_alone_is_one_attempt),
        cmocka_unit_test(a_death_alone_is_an_attempt_and_waits_out_its_backoff),
        cmocka_unit_test(the_dead_letter_tells_its_cause),
        cmocka_unit_test(a_death_alone_accuses_nobody_else),
        cmocka_unit_test(suspicions_alone_end_it_at_last),
        cmocka_unit_test(one_that_is_given_up_waits_for_those_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
