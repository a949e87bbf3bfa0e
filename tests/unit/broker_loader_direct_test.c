/* What a new holder finds of transactional messages: those that have ended in the entries may have
 * rows of direct results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "broker/store/loader.h"
#include "core/message.h"
#include "tests/unit/actor_world.h"

#define DATABASE "broker_loader_direct"

enum { LANE = 1, FIRST = 100 };

typedef struct fixture {
    actor_world_t *world;
    loader_t loader;
    store_hold_t other; /* the holder before, who writes */
    sample_t sample;
    adoption_t adoption;
    loader_fault_t fault;
} fixture_t;

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->world = world_new(DATABASE);
    loader_config_t config = {.connection = f->world->connection,
                              .lanes = WORLD_LANES,
                              .name = "self",
                              .tail_bytes_max = 1 << 20};
    loader_init(&f->loader, &config, &f->world->world);
    f->other = world_assign(f->world, LANE, world_other);
    (void)world_take(f->world, &f->other);
    sample_fill(&f->sample, LANE, FIRST);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;
    adoption_clear(&f->adoption);
    loader_clear(&f->loader);
    world_free(&f->world);
    free(f);
    return 0;
}

static void adopt(fixture_t *f)
{
    store_hold_t own = world_assign(f->world, LANE, world_self);
    adoption_clear(&f->adoption);
    assert_int_equal(loader_adopt(&f->loader, &own, &f->adoption, &f->fault), FABRIC_OK);
}

/* Messages 1, 2 and 4 are transactional: 1 has a result, 2 is a dead letter, 4 stands. */
static void ended_transactional_messages_are_named(void **state)
{
    fixture_t *f = *state;
    for (size_t i = 0; i < 6; i++) {
        f->sample.messages[i].flags = REQUEST_DURABLE;
    }
    f->sample.messages[1].flags |= MESSAGE_TRANSACTIONAL;
    f->sample.messages[2].flags |= MESSAGE_TRANSACTIONAL;
    f->sample.messages[4].flags |= MESSAGE_TRANSACTIONAL;
    f->sample.ends[2].dead = true;
    f->sample.ends[2].cause = FABRIC_ERROR_ENTITY_DEFECT;
    lane_batch_t messages = sample_messages(&f->sample, 0, 6);
    lane_batch_t ends = sample_ends(&f->sample, 0, 4);
    (void)world_append(f->world, &f->other, &messages);
    (void)world_append(f->world, &f->other, &ends);
    adopt(f);
    assert_int_equal(f->adoption.direct_count, 2);
    uint64_t first = f->adoption.direct[0].value;
    uint64_t second = f->adoption.direct[1].value;
    assert_int_equal(first + second, FIRST + 1 + FIRST + 2);
    assert_int_not_equal(first, second);
    const message_t *standing = f->adoption.messages;
    while (standing && standing->stored.id.value != FIRST + 4) {
        standing = standing->chain;
    }
    assert_non_null(standing);
    assert_int_equal(standing->stored.flags, REQUEST_DURABLE | MESSAGE_TRANSACTIONAL);
}

static void others_are_not(void **state)
{
    fixture_t *f = *state;
    for (size_t i = 0; i < 6; i++) {
        f->sample.messages[i].flags = REQUEST_DURABLE;
    }
    lane_batch_t messages = sample_messages(&f->sample, 0, 6);
    lane_batch_t ends = sample_ends(&f->sample, 0, 4);
    (void)world_append(f->world, &f->other, &messages);
    (void)world_append(f->world, &f->other, &ends);
    adopt(f);
    assert_int_equal(f->adoption.direct_count, 0);
    assert_null(f->adoption.direct);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        TEST(ended_transactional_messages_are_named),
        TEST(others_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
