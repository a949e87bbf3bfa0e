/* Sending outgoing messages: order, windows, answers, and what is read again from rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/router/sender.h"
#include "core/memory.h"

enum { LANES = 3, TARGET = 1, OTHER = 2, WINDOW = 6, BACKOFF_MS = 10, BACKOFF_MAX_MS = 100 };

static int set_up(void **state)
{
    static const sender_options_t options = {.lanes = LANES,
                                             .window = WINDOW,
                                             .window_bytes = 1000,
                                             .backoff_ms = BACKOFF_MS,
                                             .backoff_max_ms = BACKOFF_MAX_MS};
    *state = sender_new(&options);
    return 0;
}

static int tear_down(void **state)
{
    sender_t *sender = *state;
    sender_destroy(&sender);
    return 0;
}

/* From the entity `source` to the entity `target`. */
static store_outgoing_t message_of(uint64_t id, uint32_t index, const char *source,
                                   const char *target)
{
    return (store_outgoing_t){.key = {id, index},
                              .source = {id - 1},
                              .source_type = fabric_bytes_of("Order"),
                              .source_entity = fabric_bytes_of(source),
                              .type = fabric_bytes_of("Account"),
                              .entity = fabric_bytes_of(target),
                              .shard = {7},
                              .target_lane = TARGET,
                              .payload = fabric_bytes_of("payload")};
}

static bool add(sender_t *sender, uint64_t id, uint32_t index, const char *source,
                const char *target)
{
    store_outgoing_t message = message_of(id, index, source, target);
    return sender_add(sender, &message, false);
}

/* All that can be sent now, "10/0 10/1<1 11/0!": key, predecessor, whether it is a resend. */
static const char *take_all(sender_t *sender, uint32_t target_lane, uint64_t now_ms)
{
    static char text[400];
    size_t used = 0;
    sender_order_t order;
    text[0] = '\0';
    while (sender_take(sender, target_lane, now_ms, &order)) {
        const store_outgoing_t *message = order.message;
        assert_int_equal(order.call.client, message->source.value);
        assert_int_equal(order.call.sequence, message->key.index + 1);
        assert_int_equal(order.floor, message->key.id);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%u/%u", used > 0 ? " " : "",
                                 (unsigned)message->key.id, message->key.index);
        if (order.predecessor > 0) {
            used += (size_t)snprintf(text + used, sizeof text - used, "<%u",
                                     (unsigned)order.predecessor);
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "%s", order.resend ? "!" : "");
    }
    return text;
}

static void answer(sender_t *sender, uint64_t id, uint32_t index, fabric_error_t error,
                   uint64_t now_ms)
{
    sender_answer_t given = {.key = {id, index},
                             .target_lane = TARGET,
                             .error = error,
                             .id = {error ? 0 : 1000 * id + index}};
    sender_answer(sender, &given, now_ms);
}

static void accept(sender_t *sender, uint64_t id, uint32_t index)
{
    answer(sender, id, index, FABRIC_OK, 0);
}

/* The next end, "10/0 OK 10000". */
static const char *next_end(sender_t *sender)
{
    static char text[100];
    sender_end_t end;
    if (!sender_take_end(sender, &end)) {
        return "";
    }
    snprintf(text, sizeof text, "%u/%u %s %u", (unsigned)end.message->key.id,
             end.message->key.index, fabric_error_name(end.error), (unsigned)end.id.value);
    return text;
}

/* ---- order ---- */

static void messages_of_one_result_go_together(void **state)
{
    sender_t *sender = *state;
    assert_true(add(sender, 10, 0, "o-1", "alice"));
    assert_true(add(sender, 10, 1, "o-1", "bob"));
    assert_true(add(sender, 10, 2, "o-1", "alice"));
    assert_string_equal(take_all(sender, TARGET, 0), "10/0 10/2<1 10/1");
    assert_string_equal(take_all(sender, TARGET, 0), "");
    assert_string_equal(take_all(sender, OTHER, 0), "");
}

static void the_next_result_waits_for_the_same_target(void **state)
{
    sender_t *sender = *state;
    add(sender, 10, 0, "o-1", "alice");
    add(sender, 10, 1, "o-1", "alice");
    add(sender, 11, 0, "o-1", "alice");
    add(sender, 11, 1, "o-1", "bob");   /* another target */
    add(sender, 12, 0, "o-2", "alice"); /* another source */
    assert_string_equal(take_all(sender, TARGET, 0), "10/0 10/1<1 11/1 12/0");
    accept(sender, 10, 0);
    assert_string_equal(take_all(sender, TARGET, 0), "");
    accept(sender, 10, 1);
    assert_string_equal(take_all(sender, TARGET, 0), "11/0");
}

/* An answer about the second one does not let a third one pass the first. */
static void answers_out_of_turn_do_not_change_the_order(void **state)
{
    sender_t *sender = *state;
    add(sender, 10, 0, "o-1", "alice");
    add(sender, 10, 1, "o-1", "alice");
    add(sender, 11, 0, "o-1", "alice");
    assert_string_equal(take_all(sender, TARGET, 0), "10/0 10/1<1");
    accept(sender, 10, 1);
    assert_string_equal(take_all(sender, TARGET, 0), "");
    accept(sender, 10, 0);
    assert_string_equal(take_all(sender, TARGET, 0), "11/0");
}

static void target_lanes_are_independent(void **state)
{
    sender_t *sender = *state;
    store_outgoing_t other = message_of(10, 1, "o-1", "bob");
    other.target_lane = OTHER;
    for (uint32_t i = 0; i <= WINDOW; i++) {
        assert_int_equal(add(sender, 10, 2 * i, "o-1", "alice"), i < WINDOW);
    }
    assert_true(sender_add(sender, &other, false)); /* its window is its own */
    assert_string_equal(take_all(sender, OTHER, 0), "10/1");
    assert_int_equal(sender_open(sender), WINDOW + 2);
}

/* ---- answers ---- */

static void an_answer_ends_a_message(void **state)
{
    sender_t *sender = *state;
    for (uint32_t i = 0; i < 3; i++) {
        add(sender, 10, i, "o-1", i == 0 ? "alice" : i == 1 ? "bob" : "carol");
    }
    (void)take_all(sender, TARGET, 0);
    answer(sender, 10, 2, FABRIC_ERROR_UNKNOWN_MESSAGE, 0);
    accept(sender, 10, 0);
    answer(sender, 10, 1, FABRIC_ERROR_OUTCOME_UNKNOWN, 0);
    accept(sender, 10, 1); /* too late */
    accept(sender, 99, 0); /* of nothing */
    assert_int_equal(sender_open(sender), 0);
    assert_int_equal(sender_oldest(sender), 10); /* until the ends are durable */
    assert_string_equal(next_end(sender), "10/2 UnknownMessage 0");
    assert_string_equal(next_end(sender), "10/0 OK 10000");
    assert_string_equal(next_end(sender), "10/1 OutcomeUnknown 0");
    assert_string_equal(next_end(sender), "");
    for (uint32_t i = 0; i < 3; i++) {
        sender_end_durable(sender, TARGET, (store_outgoing_key_t){10, i});
    }
    assert_int_equal(sender_oldest(sender), 0);
    assert_string_equal(take_all(sender, TARGET, 0), "");
}

static void a_refusal_for_now_is_no_end(void **state)
{
    sender_t *sender = *state;
    add(sender, 10, 0, "o-1", "alice");
    assert_int_equal(sender_due_ms(sender, TARGET), 0);
    assert_string_equal(take_all(sender, TARGET, 0), "10/0");
    assert_true(sender_due_ms(sender, TARGET) == UINT64_MAX);
    answer(sender, 10, 0, FABRIC_ERROR_BUSY, 1000);
    assert_int_equal(sender_due_ms(sender, TARGET), 1000 + BACKOFF_MS);
    assert_string_equal(take_all(sender, TARGET, 1000 + BACKOFF_MS - 1), "");
    assert_string_equal(take_all(sender, TARGET, 1000 + BACKOFF_MS), "10/0");
    answer(sender, 10, 0, FABRIC_ERROR_NOT_HOME, 2000);
    assert_int_equal(sender_due_ms(sender, TARGET), 2000 + 2 * BACKOFF_MS);
    for (unsigned i = 0; i < 40; i++) {
        assert_string_equal(take_all(sender, TARGET, 3000), "10/0");
        answer(sender, 10, 0, FABRIC_ERROR_BUSY, 2000);
    }
    assert_int_equal(sender_due_ms(sender, TARGET), 2000 + BACKOFF_MAX_MS);
    assert_string_equal(next_end(sender), "");
    assert_int_equal(sender_open(sender), 1);
    (void)take_all(sender, TARGET, 3000);
    sender_answer_t later = {
        .key = {10, 0}, .target_lane = TARGET, .error = FABRIC_ERROR_BUSY, .retry_after_ms = 777};
    sender_answer(sender, &later, 3000);
    assert_int_equal(sender_due_ms(sender, TARGET), 3000 + BACKOFF_MAX_MS);
}

/* A refused message is stored nowhere; one whose home was fenced may be. */
static void what_was_only_refused_is_a_first_send(void **state)
{
    sender_t *sender = *state;
    add(sender, 10, 0, "o-1", "alice");
    (void)take_all(sender, TARGET, 0);
    answer(sender, 10, 0, FABRIC_ERROR_NOT_CONNECTED, 0);
    assert_string_equal(take_all(sender, TARGET, 1000), "10/0");
    answer(sender, 10, 0, FABRIC_ERROR_FENCED, 1000);
    assert_string_equal(take_all(sender, TARGET, 2000), "10/0!");
    answer(sender, 10, 0, FABRIC_ERROR_BUSY, 2000);
    assert_string_equal(take_all(sender, TARGET, 3000), "10/0!");
}

/* As when a home has refused it, after another one had accepted it. */
static void a_late_acceptance_counts(void **state)
{
    sender_t *sender = *state;
    add(sender, 10, 0, "o-1", "alice");
    add(sender, 11, 0, "o-1", "alice");
    (void)take_all(sender, TARGET, 0);
    answer(sender, 10, 0, FABRIC_ERROR_NOT_HOME, 1000);
    answer(sender, 10, 0, FABRIC_ERROR_UNKNOWN_MESSAGE, 1000); /* it is not in flight */
    accept(sender, 10, 0);
    assert_string_equal(next_end(sender), "10/0 OK 10000");
    assert_string_equal(take_all(sender, TARGET, 2000), "11/0");
}

static void a_home_that_says_when_is_asked_ever_more_seldom(void **state)
{
    sender_t *sender = *state;
    static const uint64_t waits_ms[] = {15, 20, 40, 80, BACKOFF_MAX_MS};
    add(sender, 10, 0, "o-1", "alice");
    for (unsigned i = 0; i < 5; i++) {
        assert_string_equal(take_all(sender, TARGET, 1000 * i), "10/0");
        sender_answer_t busy = {.key = {10, 0},
                                .target_lane = TARGET,
                                .error = FABRIC_ERROR_BUSY,
                                .retry_after_ms = 15};
        sender_answer(sender, &busy, 1000 * i);
        assert_int_equal(sender_due_ms(sender, TARGET), 1000 * i + waits_ms[i]);
    }
}

/* What follows in its own result waits for it, and goes when it is accepted. */
static void a_refused_predecessor_is_sent_first(void **state)
{
    sender_t *sender = *state;
    add(sender, 10, 0, "o-1", "alice");
    add(sender, 10, 1, "o-1", "alice");
    add(sender, 10, 2, "o-1", "alice");
    (void)take_all(sender, TARGET, 0);
    answer(sender, 10, 1, FABRIC_ERROR_PREDECESSOR_MISSING, 0);
    answer(sender, 10, 0, FABRIC_ERROR_BUSY, 50);
    answer(sender, 10, 2, FABRIC_ERROR_PREDECESSOR_MISSING, 50);
    assert_string_equal(take_all(sender, TARGET, 50), ""); /* the second one is due, and waits */
    assert_string_equal(take_all(sender, TARGET, 50 + BACKOFF_MS), "10/0");
    accept(sender, 10, 0);
    assert_string_equal(take_all(sender, TARGET, 50 + BACKOFF_MS), "10/1 10/2<2");
}

static void a_lost_home_gets_everything_again(void **state)
{
    sender_t *sender = *state;
    add(sender, 10, 0, "o-1", "alice");
    add(sender, 10, 1, "o-1", "bob");
    add(sender, 10, 2, "o-1", "carol");
    (void)take_all(sender, TARGET, 0);
    accept(sender, 10, 1);
    answer(sender, 10, 2, FABRIC_ERROR_BUSY, 1000);
    sender_lost(sender, TARGET);
    assert_string_equal(take_all(sender, TARGET, 0), "10/0! 10/2");
    sender_lost(sender, OTHER);
    assert_string_equal(take_all(sender, TARGET, 0), "");
}

/* ---- windows and rows ---- */

static bool wants_rows(sender_t *sender, uint64_t id, uint32_t index)
{
    store_outgoing_key_t after = {0, 0};
    if (!sender_wants_rows(sender, TARGET, &after)) {
        return false;
    }
    assert_int_equal(after.id, id);
    assert_int_equal(after.index, index);
    return true;
}

static void row(sender_t *sender, uint64_t id, uint32_t index)
{
    store_outgoing_t message = message_of(id, index, "o-1", "alice");
    sender_row(sender, &message);
}

static void end_first(sender_t *sender, uint64_t id, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        accept(sender, id, i);
        assert_string_not_equal(next_end(sender), "");
        sender_end_durable(sender, TARGET, (store_outgoing_key_t){id, i});
    }
}

/* What does not fit is read again once it has rows, and only then come later ones. */
static void what_does_not_fit_is_read_again(void **state)
{
    sender_t *sender = *state;
    for (uint32_t i = 0; i < WINDOW + 2; i++) {
        assert_int_equal(add(sender, 10, i, "o-1", "alice"), i < WINDOW);
    }
    (void)take_all(sender, TARGET, 0);
    end_first(sender, 10, WINDOW);
    assert_false(add(sender, 11, 0, "o-1", "alice")); /* there is room, but others come before */
    assert_false(wants_rows(sender, 0, 0));           /* these have no rows yet */
    sender_checkpointed(sender);
    assert_true(wants_rows(sender, 10, WINDOW - 1));
    assert_false(wants_rows(sender, 0, 0)); /* a read is under way */
    row(sender, 10, WINDOW - 1);            /* known */
    row(sender, 10, WINDOW);
    row(sender, 10, WINDOW + 1);
    sender_rows_end(sender, TARGET, true);
    assert_string_equal(take_all(sender, TARGET, 0), "10/6 10/7<7"); /* never sent before */
    assert_false(add(sender, 12, 0, "o-1", "bob"));                  /* 11/0 is not read */
    assert_false(wants_rows(sender, 0, 0));
    sender_checkpointed(sender);
    assert_true(wants_rows(sender, 10, WINDOW + 1));
    row(sender, 11, 0);
    row(sender, 12, 0);
    sender_rows_end(sender, TARGET, true);
    assert_true(add(sender, 13, 0, "o-1", "carol"));
    assert_int_equal(sender_open(sender), 5);
}

static void a_read_stops_when_the_window_is_full(void **state)
{
    sender_t *sender = *state;
    sender_has_rows(sender, TARGET, WINDOW + 2);
    assert_int_equal(sender_open(sender), WINDOW + 2);
    assert_true(wants_rows(sender, 0, 0));
    for (uint32_t i = 0; i < WINDOW + 2; i++) {
        row(sender, 10, i);
    }
    sender_rows_end(sender, TARGET, true);
    assert_false(wants_rows(sender, 0, 0)); /* the window is full */
    assert_string_equal(take_all(sender, TARGET, 0),
                        "10/0! 10/1<1! 10/2<2! 10/3<3! 10/4<4! 10/5<5!");
    end_first(sender, 10, WINDOW);
    assert_true(wants_rows(sender, 10, WINDOW - 1));
    row(sender, 10, WINDOW);
    row(sender, 10, WINDOW + 1);
    sender_rows_end(sender, TARGET, true);
    assert_true(add(sender, 11, 0, "o-1", "bob"));
    assert_string_equal(take_all(sender, TARGET, 0), "10/6! 10/7<7! 11/0");
}

static void headers_count_in_a_window_as_payloads_do(void **state)
{
    sender_t *sender = *state;
    static uint8_t large[600];
    store_outgoing_t message = message_of(10, 0, "o-1", "alice");
    message.headers = fabric_bytes(large, sizeof large);
    assert_true(sender_add(sender, &message, false));
    message.key.index = 1;
    assert_false(sender_add(sender, &message, false));
}

/* Else it would be read again at once, for ever. */
static void a_row_that_does_not_fit_is_read_when_something_was_forgotten(void **state)
{
    sender_t *sender = *state;
    static uint8_t large[1000];
    store_outgoing_t message = message_of(10, 1, "o-1", "alice");
    message.payload = fabric_bytes(large, sizeof large);
    sender_has_rows(sender, TARGET, 2);
    assert_true(wants_rows(sender, 0, 0));
    row(sender, 10, 0);
    sender_row(sender, &message);
    sender_rows_end(sender, TARGET, true);
    assert_false(wants_rows(sender, 0, 0));
    (void)take_all(sender, TARGET, 0);
    end_first(sender, 10, 1);
    assert_true(wants_rows(sender, 10, 0));
    sender_row(sender, &message);
    sender_rows_end(sender, TARGET, true);
    assert_string_equal(take_all(sender, TARGET, 0), "10/1!");
}

static void skipped_rows_are_not_read_again(void **state)
{
    sender_t *sender = *state;
    sender_has_rows(sender, TARGET, 4);
    assert_true(wants_rows(sender, 0, 0));
    sender_skip(sender, TARGET, (store_outgoing_key_t){10, 0});
    sender_skip(sender, TARGET, (store_outgoing_key_t){10, 1});
    sender_rows_end(sender, TARGET, false);
    assert_int_equal(sender_open(sender), 2);
    assert_true(wants_rows(sender, 10, 1));
    row(sender, 11, 2);
    store_outgoing_t same = message_of(12, 2, "o-1", "alice");
    same.source.value = 10; /* as of 11/2 */
    sender_row(sender, &same);
    sender_rows_end(sender, TARGET, true);
    assert_string_equal(take_all(sender, TARGET, 0), "11/2!");
    assert_int_equal(sender_open(sender), 1);
    assert_false(add(sender, 11, 3, "o-1", "bob")); /* no key that increases: no room */
}

static void a_window_has_so_many_bytes(void **state)
{
    sender_t *sender = *state;
    static uint8_t large[2000];
    store_outgoing_t message = message_of(10, 0, "o-1", "alice");
    message.payload = fabric_bytes(large, sizeof large);
    assert_true(sender_add(sender, &message, false)); /* alone */
    assert_false(add(sender, 10, 1, "o-1", "bob"));
    sender_checkpointed(sender);
    assert_false(wants_rows(sender, 0, 0));
    (void)take_all(sender, TARGET, 0);
    end_first(sender, 10, 1);
    assert_true(wants_rows(sender, 10, 0));
}

/* ---- a model: homes that come and go, and a store ---- */

enum { MESSAGES = 400, STEPS = 20000, ENTITIES = 3 };

typedef struct model {
    sender_t *sender;
    store_outgoing_t told[MESSAGES];
    bool has_row[MESSAGES], ended[MESSAGES], accepted[MESSAGES];
    uint32_t told_count;
    uint64_t now_ms, id;
    bool reading;
    store_outgoing_key_t read_after;
} model_t;

static const char *const entities[ENTITIES] = {"a", "b", "c"};

static bool same(fabric_bytes_t a, fabric_bytes_t b)
{
    return fabric_bytes_equal(a, b);
}

static uint32_t told_index(const model_t *model, store_outgoing_key_t key)
{
    for (uint32_t i = 0; i < model->told_count; i++) {
        if (model->told[i].key.id == key.id && model->told[i].key.index == key.index) {
            return i;
        }
    }
    fail();
    return 0;
}

static void tell(model_t *model)
{
    uint32_t count = 1 + (uint32_t)rand() % 4;
    const char *source = entities[rand() % ENTITIES];
    model->id++;
    for (uint32_t i = 0; i < count && model->told_count < MESSAGES; i++) {
        store_outgoing_t message = message_of(model->id, i, source, entities[rand() % ENTITIES]);
        model->told[model->told_count++] = message;
        (void)sender_add(model->sender, &message, false);
    }
}

/* The target's home: it accepts a message only after all that were told before between the two. */
static void receive(model_t *model, const sender_order_t *order)
{
    uint32_t index = told_index(model, order->message->key);
    const store_outgoing_t *message = &model->told[index];
    sender_answer_t given = {.key = message->key, .target_lane = TARGET, .id = {index + 1}};
    assert_false(model->ended[index]);
    if (rand() % 4 == 0) {
        given.error = rand() % 2 ? FABRIC_ERROR_BUSY : FABRIC_ERROR_NOT_HOME;
    } else if (!model->accepted[index]) {
        bool missing = false;
        bool held_back = false;
        for (uint32_t i = 0; i < index; i++) {
            bool pair = same(model->told[i].source_entity, message->source_entity) &&
                        same(model->told[i].entity, message->entity);
            missing = missing || (pair && !model->accepted[i]);
            held_back = held_back || (!model->accepted[i] &&
                                      order->predecessor == model->told[i].key.index + 1u &&
                                      model->told[i].key.id == message->key.id);
        }
        assert_true(held_back || !missing); /* only a predecessor can hold it back there */
        given.error = held_back ? FABRIC_ERROR_PREDECESSOR_MISSING : FABRIC_OK;
        model->accepted[index] = given.error == FABRIC_OK;
    }
    if (rand() % 8) { /* else the answer is lost, and somebody notices */
        sender_answer(model->sender, &given, model->now_ms);
    }
}

static void write_ends(model_t *model)
{
    sender_end_t end;
    while (sender_take_end(model->sender, &end)) {
        uint32_t index = told_index(model, end.message->key);
        assert_false(model->ended[index]);
        assert_true(model->accepted[index]);
        assert_int_equal(end.id.value, index + 1);
        model->ended[index] = true;
        model->has_row[index] = false;
        sender_end_durable(model->sender, TARGET, model->told[index].key);
    }
}

static void checkpoint(model_t *model)
{
    for (uint32_t i = 0; i < model->told_count; i++) {
        model->has_row[i] = !model->ended[i];
    }
    sender_checkpointed(model->sender);
}

static bool is_behind(store_outgoing_key_t a, store_outgoing_key_t b)
{
    return a.id > b.id || (a.id == b.id && a.index > b.index);
}

static void read_some(model_t *model)
{
    uint32_t limit = 1 + (uint32_t)rand() % 4;
    uint32_t i = 0;
    for (; i < model->told_count && limit > 0; i++) {
        if (model->has_row[i] && is_behind(model->told[i].key, model->read_after)) {
            sender_row(model->sender, &model->told[i]);
            limit--;
        }
    }
    sender_rows_end(model->sender, TARGET, limit > 0);
    model->reading = false;
}

static void step(model_t *model)
{
    sender_order_t order;
    switch (rand() % 8) {
    case 0:
        if (model->told_count < MESSAGES) {
            tell(model);
        }
        break;
    case 1:
        checkpoint(model);
        break;
    case 2:
        write_ends(model);
        break;
    case 3:
        if (model->reading) {
            read_some(model);
        }
        break;
    case 4:
        sender_lost(model->sender, TARGET);
        break;
    default:
        model->reading =
            model->reading || sender_wants_rows(model->sender, TARGET, &model->read_after);
        for (unsigned i = 0; i < 3; i++) {
            if (sender_take(model->sender, TARGET, model->now_ms, &order)) {
                receive(model, &order);
            }
        }
        model->now_ms += (uint64_t)rand() % BACKOFF_MAX_MS;
        break;
    }
}

static void every_message_is_accepted_once_in_order(void **state)
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        model_t *model = memory_allocate_zeroed(1, sizeof *model);
        srand(seed);
        model->sender = *state;
        model->id = 1000 * seed;
        uint32_t ended = 0;
        for (unsigned i = 0; i < STEPS && ended < MESSAGES; i++) {
            step(model);
            ended = 0;
            for (uint32_t m = 0; m < model->told_count; m++) {
                ended += model->ended[m];
            }
        }
        assert_int_equal(ended, MESSAGES);
        assert_int_equal(sender_open(model->sender), 0);
        free(model);
        sender_t *sender = *state;
        sender_destroy(&sender);
        (void)set_up(state);
    }
}

#define sender_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        sender_test(messages_of_one_result_go_together),
        sender_test(the_next_result_waits_for_the_same_target),
        sender_test(answers_out_of_turn_do_not_change_the_order),
        sender_test(target_lanes_are_independent),
        sender_test(an_answer_ends_a_message),
        sender_test(a_refusal_for_now_is_no_end),
        sender_test(what_was_only_refused_is_a_first_send),
        sender_test(a_late_acceptance_counts),
        sender_test(a_home_that_says_when_is_asked_ever_more_seldom),
        sender_test(a_refused_predecessor_is_sent_first),
        sender_test(a_lost_home_gets_everything_again),
        sender_test(what_does_not_fit_is_read_again),
        sender_test(a_read_stops_when_the_window_is_full),
        sender_test(headers_count_in_a_window_as_payloads_do),
        sender_test(a_row_that_does_not_fit_is_read_when_something_was_forgotten),
        sender_test(skipped_rows_are_not_read_again),
        sender_test(a_window_has_so_many_bytes),
        sender_test(every_message_is_accepted_once_in_order),
    };
    return cmocka_run_group_tests_name("broker_sender", tests, NULL, NULL);
}
