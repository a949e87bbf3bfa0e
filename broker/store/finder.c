/* Looking calls up in the store: see finder.h. */
#include "broker/store/finder.h"

#include <assert.h>
#include <stdlib.h>

#include "core/crash_point.h"

struct finder {
    finder_config_t config;
    finder_world_t world;
    store_t *store; /* NULL: not connected */
};

void finder_config_defaults(finder_config_t *config)
{
    config->page_rows = 20000;
    config->rows_max = 1000000;
    config->time_max_ms = 2000;
    config->bytes_max = UINT64_C(64) << 20;
}

finder_t *finder_new(const finder_config_t *config, const finder_world_t *world)
{
    finder_t *finder = calloc(1, sizeof *finder);
    if (!finder) {
        abort();
    }
    finder->config = *config;
    finder->world = *world;
    return finder;
}

void finder_destroy(finder_t **finder)
{
    if (*finder) {
        store_close(&(*finder)->store);
        free(*finder);
        *finder = NULL;
    }
}

typedef struct collection {
    message_chain_t chain;
    uint64_t bytes_max;
    uint64_t left_out; /* the largest id for which there was no room */
} collection_t;

static void collect(void *context, const store_message_t *stored, store_tally_t tally,
                    const store_reply_t *reply)
{
    collection_t *collection = context;
    if (collection->chain.bytes < collection->bytes_max) {
        message_chain_add(&collection->chain, stored, tally, reply);
        CRASH_POINT(LOAD_INSIDE);
    } else if (stored->id.value > collection->left_out) {
        collection->left_out = stored->id.value;
    }
}

/* Reads pages until it is through or has done as much as it may. `*reached` says how far it came. */
static fabric_error_t read_pages(finder_t *finder, request_id_t floor, const call_key_t *calls,
                                 size_t call_count, collection_t *collection, request_id_t *reached)
{
    const finder_config_t *config = &finder->config;
    uint64_t began_ms = finder->world.now_ms(finder->world.context);
    uint64_t rows = 0;
    fabric_error_t error = FABRIC_OK;
    do {
        if (finder->world.stopping(finder->world.context)) {
            return FABRIC_ERROR_SHUTTING_DOWN;
        }
        error = finder->store->driver->find_calls(finder->store, floor, reached, config->page_rows,
                                                  calls, call_count, collect, collection);
        rows += config->page_rows;
    } while (!error && reached->value > floor.value && collection->left_out == 0 &&
             rows < config->rows_max &&
             finder->world.now_ms(finder->world.context) - began_ms < config->time_max_ms);
    if (collection->left_out > reached->value) {
        reached->value = collection->left_out;
    }
    return error;
}

fabric_error_t finder_find(finder_t *finder, request_id_t floor, const call_key_t *calls,
                           size_t call_count, finder_answer_t *answer)
{
    collection_t collection = {.bytes_max = finder->config.bytes_max};
    request_id_t reached = {UINT64_MAX};
    uint64_t high_id = 0;
    fabric_error_t error =
        finder->store
            ? FABRIC_OK
            : store_open(finder->config.drivers, &finder->config.options, NULL, &finder->store);
    if (!error) {
        assert(finder->store);
        error = read_pages(finder, floor, calls, call_count, &collection, &reached);
    }
    /* After the rows, so that none of them is above it. */
    if (!error && collection.chain.first) {
        error = finder->store->driver->high_id(finder->store, &high_id);
    }
    if (error) {
        message_chain_destroy(&collection.chain.first);
        store_close(&finder->store);
        return error;
    }
    *answer = (finder_answer_t){collection.chain.first, reached, high_id};
    return FABRIC_OK;
}
