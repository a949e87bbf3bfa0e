/* Load for fault tests of outgoing messages: see teller_load.h. */
#include "tests/harness/teller_load.h"

#include <stdio.h>

#include "core/clock.h"

enum { CALL_MS = 180000, WAIT_MAX_MS = 120000, ID_SIZE = 24 };

void teller_load_start(teller_load_t *load, fabric_client_t *client)
{
    *load = (teller_load_t){.client = client};
    for (size_t i = 0; i < TELLER_LOAD_TELLERS; i++) {
        load->tellers[i].load = load;
    }
}

static void make_id(size_t number, char id[ID_SIZE])
{
    snprintf(id, ID_SIZE, "teller-%zu", number % TELLER_LOAD_TELLERS);
}

static void call_ended(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    teller_load_teller_t *teller = context;
    teller_load_t *load = teller->load;
    (void)payload;
    load->open--;
    teller->open--;
    teller->replies++;
    if (outcome->error && !load->failure[0]) {
        snprintf(load->failure, sizeof load->failure, "teller-%td: %s: %.200s",
                 teller - load->tellers, fabric_error_name(outcome->error), outcome->text);
    }
}

/* By turns gives something to another one each time, and tells the next one numbers. */
static void start_one(teller_load_t *load, size_t number)
{
    char id[ID_SIZE];
    teller_load_teller_t *teller = &load->tellers[number];
    bool gives = teller->started % 2 == 0;
    teller_order_t order = {.amount = gives ? 1 + (int64_t)number : TELLER_LOAD_NUMBERS};
    size_t distance = gives ? 1 + (size_t)(teller->started / 2 % (TELLER_LOAD_TELLERS - 1)) : 1;
    make_id(number, id);
    make_id(number + distance, order.to);
    fabric_call_t call = {.entity = fabric_entity(TELLER_TYPE, id),
                          .message = gives ? &teller_give : &teller_count,
                          .request = &order,
                          .timeout_ms = CALL_MS};
    if (fabric_client_start(load->client, &call, call_ended, teller, NULL) == FABRIC_OK) {
        load->open++;
        teller->open++;
        teller->started++;
    }
}

void teller_load_step(teller_load_t *load)
{
    (void)fabric_client_process(load->client);
    uint64_t now_ms = clock_monotonic_ms();
    if (load->ending || now_ms < load->due_ms) {
        return;
    }
    load->due_ms = now_ms + TELLER_LOAD_EACH_MS;
    for (size_t i = 0; i < TELLER_LOAD_TELLERS; i++) {
        if (load->tellers[i].open < TELLER_LOAD_OPEN) {
            start_one(load, i);
        }
    }
}

bool teller_load_ends(void *load)
{
    teller_load_t *self = load;
    self->ending = true;
    teller_load_step(self);
    return self->open == 0;
}

static teller_content_t look(teller_load_t *load, size_t number)
{
    char id[ID_SIZE];
    teller_content_t content = {0};
    fabric_outcome_t outcome;
    make_id(number, id);
    fabric_call_t call = {
        .entity = fabric_entity(TELLER_TYPE, id), .message = &teller_look, .timeout_ms = CALL_MS};
    fabric_error_t error = fabric_client_call(load->client, &call, &content, NULL, NULL, &outcome);
    if (error) {
        fail_msg("%s: %s: %s", id, fabric_error_name(error), outcome.text);
    }
    return content;
}

typedef struct sums {
    int64_t amount;
    uint64_t given, taken, counted, next;
} sums_t;

static sums_t look_at_all(teller_load_t *load, teller_content_t contents[TELLER_LOAD_TELLERS])
{
    sums_t sums = {0};
    for (size_t i = 0; i < TELLER_LOAD_TELLERS; i++) {
        contents[i] = look(load, i);
        sums.amount += contents[i].amount;
        sums.given += contents[i].given;
        sums.taken += contents[i].taken;
        sums.counted += contents[i].counted;
        sums.next += contents[i].next;
    }
    return sums;
}

/* Fails if one call has counted more or less than once, or a number has come out of its turn. */
static void check_one(const teller_load_t *load, const teller_content_t *contents, size_t number)
{
    const teller_load_teller_t *teller = &load->tellers[number];
    const teller_content_t *content = &contents[number];
    const teller_content_t *next = &contents[(number + 1) % TELLER_LOAD_TELLERS];
    assert_true(teller->replies > 0 && teller->replies == teller->started);
    assert_int_equal(content->given, teller->started - teller->started / 2);
    assert_int_equal(content->counted, teller->started / 2 * TELLER_LOAD_NUMBERS);
    assert_int_equal(content->disordered, 0);
    assert_int_equal(next->next, content->counted);
}

void teller_load_check(teller_load_t *load)
{
    teller_content_t contents[TELLER_LOAD_TELLERS];
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    assert_true(load->ending && load->open == 0);
    if (load->failure[0]) {
        fail_msg("%s", load->failure);
    }
    sums_t sums = look_at_all(load, contents);
    while (sums.taken < sums.given || sums.next < sums.counted) {
        testbed_poll(deadline_ms, "the handling of all that was told");
        sums = look_at_all(load, contents);
    }
    assert_int_equal(sums.taken, sums.given);
    assert_int_equal(sums.amount, 0);
    for (size_t i = 0; i < TELLER_LOAD_TELLERS; i++) {
        check_one(load, contents, i);
    }
    print_message("tellers: %llu gifts and %llu numbers were told\n",
                  (unsigned long long)sums.given, (unsigned long long)sums.counted);
}
