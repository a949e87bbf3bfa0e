/* The checker of worker processes that end: of which message a crash is counted. See
 * simulation_check.h. */
#include "tests/simulation/simulation_check_state.h"

#include <stdlib.h>

/* A worker process. */
typedef struct watched_end {
    incarnation_t runner;
    unsigned worker;
    bool ended;
    unsigned brokers; /* bits: those that had never lost its connection when it ended */
    uint64_t culprit; /* the request whose handler ended it; 0: none did */
    uint64_t counted; /* a crash of this request was counted; 0: of none */
} watched_end_t;

static watched_end_t *ends;
static size_t end_count, end_capacity;

void check_ends_free(void)
{
    free(ends);
    ends = NULL;
    end_count = end_capacity = 0;
}

void check_worker_began(const process_t *worker, incarnation_t runner)
{
    if (end_count == end_capacity) {
        end_capacity = end_capacity ? 2 * end_capacity : 64;
        ends = realloc(ends, end_capacity * sizeof *ends);
        if (!ends) {
            abort();
        }
    }
    ends[end_count++] = (watched_end_t){.runner = runner, .worker = worker->index};
}

static watched_end_t *find(incarnation_t runner)
{
    for (size_t i = 0; i < end_count; i++) {
        if (incarnation_equal(ends[i].runner, runner)) {
            return &ends[i];
        }
    }
    return NULL;
}

void check_worker_ended(const process_t *worker, incarnation_t runner, uint64_t culprit)
{
    watched_end_t *end = find(runner);
    end->ended = true;
    end->culprit = culprit;
    end->brokers = network_lasting(worker);
}

/* A broker whose connection broke before may have taken that for the end of the process. */
void check_crash_counted(const process_t *broker, const router_crash_t *crash)
{
    watched_end_t *end = find(crash->runner);
    uint64_t request_id = crash->request_id.value;
    if (request_id == 0 || !end || !end->ended || !(end->brokers >> broker->index & 1)) {
        return;
    }
    if (end->culprit != 0 && end->culprit != request_id) {
        world_fail("I2: request %llu ended a process of worker %u, and a crash of request %llu is "
                   "counted",
                   (ull)end->culprit, end->worker, (ull)request_id);
    }
    if (end->counted != 0 && end->counted != request_id) {
        world_fail("I2: for one end of worker %u crashes of requests %llu and %llu are counted",
                   end->worker, (ull)end->counted, (ull)request_id);
    }
    end->counted = request_id;
}
