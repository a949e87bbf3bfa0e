/* Outgoing messages of other brokers, and of this one, as the home of their targets gets them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/router/outgoing_requests.h"
#include "broker/router/router_state.h"
#include "tests/unit/keys_driver.h"

/* SOURCE: the request id of a source; its lane is 0, and its home has EPOCH. */
enum { OTHER = 0xb1, THIRD = 0xb2, SOURCE = 900, EPOCH = 5 };

typedef struct told {
    const char *peer; /* NULL: "b" */
    uint64_t source;  /* 0: SOURCE */
    uint64_t sequence, flags, predecessor, floor;
    uint64_t epoch; /* 0: EPOCH */
    const char *id; /* NULL: "a" */
    const char *type, *tag;
    const char *key; /* NULL: none */
} told_t;

static void join(home_t *home, const char *peer, unsigned number, uint64_t connection)
{
    driver_broker_hello(home->driver, peer, number, connection);
    driver_take(home->driver, peer, KIND_WELCOME);
}

static void open_members(home_t *home)
{
    driver_t *driver = home->driver;
    broker_credential_t brokers[] = {
        {.broker = driver->config.incarnation}, driver_credential(OTHER), driver_credential(THIRD)};
    router_members(driver->router, brokers, 3, driver->now_ms);
    join(home, "b", OTHER, 1);
    driver_forget(driver);
}

static home_t *open_with(void (*change)(router_config_t *))
{
    router_config_t config;
    home_config(&config);
    if (change) {
        change(&config);
    }
    home_t *home = home_open(&config);
    open_members(home);
    return home;
}

/* Another home takes the lanes with what the store has, and the other broker comes to it. */
static void take_over(home_t *home)
{
    home_kill(home);
    open_members(home);
}

static message_outgoing_t outgoing(const home_t *home, const told_t *told)
{
    message_request_t like =
        driver_request(told->sequence, told->id ? told->id : "a", REQUEST_DURABLE | REQUEST_TELL);
    shard_id_t shard = shard_map_locate(home->driver->router->map, 1, like.id);
    bool resend = told->flags & REQUEST_RESEND;
    return (message_outgoing_t){
        .epoch = told->epoch > 0 ? told->epoch : EPOCH,
        .source = told->source > 0 ? told->source : SOURCE,
        .sequence = told->sequence,
        .shard = shard.value,
        .flags = like.flags | told->flags,
        .type = told->type ? fabric_bytes_of(told->type) : like.type,
        .id = like.id,
        .tag = told->tag ? fabric_bytes_of(told->tag) : like.tag,
        .payload = like.payload,
        .predecessor = told->predecessor,
        .floor = told->floor > 0 || resend ? told->floor : request_id_highest(home->driver->router),
        .primary_key = fabric_bytes_of(told->key ? told->key : "")};
}

static void tell(home_t *home, const told_t *told)
{
    message_outgoing_t message = outgoing(home, told);
    driver_send(home->driver, told->peer ? told->peer : "b", outgoing, &message);
    driver_check(home->driver);
}

static void tell_one(home_t *home, uint64_t sequence, uint64_t flags)
{
    tell(home, &(told_t){.sequence = sequence, .flags = flags});
}

static const message_outgoing_answer_t *answer(home_t *home, uint64_t sequence)
{
    const message_outgoing_answer_t *taken =
        &driver_take(home->driver, "b", KIND_OUTGOING_ANSWER)->as.outgoing_answer;
    assert_int_equal(taken->source, SOURCE);
    assert_int_equal(taken->sequence, sequence);
    return taken;
}

static uint64_t accepted(home_t *home, uint64_t sequence)
{
    const message_outgoing_answer_t *taken = answer(home, sequence);
    assert_int_equal(taken->error, FABRIC_OK);
    assert_true(taken->request_id > 0);
    return taken->request_id;
}

static void expect_refused(home_t *home, uint64_t sequence, fabric_error_t error)
{
    const message_outgoing_answer_t *taken = answer(home, sequence);
    assert_int_equal(taken->error, error);
    assert_int_equal(taken->request_id, 0);
}

static void expect_silence(home_t *home)
{
    assert_int_equal(driver_count(home->driver, "b", KIND_OUTGOING_ANSWER), 0);
}

static uint64_t stored(const home_t *home)
{
    return HASH_CNT(by_id, home->store.messages);
}

/* No source is remembered. */
static void expect_forgotten(home_t *home)
{
    expect_silence(home);
    assert_int_equal(home->driver->router->outgoing_client_count, 0);
    assert_null(client_find_outgoing(home->driver->router, SOURCE));
    driver_check(home->driver);
}

static void close_home(home_t **home)
{
    expect_forgotten(*home);
    home_close(home);
}

/* ---- acceptance ---- */

static void a_message_is_accepted_when_it_is_durable(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    uint64_t bytes = home->driver->router->client_bytes;
    home_worker(home);
    tell_one(home, 1, 0);
    expect_silence(home);
    home_append(home);
    uint64_t id = accepted(home, 1);
    expect_forgotten(home);
    assert_int_equal(home->driver->router->client_bytes, bytes);
    const lane_message_t *at = lane_model_find(&home->store, id);
    assert_int_equal(at->message->stored.call.client, SOURCE);
    assert_int_equal(at->message->stored.call.sequence, CALL_OUTGOING + 1);
    assert_int_equal(home_work_off(home), 1); /* nobody hears of that */
    home_append(home);
    assert_int_equal(home->driver->router->message_bytes, 0);
    close_home(&home);
}

static void a_message_that_is_sent_again_is_accepted_once(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    home_worker(home);
    tell_one(home, 1, 0);
    tell_one(home, 1, REQUEST_RESEND); /* it is in the batch */
    home_append(home);
    uint64_t id = accepted(home, 1);
    expect_forgotten(home);
    tell_one(home, 1, REQUEST_RESEND); /* it is pending */
    assert_int_equal(keys_look_up(home), 1);
    assert_int_equal(accepted(home, 1), id);
    expect_forgotten(home);
    assert_int_equal(home_work_off(home), 1);
    home_append(home);
    tell_one(home, 1, REQUEST_RESEND); /* it has ended */
    assert_int_equal(keys_look_up(home), 1);
    assert_int_equal(accepted(home, 1), id);
    assert_int_equal(stored(home), 1);
    close_home(&home);
}

static void another_home_knows_what_was_accepted(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    home_worker(home);
    tell_one(home, 1, 0);
    home_append(home);
    uint64_t ended = accepted(home, 1);
    assert_int_equal(home_work_off(home), 1);
    home_append(home);
    tell_one(home, 2, 0);
    home_append(home);
    uint64_t pending = accepted(home, 2);
    tell_one(home, 3, 0); /* the home dies before it is stored */
    take_over(home);
    for (uint64_t i = 1; i <= 3; i++) {
        tell_one(home, i, REQUEST_RESEND);
    }
    (void)keys_look_up(home);
    home_append(home);
    assert_int_equal(accepted(home, 1), ended);
    assert_int_equal(accepted(home, 2), pending);
    assert_true(accepted(home, 3) > pending);
    assert_int_equal(stored(home), 3);
    close_home(&home);
}

/* It has come late: this broker's predecessor may have accepted a resend. */
static void a_first_send_is_looked_up_where_an_earlier_home_may_have_accepted_it(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    uint64_t floor = request_id_highest(home->driver->router);
    tell(home, &(told_t){.sequence = 1, .floor = floor});
    home_append(home);
    uint64_t id = accepted(home, 1);
    take_over(home);
    tell(home, &(told_t){.sequence = 1, .floor = floor});
    assert_int_equal(keys_look_up(home), 1);
    assert_int_equal(accepted(home, 1), id);
    assert_int_equal(stored(home), 1);
    close_home(&home);
}

static void what_may_have_been_purged_is_unknown(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    reading_t reading;
    tell(home, &(told_t){.sequence = 1, .flags = REQUEST_RESEND, .floor = 1});
    assert_true(keys_begin_reading(home, 0, &reading));
    keys_end_reading(home, 0, &reading, 1000);
    expect_refused(home, 1, FABRIC_ERROR_OUTCOME_UNKNOWN);
    close_home(&home);
}

/* Nothing is lost above the mark: only below it an end is unknown for good. */
static void what_a_look_up_has_not_come_to_is_tried_again(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    reading_t reading;
    tell(home, &(told_t){.sequence = 1, .flags = REQUEST_RESEND, .floor = 500});
    tell(home, &(told_t){.sequence = 2, .flags = REQUEST_RESEND, .floor = 499});
    assert_true(keys_begin_reading(home, 0, &reading));
    router_lookup_cut_short(home->driver->router, 0, (request_id_t){500});
    keys_end_reading(home, 0, &reading, 1000);
    const message_outgoing_answer_t *later = answer(home, 1);
    assert_int_equal(later->error, FABRIC_ERROR_PERSISTENCE);
    assert_true(later->retry_after_ms > 0);
    expect_refused(home, 2, FABRIC_ERROR_OUTCOME_UNKNOWN);
    tell(home, &(told_t){.sequence = 1, .flags = REQUEST_RESEND, .floor = 500});
    (void)keys_look_up(home);
    home_append(home);
    accepted(home, 1);
    close_home(&home);
}

static void other_contents_under_the_same_key_are_refused(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    tell_one(home, 1, 0);
    tell(home, &(told_t){.sequence = 1, .id = "b", .flags = REQUEST_RESEND});
    expect_refused(home, 1, FABRIC_ERROR_ALREADY_PROCESSING);
    home_append(home);
    accepted(home, 1);
    assert_int_equal(stored(home), 1);
    close_home(&home);
}

/* ---- order ---- */

static void messages_of_one_source_are_accepted_in_order(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    tell_one(home, 1, 0);
    for (uint64_t i = 2; i <= 9; i++) { /* more than there is room for at first */
        tell(home, &(told_t){.sequence = i, .predecessor = i - 1});
    }
    home_append(home);
    uint64_t last = 0;
    for (uint64_t i = 1; i <= 9; i++) {
        uint64_t id = accepted(home, i);
        assert_true(id > last);
        last = id;
    }
    close_home(&home);
}

static void a_message_without_its_predecessor_waits(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    tell(home, &(told_t){.sequence = 2, .predecessor = 1});
    expect_refused(home, 2, FABRIC_ERROR_PREDECESSOR_MISSING);
    expect_forgotten(home);
    tell_one(home, 1, 0);
    tell(home, &(told_t){.sequence = 2, .flags = REQUEST_RESEND, .predecessor = 1});
    assert_int_equal(keys_look_up(home), 1);
    home_append(home);
    assert_true(accepted(home, 1) < accepted(home, 2));
    close_home(&home);
}

/* ---- refusals ---- */

static void what_can_never_be_accepted_is_refused_for_good(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    message_outgoing_t message = outgoing(home, &(told_t){.sequence = 3});
    message.shard++; /* where its entity was when it was told */
    driver_send(home->driver, "b", outgoing, &message);
    expect_refused(home, 3, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    message = outgoing(home, &(told_t){.sequence = 4});
    message.lane = home->driver->config.lanes;
    driver_send(home->driver, "b", outgoing, &message);
    expect_refused(home, 4, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(stored(home), 0);
    close_home(&home);
}

static void a_type_that_is_forgotten_is_waited_for_a_while(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    told_t told = {
        .sequence = 1, .type = "Gone", .floor = request_id_highest(home->driver->router)};
    router_types_listed(home->driver->router);
    tell(home, &told);
    expect_refused(home, 1, FABRIC_ERROR_RUNNER_NOT_REGISTERED);
    driver_pass(home->driver, 61000);
    tell(home, &told);
    expect_refused(home, 1, FABRIC_ERROR_UNKNOWN_ENTITY_TYPE);
    close_home(&home);
}

/* The other broker may have learned of a type's new description before this one. */
static void what_a_type_does_not_take_yet_is_waited_for_a_while(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    uint64_t floor = request_id_highest(home->driver->router);
    told_t unknown = {.sequence = 1, .tag = "Sub", .floor = floor};
    told_t malformed = {.sequence = 2, .floor = floor};
    message_outgoing_t message = outgoing(home, &malformed);
    message.payload.size--;
    for (int late = 0; late <= 1; late++) {
        tell(home, &unknown);
        expect_refused(home, 1,
                       late ? FABRIC_ERROR_UNKNOWN_MESSAGE : FABRIC_ERROR_RUNNER_NOT_REGISTERED);
        driver_send(home->driver, "b", outgoing, &message);
        expect_refused(home, 2,
                       late ? FABRIC_ERROR_MALFORMED_MESSAGE : FABRIC_ERROR_RUNNER_NOT_REGISTERED);
        driver_pass(home->driver, 61000);
    }
    assert_int_equal(stored(home), 0);
    close_home(&home);
}

static void with_bounds(router_config_t *config)
{
    config->pending_max = 3;
    config->entity_pending_max = 2;
}

static void a_full_home_is_tried_again(void **state)
{
    (void)state;
    home_t *home = open_with(with_bounds);
    for (uint64_t i = 1; i <= 3; i++) {
        tell_one(home, i, 0);
    }
    expect_refused(home, 3, FABRIC_ERROR_MAILBOX_FULL);
    tell(home, &(told_t){.sequence = 4, .id = "b"});
    tell(home, &(told_t){.sequence = 5, .id = "b"});
    const message_outgoing_answer_t *busy = answer(home, 5);
    assert_int_equal(busy->error, FABRIC_ERROR_BUSY);
    assert_true(busy->retry_after_ms > 0);
    home_append(home);
    accepted(home, 1);
    accepted(home, 2);
    accepted(home, 4);
    expect_forgotten(home);
    home_worker(home);
    assert_int_equal(home_work_off(home), 3);
    tell_one(home, 3, REQUEST_RESEND);
    (void)keys_look_up(home);
    home_append(home);
    accepted(home, 3);
    close_home(&home);
}

/* ---- primary keys ---- */

static void duplicates_get_the_id_of_the_first_one(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    tell(home, &(told_t){.sequence = 1, .key = "k"});
    tell(home, &(told_t){.sequence = 2, .key = "k"});
    (void)keys_look_up(home);
    home_append(home);
    uint64_t id = accepted(home, 1);
    assert_int_equal(accepted(home, 2), id);
    expect_forgotten(home);
    tell(home, &(told_t){.sequence = 3, .key = "k"}); /* it is pending */
    (void)keys_look_up(home);
    assert_int_equal(accepted(home, 3), id);
    home_worker(home);
    assert_int_equal(home_work_off(home), 1);
    home_append(home);
    tell(home, &(told_t){.sequence = 4, .key = "k"}); /* it has ended */
    (void)keys_look_up(home);
    assert_int_equal(accepted(home, 4), id);
    assert_int_equal(stored(home), 1);
    close_home(&home);
}

/* ---- homes ---- */

static void another_home_is_not_told_but_looked_for(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    tell_one(home, 1, 0); /* it is certainly not stored */
    driver_hold(home->driver, 0, 0);
    while (router_go_on(home->driver->router, home->driver->now_ms)) {
    }
    driver_pull(home->driver);
    expect_refused(home, 1, FABRIC_ERROR_NOT_HOME);
    tell_one(home, 2, 0);
    expect_refused(home, 2, FABRIC_ERROR_NOT_HOME);
    close_home(&home);
}

/* The lane is dropped while its batch is under way. */
static void drop_in_batch(bool is_stored)
{
    home_t *home = open_with(NULL);
    router_t *router = home->driver->router;
    tell_one(home, 1, 0);
    assert_non_null(router_take_batch(router, 0, home->driver->now_ms));
    driver_hold(home->driver, 0, 0);
    expect_silence(home);
    router_batch_done(router, 0, is_stored ? FABRIC_OK : FABRIC_ERROR_FENCED, 1, 1,
                      home->driver->now_ms);
    while (router_go_on(router, home->driver->now_ms)) {
    }
    driver_pull(home->driver);
    if (is_stored) {
        accepted(home, 1);
    } else {
        expect_refused(home, 1, FABRIC_ERROR_NOT_HOME);
    }
    close_home(&home);
}

static void a_lane_that_is_dropped_tells_what_was_stored(void **state)
{
    (void)state;
    drop_in_batch(true);
    drop_in_batch(false);
}

/* Its successor has sent the message again, and may have its answer. */
static void what_an_earlier_home_of_the_source_sends_does_not_count(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    join(home, "b2", THIRD, 1);
    tell(home, &(told_t){.peer = "b2", .sequence = 1, .epoch = EPOCH + 1, .flags = REQUEST_RESEND});
    (void)keys_look_up(home);
    home_append(home);
    assert_int_equal(
        driver_take(home->driver, "b2", KIND_OUTGOING_ANSWER)->as.outgoing_answer.error, FABRIC_OK);
    expect_forgotten(home);
    tell_one(home, 1, 0); /* it was sent before, and comes late */
    expect_refused(home, 1, FABRIC_ERROR_FENCED);
    home_append(home);
    assert_int_equal(stored(home), 1);
    close_home(&home);
}

/* Of the two homes the one that has asked last is told. */
static void the_home_that_has_sent_last_is_answered(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    join(home, "b2", THIRD, 1);
    tell_one(home, 1, 0);
    tell(home, &(told_t){.peer = "b2", .sequence = 1, .epoch = EPOCH + 1, .flags = REQUEST_RESEND});
    home_append(home);
    driver_take(home->driver, "b2", KIND_OUTGOING_ANSWER);
    close_home(&home);
}

/* ---- connections ---- */

static void answers_go_to_the_connection_that_there_is(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    tell_one(home, 1, 0);
    driver_send(home->driver, "b", bye, &(message_bye_t){fabric_bytes_of("")});
    home_append(home);
    expect_forgotten(home);
    tell_one(home, 2, 0); /* without a hello */
    driver_take(home->driver, "b", KIND_WHO);
    join(home, "b", OTHER, 2);
    tell_one(home, 1, REQUEST_RESEND);
    tell_one(home, 2, 0);
    (void)keys_look_up(home);
    accepted(home, 1);
    driver_broker_hello(home->driver, "n", OTHER, 3);
    home_append(home);
    driver_take(home->driver, "n", KIND_OUTGOING_ANSWER);
    assert_int_equal(stored(home), 2);
    close_home(&home);
}

static void only_brokers_send_outgoing_messages(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    uint64_t malformed = home_counters(home).malformed;
    tell(home, &(told_t){.peer = "c", .sequence = 1});
    assert_int_equal(home_counters(home).malformed, malformed + 1);
    assert_int_equal(driver_count(home->driver, "c", KIND_OUTGOING_ANSWER), 0);
    close_home(&home);
}

/* A client may take the id of its own message for its number. Its calls are others, also those with
 * the sequences of what the message has told, and also in the store. */
static void a_client_with_the_number_of_a_source_does_no_harm(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    driver_client_hello(home->driver, "e", SOURCE, 1);
    driver_take(home->driver, "e", KIND_WELCOME);
    driver_ask(home->driver, "e", 1, "z", REQUEST_DURABLE | REQUEST_WANT_ACCEPTED);
    tell_one(home, 1, 0);
    tell_one(home, 1, REQUEST_RESEND); /* it is in the batch, and so is the client's */
    assert_int_equal(home->driver->router->outgoing_client_count, 1);
    home_append(home);
    uint64_t id = accepted(home, 1);
    uint64_t own = driver_take(home->driver, "e", KIND_ACCEPTED)->as.accepted.request_id;
    assert_int_not_equal(id, own);
    expect_forgotten(home);
    assert_int_equal(stored(home), 2);
    tell_one(home, 1, REQUEST_RESEND);
    assert_int_equal(keys_look_up(home), 1);
    assert_int_equal(accepted(home, 1), id);
    expect_forgotten(home);
    home_worker(home);
    assert_int_equal(home_work_off(home), 2);
    home_append(home);
    assert_int_equal(driver_take(home->driver, "e", KIND_REPLY)->as.reply.request_id, own);
    expect_silence(home);
    home_close(&home);
}

static void no_client_has_the_sequence_of_an_outgoing_message(void **state)
{
    (void)state;
    home_t *home = open_with(NULL);
    driver_client_hello(home->driver, "e", SOURCE, 1);
    driver_take(home->driver, "e", KIND_WELCOME);
    for (int durable = 0; durable < 2; durable++) {
        driver_ask(home->driver, "e", CALL_OUTGOING + 1, "a", durable ? REQUEST_DURABLE : 0);
        assert_int_equal(driver_rejected(home->driver, "e", CALL_OUTGOING + 1),
                         FABRIC_ERROR_MALFORMED_MESSAGE);
    }
    tell_one(home, CALL_OUTGOING + 1, 0);
    expect_refused(home, CALL_OUTGOING + 1, FABRIC_ERROR_MALFORMED_MESSAGE);
    home_close(&home);
}

static void with_small_bounds(router_config_t *config)
{
    config->peers_max = 4;
}

static void many_sources_take_nothing_from_clients(void **state)
{
    (void)state;
    home_t *home = open_with(with_small_bounds);
    driver_client(home->driver, "d", 2);
    driver_send(home->driver, "d", bye, &(message_bye_t){fabric_bytes_of("")});
    for (uint64_t source = 1000; source < 1100; source++) {
        tell(home, &(told_t){.source = source, .sequence = 1});
    }
    assert_int_equal(home->driver->router->outgoing_client_count, 100);
    driver_client(home->driver, "e", 3);
    assert_non_null(client_find(home->driver->router, 2));
    home_append(home);
    assert_int_equal(driver_count(home->driver, "b", KIND_OUTGOING_ANSWER), 100);
    driver_forget(home->driver);
    close_home(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_accepted_when_it_is_durable),
        cmocka_unit_test(a_message_that_is_sent_again_is_accepted_once),
        cmocka_unit_test(another_home_knows_what_was_accepted),
        cmocka_unit_test(a_first_send_is_looked_up_where_an_earlier_home_may_have_accepted_it),
        cmocka_unit_test(what_may_have_been_purged_is_unknown),
        cmocka_unit_test(what_a_look_up_has_not_come_to_is_tried_again),
        cmocka_unit_test(other_contents_under_the_same_key_are_refused),
        cmocka_unit_test(messages_of_one_source_are_accepted_in_order),
        cmocka_unit_test(a_message_without_its_predecessor_waits),
        cmocka_unit_test(what_can_never_be_accepted_is_refused_for_good),
        cmocka_unit_test(a_type_that_is_forgotten_is_waited_for_a_while),
        cmocka_unit_test(what_a_type_does_not_take_yet_is_waited_for_a_while),
        cmocka_unit_test(a_full_home_is_tried_again),
        cmocka_unit_test(duplicates_get_the_id_of_the_first_one),
        cmocka_unit_test(another_home_is_not_told_but_looked_for),
        cmocka_unit_test(a_lane_that_is_dropped_tells_what_was_stored),
        cmocka_unit_test(what_an_earlier_home_of_the_source_sends_does_not_count),
        cmocka_unit_test(the_home_that_has_sent_last_is_answered),
        cmocka_unit_test(answers_go_to_the_connection_that_there_is),
        cmocka_unit_test(only_brokers_send_outgoing_messages),
        cmocka_unit_test(a_client_with_the_number_of_a_source_does_no_harm),
        cmocka_unit_test(no_client_has_the_sequence_of_an_outgoing_message),
        cmocka_unit_test(many_sources_take_nothing_from_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
