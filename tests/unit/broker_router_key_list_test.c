/* Requests with primary keys whose lane's keys are listed: new ones are not looked up. */
#include "tests/unit/keys_driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium/crypto_hash_sha256.h>

#include "broker/router/router_state.h"

enum { ROOMY = 1 << 20, TIGHT = 64, TIGHT_KEYS = 21 /* 24 bits each */ };

/* The hash of a key with this number. */
static store_key_name_t name_of(uint64_t number)
{
    store_key_name_t name = {.entity_hash = number % 7};
    (void)crypto_hash_sha256(name.hash, (const uint8_t *)&number, sizeof number);
    return name;
}

/* ---- the filter ---- */

static void a_filter_has_what_was_added(void **state)
{
    enum { KEYS = 50000, OTHERS = 200000 };
    (void)state;
    key_filter_t filter = {.segment_count = 0};
    for (uint64_t i = 0; i < KEYS; i++) {
        assert_true(key_filter_add(&filter, ROOMY, name_of(i).hash));
    }
    unsigned wrong = 0;
    for (uint64_t i = 0; i < KEYS; i++) {
        assert_true(key_filter_has(&filter, name_of(i).hash));
    }
    for (uint64_t i = 0; i < OTHERS; i++) {
        wrong += key_filter_has(&filter, name_of(KEYS + i).hash);
    }
    assert_in_range(wrong, 0, OTHERS / 2000);
    assert_in_range(filter.bytes, 3 * KEYS, 16 * KEYS);
    key_filter_clear(&filter);
    assert_false(key_filter_has(&filter, name_of(0).hash));
}

static void a_filter_has_a_bound(void **state)
{
    (void)state;
    key_filter_t filter = {.segment_count = 0};
    uint64_t added = 0;
    for (; key_filter_add(&filter, ROOMY, name_of(added).hash); added++) {
        assert_in_range(filter.bytes, 0, ROOMY);
    }
    assert_in_range(added, ROOMY / 3 - ROOMY / 100, ROOMY / 3 + ROOMY / 100);
    assert_true(key_filter_add(&filter, ROOMY, name_of(0).hash)); /* it has it */
    key_filter_clear(&filter);
    assert_false(key_filter_add(&filter, TIGHT - 1, name_of(0).hash));
}

/* ---- the list ---- */

static void add(key_list_t *list, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        key_list_add(list, TIGHT, name_of(i).hash);
    }
}

static void take(key_list_t *list, uint64_t first, size_t count, bool ended)
{
    store_key_name_t names[64];
    for (size_t i = 0; i < count; i++) {
        names[i] = name_of(first + i);
    }
    key_list_take(list, TIGHT, list->number, names, count, ended);
}

static bool excludes(const key_list_t *list, uint64_t number)
{
    return key_list_excludes(list, name_of(number).hash);
}

static void a_list_excludes_when_it_is_complete(void **state)
{
    (void)state;
    key_list_t list = {.number = 0};
    key_list_begin(&list);
    key_page_t page = key_list_next(&list, 2);
    assert_false(page.any);
    assert_in_range(page.limit, 2, 1000);
    assert_int_equal(key_list_next(&list, 0).limit, 0);
    take(&list, 0, 3, false);
    add(&list, 3, 1); /* memory forgets it meanwhile */
    assert_false(excludes(&list, 9));
    page = key_list_next(&list, 100000);
    assert_true(page.any);
    assert_memory_equal(page.after.hash, name_of(2).hash, STORE_KEY_BYTES);
    assert_in_range(page.limit, 1000, 10000);
    take(&list, 4, 1, true);
    for (uint64_t i = 0; i < 5; i++) {
        assert_false(excludes(&list, i));
    }
    assert_true(excludes(&list, 9));
    add(&list, 9, 1);
    assert_false(excludes(&list, 9));
    assert_int_equal(key_list_next(&list, 2).limit, 0);
    key_list_begin(&list);
}

/* The lane was dropped, and adopted again, while the page was read. */
static void a_page_of_an_earlier_list_does_not_count(void **state)
{
    (void)state;
    key_list_t list = {.number = 0};
    key_list_begin(&list);
    key_page_t page = key_list_next(&list, 1);
    key_list_begin(&list);
    key_list_take(&list, TIGHT, page.number, NULL, 0, true);
    assert_false(excludes(&list, 1));
    take(&list, 0, 0, true);
    assert_true(excludes(&list, 1));
    key_list_begin(&list);
}

static void a_list_that_does_not_fit_is_begun_again_later(void **state)
{
    (void)state;
    key_list_t list = {.number = 0};
    key_list_begin(&list);
    take(&list, 0, TIGHT_KEYS, false);
    assert_int_equal(list.filter.bytes, TIGHT);
    take(&list, 100, 1, true);
    assert_int_equal(list.filter.bytes, 0);
    assert_false(excludes(&list, 999));
    assert_int_equal(key_list_next(&list, 1).limit, 0);
    add(&list, 200, TIGHT / 3 - 1);
    assert_int_equal(key_list_next(&list, 1).limit, 0);
    add(&list, 300, 1);
    assert_int_not_equal(key_list_next(&list, 1).limit, 0);
    take(&list, 0, 1, true);
    assert_true(excludes(&list, 999));
    key_list_begin(&list);
}

static void a_list_that_is_full_is_begun_again(void **state)
{
    (void)state;
    key_list_t list = {.number = 0};
    key_list_begin(&list);
    take(&list, 0, 1, true);
    add(&list, 1, TIGHT_KEYS - 1);
    assert_true(list.complete);
    add(&list, 1, TIGHT_KEYS - 1); /* it has these */
    assert_true(list.complete);
    add(&list, 100, 1);
    assert_false(excludes(&list, 999));
    assert_false(key_list_next(&list, 1).any);
    assert_int_not_equal(key_list_next(&list, 1).limit, 0);
    key_list_begin(&list);
}

/* ---- requests ---- */

static void ask_new(home_t *home, const char *peer, uint64_t sequence, const char *key)
{
    asked_t asked = {peer, sequence, ASK, 0, 0, NULL, fabric_bytes_of(key)};
    keys_send(home, &asked);
}

static void a_new_key_is_not_looked_up_once_all_are_listed(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    ask_new(home, "c", 1, "k1");
    assert_int_equal(keys_look_up(home), 1); /* the page does not come: */
    ask_new(home, "c", 2, "k2");
    assert_int_equal(keys_list(home), 1);
    ask_new(home, "c", 3, "k3");
    ask_new(home, "d", 4, "k3"); /* memory has it */
    assert_int_equal(keys_look_up(home), 0);
    home_append(home);
    assert_int_equal(home_work_off(home), 3);
    (void)driver_replied(home->driver, "c", 1);
    (void)driver_replied(home->driver, "c", 2);
    uint64_t id = driver_replied(home->driver, "c", 3)->request_id;
    keys_expect_reply(home, "d", 4, id);
    home_checkpoint(home);
    assert_int_equal(keys_in_memory(home), 0);
    ask_new(home, "d", 5, "k3");
    assert_int_equal(keys_look_up(home), 1);
    keys_expect_reply(home, "d", 5, id);
    home_close(&home);
}

static void a_new_home_lists_the_keys_again(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    ask_new(home, "c", 1, "k1");
    assert_int_equal(keys_list(home), 1);
    home_append(home);
    home_work_off(home);
    home_checkpoint(home);
    uint64_t id = driver_replied(home->driver, "c", 1)->request_id;
    keys_take_over(home);
    home_worker(home);
    ask_new(home, "d", 7, "k2");
    assert_int_equal(keys_list(home), 1); /* it has k1, too */
    ask_new(home, "d", 8, "k3");
    assert_int_equal(keys_look_up(home), 0);
    ask_new(home, "d", 9, "k1");
    assert_int_equal(keys_look_up(home), 1);
    keys_expect_reply(home, "d", 9, id);
    home_append(home);
    assert_int_equal(home_work_off(home), 2);
    home_close(&home);
}

/* What is held behind a request that is looked up is not looked up itself. */
static void a_new_key_behind_a_look_up_waits_for_it(void **state)
{
    (void)state;
    home_t *home = keys_open_home();
    home_worker(home);
    ask_new(home, "c", 1, "k1");
    assert_int_equal(keys_list(home), 1);
    home_append(home);
    home_work_off(home);
    home_checkpoint(home);
    reading_t reading;
    ask_new(home, "c", 2, "k1");
    ask_new(home, "c", 3, "k2");
    home_append(home);
    assert_int_equal(home_work_off(home), 0);
    assert_true(keys_begin_reading(home, 0, &reading));
    assert_int_equal(reading.lookup.key_count, 1);
    keys_end_reading(home, 0, &reading, 0);
    keys_expect_reply(home, "c", 2, driver_replied(home->driver, "c", 1)->request_id);
    assert_int_equal(keys_look_up(home), 0);
    home_append(home);
    assert_int_equal(home_work_off(home), 1);
    home_close(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_has_what_was_added),
        cmocka_unit_test(a_filter_has_a_bound),
        cmocka_unit_test(a_list_excludes_when_it_is_complete),
        cmocka_unit_test(a_page_of_an_earlier_list_does_not_count),
        cmocka_unit_test(a_list_that_does_not_fit_is_begun_again_later),
        cmocka_unit_test(a_list_that_is_full_is_begun_again),
        cmocka_unit_test(a_new_key_is_not_looked_up_once_all_are_listed),
        cmocka_unit_test(a_new_home_lists_the_keys_again),
        cmocka_unit_test(a_new_key_behind_a_look_up_waits_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
