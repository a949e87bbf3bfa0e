/* What stands in a store whose journal clears entities: rows of theirs are still there until the
 * next checkpoint. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness/standing.h"
#include "tests/unit/actor_world.h"

enum { LANE = 1, FIRST = 100, ROWS = 10, LATER = 4 };

static uint64_t standing(const actor_world_t *world)
{
    reason_t reason = {{0}};
    uint64_t count = 0;
    assert_int_equal(standing_count_pending(world->store, &reason, &count), FABRIC_OK);
    return count;
}

static void clear(actor_world_t *world, const store_hold_t *hold, const store_message_t *message,
                  uint64_t id)
{
    batch_clear_t one = {{id}, message->shard, message->type, message->entity};
    lane_batch_t batch = {.clears = &one, .clear_count = 1, .last_id = id};
    (void)world_append(world, hold, &batch);
}

/* The last messages of the entity are later than one clear, and the last entry ends an earlier
 * one. */
static void rows_of_cleared_messages_do_not_stand(void **state)
{
    (void)state;
    actor_world_t *world = world_new("broker_standing_clears");
    store_hold_t hold = world_assign(world, LANE, world_other);
    (void)world_take(world, &hold);
    sample_t sample;
    sample_fill(&sample, LANE, FIRST);
    for (size_t i = 1; i < ROWS; i += 2) { /* every other one is of one entity */
        sample.messages[i].type = sample.messages[1].type;
        sample.messages[i].entity = sample.messages[1].entity;
    }
    lane_batch_t batch = sample_messages(&sample, 0, ROWS);
    (void)world_append(world, &hold, &batch);
    world_write_slice(world, &hold, &sample, 0, ROWS, 0, 0, true);
    assert_int_equal(standing(world), ROWS);
    batch = sample_ends(&sample, 1, 1);
    (void)world_append(world, &hold, &batch);
    assert_int_equal(standing(world), ROWS - 1);
    clear(world, &hold, &sample.messages[1], sample.messages[ROWS - LATER].id.value);
    assert_int_equal(standing(world), ROWS - 3);
    clear(world, &hold, &sample.messages[1], sample.messages[ROWS - 1].id.value + 1);
    assert_int_equal(standing(world), ROWS / 2);
    world_free(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_cleared_messages_do_not_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
