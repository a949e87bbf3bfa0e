/* The store actors of a lane: see lane_actors.h. */
#include "tests/unit/lane_actors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/random.h"

static uint64_t pick(lane_actors_t *actors, uint64_t max)
{
    return random_up_to(actors->random, max);
}

static bool chance(lane_actors_t *actors, unsigned percent)
{
    return pick(actors, 99) < percent;
}

void lane_actors_load(lane_actors_t *actors, driver_t *driver, lane_model_t *store, uint32_t lane)
{
    router_load_t taken;
    if (!actors->loading) {
        actors->loading = router_take_load(driver->router, lane, &taken);
        if (actors->loading) {
            assert_true(taken.count > 0 && taken.count <= LANE_ACTORS_RANGES);
            memcpy(actors->ranges, taken.ranges, taken.count * sizeof *taken.ranges);
            actors->range_count = taken.count;
        }
    } else if (!actors->read) {
        actors->read = true;
        actors->rows = lane_model_load(store, lane, actors->ranges, actors->range_count,
                                       chance(actors, 80) ? 1000 : pick(actors, 3), &actors->done);
    } else {
        bool failed = chance(actors, 10);
        if (failed) {
            message_chain_destroy(&actors->rows);
        }
        message_t *rows = actors->rows;
        actors->rows = NULL;
        actors->loading = actors->read = false;
        router_loaded(driver->router, lane, failed ? FABRIC_ERROR_STORE_UNAVAILABLE : FABRIC_OK,
                      rows, failed ? 0 : actors->done, driver->now_ms);
    }
}

void lane_actors_load_scheduled(lane_actors_t *actors, driver_t *driver, lane_model_t *store,
                                uint32_t lane)
{
    router_t *router = driver->router;
    if (!actors->loading_scheduled) {
        actors->loading_scheduled = router_take_scheduled(router, lane, &actors->scheduled);
    } else if (!actors->scheduled_read) {
        actors->scheduled_read = true;
        actors->scheduled_rows = lane_model_load_scheduled(
            store, lane, actors->scheduled.after,
            chance(actors, 80) ? actors->scheduled.limit : 1 + pick(actors, 3),
            &actors->scheduled_ended);
    } else {
        bool failed = chance(actors, 10);
        if (failed) {
            message_chain_destroy(&actors->scheduled_rows);
        }
        message_t *rows = actors->scheduled_rows;
        actors->scheduled_rows = NULL;
        actors->loading_scheduled = actors->scheduled_read = false;
        router_scheduled_loaded(router, lane, failed ? FABRIC_ERROR_STORE_UNAVAILABLE : FABRIC_OK,
                                rows, !failed && actors->scheduled_ended, driver->now_ms);
    }
}

void lane_actors_search(lane_actors_t *actors, driver_t *driver, lane_model_t *store, uint32_t lane)
{
    router_t *router = driver->router;
    if (!actors->searching) {
        actors->searching = router_take_search(router, lane, &actors->search);
    } else if (!actors->searched) {
        actors->searched = true;
        actors->searched_rows =
            lane_model_search(store, lane, actors->search.wanted, actors->search.count);
    } else {
        bool failed = chance(actors, 5);
        if (failed) {
            message_chain_destroy(&actors->searched_rows);
        }
        message_t *rows = actors->searched_rows;
        actors->searched_rows = NULL;
        actors->searching = actors->searched = false;
        router_searched(router, lane, failed ? FABRIC_ERROR_STORE_UNAVAILABLE : FABRIC_OK, rows,
                        driver->now_ms);
    }
}

void lane_actors_look_up(lane_actors_t *actors, driver_t *driver, lane_model_t *store,
                         uint32_t lane)
{
    router_lookup_t lookup;
    if (!actors->looking) {
        actors->looking = router_take_lookup(driver->router, lane, &lookup);
        actors->asked_count = actors->looking ? lookup.call_count : 0;
        assert_true(actors->asked_count <= LANE_ACTORS_ASKED);
        for (size_t i = 0; i < actors->asked_count; i++) {
            actors->asked[i] = lookup.calls[i];
        }
        actors->name_count = actors->looking ? lookup.key_count : 0;
        assert_true(actors->name_count <= LANE_ACTORS_ASKED);
        if (actors->name_count > 0) {
            memcpy(actors->names, lookup.keys, actors->name_count * sizeof actors->names[0]);
        }
    } else if (!actors->looked) {
        actors->looked = true;
        for (size_t i = 0; i < actors->asked_count; i++) {
            const lane_message_t *at = lane_model_find_call(store, actors->asked[i]);
            actors->found[i].id = at ? at->message->stored.id.value : 0;
            actors->found[i].ended = at && at->ended > 0;
            actors->found[i].position = at ? at->message->position : 0;
        }
        actors->key_count = 0;
        for (size_t i = 0; i < actors->name_count; i++) {
            actors->key_count +=
                lane_model_read_key(store, &actors->names[i], &actors->keys[actors->key_count]);
        }
    } else {
        actors->looking = actors->looked = false;
        for (size_t i = 0; i < actors->asked_count; i++) {
            const lane_message_t *at = lane_model_find(store, actors->found[i].id);
            if (at) {
                driver_lookup_found_at(driver, lane, &at->message->stored,
                                       actors->found[i].ended ? &at->message->reply : NULL,
                                       actors->found[i].position);
            }
        }
        for (size_t i = 0; i < actors->key_count; i++) {
            router_lookup_key(driver->router, lane, &actors->keys[i]);
        }
        router_lookup_done(driver->router, lane, FABRIC_OK, (request_id_t){0}, driver->now_ms);
    }
}
