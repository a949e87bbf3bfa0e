/* The driver of the router's core: see router_driver.h. */
#include "tests/unit/router_driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "broker/router/runner_id.h"
#include "core/limits.h"
#include "core/snowflake.h"
#include "core/type_description.h"
#include "tests/unit/samples.h"

void driver_config(router_config_t *config)
{
    *config = (router_config_t){.incarnation = {{0xb0}},
                                .machine = 7,
                                .store_now_ms = SNOWFLAKE_EPOCH_MS + 1000000,
                                .cluster_id = {0xc0},
                                .cluster_name = "test",
                                .shards_per_group = DRIVER_SHARDS,
                                .name = "broker",
                                .router_endpoint = "tcp://here:1",
                                .pub_endpoint = "tcp://here:2"};
    router_config_defaults(config);
}

driver_told_t driver_told = {.mailbox_capacity = 4096, .concurrency = 1};
static const fabric_choice_t failure_items[] = {
    FABRIC_VARIANT(DRIVER_FAILURE, "NoItem", item_schema, NULL)};
static const fabric_choices_t failures = FABRIC_CHOICES("AddFailure", failure_items);
static const fabric_field_t failure_field = {
    .name = "failure", .kind = FABRIC_FIELD_UNION, .choices = &failures};
static const fabric_schema_t failure_schema = {"Failures", 0, &failure_field, 1};

static void put_types(wire_writer_t *writer, const char *name)
{
    fabric_schema_t *item = (fabric_schema_t *)&item_schema;
    fabric_schema_t *failed = (fabric_schema_t *)&failure_schema;
    message_description_t messages[] = {
        {"Add", true, false, driver_told.early, item, item, failed, driver_told.transactional},
        {.tag = "Peek", .request = item, .reply = item},
    };
    event_description_t event = {.tag = "Paid", .version = 1, .schema = driver_told.event};
    type_description_t type = {.group = "default",
                               .mailbox_capacity = driver_told.mailbox_capacity,
                               .concurrency = driver_told.concurrency,
                               .options = driver_told.options,
                               .state = driver_told.state,
                               .state_version = driver_told.state != NULL,
                               .messages = messages,
                               .message_count = 2,
                               .events = &event,
                               .event_count = driver_told.event != NULL};
    snprintf(type.name, sizeof type.name, "%s", name);
    type_description_put(&type, writer);
}

/* Hands the router the map of a term. */
static void publish(driver_t *driver, uint64_t term, const map_lane_t *lanes)
{
    shard_map_t *map = shard_map_new();
    shard_map_set_shards_per_group(map, driver->config.shards_per_group);
    assert_int_equal(shard_map_add_group(map, 1, fabric_bytes_of("default")), FABRIC_OK);
    if (driver->mapped) {
        assert_int_equal(shard_map_add_type(map, fabric_bytes_of(driver->mapped), 1), FABRIC_OK);
    }
    map_broker_t brokers[] = {
        {.incarnation = driver->config.incarnation, .router_endpoint = "tcp://here:1"},
        {.incarnation = {{0xb1}}, .router_endpoint = "tcp://there:1"}};
    shard_map_set_brokers(map, brokers, 2);
    shard_map_set_lanes(map, driver->config.lanes);
    for (uint32_t i = 0; i < driver->config.lanes; i++) {
        shard_map_set_lane(map, &lanes[i]);
    }
    for (uint16_t i = 1; driver->map_owner && i <= driver->config.shards_per_group; i++) {
        unsigned owner = i == driver->map_unowned ? 0 : driver->map_owner;
        assert_int_equal(shard_map_set_owner(map, fabric_bytes_of(driver->mapped),
                                             shard_id_make(1, i), driver_runner(owner), 0),
                         FABRIC_OK);
    }
    shard_map_begin_term(map, term);
    wire_writer_t encoded = {0};
    shard_map_encode_snapshot(map, &encoded);
    router_map(driver->router, wire_writer_bytes(&encoded));
    wire_writer_destroy(&encoded);
    shard_map_destroy(&map);
}

void driver_map(driver_t *driver, uint64_t term, incarnation_t home)
{
    map_lane_t lanes[LIMIT_LANES_MAX];
    for (uint32_t i = 0; i < driver->config.lanes; i++) {
        lanes[i] = (map_lane_t){.number = i, .home = home, .epoch = 1};
    }
    publish(driver, term, lanes);
}

void driver_map_next(driver_t *driver, uint64_t term, uint32_t lane, incarnation_t next)
{
    map_lane_t lanes[LIMIT_LANES_MAX];
    for (uint32_t i = 0; i < driver->config.lanes; i++) {
        bool own = driver->epochs[i] > 0;
        lanes[i] = (map_lane_t){.number = i,
                                .home = own ? driver->config.incarnation : (incarnation_t){{0xb1}},
                                .epoch = own ? driver->epochs[i] : 1};
    }
    lanes[lane].next = next;
    publish(driver, term, lanes);
    driver_pull(driver);
}

void driver_type(driver_t *driver, const char *name)
{
    wire_writer_t types = {0};
    put_types(&types, name);
    router_type(driver->router, 1, wire_writer_bytes(&types));
    wire_writer_destroy(&types);
}

driver_t *driver_new(const router_config_t *config)
{
    driver_t *driver = calloc(1, sizeof *driver);
    assert_non_null(driver);
    driver->config = *config;
    driver->now_ms = DRIVER_BEGINS_MS;
    driver->admit = true;
    driver->brings = driver->mapped = "Counter";
    driver->router = router_new(config, driver->now_ms);
    driver_map(driver, 1, (incarnation_t){{0xb1}});
    if (!driver_told.untold) {
        driver_type(driver, "Counter");
    }
    return driver;
}

/* Tells the router what the store says about all lanes. */
static void tell_holds(driver_t *driver)
{
    store_hold_t holds[LIMIT_LANES_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < driver->config.lanes; i++) {
        if (driver->epochs[i] > 0) {
            holds[count++] = (store_hold_t){i, driver->config.incarnation, driver->epochs[i]};
        }
    }
    router_lanes_held(driver->router, holds, count, driver->now_ms);
    driver_pull(driver);
}

void driver_hold(driver_t *driver, uint32_t lane, uint64_t epoch)
{
    driver->epochs[lane] = epoch;
    tell_holds(driver);
}

void driver_adopt(driver_t *driver, uint32_t lane, message_t *messages, uint64_t last_id)
{
    store_hold_t hold = {lane, driver->config.incarnation, driver->epochs[lane]};
    adoption_t adoption = {
        .hold = hold, .number = ++driver->entries[lane], .last_id = last_id, .messages = messages};
    router_adopted(driver->router, &adoption, driver->now_ms);
    assert_null(adoption.messages);
    driver_pull(driver);
}

/* Takes the messages of one lane from the chain. */
static message_t *take_lane(const driver_t *driver, message_t **messages, uint32_t lane)
{
    message_t *taken = NULL;
    message_t **last = &taken;
    while (*messages) {
        message_t *message = *messages;
        if (shard_id_number(message->stored.shard) % driver->config.lanes == lane) {
            *messages = message->chain;
            message->chain = NULL;
            *last = message;
            last = &message->chain;
        } else {
            messages = &message->chain;
        }
    }
    return taken;
}

void driver_homes(driver_t *driver, message_t *messages)
{
    store_hold_t hold;
    for (uint32_t i = 0; i < driver->config.lanes; i++) {
        driver->epochs[i] = DRIVER_EPOCH;
    }
    tell_holds(driver);
    while (router_next_adoption(driver->router, &hold)) {
        driver_adopt(driver, hold.lane, take_lane(driver, &messages, hold.lane), 0);
    }
    assert_null(messages);
    router_lease(driver->router, UINT64_MAX, UINT64_MAX);
    driver_pull(driver);
}

void driver_elect(driver_t *driver)
{
    router_holder(driver->router, driver->config.incarnation);
    router_types_read(driver->router, true);
    router_lease(driver->router, UINT64_MAX, UINT64_MAX);
}

driver_t *driver_open(void)
{
    router_config_t config;
    driver_config(&config);
    driver_t *driver = driver_new(&config);
    driver_homes(driver, NULL);
    return driver;
}

static void notes_free(note_t **notes)
{
    while (*notes) {
        note_t *note = *notes;
        *notes = note->next;
        free(note);
    }
}

void driver_stop(driver_t *driver)
{
    router_drain(driver->router, DRIVER_DRAIN_MS, driver->now_ms);
    router_close(driver->router, driver->now_ms);
    driver_pull(driver);
}

void driver_check(const driver_t *driver)
{
    const char *fault = router_check(driver->router);
    if (fault) {
        print_error("%s\n", fault);
    }
    assert_null(fault);
}

void driver_free(driver_t **at)
{
    driver_t *driver = *at;
    notes_free(&driver->notes);
    notes_free(&driver->taken);
    driver_orders_forget(driver);
    free(driver);
    *at = NULL;
}

/* ---- peers ---- */

void driver_send_bytes(driver_t *driver, const char *peer, fabric_bytes_t frame)
{
    router_receive(driver->router, fabric_bytes_of(peer), frame, driver->now_ms);
    driver_pull(driver);
}

void driver_send_(driver_t *driver, const char *peer, uint64_t settled,
                  void (*put)(wire_writer_t *, const void *), const void *message)
{
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, 0, settled});
    put(&frame, message);
    driver_send_bytes(driver, peer, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
}

incarnation_t driver_incarnation(unsigned number)
{
    incarnation_t incarnation = {{0}};
    incarnation.bytes[0] = (uint8_t)number;
    return incarnation;
}

incarnation_t driver_runner(unsigned number)
{
    return number == 0 ? (incarnation_t){{0}} : runner_id_of(driver_incarnation(number));
}

void driver_client_hello(driver_t *driver, const char *peer, uint64_t number, uint64_t connection)
{
    incarnation_t incarnation = driver_incarnation((unsigned)number);
    message_hello_t hello = {.protocol_min = LIMIT_PROTOCOL_VERSION,
                             .protocol_max = LIMIT_PROTOCOL_VERSION,
                             .role = ROLE_CLIENT,
                             .incarnation = fabric_bytes(incarnation.bytes, 16),
                             .connection = connection,
                             .client_number = number};
    driver_send(driver, peer, hello, &hello);
}

/* The types of a hello; `names` are separated by commas. */
static void put_brought(wire_writer_t *types, const char *names)
{
    char name[256];
    uint32_t count = 1;
    for (const char *comma = names; (comma = strchr(comma, ',')); comma++) {
        count++;
    }
    wire_put_array(types, count);
    for (; count > 0; count--) {
        size_t size = strcspn(names, ",");
        snprintf(name, sizeof name, "%.*s", (int)size, names);
        put_types(types, name);
        names += size + 1;
    }
}

void driver_worker_hello(driver_t *driver, const char *peer, unsigned number, uint64_t connection,
                         uint64_t window)
{
    incarnation_t incarnation = driver_incarnation(number);
    wire_writer_t types = {0};
    put_brought(&types, driver->brings);
    message_hello_t hello = {.protocol_min = LIMIT_PROTOCOL_VERSION,
                             .protocol_max = LIMIT_PROTOCOL_VERSION,
                             .role = ROLE_WORKER,
                             .incarnation = fabric_bytes(incarnation.bytes, 16),
                             .connection = connection,
                             .weight = 100,
                             .window = window,
                             .name = fabric_bytes_of(peer),
                             .types = wire_writer_bytes(&types),
                             .supervised = driver->supervised,
                             .app_version = driver->app_version};
    driver_send(driver, peer, hello, &hello);
    wire_writer_destroy(&types);
}

broker_credential_t driver_credential(unsigned number)
{
    return (broker_credential_t){driver_incarnation(number),
                                 {{(uint8_t)number, (uint8_t)(number >> 8), 0x5e}}};
}

void driver_broker_hello_with(driver_t *driver, const char *peer, unsigned number,
                              uint64_t connection, fabric_bytes_t proof)
{
    incarnation_t incarnation = driver_incarnation(number);
    message_hello_t hello = {.protocol_min = LIMIT_PROTOCOL_VERSION,
                             .protocol_max = LIMIT_PROTOCOL_VERSION,
                             .role = ROLE_BROKER,
                             .incarnation = fabric_bytes(incarnation.bytes, 16),
                             .connection = connection,
                             .proof = proof};
    driver_send(driver, peer, hello, &hello);
}

void driver_broker_hello(driver_t *driver, const char *peer, unsigned number, uint64_t connection)
{
    broker_credential_t self = driver_credential(number);
    broker_proof_t proof = broker_proof_make(&self, driver->config.incarnation, connection);
    driver_broker_hello_with(driver, peer, number, connection,
                             fabric_bytes(proof.bytes, sizeof proof.bytes));
}

void driver_crashed(driver_t *driver, unsigned number, const uint64_t *culprits, uint32_t count,
                    const char *text)
{
    incarnation_t incarnation = driver_incarnation(number);
    wire_writer_t ids = {0};
    wire_put_array(&ids, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_put_uint(&ids, culprits[i]);
    }
    message_crashed_t crashed = {.incarnation = fabric_bytes(incarnation.bytes, 16),
                                 .culprits = wire_writer_bytes(&ids),
                                 .text = fabric_bytes_of(text)};
    driver_send(driver, "reporter", crashed, &crashed);
    wire_writer_destroy(&ids);
    const note_t *noted = driver_take(driver, "reporter", KIND_CRASH_NOTED);
    assert_true(fabric_bytes_equal(noted->as.crash_noted.incarnation, crashed.incarnation));
}

void driver_client(driver_t *driver, const char *peer, uint64_t number)
{
    driver_client_hello(driver, peer, number, 1);
    driver_take(driver, peer, KIND_WELCOME);
}

void driver_desire_type(driver_t *driver, const char *type, unsigned number)
{
    for (uint16_t i = 1; i <= DRIVER_SHARDS; i++) {
        router_desire(driver->router, type, shard_id_make(1, i), driver_runner(number),
                      driver->now_ms);
    }
    driver_pull(driver);
}

void driver_desire(driver_t *driver, unsigned number)
{
    driver_desire_type(driver, "Counter", number);
}

void driver_worker(driver_t *driver, const char *peer, unsigned number)
{
    driver_worker_hello(driver, peer, number, 1, 1000);
    driver_take(driver, peer, KIND_WELCOME);
    driver_desire(driver, number);
    for (int i = 0; i < DRIVER_SHARDS; i++) {
        driver_take(driver, peer, KIND_ASSIGN);
    }
}

void driver_ping(driver_t *driver, const char *peer)
{
    driver_send(driver, peer, ping, &(message_ping_t){.sequence = 1});
}

/* ---- what the router sends ---- */

static fabric_error_t decode(wire_reader_t *body, note_t *note)
{
    switch (note->kind) {
#define FABRIC_KIND_ROW(number, NAME, name)                                                        \
    case KIND_##NAME:                                                                              \
        return message_get_##name(body, &note->as.name);
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW
    }
    return FABRIC_ERROR_UNKNOWN_KIND;
}

static void read_frame(driver_t *driver, const router_frame_t *frame)
{
    note_t **last = &driver->notes;
    while (*last) {
        last = &(*last)->next;
    }
    wire_reader_t reader;
    frame_head_t head;
    assert_int_equal(frame_open(frame->bytes, &reader, &head), FABRIC_OK);
    driver->heard_id = head.high_id > driver->heard_id ? head.high_id : driver->heard_id;
    if (frame->bytes.size > driver->frame_bytes_max) {
        driver->frame_bytes_max = frame->bytes.size;
    }
    wire_reader_t body;
    while (frame_next(&reader, &body)) {
        size_t size = wire_left(&body);
        note_t *note = calloc(1, sizeof *note + size);
        assert_non_null(note);
        memcpy(note->bytes, body.next, size);
        note->size = size;
        memcpy(note->peer, frame->routing_id.data, frame->routing_id.size);
        note->head = head;
        wire_reader_t own = wire_reader(fabric_bytes(note->bytes, size));
        assert_int_equal(message_open(&own, &note->kind), FABRIC_OK);
        assert_int_equal(decode(&own, note), FABRIC_OK);
        *last = note;
        last = &note->next;
    }
    assert_int_equal(wire_finish(&reader), FABRIC_OK);
}

static void pull_orders(driver_t *driver)
{
    router_order_t order;
    while (router_next_order(driver->router, &order)) {
        if (order.kind == ROUTER_ADMIT && driver->admit) {
            router_admitted(driver->router, order.runner, FABRIC_OK, "", driver->now_ms);
        }
        if (order.kind == ROUTER_HIGH_ID) {
            driver->high_id = order.high_id;
            continue;
        }
        if (driver->order_count == sizeof driver->orders / sizeof driver->orders[0]) {
            driver_orders_forget(driver);
        }
        driver->orders[driver->order_count++] = order;
    }
}

static bool is_gone(const driver_t *driver, fabric_bytes_t peer)
{
    for (size_t i = 0; i < sizeof driver->gone / sizeof driver->gone[0]; i++) {
        if (fabric_bytes_equal(peer, fabric_bytes_of(driver->gone[i]))) {
            return true;
        }
    }
    return false;
}

void driver_gone(driver_t *driver, const char *peer)
{
    char *name = driver->gone[driver->gone_next++ % (sizeof driver->gone / sizeof driver->gone[0])];
    snprintf(name, sizeof driver->gone[0], "%s", peer);
}

void driver_pull(driver_t *driver)
{
    pull_orders(driver);
    driver_pull_outgoing(driver);
    router_frame_t frame;
    while (router_next_frame(driver->router, &frame)) {
        if (is_gone(driver, frame.routing_id)) {
            router_frame_unreachable(driver->router, frame.peer, driver->now_ms);
            pull_orders(driver);
        } else if (fabric_bytes_equal(frame.routing_id, fabric_bytes_of(driver->full))) {
            router_frame_blocked(driver->router, frame.peer);
        } else {
            read_frame(driver, &frame);
            router_frame_sent(driver->router, frame.peer);
        }
    }
}

const note_t *driver_take(driver_t *driver, const char *peer, message_kind_t kind)
{
    for (note_t **at = &driver->notes; *at; at = &(*at)->next) {
        note_t *note = *at;
        if (note->kind == kind && strcmp(note->peer, peer) == 0) {
            *at = note->next;
            note->next = driver->taken;
            driver->taken = note;
            return note;
        }
    }
    print_error("nothing of kind %s for %s\n", message_kind_name(kind), peer);
    fail();
    return NULL;
}

size_t driver_count(driver_t *driver, const char *peer, message_kind_t kind)
{
    size_t count = 0;
    for (const note_t *note = driver->notes; note; note = note->next) {
        count += note->kind == kind && strcmp(note->peer, peer) == 0;
    }
    return count;
}

void driver_forget(driver_t *driver)
{
    notes_free(&driver->notes);
    notes_free(&driver->taken);
}

bool driver_ordered(driver_t *driver, router_order_kind_t kind, unsigned runner)
{
    for (size_t i = 0; i < driver->order_count; i++) {
        if (driver->orders[i].kind == kind &&
            incarnation_equal(driver->orders[i].runner, driver_runner(runner))) {
            return true;
        }
    }
    return false;
}

void driver_orders_forget(driver_t *driver)
{
    for (size_t i = 0; i < driver->order_count; i++) {
        free(driver->orders[i].types);
        free(driver->orders[i].owners);
    }
    driver->order_count = 0;
}

/* ---- requests and results ---- */

static const uint8_t item_bytes[] = {0x92, 0xa2, 'a', 'b', 0x07}; /* an Item: [sku, quantity] */

message_request_t driver_request(uint64_t sequence, const char *id, uint64_t flags)
{
    return (message_request_t){
        .sequence = sequence,
        .flags = flags,
        .type = fabric_bytes_of("Counter"),
        .id = fabric_bytes_of(id),
        .tag = fabric_bytes_of(flags & REQUEST_DURABLE ? "Add" : "Peek"),
        .payload = fabric_bytes(item_bytes, sizeof item_bytes),
    };
}

void driver_ask(driver_t *driver, const char *peer, uint64_t sequence, const char *id,
                uint64_t flags)
{
    message_request_t request = driver_request(sequence, id, flags);
    request.floor = flags & REQUEST_RESEND ? 0 : driver->heard_id;
    driver_send(driver, peer, request, &request);
}

fabric_error_t driver_rejected(driver_t *driver, const char *peer, uint64_t sequence)
{
    const note_t *note = driver_take(driver, peer, KIND_REJECTED);
    assert_int_equal(note->as.rejected.sequence, sequence);
    return fabric_error_from_number(note->as.rejected.error);
}

const message_deliver_t *driver_delivery(driver_t *driver, const char *peer)
{
    return &driver_take(driver, peer, KIND_DELIVER)->as.deliver;
}

const message_deliver_t *driver_delivered(driver_t *driver, const char *peer, uint64_t request_id,
                                          uint64_t delivery)
{
    const message_deliver_t *message = driver_delivery(driver, peer);
    assert_int_equal(message->request_id, request_id);
    assert_int_equal(message->delivery, delivery);
    return message;
}

void driver_result_with(driver_t *driver, const char *peer, const message_deliver_t *delivery,
                        reply_status_t status, fabric_error_t error, fabric_bytes_t payload)
{
    message_result_t result = {.shard = delivery->shard,
                               .home_epoch = delivery->home_epoch,
                               .owner_sequence = delivery->owner_sequence,
                               .activation = delivery->activation,
                               .request_id = delivery->request_id,
                               .status = status,
                               .error = error,
                               .payload = payload};
    driver_send(driver, peer, result, &result);
}

void driver_result(driver_t *driver, const char *peer, const message_deliver_t *delivery,
                   reply_status_t status, fabric_error_t error)
{
    driver_result_with(driver, peer, delivery, status, error,
                       fabric_bytes(item_bytes, sizeof item_bytes));
}

const message_reply_t *driver_replied(driver_t *driver, const char *peer, uint64_t sequence)
{
    const message_reply_t *reply = &driver_take(driver, peer, KIND_REPLY)->as.reply;
    assert_int_equal(reply->sequence, sequence);
    return reply;
}

/* ---- lanes and time ---- */

const lane_batch_t *driver_take_batch(driver_t *driver, uint32_t lane)
{
    driver->batch[lane] = router_take_batch(driver->router, lane, driver->now_ms);
    return driver->batch[lane];
}

void driver_batch_done(driver_t *driver, uint32_t lane)
{
    driver->batch[lane] = NULL;
    router_batch_done(driver->router, lane, FABRIC_OK, ++driver->entries[lane], 100,
                      driver->now_ms);
    driver_pull(driver);
}

void driver_batch_fenced(driver_t *driver, uint32_t lane)
{
    driver->batch[lane] = NULL;
    router_batch_done(driver->router, lane, FABRIC_ERROR_FENCED, 0, 0, driver->now_ms);
    driver_pull(driver);
}

void driver_lookup_found_at(driver_t *driver, uint32_t lane, const store_message_t *message,
                            const store_reply_t *reply, uint64_t position)
{
    router_found_t found = {.message = message,
                            .contents = journal_contents_hash(message),
                            .reply = reply,
                            .position = position};
    router_lookup_found(driver->router, lane, &found);
}

void driver_commit(driver_t *driver)
{
    bool busy = true;
    while (busy) {
        busy = false;
        for (uint32_t lane = 0; lane < driver->config.lanes; lane++) {
            if (driver_take_batch(driver, lane)) {
                driver_batch_done(driver, lane);
                busy = true;
            }
        }
    }
}

void driver_pass_alive(driver_t *driver, uint64_t ms, const char *const *peers)
{
    for (uint64_t end_ms = driver->now_ms + ms; driver->now_ms < end_ms;) {
        driver->now_ms += 10;
        for (const char *const *peer = peers; peer && *peer; peer++) {
            driver_ping(driver, *peer);
        }
        router_tick(driver->router, driver->now_ms);
        driver_pull(driver);
    }
}

router_counters_t driver_counters(const driver_t *driver)
{
    router_counters_t counters;
    router_counters(driver->router, &counters);
    return counters;
}
