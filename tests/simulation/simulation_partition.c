/* Partitions of the simulated network: who does not hear whom, until when. */
#include "tests/simulation/simulation_network.h"

#include <string.h>

/* [from][to]: when the last one ends, or has ended. */
static uint64_t until_us[PROCESSES_MAX][PROCESSES_MAX];

static size_t place_of(const process_t *process)
{
    switch (process->kind) {
    case PROCESS_BROKER:
        return process->index;
    case PROCESS_WORKER:
        return BROKERS_MAX + process->index;
    case PROCESS_CLIENT:
        break;
    }
    return BROKERS_MAX + WORKERS_MAX + process->index;
}

void partition_begin(const process_t *from, const process_t *to, uint64_t end_us)
{
    size_t a = place_of(from);
    size_t b = place_of(to);
    world_note("partition", a, b, end_us);
    until_us[a][b] = end_us > until_us[a][b] ? end_us : until_us[a][b];
}

uint64_t partition_until_us(const process_t *from, const process_t *to)
{
    return until_us[place_of(from)][place_of(to)];
}

uint64_t partition_of_both_us(const process_t *a, const process_t *b)
{
    uint64_t there_us = partition_until_us(a, b);
    uint64_t back_us = partition_until_us(b, a);
    return there_us > back_us ? there_us : back_us;
}

void partitions_begin(void)
{
    memset(until_us, 0, sizeof until_us);
}

void partitions_end(void)
{
    for (size_t i = 0; i < PROCESSES_MAX * PROCESSES_MAX; i++) {
        uint64_t *end_us = &until_us[i / PROCESSES_MAX][i % PROCESSES_MAX];
        *end_us = *end_us > world.now_us ? world.now_us : *end_us;
    }
}
