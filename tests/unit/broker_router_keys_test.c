/* Primary keys: duplicates join the message that has their key, or get its reply, whichever client
 * and home they come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/router_state.h"
#include "tests/unit/keys_driver.h"

/* ---- duplicates ---- */

static void test_ms_05_a_duplicate_joins_the_running_call(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    uint64_t id = keys_accept_first(home);
    keys_ask(home, "d", 5, ASK_ACCEPTED);
    assert_int_equal(keys_look_up(home), 0); /* memory knows the key */
    assert_int_equal(driver_take(home->driver, "d", KIND_ACCEPTED)->as.accepted.request_id, id);
    assert_int_equal(home_work_off(home), 1);
    keys_expect_reply(home, "c", 1, id);
    keys_expect_reply(home, "d", 5, id);
    keys_expect_one_message(home);
    home_close(&home);
}

static void a_duplicate_joins_a_message_that_is_not_durable_yet(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    keys_ask(home, "c", 1, ASK);
    keys_look_up(home);
    keys_ask(home, "d", 5, ASK_ACCEPTED);
    assert_int_equal(driver_count(home->driver, "d", KIND_ACCEPTED), 0); /* I10 */
    home_append(home);
    uint64_t id = driver_take(home->driver, "d", KIND_ACCEPTED)->as.accepted.request_id;
    assert_int_equal(driver_count(home->driver, "c", KIND_ACCEPTED), 0); /* not asked for */
    assert_int_equal(home_work_off(home), 1);
    keys_expect_reply(home, "c", 1, id);
    keys_expect_reply(home, "d", 5, id);
    keys_expect_one_message(home);
    home_close(&home);
}

static void test_sh_21_a_later_client_gets_the_stored_reply(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    uint64_t id = keys_accept_first(home);
    home_work_off(home);
    keys_expect_reply(home, "c", 1, id);
    keys_ask(home, "d", 5, ASK);
    keys_expect_reply(home, "d", 5, id); /* from memory */
    home_checkpoint(home);
    assert_int_equal(keys_in_memory(home), 0);
    keys_ask(home, "d", 6, ASK);
    assert_int_equal(driver_count(home->driver, "d", KIND_REPLY), 0);
    assert_int_equal(keys_look_up(home), 1);
    keys_expect_reply(home, "d", 6, id); /* from its row */
    keys_ask(home, "d", 6, AGAIN);
    keys_expect_reply(home, "d", 6, id);
    assert_int_equal(driver_count(home->driver, "w", KIND_DELIVER), 0);
    keys_expect_one_message(home);
    home_close(&home);
}

/* Both are looked up before either has been accepted. */
static void crossing_duplicates_are_one_message(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    reading_t first;
    keys_ask(home, "c", 1, ASK);
    assert_true(keys_begin_reading(home, 0, &first));
    keys_ask(home, "d", 5, ASK);
    keys_ask(home, "d", 6, ASK);
    keys_end_reading(home, 0, &first, 0);
    assert_int_equal(keys_look_up(home), 1); /* one pass for both; the row is not there yet */
    home_append(home);
    assert_int_equal(home_work_off(home), 1);
    uint64_t id = driver_replied(home->driver, "c", 1)->request_id;
    keys_expect_reply(home, "d", 5, id);
    keys_expect_reply(home, "d", 6, id);
    keys_expect_one_message(home);
    home_close(&home);
}

static void the_contents_of_a_duplicate_do_not_matter(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    uint64_t id = keys_accept_first(home);
    uint8_t payload[] = {0x92, 0xa2, 'x', 'y', 9};
    message_request_t request = driver_request(5, "a", ASK);
    request.floor = home->driver->heard_id;
    request.payload = fabric_bytes(payload, sizeof payload);
    request.primary_key = fabric_bytes_of(keys_k);
    driver_send(home->driver, "d", request, &request);
    request.flags = AGAIN;
    driver_send(home->driver, "d", request, &request);
    assert_int_equal(home_work_off(home), 1);
    keys_expect_reply(home, "d", 5, id);
    driver_send(home->driver, "d", request, &request);
    keys_expect_reply(home, "d", 5, id);
    keys_expect_one_message(home);
    home_close(&home);
}

static void different_keys_never_merge(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    const fabric_bytes_t keys[] = {
        fabric_bytes("k", 1),  fabric_bytes("K", 1),  fabric_bytes("k\0", 2),
        fabric_bytes("k ", 2), fabric_bytes("\0", 1), fabric_bytes("kk", 2),
    };
    enum { KEYS = sizeof keys / sizeof keys[0] };
    uint64_t sequence = 1;
    for (unsigned i = 0; i < KEYS; i++) {
        asked_t asked = {"c", sequence++, ASK, 0, 0, "a", keys[i]};
        keys_send(home, &asked);
    }
    asked_t of_another = {"c", sequence++, ASK, 0, 0, "ak", fabric_bytes_of("k")};
    keys_send(home, &of_another); /* "a" with "kk", put together, has the same bytes */
    asked_t without = {"c", sequence++, ASK, 0, 0, "a", {NULL, 0}};
    keys_send(home, &without);
    keys_look_up(home);
    home_append(home);
    assert_int_equal(home_work_off(home), KEYS + 2);
    assert_int_equal(HASH_CNT(by_id, home->store.messages), KEYS + 2);
    home_close(&home);
}

static void a_key_of_any_length_up_to_its_limit_counts_to_its_last_byte(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    uint8_t bytes[LIMIT_PRIMARY_KEY_BYTES_MAX + 1] = {0};
    asked_t asked = {"c", 1, ASK, 0, 0, "a", fabric_bytes(bytes, LIMIT_PRIMARY_KEY_BYTES_MAX)};
    keys_send(home, &asked);
    bytes[LIMIT_PRIMARY_KEY_BYTES_MAX - 1] = 1;
    asked.sequence = 2;
    keys_send(home, &asked);
    asked.sequence = 3;
    asked.key.size++;
    keys_send(home, &asked);
    assert_int_equal(driver_rejected(home->driver, "c", 3), FABRIC_ERROR_LIMIT_EXCEEDED);
    keys_look_up(home);
    home_append(home);
    assert_int_equal(home_work_off(home), 2);
    home_close(&home);
}

static void a_volatile_request_with_a_key_is_refused(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    asked_t asked = {"c", 1, 0, 0, 0, "a", fabric_bytes_of(keys_k)};
    keys_send(home, &asked);
    assert_int_equal(driver_rejected(home->driver, "c", 1), FABRIC_ERROR_MALFORMED_MESSAGE);
    home_close(&home);
}

/* ---- tells ---- */

static void an_ask_gets_the_reply_of_a_tell(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    keys_ask(home, "c", 1, TELL);
    keys_look_up(home);
    home_append(home);
    uint64_t id = driver_take(home->driver, "c", KIND_ACCEPTED)->as.accepted.request_id;
    keys_ask(home, "d", 5, ASK);
    assert_int_equal(home_work_off(home), 1);
    keys_expect_reply(home, "d", 5, id);
    assert_int_equal(driver_count(home->driver, "c", KIND_REPLY), 0);
    home_checkpoint(home);
    keys_ask(home, "d", 6, ASK);
    keys_look_up(home);
    keys_expect_reply(home, "d", 6, id);
    keys_expect_one_message(home);
    home_close(&home);
}

static void a_tell_hears_that_an_ask_is_accepted(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    uint64_t id = keys_accept_first(home);
    keys_ask(home, "d", 5, TELL);
    assert_int_equal(driver_take(home->driver, "d", KIND_ACCEPTED)->as.accepted.request_id, id);
    home_work_off(home);
    keys_expect_reply(home, "c", 1, id);
    assert_int_equal(driver_count(home->driver, "d", KIND_REPLY), 0);
    keys_ask(home, "d", 6, TELL); /* it has ended */
    assert_int_equal(driver_take(home->driver, "d", KIND_ACCEPTED)->as.accepted.request_id, id);
    home_checkpoint(home);
    keys_ask(home, "d", 7, TELL);
    keys_look_up(home);
    assert_int_equal(driver_take(home->driver, "d", KIND_ACCEPTED)->as.accepted.request_id, id);
    assert_int_equal(driver_count(home->driver, "d", KIND_REPLY), 0);
    keys_expect_one_message(home);
    home_close(&home);
}

/* ---- takeovers ---- */

static void test_ip_02_a_key_outlives_its_home(void **state)
{
    (void)state;
    enum { PENDING, PENDING_ROW, ENDED, ENDED_ROW, BEGUN_ROW_ENDED, CASES };
    for (int when = 0; when < CASES; when++) {
        home_t *home = keys_open_home();
        home_worker(home);
        uint64_t id = keys_accept_first(home);
        if (when == PENDING_ROW || when == BEGUN_ROW_ENDED) {
            home_checkpoint(home);
        }
        bool ended = when != PENDING && when != PENDING_ROW;
        if (ended) {
            assert_int_equal(home_work_off(home), 1);
        }
        if (when == ENDED_ROW) {
            home_checkpoint(home);
        }
        keys_take_over(home);
        keys_ask(home, "d", 5, ASK);
        keys_look_up(home);
        home_worker(home);
        assert_int_equal(home_work_off(home), ended ? 0 : 1);
        keys_expect_reply(home, "d", 5, id);
        home_checkpoint(home);
        assert_int_equal(keys_in_memory(home), 0);
        keys_expect_one_message(home);
        home_close(&home);
    }
}

/* The call that a duplicate has brought is not in the store: its client sends it again. */
static void a_joined_call_finds_its_message_after_a_takeover(void **state)
{
    (void)state;
    for (int rows = 0; rows < 2; rows++) {
        home_t *home = keys_open_home();
        uint64_t id = keys_accept_first(home);
        keys_ask(home, "d", 5, ASK);
        if (rows) {
            home_checkpoint(home);
        }
        keys_take_over(home);
        keys_ask(home, "d", 5, AGAIN);
        keys_look_up(home);
        keys_ask(home, "c", 1, AGAIN);
        keys_look_up(home);
        home_worker(home);
        assert_int_equal(home_work_off(home), 1);
        keys_expect_reply(home, "d", 5, id);
        keys_expect_reply(home, "c", 1, id);
        keys_expect_one_message(home);
        home_close(&home);
    }
}

static void a_lane_that_is_dropped_sends_both_callers_away(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    keys_accept_first(home);
    keys_ask(home, "d", 5, ASK);
    keys_ask(home, "d", 6, ASK);
    driver_hold(home->driver, 0, 0);
    while (router_go_on(home->driver->router, home->driver->now_ms)) {
    }
    driver_pull(home->driver);
    assert_int_equal(keys_in_memory(home), 0);
    assert_int_equal(driver_count(home->driver, "c", KIND_REDIRECT), 1);
    assert_int_equal(driver_count(home->driver, "d", KIND_REDIRECT), 2);
    driver_check(home->driver);
    home_close(&home);
}

static void a_request_that_is_looked_up_when_its_lane_goes_is_sent_away(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    reading_t reading;
    keys_ask(home, "c", 1, ASK);
    assert_true(keys_begin_reading(home, 0, &reading));
    keys_ask(home, "d", 5, ASK);
    driver_hold(home->driver, 0, 0);
    assert_int_equal(driver_count(home->driver, "c", KIND_REDIRECT), 1);
    assert_int_equal(driver_count(home->driver, "d", KIND_REDIRECT), 1);
    keys_end_reading(home, 0, &reading, 0); /* too late */
    home_append(home);
    assert_int_equal(HASH_CNT(by_id, home->store.messages), 0);
    home_close(&home);
}

/* ---- what a look-up may miss ---- */

/* The look-up has read the store before the key's row was there, and its answer comes after memory
 * would have forgotten the key. */
static void a_key_stays_while_a_look_up_is_under_way(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    reading_t crossing;
    keys_ask(home, "c", 1, ASK);
    keys_look_up(home);
    asked_t other = {"d", 4, ASK, 0, 0, "a", fabric_bytes_of("another")};
    keys_send(home, &other);
    assert_true(keys_begin_reading(home, 0, &crossing));
    home_append(home);
    home_work_off(home);
    uint64_t id = driver_replied(home->driver, "c", 1)->request_id;
    keys_ask(home, "c", 2, AGAIN); /* its call is looked up next, with its key */
    home_checkpoint(home);
    assert_int_equal(keys_in_memory(home), 1);
    keys_end_reading(home, 0, &crossing, 0);
    assert_int_equal(keys_in_memory(home), 2 - 1); /* the other one was accepted */
    keys_look_up(home);
    keys_expect_reply(home, "c", 2, id);
    home_append(home);
    assert_int_equal(home_work_off(home), 1);
    assert_int_equal(HASH_CNT(by_id, home->store.messages), 2);
    home_close(&home);
}

static void a_duplicate_of_a_row_that_was_missed_joins_memory(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    reading_t first, second;
    keys_ask(home, "c", 1, ASK);
    assert_true(keys_begin_reading(home, 0, &first));
    keys_ask(home, "d", 5, ASK);
    keys_end_reading(home, 0, &first, 0);              /* c's is accepted */
    assert_true(keys_begin_reading(home, 0, &second)); /* and has no row yet */
    home_append(home);
    home_work_off(home);
    home_checkpoint(home); /* its row says how it has ended */
    uint64_t id = driver_replied(home->driver, "c", 1)->request_id;
    keys_end_reading(home, 0, &second, 0);
    keys_expect_reply(home, "d", 5, id);
    assert_int_equal(keys_in_memory(home), 0);
    keys_expect_one_message(home);
    home_close(&home);
}

/* An answer that was not used at once, since another look-up of the client was under way, does not
 * count any more when memory has forgotten a key since. */
static void an_old_answer_is_asked_for_again(void **state)
{
    (void)state;
    router_config_t config;
    home_config(&config);
    config.lanes = 2;
    home_t *home = home_open(&config);
    driver_client(home->driver, "d", 2);
    home_worker(home);
    const char *other = "b"; /* an entity of the other lane */
    char name[2] = "b";
    while (shard_id_number(shard_map_locate(home->driver->router->map, 1, fabric_bytes_of(name))) %
               2 ==
           shard_id_number(shard_map_locate(home->driver->router->map, 1, fabric_bytes_of("a"))) %
               2) {
        name[0]++;
    }
    other = name;
    uint32_t lane =
        shard_id_number(shard_map_locate(home->driver->router->map, 1, fabric_bytes_of("a"))) % 2;
    asked_t slow = {"d", 4, AGAIN, 0, 0, other, {NULL, 0}};
    keys_send(home, &slow); /* a call of the other lane, whose look-up takes long */
    reading_t waits, reading;
    assert_true(keys_begin_reading(home, 1 - lane, &waits));
    keys_ask(home, "d", 5, ASK);
    assert_true(keys_begin_reading(home, lane, &reading));
    keys_end_reading(home, lane, &reading, 0); /* nobody has the key, */
    keys_ask(home, "c", 1, ASK);
    assert_true(keys_begin_reading(home, lane, &reading));
    keys_end_reading(home, lane, &reading, 0);
    home_append(home);
    assert_int_equal(home_work_off(home), 1);
    uint64_t id = driver_replied(home->driver, "c", 1)->request_id;
    home_checkpoint(home); /* but now somebody has had it */
    keys_end_reading(home, 1 - lane, &waits, 0);
    assert_true(keys_look_up(home) > 0);
    keys_expect_reply(home, "d", 5, id);
    home_close(&home);
}

static void a_failed_look_up_accepts_nothing(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    reading_t reading;
    keys_ask(home, "c", 1, ASK);
    keys_ask(home, "c", 2, ASK);
    assert_true(keys_begin_reading(home, 0, &reading));
    router_lookup_done(home->driver->router, 0, FABRIC_ERROR_STORE_UNAVAILABLE, (request_id_t){0},
                       home->driver->now_ms);
    driver_pull(home->driver);
    driver_check(home->driver);
    assert_int_equal(driver_rejected(home->driver, "c", 1), FABRIC_ERROR_PERSISTENCE);
    assert_int_equal(driver_rejected(home->driver, "c", 2), FABRIC_ERROR_PERSISTENCE);
    home_append(home);
    assert_int_equal(HASH_CNT(by_id, home->store.messages), 0);
    keys_ask(home, "c", 1, AGAIN);
    assert_int_equal(keys_look_up(home), 1);
    home_append(home);
    assert_int_equal(HASH_CNT(by_id, home->store.messages), 1);
    home_close(&home);
}

/* ---- messages that only the store has ---- */

static void a_duplicate_waits_for_a_message_in_the_store(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_tell(home, "a", 8); /* more than the window */
    home->next = 9;
    asked_t asked = {"c", 9, ASK_ACCEPTED, 0, 0, "a", fabric_bytes_of(keys_k)};
    keys_send(home, &asked);
    keys_look_up(home);
    home_append(home);
    uint64_t id = driver_take(home->driver, "c", KIND_ACCEPTED)->as.accepted.request_id;
    home_checkpoint(home);
    assert_int_equal(keys_in_memory(home), 0);
    keys_take_over(home);
    keys_ask(home, "d", 5, ASK_ACCEPTED);
    assert_int_equal(keys_look_up(home), 1);
    assert_int_equal(driver_take(home->driver, "d", KIND_ACCEPTED)->as.accepted.request_id, id);
    keys_ask(home, "d", 6, TELL); /* joins the ghost */
    keys_look_up(home);
    assert_int_equal(driver_take(home->driver, "d", KIND_ACCEPTED)->as.accepted.request_id, id);
    home_worker(home);
    assert_int_equal(home_work_off(home), 9);
    keys_expect_reply(home, "d", 5, id);
    assert_int_equal(driver_count(home->driver, "d", KIND_REPLY), 0);
    home_close(&home);
}

/* Call 9 of "c", which is settled, has brought a message that only the store has. Duplicates of "d"
 * wait for it, or do so later; or the call waits twice, since the journal did not tell first. */
static void check_settled_bringer(bool duplicate_first, bool old_first)
{
    home_t *home = keys_open_home();
    reading_t reading;
    home_tell(home, "a", 8); /* more than the window */
    home->next = 9;
    asked_t asked = {"c", 9, ASK_ACCEPTED, 0, 0, "a", fabric_bytes_of(keys_k)};
    keys_send(home, &asked);
    keys_look_up(home);
    home_append(home);
    uint64_t id = driver_take(home->driver, "c", KIND_ACCEPTED)->as.accepted.request_id;
    home_checkpoint(home);
    keys_take_over(home);
    driver_send_settling(home->driver, "c", 10, ping, &(message_ping_t){.sequence = 1});
    if (duplicate_first) {
        keys_ask(home, "d", 5, ASK);
        keys_look_up(home);
    }
    keys_ask(home, "c", 9, AGAIN);
    if (old_first) {
        assert_true(keys_begin_reading(home, 0, &reading));
        keys_end_reading(home, 0, &reading, UINT64_C(1) << 62);
        keys_ask(home, "c", 9, AGAIN);
    }
    keys_look_up(home);
    keys_ask(home, "d", 6, ASK);
    keys_look_up(home);
    home_worker(home);
    assert_int_equal(home_work_off(home), 9);
    keys_expect_reply(home, "c", 9, id);
    assert_int_equal(driver_count(home->driver, "c", KIND_REPLY), 0);
    if (duplicate_first) {
        keys_expect_reply(home, "d", 5, id);
    }
    keys_expect_reply(home, "d", 6, id);
    home_close(&home);
}

static void a_settled_call_waits_beside_duplicates_in_the_store(void **state)
{
    (void)state;
    check_settled_bringer(true, false);
    check_settled_bringer(false, false);
    check_settled_bringer(true, true);
    check_settled_bringer(false, true);
}

static void a_key_whose_message_is_lost_ends_as_unknown(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    keys_accept_first(home);
    home_checkpoint(home);
    reading_t reading;
    keys_take_over(home);
    while (home_load(home, 0)) { /* the store alone has nothing of the entity */
    }
    keys_ask(home, "d", 5, ASK);
    assert_true(keys_begin_reading(home, 0, &reading));
    reading.keys[0].reply.id.value--; /* no such message */
    keys_end_reading(home, 0, &reading, 0);
    assert_int_equal(driver_rejected(home->driver, "d", 5), FABRIC_ERROR_OUTCOME_UNKNOWN);
    home_close(&home);
}

/* This broker is not the home any more, and does not know it yet: its successor's rows tell of
 * messages that it does not know. */
static void a_row_of_a_successor_is_no_answer(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    keys_accept_first(home);
    home_checkpoint(home);
    reading_t reading;
    keys_take_over(home);
    keys_ask(home, "d", 5, ASK);
    assert_true(keys_begin_reading(home, 0, &reading));
    reading.keys[0].reply.id.value++;
    reading.keys[0].number = home->store.rows[0].number + 1;
    keys_end_reading(home, 0, &reading, 0);
    assert_int_equal(driver_rejected(home->driver, "d", 5), FABRIC_ERROR_PERSISTENCE);
    home_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ms_05_a_duplicate_joins_the_running_call),
        cmocka_unit_test(a_duplicate_joins_a_message_that_is_not_durable_yet),
        cmocka_unit_test(test_sh_21_a_later_client_gets_the_stored_reply),
        cmocka_unit_test(crossing_duplicates_are_one_message),
        cmocka_unit_test(the_contents_of_a_duplicate_do_not_matter),
        cmocka_unit_test(different_keys_never_merge),
        cmocka_unit_test(a_key_of_any_length_up_to_its_limit_counts_to_its_last_byte),
        cmocka_unit_test(a_volatile_request_with_a_key_is_refused),
        cmocka_unit_test(an_ask_gets_the_reply_of_a_tell),
        cmocka_unit_test(a_tell_hears_that_an_ask_is_accepted),
        cmocka_unit_test(test_ip_02_a_key_outlives_its_home),
        cmocka_unit_test(a_joined_call_finds_its_message_after_a_takeover),
        cmocka_unit_test(a_lane_that_is_dropped_sends_both_callers_away),
        cmocka_unit_test(a_request_that_is_looked_up_when_its_lane_goes_is_sent_away),
        cmocka_unit_test(a_key_stays_while_a_look_up_is_under_way),
        cmocka_unit_test(a_duplicate_of_a_row_that_was_missed_joins_memory),
        cmocka_unit_test(an_old_answer_is_asked_for_again),
        cmocka_unit_test(a_failed_look_up_accepts_nothing),
        cmocka_unit_test(a_duplicate_waits_for_a_message_in_the_store),
        cmocka_unit_test(a_settled_call_waits_beside_duplicates_in_the_store),
        cmocka_unit_test(a_key_whose_message_is_lost_ends_as_unknown),
        cmocka_unit_test(a_row_of_a_successor_is_no_answer),
    };
    return cmocka_run_group_tests_name("router_keys", tests, NULL, NULL);
}
