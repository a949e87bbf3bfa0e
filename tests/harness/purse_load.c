/* Load for fault tests of persisted states: see purse_load.h. */
#include "tests/harness/purse_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/clock.h"
#include "tests/harness/purse_state.h"

enum { CALL_MS = 180000, ID_SIZE = 24 };

void purse_load_start(purse_load_t *load, fabric_client_t *client)
{
    *load = (purse_load_t){.client = client};
    for (size_t i = 0; i < PURSE_LOAD_PURSES; i++) {
        load->purses[i].load = load;
    }
}

static void make_id(size_t number, char id[ID_SIZE])
{
    snprintf(id, ID_SIZE, "purse-%zu", number);
}

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    purse_load_purse_t *purse = context;
    purse_load_t *load = purse->load;
    purse_content_t content = {0};
    load->open--;
    purse->open--;
    fabric_error_t error = outcome->error;
    if (!error) {
        error = fabric_schema_decode(&purse_content_schema, payload, NULL, &content);
    }
    if (error && !load->failure[0]) {
        snprintf(load->failure, sizeof load->failure, "purse-%td: %s: %.200s", purse - load->purses,
                 fabric_error_name(error), outcome->text);
    }
    purse->replies++;
    purse->sum += (uint64_t)content.amount;
}

static void start_one(purse_load_t *load, size_t number)
{
    static const purse_amount_t one = {1};
    char id[ID_SIZE];
    purse_load_purse_t *purse = &load->purses[number];
    make_id(number, id);
    fabric_call_t call = {.entity = fabric_entity(PURSE_TYPE, id),
                          .message = number % 2 == 0 ? &purse_put : &purse_put_early,
                          .request = &one,
                          .timeout_ms = CALL_MS};
    if (fabric_client_start(load->client, &call, call_ended, purse, NULL) == FABRIC_OK) {
        load->open++;
        purse->open++;
    }
}

void purse_load_step(purse_load_t *load)
{
    (void)fabric_client_process(load->client);
    uint64_t now_ms = clock_monotonic_ms();
    if (load->ending || now_ms < load->due_ms) {
        return;
    }
    load->due_ms = now_ms + PURSE_LOAD_EACH_MS;
    for (size_t i = 0; i < PURSE_LOAD_PURSES; i++) {
        if (load->purses[i].open < PURSE_LOAD_OPEN) {
            start_one(load, i);
        }
    }
}

bool purse_load_ends(void *load)
{
    purse_load_t *self = load;
    self->ending = true;
    purse_load_step(self);
    return self->open == 0;
}

static uint64_t look(purse_load_t *load, size_t number)
{
    static const purse_amount_t nothing = {0};
    char id[ID_SIZE];
    purse_content_t content = {0};
    fabric_outcome_t outcome;
    make_id(number, id);
    fabric_call_t call = {.entity = fabric_entity(PURSE_TYPE, id),
                          .message = &purse_put, /* a volatile one would fail without an owner */
                          .request = &nothing,
                          .timeout_ms = CALL_MS};
    fabric_error_t error = fabric_client_call(load->client, &call, &content, NULL, NULL, &outcome);
    if (error) {
        fail_msg("%s: %s: %s", id, fabric_error_name(error), outcome.text);
    }
    return (uint64_t)content.amount;
}

void purse_load_check(purse_load_t *load, testbed_t *bed)
{
    assert_true(load->ending && load->open == 0);
    if (load->failure[0]) {
        fail_msg("%s", load->failure);
    }
    for (size_t i = 0; i < PURSE_LOAD_PURSES; i++) {
        const purse_load_purse_t *purse = &load->purses[i];
        uint64_t amount = look(load, i);
        assert_true(purse->replies > 0);
        if (amount != purse->replies || purse->sum != amount * (amount + 1) / 2) {
            fail_msg("purse-%zu holds %llu after %llu replies, which say %llu in all", i,
                     (unsigned long long)amount, (unsigned long long)purse->replies,
                     (unsigned long long)purse->sum);
        }
        char id[ID_SIZE];
        make_id(i, id);
        purse_state_expect(bed, id, (int64_t)amount);
    }
}
