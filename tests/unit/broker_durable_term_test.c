/* The durable term: which store has forgotten commits, and which has not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/coordinator/durable_term.h"

static const store_cluster_t ours = {.id = {1}};
static const store_cluster_t foreign = {.id = {2}};

static durable_term_t opened_at(uint64_t term)
{
    durable_term_t known = {.opened = false};
    assert_int_equal(durable_term_check(&known, &ours, term, NULL), FABRIC_OK);
    durable_term_wrote(&known);
    return known;
}

static void the_first_opening_takes_any_store(void **state)
{
    (void)state;
    durable_term_t known = opened_at(0);
    assert_true(known.opened);
    known = opened_at(7);
    assert_false(durable_term_is_lost(&known, 7));
}

static void the_same_or_a_later_term_is_a_plain_fence(void **state)
{
    (void)state;
    durable_term_t known = opened_at(7);
    assert_int_equal(durable_term_check(&known, &ours, 7, NULL), FABRIC_OK);
    assert_int_equal(durable_term_check(&known, &ours, 9, NULL), FABRIC_OK);
    durable_term_wrote(&known);
    assert_true(durable_term_is_lost(&known, 8));
}

static void an_earlier_term_is_a_loss(void **state)
{
    (void)state;
    reason_t reason = {{0}};
    durable_term_t known = opened_at(7);
    assert_int_equal(durable_term_check(&known, &ours, 6, &reason), FABRIC_ERROR_STORE_LOST);
    assert_string_equal(reason.text,
                        "store: the database has forgotten commits that it had acknowledged (its "
                        "coordinator's term is 6 and was 7, as in an old copy): restore the "
                        "database from a copy that has them; do not go on");
    assert_int_equal(durable_term_check(&known, &ours, 6, NULL), FABRIC_ERROR_STORE_LOST);
}

static void another_cluster_is_a_loss(void **state)
{
    (void)state;
    reason_t reason = {{0}};
    durable_term_t known = opened_at(7);
    assert_int_equal(durable_term_check(&known, &foreign, 8, &reason), FABRIC_ERROR_STORE_LOST);
    assert_non_null(strstr(reason.text, "another cluster id"));
}

/* A server may show a commit that is not on disk yet, and die. */
static void what_was_only_read_may_go_again(void **state)
{
    (void)state;
    durable_term_t known = opened_at(7);
    durable_term_read(&known, 8);
    assert_int_equal(durable_term_check(&known, &ours, 7, NULL), FABRIC_OK);
    durable_term_read(&known, 8);
    durable_term_wrote(&known);
    assert_int_equal(durable_term_check(&known, &ours, 7, NULL), FABRIC_ERROR_STORE_LOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_opening_takes_any_store),
        cmocka_unit_test(the_same_or_a_later_term_is_a_plain_fence),
        cmocka_unit_test(an_earlier_term_is_a_loss),
        cmocka_unit_test(another_cluster_is_a_loss),
        cmocka_unit_test(what_was_only_read_may_go_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
