/* The executor: transactional messages, on a store that answers as a test says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <fabric/ask.h>
#include <fabric/testing.h>

#include "core/journal/outgoing.h"
#include "core/memory.h"
#include "tests/unit/executor_driver.h"

enum { FLAGS = REQUEST_DURABLE | MESSAGE_TRANSACTIONAL };

/* The store: what it is to answer next, and what it has been asked. */
static struct {
    fabric_error_t open, check, claim, begin, look, commit; /* once, then OK */
    bool ended;                                             /* the handler has ended it */
    bool commits; /* a commit that answers with an error has committed all the same */
    uint8_t cluster[16];
    uint8_t body[1024]; /* the result that stands */
    size_t size;
    bool is_open; /* a transaction is */
    int opens, claims, begins, commits_made, roll_backs;
    store_owner_t owner; /* but for its type: */
    bool type_is_right;
} fake;

static fabric_error_t take(fabric_error_t *error)
{
    fabric_error_t taken = *error;
    *error = FABRIC_OK;
    return taken;
}

static const store_driver_t driver;

static fabric_error_t fake_open(const store_options_t *options, reason_t *reason, store_t **store)
{
    fabric_error_t error = take(&fake.open);
    if (error) {
        return reason_set(reason, error, "nobody at %s", options->url);
    }
    fake.opens++;
    *store = memory_allocate_zeroed(1, sizeof **store);
    (*store)->driver = &driver;
    return FABRIC_OK;
}

static void fake_close(store_t **store)
{
    free(*store);
    *store = NULL;
    fake.is_open = false;
}

static fabric_error_t fake_check(store_t *store, const store_cluster_t *wanted, reason_t *reason,
                                 store_cluster_t *cluster)
{
    (void)store;
    (void)wanted;
    (void)reason;
    *cluster = (store_cluster_t){.name = "fake", .lanes = 4, .shards_per_group = 10};
    memcpy(cluster->id, fake.cluster, sizeof cluster->id);
    return take(&fake.check);
}

static fabric_error_t fake_claim(store_t *store, const store_owner_t *owner)
{
    (void)store;
    fake.claims++;
    fake.owner = *owner;
    fake.type_is_right = fabric_bytes_equal(owner->type, fabric_bytes_of("Sum"));
    return take(&fake.claim);
}

static fabric_error_t fake_begin(store_t *store, request_id_t id, store_visit_direct_fn *visit,
                                 void *context, bool *found)
{
    (void)store;
    (void)id;
    assert_false(fake.is_open);
    fake.begins++;
    fabric_error_t error = take(&fake.begin);
    *found = !error && fake.size > 0;
    if (*found) {
        visit(context, fabric_bytes(fake.body, fake.size));
    }
    fake.is_open = !error && !*found;
    return error;
}

static void *fake_connection(store_t *store)
{
    return store;
}

static fabric_error_t fake_look(store_t *store, bool *stands)
{
    (void)store;
    assert_true(fake.is_open);
    *stands = !fake.ended;
    return take(&fake.look);
}

static fabric_error_t fake_commit(store_t *store, const store_owner_t *owner, request_id_t id,
                                  fabric_bytes_t body)
{
    (void)store;
    (void)id;
    assert_true(fake.is_open);
    fake.is_open = false;
    fake.owner = *owner;
    fabric_error_t error = take(&fake.commit);
    if (!error || fake.commits) {
        fake.commits_made++;
        assert_true(body.size <= sizeof fake.body);
        memcpy(fake.body, body.data, body.size);
        fake.size = body.size;
    }
    return error;
}

static void fake_roll_back(store_t *store)
{
    (void)store;
    assert_true(fake.is_open);
    fake.is_open = false;
    fake.roll_backs++;
}

static const store_driver_t driver = {.scheme = "fake",
                                      .open = fake_open,
                                      .close = fake_close,
                                      .check = fake_check,
                                      .owner_claim = fake_claim,
                                      .direct_begin = fake_begin,
                                      .direct_connection = fake_connection,
                                      .direct_check = fake_look,
                                      .direct_commit = fake_commit,
                                      .direct_roll_back = fake_roll_back};
static const store_driver_t *const drivers[] = {&driver, NULL};
static const transaction_config_t database = {.drivers = drivers, .url = "fake:x"};

static int setup(void **state)
{
    int failed = executor_driver_setup(state);
    executor_driver_t *d = (executor_driver_t *)*state;
    memset(&fake, 0, sizeof fake);
    d->database = &database;
    exec_limit(d, UINT32_MAX, UINT32_MAX);
    exec_begin(d, 1);
    return failed;
}

static int teardown(void **state)
{
    int failed = executor_driver_teardown(state);
    return failed || fake.is_open; /* nothing is left open */
}

static void give(executor_driver_t *d, const char *tag, uint64_t flags)
{
    bool amount = strcmp(tag, "Add") == 0;
    exec_give(d, "a", tag, 1, 1, FLAGS | flags,
              amount ? exec_amount(d, 1) : fabric_bytes("\x90", 1));
    exec_run(d);
}

/* The next message is of another activation, as after one that came back. */
static void give_again(executor_driver_t *d, uint64_t activation, uint64_t flags)
{
    exec_give(d, "a", "Add", 1, activation, FLAGS | flags, exec_amount(d, 1));
    exec_run(d);
}

/* The result that stands: a reply to that request by an owner before. */
static void put_result(uint64_t request_id, const uint8_t *reply, size_t size)
{
    wire_writer_t writer = {0};
    message_result_t result = {.shard = EXECUTOR_DRIVER_SHARD,
                               .home_epoch = 1,
                               .owner_sequence = 99,
                               .activation = 77,
                               .request_id = request_id,
                               .payload = fabric_bytes(reply, size)};
    message_put_result(&writer, &result);
    memcpy(fake.body, writer.data, writer.size);
    fake.size = writer.size;
    wire_writer_destroy(&writer);
}

/* ---- replies ---- */

static void a_reply_goes_out_when_it_is_committed(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    give(d, "Add", 0);
    assert_int_equal(fake.commits_made, 1);
    assert_int_equal(fake.owner.lane, 1); /* shard 1 of 4 lanes */
    assert_int_equal(fake.owner.token.owner_sequence, 1);
    assert_true(fake.type_is_right);
    exec_expect_amount(d, 1, 101);
    fake.size = 0;
    give(d, "Add", 0);
    exec_expect_amount(d, 2, 102);
    assert_int_equal(fake.claims, 1); /* once under a token */
    assert_int_equal(fake.opens, 1);
    assert_int_equal(fake.roll_backs, 0);
}

static void a_result_that_stands_is_sent(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    put_result(1, (const uint8_t *)"\x91\x2a", 2);
    message_result_t result;
    give(d, "Add", 0);
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.request_id, 1);
    assert_int_equal(result.status, STATUS_OK);
    assert_int_equal(result.owner_sequence, 1); /* as this owner would send it */
    assert_int_equal(result.activation, 1);
    assert_memory_equal(result.payload.data, "\x91\x2a", 2);
    assert_int_equal(d->handled, 0);
    assert_int_equal(fake.commits_made, 0);
}

static void a_look_runs_no_handler(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    give(d, "Add", DELIVER_LOOK);
    exec_expect(d, 1, STATUS_NOT_TAKEN, FABRIC_ERROR_NOT_FOUND);
    put_result(2, (const uint8_t *)"\x91\x2a", 2);
    give_again(d, 2, DELIVER_LOOK);
    exec_expect_amount(d, 2, 42);
    assert_int_equal(d->handled, 0);
    assert_int_equal(fake.roll_backs, 1);
}

static void failures_and_defects_roll_back(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    give(d, "Fail", 0);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    assert_int_equal(fake.roll_backs, 1);
    give(d, "Label", 0); /* cannot be encoded */
    exec_expect(d, 2, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(fake.roll_backs, 2);
    give(d, "None", 0); /* there is no such message */
    exec_expect(d, 3, STATUS_DEFECT, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_int_equal(fake.roll_backs, 3);
    give(d, "Break", 0);
    exec_expect(d, 4, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_int_equal(fake.roll_backs, 4);
    assert_int_equal(fake.commits_made, 0);
}

/* ---- handlers that do what they must not ---- */

static void an_ended_transaction_is_a_defect(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    fake.ended = true;
    give(d, "Add", 0);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_non_null(strstr(d->defect, "had ended when it returned"));
    assert_int_equal(fake.commits_made, 0);
    assert_int_equal(fake.roll_backs, 1);
    fake.ended = false;
    give_again(d, 2, 0);
    exec_expect_amount(d, 2, 101);
    assert_int_equal(fake.opens, 2); /* what it had set there is gone */
}

static void a_handler_answers_at_once(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    give(d, "Hold", 0);
    exec_expect(d, 1, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_non_null(strstr(d->defect, "answer at once"));
    exec_complete(d, 5); /* nobody waits for it */
    exec_run(d);
    exec_expect_no_result(d);
    assert_int_equal(fake.roll_backs, 1);
}

/* ---- the database ---- */

static void expect_unknown(executor_driver_t *d, uint64_t request_id)
{
    exec_expect(d, request_id, STATUS_NOT_TAKEN, FABRIC_ERROR_PERSISTENCE);
}

static void a_fence_ends_the_instance(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    fake.commit = FABRIC_ERROR_FENCED;
    give(d, "Add", 0);
    expect_unknown(d, 1);
    assert_int_equal(d->stops, 1);
    assert_int_equal(d->rolled_back_told, 1);
    fake.claim = FABRIC_ERROR_FENCED;
    exec_begin(d, 2);
    exec_give(d, "b", "Add", 2, 2, FLAGS, exec_amount(d, 1));
    exec_run(d);
    expect_unknown(d, 2);
    assert_int_equal(d->handled, 1); /* the first one */
}

/* The answer to the COMMIT is lost; the message comes again, and its result stands. */
static void a_lost_commit_is_settled_by_a_look(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    fake.commit = FABRIC_ERROR_STORE_UNKNOWN;
    fake.commits = true;
    give(d, "Add", 0);
    expect_unknown(d, 1);
    d->request_id--; /* the same one */
    give_again(d, 2, 0);
    exec_expect_amount(d, 1, 101);
    assert_int_equal(d->handled, 1);
    assert_int_equal(fake.opens, 2);
    assert_int_equal(fake.commits_made, 1);
}

static void a_commit_that_was_not_one_runs_again(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    fake.commit = FABRIC_ERROR_STORE_BUSY;
    give(d, "Add", 0);
    expect_unknown(d, 1);
    d->request_id--;
    give_again(d, 2, 0);
    exec_expect_amount(d, 1, 101); /* a fresh instance */
    assert_int_equal(d->handled, 2);
    assert_int_equal(fake.opens, 1);
}

static void another_result_that_stands_by_then_counts(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    fake.commit = FABRIC_ERROR_STORE_REJECTED;
    fake.commits = true; /* by somebody else */
    give(d, "Add", 0);
    exec_expect_amount(d, 1, 101);
    assert_int_equal(fake.begins, 2);
    assert_int_equal(d->stops, 1);
}

static void a_lost_connection_is_no_defect(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    fake.look = FABRIC_ERROR_STORE_UNAVAILABLE;
    give(d, "Add", 0);
    expect_unknown(d, 1);
    assert_int_equal(d->defects_told, 0);
    fake.begin = FABRIC_ERROR_STORE_UNAVAILABLE;
    give_again(d, 2, 0);
    expect_unknown(d, 2);
    fake.open = FABRIC_ERROR_STORE_UNAVAILABLE;
    give_again(d, 3, 0);
    expect_unknown(d, 3);
    assert_non_null(strstr(d->rolled_back, "nobody at fake:x"));
    fake.check = FABRIC_ERROR_STORE_BUSY;
    give_again(d, 4, 0);
    expect_unknown(d, 4);
    give_again(d, 5, 0);
    exec_expect_amount(d, 5, 101);
}

/* No COMMIT was sent, so nothing is in doubt. */
static void failures_and_defects_count_though_the_connection_is_lost(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    fake.look = FABRIC_ERROR_STORE_UNAVAILABLE;
    give(d, "Fail", 0);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    fake.look = FABRIC_ERROR_STORE_UNAVAILABLE;
    give(d, "Break", 0);
    exec_expect(d, 2, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    assert_int_equal(d->defects_told, 1);
    assert_int_equal(fake.commits_made, 0);
}

static void a_failed_connect_is_not_tried_again_at_once(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    transaction_config_t rarely = database;
    rarely.retry_ms = 600000;
    d->database = &rarely;
    exec_limit(d, UINT32_MAX, UINT32_MAX);
    exec_begin(d, 1);
    fake.open = FABRIC_ERROR_STORE_UNAVAILABLE;
    give(d, "Add", 0);
    expect_unknown(d, 1);
    give_again(d, 2, 0);
    expect_unknown(d, 2);
    assert_int_equal(fake.opens, 0);
    assert_non_null(strstr(d->rolled_back, "nobody at fake:x"));
}

static void the_database_of_another_cluster_is_refused(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    fake.cluster[3] = 1;
    give(d, "Add", 0);
    expect_unknown(d, 1);
    assert_non_null(strstr(d->rolled_back, "not of this one"));
    assert_int_equal(fake.claims, 0);
}

static void a_result_that_cannot_be_read_is_not_sent(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    fake.body[0] = 0xc1;
    fake.size = 1;
    give(d, "Add", 0);
    expect_unknown(d, 1);
    assert_non_null(strstr(d->rolled_back, "direct_result under request id 1, cannot be read"));
    put_result(17, (const uint8_t *)"\x91\x2a", 2); /* of another message */
    give_again(d, 2, 0);
    expect_unknown(d, 2);
    assert_int_equal(d->handled, 0);
}

/* ---- other messages ---- */

static void other_messages_need_no_database(void **state)
{
    executor_driver_t *d = (executor_driver_t *)*state;
    exec_add(d, "a", 1);
    exec_run(d);
    exec_expect_amount(d, 1, 101);
    assert_int_equal(fake.opens, 0);
    d->database = NULL;
    exec_limit(d, UINT32_MAX, UINT32_MAX);
    exec_begin(d, 1);
    give(d, "Add", 0); /* no home sends that */
    expect_unknown(d, 2);
}

/* ---- what handlers tell others ---- */

enum tell_course { TELL_REPLY, TELL_FAIL, TELL_BREAK };
static enum tell_course tell_course;
static int tells;
static const fabric_message_type_t note = {
    .tag = "Note", .request = &exec_amount_schema, .reply = &exec_amount_schema, .durable = true};

static fabric_result_t tell_twice(fabric_context_t *context, void *state, const void *request,
                                  void *reply)
{
    const fabric_tell_t tell = {
        .entity = fabric_entity("Listener", "l"), .message = &note, .request = request};
    (void)state;
    tells++;
    assert_int_equal(fabric_tell(context, &tell), FABRIC_OK);
    assert_int_equal(fabric_tell(context, &tell), FABRIC_OK);
    ((exec_amount_t *)reply)->amount = 7;
    return tell_course == TELL_REPLY  ? FABRIC_REPLY
           : tell_course == TELL_FAIL ? fabric_fail(context, 1, "no")
                                      : fabric_defect(context, "it broke");
}

static executor_driver_t *open_telling(void **state)
{
    static const fabric_message_type_t add = {.tag = "Add",
                                              .request = &exec_amount_schema,
                                              .reply = &exec_amount_schema,
                                              .durable = true,
                                              .transactional = true};
    static const fabric_handler_t handlers[] = {{&add, tell_twice}};
    static const fabric_entity_type_t type = {
        .name = "Sum", .handlers = handlers, .handler_count = 1, .tells = true};
    executor_driver_t *d = (executor_driver_t *)*state;
    tell_course = TELL_REPLY;
    tells = 0;
    exec_replace_type(d, &type);
    exec_begin(d, 1);
    return d;
}

/* The result goes out with both messages. */
static void expect_told(executor_driver_t *d, uint64_t request_id, uint64_t activation)
{
    message_result_t result;
    assert_true(exec_next_result(d, &result));
    assert_int_equal(result.request_id, request_id);
    assert_int_equal(result.status, STATUS_OK);
    assert_int_equal(result.owner_sequence, 1);
    assert_int_equal(result.activation, activation);
    assert_memory_equal(result.payload.data, "\x91\x07", 2);
    assert_int_equal(d->outgoing_count, 2);
    const journal_outgoing_t list = {
        .id = 1, .count = 2, .list = fabric_bytes(d->outgoing, d->outgoing_size)};
    assert_true(journal_outgoing_is_sound(&list));
    journal_outgoing_reader_t reader = journal_outgoing_open(&list);
    store_outgoing_t message;
    for (int i = 0; i < 2; i++) {
        assert_true(journal_outgoing_next(&reader, &message));
        assert_true(fabric_bytes_equal(message.tag, fabric_bytes_of("Note")));
        assert_true(fabric_bytes_equal(message.entity, fabric_bytes_of("l")));
    }
    exec_expect_no_result(d);
    d->outgoing_count = 0;
}

static void what_is_told_is_committed(void **state)
{
    executor_driver_t *d = open_telling(state);
    give(d, "Add", 0);
    assert_int_equal(fake.commits_made, 1);
    expect_told(d, 1, 1);
    d->request_id--; /* the home asks again, and then only looks */
    give_again(d, 2, 0);
    expect_told(d, 1, 2);
    d->request_id--;
    give_again(d, 3, DELIVER_LOOK);
    expect_told(d, 1, 3);
    assert_int_equal(tells, 1);
    assert_int_equal(fake.commits_made, 1);
}

static void what_was_told_outlives_a_lost_commit(void **state)
{
    executor_driver_t *d = open_telling(state);
    fake.commit = FABRIC_ERROR_STORE_UNKNOWN;
    fake.commits = true;
    give(d, "Add", 0);
    expect_unknown(d, 1);
    assert_int_equal(d->outgoing_count, 0);
    d->request_id--;
    give_again(d, 2, 0);
    expect_told(d, 1, 2);
    assert_int_equal(tells, 1);
    fake.size = 0;
    fake.commit = FABRIC_ERROR_STORE_REJECTED; /* somebody else has committed */
    give_again(d, 3, 0);
    expect_told(d, 2, 3);
}

static void what_rolls_back_tells_nothing(void **state)
{
    executor_driver_t *d = open_telling(state);
    tell_course = TELL_FAIL;
    give(d, "Add", 0);
    exec_expect(d, 1, STATUS_FAILURE, FABRIC_ERROR_ENTITY_FAILURE);
    tell_course = TELL_BREAK;
    give(d, "Add", 0);
    exec_expect(d, 2, STATUS_DEFECT, FABRIC_ERROR_ENTITY_DEFECT);
    tell_course = TELL_REPLY;
    fake.commit = FABRIC_ERROR_FENCED;
    give_again(d, 2, 0);
    expect_unknown(d, 3);
    assert_int_equal(d->outgoing_count, 0);
    assert_int_equal(tells, 3);
    assert_int_equal(fake.commits_made, 0);
    assert_int_equal(fake.size, 0);
}

static void a_list_that_cannot_be_read_is_not_sent(void **state)
{
    executor_driver_t *d = open_telling(state);
    const message_result_t result = {
        .shard = EXECUTOR_DRIVER_SHARD, .request_id = 1, .payload = fabric_bytes("\x91\x2a", 2)};
    wire_writer_t list = {0};
    const store_outgoing_t message = {.type = fabric_bytes_of("Listener"),
                                      .entity = fabric_bytes_of("l"),
                                      .tag = fabric_bytes_of("Note")};
    journal_outgoing_put(&list, &message);
    for (uint32_t count = 0; count <= 2; count++) { /* one is right */
        wire_writer_t writer = {0};
        const message_result_told_t with =
            work_result_with_told(&result, count, wire_writer_bytes(&list));
        message_put_result_told(&writer, &with);
        memcpy(fake.body, writer.data, writer.size);
        fake.size = writer.size;
        wire_writer_destroy(&writer);
        d->request_id = 0;
        give_again(d, count + 1, 0);
        exec_expect(d, 1, count == 1 ? STATUS_OK : STATUS_NOT_TAKEN,
                    count == 1 ? FABRIC_OK : FABRIC_ERROR_PERSISTENCE);
    }
    wire_writer_destroy(&list);
    assert_int_equal(tells, 0);
}

/* ---- tests of an entity alone ---- */

static void *connection_seen;

static fabric_result_t see_connection(fabric_context_t *context, void *state, const void *request,
                                      void *reply)
{
    (void)state;
    (void)request;
    (void)reply;
    connection_seen = fabric_context_mysql(context);
    return FABRIC_REPLY;
}

static void a_test_gives_a_connection_of_its_own(void **state)
{
    static const fabric_message_type_t book = {.tag = "Book",
                                               .request = &fabric_schema_empty,
                                               .reply = &fabric_schema_empty,
                                               .durable = true,
                                               .transactional = true};
    static const fabric_message_type_t peek = {.tag = "Peek",
                                               .request = &fabric_schema_empty,
                                               .reply = &fabric_schema_empty,
                                               .durable = true};
    static const fabric_handler_t handlers[] = {{&book, see_connection}, {&peek, see_connection}};
    static const fabric_entity_type_t type = {
        .name = "Till", .handlers = handlers, .handler_count = 2};
    fabric_testing_t *testing = NULL;
    int connection = 0;
    (void)state;
    assert_int_equal(fabric_testing_open(&type, "a", &testing, NULL), FABRIC_OK);
    connection_seen = &connection;
    assert_int_equal(fabric_testing_send(testing, &book, NULL, NULL, NULL), FABRIC_REPLY);
    assert_null(connection_seen);
    fabric_testing_use_mysql(testing, &connection);
    assert_int_equal(fabric_testing_send(testing, &book, NULL, NULL, NULL), FABRIC_REPLY);
    assert_ptr_equal(connection_seen, &connection);
    assert_int_equal(fabric_testing_send(testing, &peek, NULL, NULL, NULL), FABRIC_REPLY);
    assert_null(connection_seen);
    fabric_testing_close(&testing);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(a_reply_goes_out_when_it_is_committed),
        TEST(a_result_that_stands_is_sent),
        TEST(a_look_runs_no_handler),
        TEST(failures_and_defects_roll_back),
        TEST(an_ended_transaction_is_a_defect),
        TEST(a_handler_answers_at_once),
        TEST(a_fence_ends_the_instance),
        TEST(a_lost_commit_is_settled_by_a_look),
        TEST(a_commit_that_was_not_one_runs_again),
        TEST(another_result_that_stands_by_then_counts),
        TEST(a_lost_connection_is_no_defect),
        TEST(failures_and_defects_count_though_the_connection_is_lost),
        TEST(a_failed_connect_is_not_tried_again_at_once),
        TEST(the_database_of_another_cluster_is_refused),
        TEST(a_result_that_cannot_be_read_is_not_sent),
        TEST(other_messages_need_no_database),
        TEST(what_is_told_is_committed),
        TEST(what_was_told_outlives_a_lost_commit),
        TEST(what_rolls_back_tells_nothing),
        TEST(a_list_that_cannot_be_read_is_not_sent),
        cmocka_unit_test(a_test_gives_a_connection_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
