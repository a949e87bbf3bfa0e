/* Load for kill tests: see probe_load.h. */
#include "tests/harness/probe_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"

enum { CALL_MS = 120000, WAIT_MS = 50, STEP_MS = 20, ROW_SIZE = 700 };

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    probe_load_t *load = context;
    (void)payload;
    load->open--;
    load->ended++;
    if (outcome->error) {
        load->failed++;
        if (!load->failure[0]) {
            snprintf(load->failure, sizeof load->failure, "call %llu: %s: %.200s",
                     (unsigned long long)outcome->key.sequence, fabric_error_name(outcome->error),
                     outcome->text);
        }
    }
}

static bool start_one(probe_load_t *load)
{
    char id[64];
    uint32_t entity = (uint32_t)(load->started % load->entities);
    probe_number_t request = {load->next[entity] + 1};
    snprintf(id, sizeof id, "%s-%u", load->prefix, entity);
    fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, id),
                          .message = &probe_append,
                          .request = &request,
                          .tell = load->tell,
                          .timeout_ms = CALL_MS};
    if (fabric_client_start(load->client, &call, call_ended, load, NULL) != FABRIC_OK) {
        return false;
    }
    load->next[entity]++;
    load->started++;
    load->open++;
    return true;
}

void probe_load_step(probe_load_t *load, uint32_t wait_ms)
{
    while (load->open < load->inflight && start_one(load)) {
    }
    (void)fabric_client_wait(load->client, wait_ms);
}

static void check_deadline(const probe_load_t *load, uint64_t deadline_ms)
{
    if (clock_monotonic_ms() > deadline_ms) {
        fail_msg("%u calls stay open", load->open);
    }
}

void probe_load_run(probe_load_t *load, uint64_t calls)
{
    uint64_t deadline_ms = clock_monotonic_ms() + PROBE_LOAD_WAIT_MAX_MS;
    uint64_t wanted = load->ended + calls;
    while (load->ended < wanted) {
        probe_load_step(load, STEP_MS);
        check_deadline(load, deadline_ms);
    }
}

void probe_load_end(probe_load_t *load)
{
    uint64_t deadline_ms = clock_monotonic_ms() + PROBE_LOAD_WAIT_MAX_MS;
    while (load->open > 0) {
        (void)fabric_client_wait(load->client, WAIT_MS);
        check_deadline(load, deadline_ms);
    }
    if (load->failed > 0) {
        fail_msg("%llu of %llu calls failed: %s", (unsigned long long)load->failed,
                 (unsigned long long)load->started, load->failure);
    }
}

/* ---- records ---- */

static int compare_starts(const void *left, const void *right)
{
    const probe_start_t *a = left;
    const probe_start_t *b = right;
    return a->at_us < b->at_us ? -1 : a->at_us > b->at_us;
}

static bool parse_start(const char *row, probe_start_t *start)
{
    unsigned long long at_us;
    unsigned long long request_id;
    unsigned long long number;
    *start = (probe_start_t){0};
    int count =
        sscanf(row, "%llu %d %llu %u %u %llu %31s %63s", &at_us, &start->process, &request_id,
               &start->delivery, &start->attempt, &number, start->tag, start->id);
    start->at_us = at_us;
    start->request_id = request_id;
    start->number = number;
    return count == 8;
}

probe_starts_t probe_starts_read(const char *folder)
{
    char path[ROW_SIZE];
    char row[ROW_SIZE];
    size_t capacity = 0;
    probe_starts_t starts = {0};
    snprintf(path, sizeof path, "%s/%s", folder, PROBE_STARTS);
    FILE *file = fopen(path, "r");
    while (file && fgets(row, sizeof row, file)) {
        if (starts.count == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            starts.items = realloc(starts.items, capacity * sizeof *starts.items);
            if (!starts.items) {
                abort();
            }
        }
        starts.count += parse_start(row, &starts.items[starts.count]);
    }
    if (file) {
        fclose(file);
    }
    if (starts.count > 0) {
        qsort(starts.items, starts.count, sizeof *starts.items, compare_starts);
    }
    return starts;
}

void probe_starts_free(probe_starts_t *starts)
{
    free(starts->items);
    *starts = (probe_starts_t){0};
}

size_t probe_starts_count(const probe_starts_t *starts, const char *id)
{
    size_t count = 0;
    for (size_t i = 0; i < starts->count; i++) {
        count += strcmp(starts->items[i].id, id) == 0;
    }
    return count;
}

/* After number n of an entity comes n + 1, or, as a redelivery, n or one before it. */
static void check_entity(const probe_starts_t *starts, const char *id, uint64_t sent)
{
    uint64_t last = 0;
    for (size_t i = 0; i < starts->count; i++) {
        const probe_start_t *start = &starts->items[i];
        if (strcmp(start->id, id) != 0) {
            continue;
        }
        bool again = start->number <= last;
        if (start->number > last + 1 || (again && start->delivery < 2)) {
            fail_msg("%s: number %llu (delivery %u) after %llu", id,
                     (unsigned long long)start->number, start->delivery, (unsigned long long)last);
        }
        last = start->number;
    }
    if (last != sent) {
        fail_msg("%s: %llu were sent, the last handled is %llu", id, (unsigned long long)sent,
                 (unsigned long long)last);
    }
}

void probe_starts_check(const probe_starts_t *starts, const probe_load_t *load)
{
    char id[64];
    for (uint32_t i = 0; i < load->entities; i++) {
        snprintf(id, sizeof id, "%s-%u", load->prefix, i);
        check_entity(starts, id, load->next[i]);
    }
}
