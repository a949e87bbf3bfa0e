/* The finder of a simulated broker, driven as finder_zmq.c and router_zmq.c do. */
#include "tests/simulation/simulation_broker.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/simulation/simulation_store.h"

/* A page of a few rows, so that a look-up takes several. */
enum { PAGE_ROWS = 7 };

static uint64_t finder_now_ms(void *context)
{
    const broker_finder_t *finder = context;
    return process_now_ms(finder->life->process);
}

static bool finder_stopping(void *context)
{
    const broker_finder_t *finder = context;
    return finder->life->lanes_halted || broker_life_is_over(finder->life);
}

void broker_finder_open(broker_life_t *life)
{
    broker_finder_t *self = &life->finder;
    finder_config_t config = {.drivers = broker_drivers, .options = {.url = SIMULATION_STORE_URL}};
    finder_world_t ways = {.context = self, .now_ms = finder_now_ms, .stopping = finder_stopping};
    finder_config_defaults(&config);
    config.page_rows = PAGE_ROWS;
    config.time_max_ms =
        UINT32_MAX; /* a store that is slow for a while must not make calls unknown for good */
    self->life = life;
    self->finder = finder_new(&config, &ways);
}

static void search_free(search_t *search)
{
    message_chain_destroy(&search->answer.messages);
    free(search);
}

void broker_finder_close(broker_finder_t *finder)
{
    for (size_t i = 0; i < finder->inbox_count; i++) {
        search_free(finder->inbox[i]);
    }
    finder_destroy(&finder->finder);
}

static void drop_answer(event_t *event)
{
    search_free(event->subject);
}

static void on_answer(event_t *event)
{
    broker_life_t *life = broker_life_now(event->process);
    search_t *search = event->subject;
    world_note("finder.answer", search->lane, search->error, search->answer.reached.value);
    router_high_id(life->router, search->answer.high_id);
    for (const message_t *message = search->answer.messages; message; message = message->chain) {
        router_lookup_found(life->router, search->lane, &message->stored,
                            message->state == MESSAGE_ENDED ? &message->reply : NULL);
    }
    router_lookup_done(life->router, search->lane, search->error, search->answer.reached,
                       process_now_ms(life->process));
    search_free(search);
    process_touch(event->process);
}

static void answer(broker_finder_t *self, search_t *search)
{
    if (broker_life_is_over(self->life)) {
        search_free(search);
        return;
    }
    event_t *event = event_new(self->life->process, on_answer, search, 0);
    event->drop = drop_answer;
    broker_send_to_router(self->life, event, &self->last_us);
}

void broker_finder_run(void *argument)
{
    broker_finder_t *self = argument;
    while (!finder_stopping(self)) {
        if (self->inbox_count == 0) {
            fiber_wait();
            continue;
        }
        search_t *search = self->inbox[0];
        memmove(self->inbox, self->inbox + 1, --self->inbox_count * sizeof *self->inbox);
        search->error = finder_find(self->finder, search->lookup.floor, search->lookup.calls,
                                    search->lookup.call_count, &search->answer);
        answer(self, search);
    }
}

void broker_finder_send(broker_finder_t *finder, uint32_t lane, const router_lookup_t *lookup)
{
    search_t *search = calloc(1, sizeof *search);
    if (!search) {
        abort();
    }
    *search = (search_t){.lane = lane, .lookup = *lookup};
    assert(finder->inbox_count < LANES);
    finder->inbox[finder->inbox_count++] = search;
    fiber_wake(finder->fiber);
}
