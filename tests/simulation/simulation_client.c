/* A simulated client: a session, driven as link_zmq.c of the client library does, and a user who
 * makes calls.
 */
#include "tests/simulation/simulation_processes.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/address.h"
#include "core/message.h"
#include "libfabric_client/src/request.h"
#include "libfabric_client/src/session.h"
#include "tests/simulation/simulation_check.h"

enum {
    WAIT_MAX_MS = 300000,
    SHORT_MS_MAX = 1500,
    AGAIN_OF_10000 = 5000,
    AGAIN_US_MAX = 2000000,
    AGAIN_MAX = 3,
    PROBE_AGAIN_US = 20000,
    ORDER_MAX_MS = 1000,
    LATER_OF = 4, /* of so many durable calls of a seed with schedules one has a time */
    LATER_MS_MAX = 3000,
    SAME_MS = 250, /* between the times that many messages share */
    DEFECTS_OF_10000 = 600,
    FAILING_OF_10000 = 1500,
    DEATHS_OF_10000 = 150,
    KEYED_OF_10000 = 7000,
    CANCELS_OF_10000 = 2000,
    SOON_US_MAX = 20000,
    CANCEL_US_MAX = 1000000,
    READERS_MAX = 3, /* of histories, of a client */
    READ_AGAIN_US_MAX = 100000,
    READ_WAIT_MS_MAX = 300,
    ANEW_OF_10000 = 500 /* readers that begin anew */
};

/* Reads the history of an entity, and follows it. */
typedef struct reader {
    unsigned entity;
    uint64_t after;
} reader_t;

typedef struct client {
    process_t process;
    session_t *session;
    uint64_t number;
    size_t orders; /* that have not ended */
    reader_t readers[READERS_MAX];
    size_t reader_count;
} client_t;

static client_t *client_of(process_t *process)
{
    return (client_t *)process;
}

static void carry_out_actions(client_t *client)
{
    session_action_t action;
    while (session_next_action(client->session, &action)) {
        assert(action.peer < SOCKETS_MAX);
        if (action.kind == ACTION_CLOSE) {
            dealer_close(&client->process, action.peer);
        } else {
            dealer_open(&client->process, action.peer, action.endpoint);
        }
    }
}

static void send_frames(client_t *client, uint64_t now_ms)
{
    size_t peer;
    fabric_bytes_t frame;
    while (session_next_frame(client->session, now_ms, &peer, &frame)) {
        if (dealer_send(&client->process, peer, frame)) {
            check_peer_sends(&client->process, peer, frame);
            session_frame_sent(client->session, peer);
        } else {
            session_frame_blocked(client->session, peer);
        }
    }
}

static void on_again(event_t *event);
static void on_probe_again(event_t *event);

/* Some users send a call with an unknown outcome again, under the same call key (I11). A probe is
 * made anew until its lane serves it. */
static void take_failure(client_t *client, const call_t *call)
{
    uint32_t number = (uint32_t)(uintptr_t)call->context;
    if (check_watched(number)->probe_us > 0 && call->error && !world.over) {
        event_t *event = event_new(&client->process, on_probe_again, NULL, 0);
        event->number = number;
        event_schedule(event, world.now_us + PROBE_AGAIN_US);
        return;
    }
    if (call->error == FABRIC_ERROR_OUTCOME_UNKNOWN && call->flags & REQUEST_DURABLE &&
        !world.over && check_watched(number)->again < AGAIN_MAX && world_chance(AGAIN_OF_10000)) {
        check_again(number);
        event_t *event = event_new(&client->process, on_again, NULL, 0);
        event->number = number;
        event_schedule(event, world.now_us + world_between(0, AGAIN_US_MAX));
    }
}

static void on_read(event_t *event);

static void read_later(client_t *client, size_t place)
{
    event_t *event = event_new(&client->process, on_read, NULL, 0);
    event->number = place;
    event_schedule(event, world.now_us + world_between(0, READ_AGAIN_US_MAX));
}

/* The answer to a reader, who goes on. */
static void take_read(client_t *client, const call_t *call)
{
    size_t place = (size_t)(uintptr_t)call->context - 1;
    reader_t *reader = &client->readers[place];
    bool more = false;
    if (!call->error) {
        check_events_read(reader->entity, call->answer, &reader->after, &more);
    }
    world_note("read", reader->entity, reader->after, call->error);
    if (!world.over) {
        read_later(client, place);
    }
}

static void take_done(client_t *client)
{
    for (call_t *call; (call = session_next_done(client->session));) {
        if (call->query && call->context) {
            take_read(client, call);
            client->orders--;
            call_destroy(&call);
            continue;
        }
        if (call->query) {
            world_note("order.ended", client->process.index, call->error, 0);
            client->orders--;
            call_destroy(&call);
            continue;
        }
        check_ended((uint32_t)(uintptr_t)call->context, call);
        take_failure(client, call);
        call_destroy(&call);
    }
}

static void turn(process_t *process)
{
    client_t *client = client_of(process);
    uint64_t now_ms = process_now_ms(process);
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (process->dealers[i].open && session_is_blocked(client->session, i) &&
            dealer_is_writable(process, i)) {
            session_writable(client->session, i);
        }
    }
    session_tick(client->session, now_ms);
    carry_out_actions(client);
    send_frames(client, now_ms);
    take_done(client);
}

static uint64_t deadline_ms(process_t *process)
{
    return session_next_deadline(client_of(process)->session);
}

static void connected(process_t *process, size_t dealer)
{
    session_connected(client_of(process)->session, dealer, process_now_ms(process));
}

static void disconnected(process_t *process, size_t dealer)
{
    session_disconnected(client_of(process)->session, dealer, process_now_ms(process));
}

static void receive(process_t *process, size_t dealer, channel_t *connection, fabric_bytes_t frame)
{
    wire_writer_t rest = {0};
    (void)connection;
    if (world.plan.mapless & 1u << process->index) {
        frame = publication_strip(frame, &rest);
    }
    session_receive(client_of(process)->session, dealer, frame, process_now_ms(process));
    wire_writer_destroy(&rest);
}

static void receive_published(process_t *process, size_t dealer, fabric_bytes_t frame)
{
    session_receive(client_of(process)->session, dealer, frame, process_now_ms(process));
}

static void begin_readers(client_t *client);

static void start(process_t *process)
{
    client_t *client = client_of(process);
    client->number = 1000 + process->index;
    session_config_t config = {.forward = (session_forward_t)world.plan.forward,
                               .client_number = client->number,
                               .incarnation = world_incarnation(),
                               .name = "client",
                               .pending_max = CALLS_MAX,
                               .seed = world_random()};
    client->session = session_new(&config);
    unsigned contacts = world.plan.one_contact ? 1 : world.plan.brokers;
    for (unsigned i = 0; i < contacts; i++) {
        size_t peer;
        unsigned broker = (process->index + i) % world.plan.brokers;
        fabric_error_t error =
            session_add_endpoint(client->session, network_endpoint(broker), &peer);
        assert(!error);
        (void)error;
    }
    begin_readers(client);
    process_touch(process);
}

static void stop(process_t *process)
{
    client_t *client = client_of(process);
    session_close(client->session);
    take_done(client);
    network_cut_all(process);
    session_destroy(&client->session);
}

/* ---- calls ---- */

static uint32_t draw_flags(void)
{
    uint64_t draw = world_random() % 100;
    if (draw < 60) {
        return REQUEST_DURABLE;
    }
    if (draw < 80) {
        return REQUEST_DURABLE | REQUEST_TELL | REQUEST_WANT_ACCEPTED;
    }
    if (draw < 92) {
        return 0;
    }
    return REQUEST_TELL | (draw < 96 ? REQUEST_WANT_ACCEPTED : REQUEST_WANT_HANDLED);
}

/* Submits a call, for the first time with sequence 0. */
static uint64_t submit(client_t *client, uint32_t number, uint64_t sequence, uint64_t wait_max_ms)
{
    const watched_call_t *watched = check_watched(number);
    ledger_id_t id = ledger_id_of(watched->entity);
    const fabric_entity_type_t *type = ledger_type(ledger_type_of(watched->entity));
    ledger_request_t request = {number, watched->defects, watched->fails};
    fabric_call_t description = {.entity = fabric_entity(type->name, id.text),
                                 .message = watched->flags & REQUEST_DURABLE ? &ledger_append
                                                                             : &ledger_peek,
                                 .request = &request,
                                 .tell = (watched->flags & REQUEST_TELL) != 0,
                                 .handled = (watched->flags & REQUEST_WANT_HANDLED) != 0,
                                 .cancel_at_deadline = (watched->flags & REQUEST_GIVE_UP) != 0};
    if (watched->due_us > 0) {
        description.deliver_at_ms =
            world_unix_ms() - (int64_t)(world.now_us / 1000) + (int64_t)(watched->due_us / 1000);
    }
    if (sequence != 0) {
        description.key = (fabric_call_key_t){client->number, sequence};
    }
    call_t *call;
    uint64_t now_ms = process_now_ms(&client->process);
    fabric_error_t error = request_build(&description, client->number, NULL, &call);
    assert(!error && call->flags == watched->flags);
    (void)error;
    call->context = (void *)(uintptr_t)number;
    call->deadline_ms = now_ms + wait_max_ms;
    session_submit(client->session, call, now_ms);
    process_touch(&client->process);
    return call->sequence;
}

static void on_again(event_t *event)
{
    uint32_t number = (uint32_t)event->number;
    world_note("call.again", number, 0, 0);
    submit(client_of(event->process), number, check_watched(number)->sequence, WAIT_MAX_MS);
}

static void on_cancel(event_t *event)
{
    client_t *client = client_of(event->process);
    uint32_t number = (uint32_t)event->number;
    check_cancels(number);
    session_cancel(client->session, check_watched(number)->sequence,
                   process_now_ms(event->process));
    process_touch(event->process);
}

/* At any time of its course: it may wait, run, or have ended. */
static void plan_cancel(process_t *process, uint32_t number)
{
    if (!world.plan.cancels || check_watched(number)->kills || !world_chance(CANCELS_OF_10000)) {
        return;
    }
    event_t *event = event_new(process, on_cancel, NULL, 0);
    event->number = number;
    event_schedule(event, world.now_us +
                              world_between(0, world_chance(7000) ? SOON_US_MAX : CANCEL_US_MAX));
}

/* One of a few keys, so that duplicates cross; later other ones, so that messages go on to come. */
static uint32_t draw_key(uint32_t call)
{
    return 1 + call / (4 * world.plan.entities) + (uint32_t)world_between(0, 2);
}

/* How often the message fails, also more often than it may, and how many operators resume its
 * entity in vain. */
static void draw_failures(watched_call_t *watched)
{
    if (world_chance(FAILING_OF_10000)) {
        watched->defects = (uint32_t)world_between(1, 5);
        watched->heals = (uint32_t)world_between(1, 2);
    }
    if (world.plan.deaths && world_chance(DEATHS_OF_10000)) {
        watched->deaths = (uint32_t)world_between(1, 4);
        watched->heals = 1;
    }
}

static void draw_time(watched_call_t *watched, uint32_t number)
{
    uint64_t now_ms = world.now_us / 1000;
    if (!world.plan.scheduled) {
        uint64_t after_ms = number * UINT64_C(7919) % LATER_MS_MAX;
        watched->due_us = number % LATER_OF == 0 ? (now_ms + after_ms) * 1000 : 0;
        return;
    }
    if (world_chance(5000)) {
        uint64_t due_ms = now_ms + world_between(0, LATER_MS_MAX);
        due_ms = world_chance(3000) ? (due_ms / SAME_MS + 1) * SAME_MS : due_ms;
        watched->due_us = due_ms * 1000;
    }
}

void simulated_client_call(process_t *process)
{
    uint32_t flags = draw_flags();
    unsigned entity = (unsigned)(world_random() % world.plan.entities);
    uint32_t number = check_call(process->index, entity, flags);
    watched_call_t *watched = check_watched(number);
    watched->defects = world_chance(DEFECTS_OF_10000) ? (uint32_t)world_between(1, 2) : 0;
    watched->fails = world_chance(500);
    watched->kills = check_poisons(number);
    if (world.plan.failing && flags & REQUEST_DURABLE) {
        draw_failures(watched);
    }
    if (world.plan.schedules && flags & REQUEST_DURABLE) {
        draw_time(watched, number);
    }
    if (world.plan.keyed && flags & REQUEST_DURABLE && !watched->kills &&
        world_chance(KEYED_OF_10000)) {
        watched->key = draw_key(number);
    }
    if (watched->due_us > 0) {
        world_note("call.due", number, watched->due_us, 0);
    }
    bool hurried = !world.calm && world_chance(1000);
    uint64_t wait_max_ms = hurried ? world_between(5, SHORT_MS_MAX) : WAIT_MAX_MS;
    if (hurried && world.plan.cancels && !(flags & REQUEST_TELL) && !watched->kills) {
        watched->flags |= REQUEST_GIVE_UP;
        check_cancels(number);
    }
    check_submitted(number, submit(client_of(process), number, 0, wait_max_ms));
    plan_cancel(process, number);
}

/* An entity of the type and the lane that has no other messages. */
static unsigned entity_of_lane(uint32_t lane, unsigned type)
{
    for (unsigned entity = world.plan.entities;; entity++) {
        ledger_id_t id = ledger_id_of(entity);
        uint32_t shard = address_shard_number(fabric_bytes_of(id.text), SIMULATION_SHARDS);
        if (ledger_type_of(entity) == type && shard % world.plan.lanes == lane) {
            return entity;
        }
    }
}

/* These calls come on top of those of the plan. */
static void probe(client_t *client, unsigned entity, uint64_t since_us)
{
    uint32_t number = check_call(client->process.index, entity, REQUEST_DURABLE);
    world.plan.calls++;
    check_watched(number)->probe_us = since_us;
    check_submitted(number, submit(client, number, 0, WAIT_MAX_MS));
}

static void on_probe_again(event_t *event)
{
    const watched_call_t *watched = check_watched((uint32_t)event->number);
    probe(client_of(event->process), watched->entity, watched->probe_us);
}

void simulated_client_probe(process_t *process, uint32_t lane, unsigned type)
{
    probe(client_of(process), entity_of_lane(lane, type), world.now_us);
}

/* ---- orders of operators ---- */

/* An order that no broker carries out, or that is lost, is not given again. */
static void order(client_t *client, const char *name, fabric_bytes_t argument, incarnation_t broker)
{
    call_t *call;
    uint64_t now_ms = process_now_ms(&client->process);
    fabric_error_t error = request_build_query(name, argument, NULL, &call);
    assert(!error);
    (void)error;
    call->broker = broker;
    call->deadline_ms = now_ms + ORDER_MAX_MS;
    client->orders++;
    session_submit(client->session, call, now_ms);
    process_touch(&client->process);
}

void simulated_client_order(process_t *process, incarnation_t runner, runner_standing_t standing)
{
    wire_writer_t argument = {0};
    world_note("order", process->index, standing, 0);
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes(runner.bytes, sizeof runner.bytes));
    wire_put_uint(&argument, standing);
    order(client_of(process), "runner", wire_writer_bytes(&argument), (incarnation_t){{0}});
    wire_writer_destroy(&argument);
}

/* Asks all brokers, since only the entity's home knows it. */
static void order_entity(client_t *client, const char *name, unsigned entity)
{
    wire_writer_t argument = {0};
    ledger_id_t id = ledger_id_of(entity);
    world_note(name, client->process.index, entity, 0);
    wire_put_array(&argument, 2);
    wire_put_bin(&argument, fabric_bytes_of(ledger_type(ledger_type_of(entity))->name));
    wire_put_bin(&argument, fabric_bytes_of(id.text));
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        incarnation_t broker = simulated_broker_incarnation(world.brokers[i]);
        if (!incarnation_is_none(broker)) {
            order(client, name, wire_writer_bytes(&argument), broker);
        }
    }
    wire_writer_destroy(&argument);
}

void simulated_client_resume(process_t *process, unsigned entity)
{
    check_resume_ordered(entity);
    order_entity(client_of(process), "resume", entity);
}

void simulated_client_clear(process_t *process, unsigned entity)
{
    check_clear_ordered(entity);
    order_entity(client_of(process), "clear", entity);
}

/* ---- readers of histories ---- */

/* In parts; some wait for an event. Now and then a reader begins anew. */
static void on_read(event_t *event)
{
    static const uint32_t limits[] = {0, 1, 3, 10};
    client_t *client = client_of(event->process);
    reader_t *reader = &client->readers[event->number];
    ledger_id_t id = ledger_id_of(reader->entity);
    fabric_entity_t entity =
        fabric_entity(ledger_type(ledger_type_of(reader->entity))->name, id.text);
    uint64_t now_ms = process_now_ms(event->process);
    uint64_t wait_ms = world_chance(5000) ? world_between(1, READ_WAIT_MS_MAX) : 0;
    wire_writer_t argument = {0};
    call_t *call;
    reader->after = !world.calm && world_chance(ANEW_OF_10000) ? 0 : reader->after;
    wire_put_array(&argument, 5);
    wire_put_bin(&argument, entity.type);
    wire_put_bin(&argument, entity.id);
    wire_put_uint(&argument, reader->after);
    wire_put_uint(&argument, limits[world_random() % (sizeof limits / sizeof limits[0])]);
    wire_put_uint(&argument, wait_ms);
    fabric_error_t error =
        request_build_home_query(entity, "events", wire_writer_bytes(&argument), NULL, &call);
    assert(!error);
    (void)error;
    wire_writer_destroy(&argument);
    call->context = (void *)(uintptr_t)(event->number + 1);
    call->deadline_ms = now_ms + wait_ms + ORDER_MAX_MS;
    client->orders++;
    session_submit(client->session, call, now_ms);
    process_touch(event->process);
}

/* Of some entities that append events, from their first events on. A client without a map does not
 * find their homes. */
static void begin_readers(client_t *client)
{
    bool reads = world.plan.events > 0 && !(world.plan.mapless & 1u << client->process.index);
    for (size_t i = 0; reads && i < READERS_MAX; i++) {
        unsigned entity = (unsigned)(world_random() % world.plan.entities);
        if (check_has_events(entity)) {
            client->readers[client->reader_count] = (reader_t){.entity = entity};
            read_later(client, client->reader_count++);
        }
    }
}

unsigned simulated_client_behind(const process_t *process)
{
    const client_t *client = (const client_t *)process;
    for (size_t i = 0; i < client->reader_count; i++) {
        if (client->readers[i].after < check_event_count(client->readers[i].entity)) {
            return client->readers[i].entity;
        }
    }
    return UINT32_MAX;
}

size_t simulated_client_open_calls(const process_t *process)
{
    const client_t *client = (const client_t *)process;
    size_t open = session_open_calls(client->session); /* without those that have just ended */
    return open > client->orders ? open - client->orders : 0;
}

process_t *simulated_client_new(unsigned index)
{
    client_t *client = calloc(1, sizeof *client);
    if (!client) {
        abort();
    }
    client->process = (process_t){.kind = PROCESS_CLIENT,
                                  .index = index,
                                  .turn = turn,
                                  .deadline_ms = deadline_ms,
                                  .connected = connected,
                                  .disconnected = disconnected,
                                  .receive = receive,
                                  .receive_published = receive_published,
                                  .start = start,
                                  .stop = stop};
    return &client->process;
}

void simulated_client_free(process_t **process)
{
    free(client_of(*process));
    *process = NULL;
}
