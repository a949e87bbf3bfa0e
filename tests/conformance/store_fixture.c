/* What the tests of the store suite share. */
#include "tests/conformance/store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const store_suite_t *suite_in_use;

void store_fixture_use(const store_suite_t *suite)
{
    suite_in_use = suite;
}

/* ---- setup and teardown ----------------------------------------------------------------------- */

store_t *fixture_open(store_fixture_t *fixture, bool exclusive)
{
    store_options_t options = {.url = fixture->url,
                               .password = fixture->suite->password,
                               .connect_timeout_ms = 5000,
                               .io_timeout_ms = 5000,
                               .exclusive = exclusive,
                               .holder = "the suite's broker"};
    reason_t reason = {""};
    store_t *store = NULL;
    fabric_error_t error = fixture->driver->open(&options, &reason, &store);
    if (error) {
        print_error("open: %s: %s\n", fabric_error_name(error), reason.text);
        return NULL;
    }
    return store;
}

void fixture_reconnect(store_fixture_t *fixture)
{
    store_close(&fixture->store);
    fixture->store = fixture_open(fixture, false);
    assert_non_null(fixture->store);
}

int fixture_setup_empty(void **state)
{
    store_fixture_t *fixture = calloc(1, sizeof *fixture);
    if (!fixture) {
        abort();
    }
    fixture->suite = suite_in_use;
    fixture->driver = suite_in_use->driver;
    *state = fixture;
    if (!suite_in_use->create(fixture->url)) {
        return -1;
    }
    fixture->store = fixture_open(fixture, false);
    fixture->second = fixture_open(fixture, false);
    return fixture->store && fixture->second ? 0 : -1;
}

int fixture_setup_founded(void **state)
{
    if (fixture_setup_empty(state) != 0) {
        return -1;
    }
    store_fixture_t *fixture = *state;
    store_cluster_t wanted = {.name = "suite", .shards_per_group = FIXTURE_SHARDS};
    reason_t reason = {""};
    fabric_error_t error = fixture->driver->schema_apply(fixture->store, &wanted, &reason);
    if (error) {
        print_error("schema_apply: %s: %s\n", fabric_error_name(error), reason.text);
        return -1;
    }
    store_join_t join;
    fixture->broker = broker_of(1, 1);
    fixture->writer = fixture_join(fixture, &fixture->broker, 2, &join);
    fixture->lane_1 = fixture->writer;
    fixture->lane_1.lane = 1;
    fixture->machine = join.machine;
    store_coordinator_t before;
    error = fixture->driver->coordinator_read(fixture->store, &before);
    if (!error) {
        error = fixture->driver->coordinator_take(fixture->store, &before,
                                                  fixture->broker.incarnation, &fixture->term);
    }
    if (!error) {
        error =
            fixture->driver->group_put(fixture->store, fixture->term, fixture->broker.incarnation,
                                       bytes_of("default"), &fixture->group);
    }
    if (error) {
        print_error("founding: %s\n", fabric_error_name(error));
    }
    return error ? -1 : 0;
}

static void empty_found(found_t *found)
{
    for (size_t i = 0; i < found->count; i++) {
        free(found->items[i].bytes);
    }
    free(found->items);
    *found = (found_t){0};
}

int fixture_teardown(void **state)
{
    store_fixture_t *fixture = *state;
    if (fixture) {
        empty_found(&fixture->found);
        store_close(&fixture->store);
        store_close(&fixture->second);
        if (fixture->url[0]) {
            fixture->suite->destroy(fixture->url);
        }
        free(fixture);
    }
    return 0;
}

/* ---- builders --------------------------------------------------------------------------------- */

incarnation_t incarnation_of(uint8_t number)
{
    incarnation_t incarnation;
    memset(incarnation.bytes, number, sizeof incarnation.bytes);
    incarnation.bytes[3] = 0; /* adapters must not take it for text */
    return incarnation;
}

store_broker_t broker_of(uint8_t incarnation, uint8_t number)
{
    store_broker_t broker = {.incarnation = incarnation_of(incarnation)};
    snprintf(broker.name, sizeof broker.name, "broker-%u", number);
    snprintf(broker.router_endpoint, sizeof broker.router_endpoint, "tcp://127.0.0.1:%u",
             10000u + number);
    snprintf(broker.pub_endpoint, sizeof broker.pub_endpoint, "tcp://127.0.0.1:%u",
             20000u + number);
    return broker;
}

store_writer_t fixture_join(store_fixture_t *fixture, const store_broker_t *broker, uint32_t lanes,
                            store_join_t *join)
{
    assert_ok(fixture->driver->broker_join(fixture->store, broker, lanes, join));
    return (store_writer_t){join->machine, 0, broker->incarnation, join->batches[0]};
}

fabric_bytes_t bytes_of(const char *text)
{
    return fabric_bytes_of(text);
}

store_message_t message_of(const store_fixture_t *fixture, uint64_t id)
{
    return (store_message_t){.id = {id},
                             .shard = shard_id_make(fixture->group, 1),
                             .flags = 1,
                             .type = bytes_of("Order"),
                             .entity = bytes_of("order-123"),
                             .tag = bytes_of("Place"),
                             .payload = bytes_of("payload"),
                             .call = {7, id}};
}

store_reply_t reply_of(const store_message_t *message)
{
    return (store_reply_t){.id = message->id, .shard = message->shard, .payload = bytes_of("done")};
}

void add_message(batch_builder_t *builder, const store_message_t *message)
{
    builder->messages[builder->batch.message_count++] = message;
    builder->batch.messages = builder->messages;
    if (message->id.value > builder->batch.high_id) {
        builder->batch.high_id = message->id.value;
    }
}

void add_reply(batch_builder_t *builder, const store_reply_t *reply)
{
    builder->replies[builder->batch.reply_count++] = reply;
    builder->batch.replies = builder->replies;
}

void add_attempt(batch_builder_t *builder, uint64_t id, uint32_t attempts, uint32_t suspicions)
{
    builder->attempts[builder->batch.attempt_count++] =
        (store_attempt_t){{id}, {attempts, suspicions}};
    builder->batch.attempts = builder->attempts;
}

void add_dead_letter(batch_builder_t *builder, const store_message_t *message)
{
    builder->dead_letters[builder->batch.dead_letter_count++] =
        (store_dead_letter_t){.message = message,
                              .error = FABRIC_ERROR_ENTITY_DEFECT,
                              .attempts = 10,
                              .text = bytes_of("segmentation fault")};
    builder->batch.dead_letters = builder->dead_letters;
}

fabric_error_t commit_as(store_fixture_t *fixture, store_writer_t *writer,
                         const store_batch_t *batch, store_rejection_t *rejection)
{
    store_rejection_t ignored;
    fabric_error_t error =
        fixture->driver->commit(fixture->store, writer, batch, rejection ? rejection : &ignored);
    if (!error) {
        writer->batch++;
    }
    return error;
}

fabric_error_t commit_one(store_fixture_t *fixture, uint64_t id)
{
    store_message_t message = message_of(fixture, id);
    batch_builder_t builder = {0};
    add_message(&builder, &message);
    return commit_as(fixture, &fixture->writer, &builder.batch, NULL);
}

void commit_ok(store_fixture_t *fixture, const batch_builder_t *builder)
{
    assert_ok(commit_as(fixture, &fixture->writer, &builder->batch, NULL));
}

void commit_messages(store_fixture_t *fixture, uint64_t first, size_t count)
{
    store_message_t *messages = calloc(count, sizeof *messages);
    const store_message_t **pointers = calloc(count, sizeof *pointers);
    if (!messages || !pointers) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        messages[i] = message_of(fixture, first + i);
        pointers[i] = &messages[i];
    }
    store_batch_t batch = {
        .high_id = first + count - 1, .messages = pointers, .message_count = count};
    fabric_error_t error = commit_as(fixture, &fixture->writer, &batch, NULL);
    free(messages);
    free(pointers);
    assert_ok(error);
}

void commit_reply(store_fixture_t *fixture, uint64_t id)
{
    store_message_t message = message_of(fixture, id);
    store_reply_t reply = reply_of(&message);
    batch_builder_t builder = {.batch.high_id = id};
    add_reply(&builder, &reply);
    commit_ok(fixture, &builder);
}

/* ---- collectors ------------------------------------------------------------------------------- */

static fabric_bytes_t keep(uint8_t **at, fabric_bytes_t bytes)
{
    if (bytes.size) {
        memcpy(*at, bytes.data, bytes.size);
    }
    fabric_bytes_t copy = fabric_bytes(*at, bytes.size);
    *at += bytes.size;
    return copy;
}

static void collect(void *context, const store_message_t *message, store_tally_t tally,
                    const store_reply_t *reply)
{
    found_t *found = context;
    if (found->count == found->capacity) {
        found->capacity = found->capacity ? 2 * found->capacity : 64;
        found->items = realloc(found->items, found->capacity * sizeof *found->items);
    }
    uint8_t *bytes = malloc(33 + message->type.size + message->entity.size + message->tag.size +
                            message->payload.size + message->traceparent.size +
                            message->headers.size + (reply ? reply->payload.size : 0));
    if (!found->items || !bytes) {
        abort();
    }
    found_message_t *item = &found->items[found->count++];
    *item = (found_message_t){.message = *message, .tally = tally, .bytes = bytes};
    uint8_t *at = bytes;
    if (message->key_hash) {
        item->message.key_hash = keep(&at, fabric_bytes(message->key_hash, 32)).data;
    }
    item->message.type = keep(&at, message->type);
    item->message.entity = keep(&at, message->entity);
    item->message.tag = keep(&at, message->tag);
    item->message.payload = keep(&at, message->payload);
    item->message.traceparent = keep(&at, message->traceparent);
    item->message.headers = keep(&at, message->headers);
    if (reply) {
        item->replied = true;
        item->reply = *reply;
        item->reply.payload = keep(&at, reply->payload);
    }
}

void find_pending(store_fixture_t *fixture, uint64_t from)
{
    empty_found(&fixture->found);
    assert_ok(fixture->driver->load_pending(fixture->second, (request_id_t){from}, collect,
                                            &fixture->found));
}

uint64_t find_calls_up_to(store_fixture_t *fixture, uint64_t floor, uint64_t last,
                          uint32_t rows_max, const call_key_t *calls, size_t count)
{
    request_id_t left = {last};
    empty_found(&fixture->found);
    assert_ok(fixture->driver->find_calls(fixture->second, (request_id_t){floor}, &left, rows_max,
                                          calls, count, collect, &fixture->found));
    return left.value;
}

void find_calls(store_fixture_t *fixture, uint64_t floor, const call_key_t *calls, size_t count)
{
    assert_int_equal(find_calls_up_to(fixture, floor, UINT64_MAX, UINT32_MAX, calls, count), floor);
}

void find_keys(store_fixture_t *fixture, const uint8_t *hashes, size_t count)
{
    empty_found(&fixture->found);
    assert_ok(fixture->driver->find_keys(fixture->second, hashes, count, collect, &fixture->found));
}

void find_replies(store_fixture_t *fixture, const request_id_t *ids, size_t count)
{
    empty_found(&fixture->found);
    assert_ok(fixture->driver->find_replies(fixture->second, ids, count, collect, &fixture->found));
}

void assert_found_ids(const store_fixture_t *fixture, uint64_t first, size_t count)
{
    assert_int_equal(fixture->found.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fixture->found.items[i].message.id.value, first + i);
    }
}

void assert_same_bytes(fabric_bytes_t actual, fabric_bytes_t expected)
{
    assert_int_equal(actual.size, expected.size);
    if (expected.size) {
        assert_memory_equal(actual.data, expected.data, expected.size);
    }
}

void assert_same_message(const store_message_t *actual, const store_message_t *expected)
{
    assert_int_equal(actual->id.value, expected->id.value);
    assert_int_equal(actual->shard.value, expected->shard.value);
    assert_int_equal(actual->flags, expected->flags);
    assert_int_equal(actual->call.client, expected->call.client);
    assert_int_equal(actual->call.sequence, expected->call.sequence);
    assert_int_equal(actual->deliver_at_ms, expected->deliver_at_ms);
    assert_same_bytes(actual->type, expected->type);
    assert_same_bytes(actual->entity, expected->entity);
    assert_same_bytes(actual->tag, expected->tag);
    assert_same_bytes(actual->payload, expected->payload);
    assert_same_bytes(actual->traceparent, expected->traceparent);
    assert_same_bytes(actual->headers, expected->headers);
    assert_int_equal(actual->key_hash != NULL, expected->key_hash != NULL);
    if (expected->key_hash) {
        assert_memory_equal(actual->key_hash, expected->key_hash, 32);
    }
}

static void collect_shard(void *context, const store_shard_t *shard)
{
    store_fixture_t *fixture = context;
    if (fixture->shard_count < sizeof fixture->shards / sizeof fixture->shards[0]) {
        fixture->shards[fixture->shard_count++] = *shard;
    }
}

void fixture_shards(store_fixture_t *fixture)
{
    fixture->shard_count = 0;
    assert_ok(fixture->driver->shard_list(fixture->second, collect_shard, fixture));
    for (size_t i = 1; i < fixture->shard_count; i++) {
        assert_true(fixture->shards[i - 1].shard.value < fixture->shards[i].shard.value);
    }
}

static void collect_broker(void *context, const store_broker_t *broker)
{
    store_fixture_t *fixture = context;
    size_t at = fixture->broker_count;
    if (at == sizeof fixture->brokers / sizeof fixture->brokers[0]) {
        return;
    }
    for (; at > 0 && fixture->brokers[at - 1].machine > broker->machine; at--) {
        fixture->brokers[at] = fixture->brokers[at - 1];
    }
    fixture->brokers[at] = *broker;
    fixture->broker_count++;
}

void fixture_brokers(store_fixture_t *fixture)
{
    fixture->broker_count = 0;
    assert_ok(fixture->driver->broker_list(fixture->second, collect_broker, fixture));
}

uint64_t settled_batch(store_fixture_t *fixture, const store_writer_t *writer)
{
    uint64_t batch = 0;
    assert_ok(fixture->driver->settle(fixture->second, writer, &batch));
    return batch;
}
