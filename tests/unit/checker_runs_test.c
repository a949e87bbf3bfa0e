/* The checker of the fault tests: chains, order and ownership of executions. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/checker/checker_story.h"

/* ---- chains ---- */

static void counted_upon_what_does_not_count(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    story_store(s, STORY_ASK, 1);
    story_execute(s, 0, STORY_ASK, 1); /* refused */
    story_ask(s, 0, 2);
    s->holders[1].owner = 9;
    const history_record_t *run = story_execute(s, 1, STORY_ASK, 1);
    story_commit(s, run);
    story_seen(s, run);
    story_decide(s);
    assert_int_equal(s->report.of_kind[CHECKER_CHAIN], 1);
}

static void memory_that_changed(void **state)
{
    story_t *s = *state;
    story_ask(s, 0, 1);
    s->holders[0].chain++;
    story_ask(s, 0, 2);
    story_expect(s, CHECKER_CHAIN, 1);
}

static void memory_of_an_older_token(void **state)
{
    story_t *s = *state;
    story_ask(s, 0, 1);
    s->holders[0].owner = 2;
    story_ask(s, 0, 2);
    story_expect(s, CHECKER_OWNERSHIP, 1);
}

static void memory_outlives_its_home(void **state)
{
    story_t *s = *state;
    story_ask(s, 0, 1);
    s->holders[0].epoch += 2; /* of one home in between nothing was handled */
    s->holders[0].owner = 7;
    story_ask(s, 0, 2);
    story_ask(s, 0, 3);
    story_expect_clean(s);
}

static void memory_after_a_change_of_home_of_an_older_token(void **state)
{
    story_t *s = *state;
    story_ask(s, 0, 1);
    s->holders[0].epoch++;
    story_ask(s, 0, 2);
    s->holders[0].owner++;
    story_ask(s, 0, 3);
    story_expect(s, CHECKER_OWNERSHIP, 1);
}

/* ---- order and ownership ---- */

static void one_client_in_another_order(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    story_note(s, HISTORY_INVOKED, STORY_ASK, 2);
    story_store(s, STORY_ASK, 1);
    story_store(s, STORY_ASK, 2);
    story_commit(s, story_execute(s, 0, STORY_ASK, 2));
    story_commit(s, story_execute(s, 0, STORY_ASK, 1));
    story_expect(s, CHECKER_ORDER, 1);
}

static void other_entities_do_not_matter(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    story_note(s, HISTORY_INVOKED, STORY_ASK, 2)->entity = STORY_ENTITY + 1;
    story_store(s, STORY_ASK, 1);
    table_message_t *row = story_store(s, STORY_ASK, 2);
    row->entity = row->asked.entity = STORY_ENTITY + 1;
    history_record_t *start = story_begin(s, 1, STORY_ASK, 2);
    start->entity = STORY_ENTITY + 1;
    story_commit(s, story_end(s, start));
    story_commit(s, story_execute(s, 0, STORY_ASK, 1));
    story_expect_clean(s);
}

static void accepted_before_the_other_was_sent(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_TELL, 1);
    story_store(s, STORY_TELL, 1);
    story_accepted(s, 1);
    size_t first = s->history.count;
    story_ask(s, 0, 2);
    for (size_t i = first; i < s->history.count; i++) { /* by another client */
        s->records[i].client = 2;
    }
    story_holder_t *holder = &s->holders[0];
    history_record_t *run = &s->records[first + 2];
    run->after = holder->chain = history_chain(0, 2, 2);
    s->messages[1].asked.client = 2;
    s->replies[0].fold.client = 2;
    s->replies[0].fold.after = run->after;
    story_execute_tell(s, 0, 1);
    story_commit_tell(s, 1);
    story_expect(s, CHECKER_ORDER, 1);
}

static void token_goes_back(void **state)
{
    story_t *s = *state;
    story_ask(s, 1, 1);
    story_ask(s, 0, 2);
    story_expect(s, CHECKER_OWNERSHIP, 1);
}

static void home_epoch_goes_back(void **state)
{
    story_t *s = *state;
    s->holders[0].epoch = 2;
    story_ask(s, 0, 1);
    story_ask(s, 1, 2);
    story_expect(s, CHECKER_OWNERSHIP, 1);
}

static void counted_executions_overlap(void **state)
{
    story_t *s = *state;
    story_note(s, HISTORY_INVOKED, STORY_ASK, 1);
    story_note(s, HISTORY_INVOKED, STORY_ASK, 2);
    story_store(s, STORY_ASK, 1);
    story_store(s, STORY_ASK, 2);
    const history_record_t *first = story_begin(s, 0, STORY_ASK, 1);
    const history_record_t *second = story_begin(s, 1, STORY_ASK, 2);
    story_commit(s, story_end(s, first));
    story_commit(s, story_end(s, second));
    story_expect(s, CHECKER_OWNERSHIP, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, story_set_up, story_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counted_upon_what_does_not_count),
        TEST(memory_that_changed),
        TEST(memory_of_an_older_token),
        TEST(memory_outlives_its_home),
        TEST(memory_after_a_change_of_home_of_an_older_token),
        TEST(one_client_in_another_order),
        TEST(other_entities_do_not_matter),
        TEST(accepted_before_the_other_was_sent),
        TEST(token_goes_back),
        TEST(home_epoch_goes_back),
        TEST(counted_executions_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
