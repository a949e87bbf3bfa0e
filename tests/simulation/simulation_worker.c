/* A simulated worker: a link and its executors, as link_zmq.c and executor_thread.c drive them. */
#include "tests/simulation/simulation_processes.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/router/runner_id.h"
#include "core/journal/events.h"
#include "tests/unit/executor_check.h"
#include "tests/simulation/simulation_check.h"
#include "tests/simulation/simulation_reporter.h"
#include "worker/executor.h"
#include "worker/link.h"

enum {
    EXECUTORS = 2,
    GRACE_MS = 100,
    NEW_VERSION_OF_10000 = 3000,
    OLD_VERSION_OF_10000 = 2000,
    VERSIONS_MAX = 4
};

typedef struct worker {
    process_t process;
    type_table_t *types; /* of the present process */
    unsigned brought;    /* bits of these types */
    uint64_t app_version;
    bool is_large; /* has room for all entities */
    wire_writer_t description;
    link_t *link;
    executor_t *executors[EXECUTORS];
    bool leaving;
    uint64_t restart_us;
    incarnation_t incarnation;
    runner_standing_t standing; /* since standing_us */
    uint64_t standing_us;
    bool inherits;    /* the next process has the standing of this one */
    uint64_t culprit; /* the request whose handler ends the process; 0: none */
    reporter_t reporter;
    struct {
        bool blocked;
        wire_writer_t frame;
    } unsent[SOCKETS_MAX];
} worker_t;

static worker_t *worker_of(process_t *process)
{
    return (worker_t *)process;
}

static void on_wake(void *context)
{
    process_touch(context);
}

static void follow_sockets(worker_t *worker)
{
    uint32_t index;
    link_socket_t action;
    while (link_next_socket(worker->link, &index, &action)) {
        assert(index < REPORTER_SOCKET);
        worker->unsent[index].blocked = false;
        if (action == LINK_SOCKET_CLOSE) {
            dealer_close(&worker->process, index);
        } else {
            dealer_open(&worker->process, index, link_endpoint_name(worker->link, index));
        }
    }
}

/* The result in a message, if it says that a delivery was not taken because of a defect. */
static bool get_refusal(wire_reader_t body, message_result_t *result)
{
    message_kind_t kind;
    return !message_open(&body, &kind) && kind == KIND_RESULT &&
           !message_get_result(&body, result) && result->status == STATUS_NOT_TAKEN &&
           result->error == FABRIC_ERROR_ENTITY_DEFECT;
}

/* The same with an event that none has appended, which would be the next one, as it seems. */
static void claim_events(wire_writer_t *frame, const message_result_t *result)
{
    uint32_t call = check_call_of(result->request_id);
    uint8_t bytes[64];
    size_t size = 0;
    ledger_event_t event = {.call = call, .run = UINT32_MAX};
    fabric_error_t error =
        fabric_schema_encode(&ledger_event_schema, &event, bytes, sizeof bytes, NULL, &size);
    assert(!error);
    (void)error;
    wire_writer_t array = {0};
    wire_put_array(&array, 1);
    journal_events_put(&array, fabric_bytes_of(ledger_event_type(0)->tag),
                       ledger_event_type(0)->version, fabric_bytes(bytes, size));
    message_result_events_t with_events = {.shard = result->shard,
                                           .home_epoch = result->home_epoch,
                                           .owner_sequence = result->owner_sequence,
                                           .activation = result->activation,
                                           .request_id = result->request_id,
                                           .payload = result->payload,
                                           .first =
                                               check_event_count(check_watched(call)->entity) + 1,
                                           .events = wire_writer_bytes(&array)};
    message_put_result_events(frame, &with_events);
    wire_writer_destroy(&array);
}

/* Puts a reply that no handler has given, of a persisted type with a state that none has left. */
static void claim(wire_writer_t *frame, message_result_t *result)
{
    static const uint8_t nothing[] = {0x92, 0x00, 0x00}; /* a ledger's reply */
    result->status = STATUS_OK;
    result->error = FABRIC_OK;
    result->payload = fabric_bytes(nothing, sizeof nothing);
    if (check_appends_any(result->request_id)) {
        claim_events(frame, result);
        return;
    }
    if (!check_leaves_any_state(result->request_id)) {
        message_put_result(frame, result);
        return;
    }
    uint8_t bytes[64];
    size_t size = 0;
    ledger_t state = {.handled = UINT32_MAX};
    fabric_error_t error =
        fabric_schema_encode(&ledger_state_schema, &state, bytes, sizeof bytes, NULL, &size);
    assert(!error);
    (void)error;
    message_result_state_t with_state = {.shard = result->shard,
                                         .home_epoch = result->home_epoch,
                                         .owner_sequence = result->owner_sequence,
                                         .activation = result->activation,
                                         .request_id = result->request_id,
                                         .payload = result->payload,
                                         .version = LEDGER_STATE_VERSION,
                                         .state = fabric_bytes(bytes, size)};
    message_put_result_state(frame, &with_state);
}

/* Turns such results into replies that no handler has given. A broker that accepts one is
 * caught. */
static void boast(wire_writer_t *frame)
{
    wire_writer_t changed = {0};
    wire_reader_t reader, body;
    frame_head_t head;
    fabric_error_t error = frame_open(wire_writer_bytes(frame), &reader, &head);
    assert(!error);
    (void)error;
    frame_begin(&changed, &head);
    while (frame_next(&reader, &body)) {
        message_result_t result;
        if (get_refusal(body, &result)) {
            claim(&changed, &result);
        } else {
            wire_put_bin(&changed, fabric_bytes(body.next, wire_left(&body)));
        }
    }
    wire_writer_destroy(frame);
    *frame = changed;
}

static bool next_frame(worker_t *worker, uint32_t index, wire_writer_t *frame)
{
    if (!link_next_frame(worker->link, index, frame)) {
        return false;
    }
    if (world.plan.false_claims) {
        boast(frame);
    }
    return true;
}

static void send_frames(worker_t *worker, uint32_t index)
{
    if (!worker->process.dealers[index].open) {
        return;
    }
    wire_writer_t *frame = &worker->unsent[index].frame;
    while (worker->unsent[index].blocked || next_frame(worker, index, frame)) {
        worker->unsent[index].blocked =
            !dealer_send(&worker->process, index, wire_writer_bytes(frame));
        if (worker->unsent[index].blocked) {
            return;
        }
        check_worker_sends(wire_writer_bytes(frame));
        check_peer_sends(&worker->process, index, wire_writer_bytes(frame));
    }
}

/* Returns whether there was any work. */
static bool hand_over(worker_t *worker)
{
    bool any = false;
    for (work_t *work; (work = link_next_work(worker->link));) {
        work->next = NULL;
        executor_give(worker->executors[work->executor], &work);
        any = true;
    }
    return any;
}

static void run_executors(worker_t *worker, uint64_t now_ms)
{
    ledger_worker = &worker->process;
    for (uint32_t i = 0; i < EXECUTORS; i++) {
        while (executor_step(worker->executors[i], now_ms)) {
        }
        work_output_t *output = executor_take_output(worker->executors[i]);
        link_output(worker->link, &output);
    }
}

static void on_left(event_t *event)
{
    process_t *process = event->process;
    uint64_t after_us = worker_of(process)->restart_us;
    world_note("worker.left", process->index, process->life, 0);
    process_crash(process);
    simulated_restart(process, after_us);
}

static void turn(process_t *process)
{
    worker_t *worker = worker_of(process);
    uint64_t now_ms = process_now_ms(process);
    link_tick(worker->link, now_ms);
    do {
        hand_over(worker);
        run_executors(worker, now_ms);
    } while (hand_over(worker));
    for (uint32_t i = 0; i < REPORTER_SOCKET; i++) {
        send_frames(worker, i);
    }
    follow_sockets(worker);
    reporter_turn(&worker->reporter, process);
    link_event_t event;
    while (link_next_event(worker->link, &event)) {
        world_note("worker.event", process->index, event.kind, event.error);
        if (event.kind == LINK_EVENT_STANDING) {
            worker->standing = event.standing;
            worker->standing_us = world.now_us;
        }
    }
    if (worker->leaving && link_left(worker->link, now_ms)) {
        event_schedule(event_new(process, on_left, NULL, 0), world.now_us);
    }
}

static uint64_t deadline_ms(process_t *process)
{
    worker_t *worker = worker_of(process);
    uint64_t deadline_ms = link_next_deadline(worker->link);
    uint64_t report_ms = reporter_deadline_ms(&worker->reporter);
    deadline_ms = report_ms < deadline_ms ? report_ms : deadline_ms;
    for (uint32_t i = 0; i < EXECUTORS; i++) {
        uint64_t own_ms = executor_next_deadline(worker->executors[i]);
        deadline_ms = own_ms < deadline_ms ? own_ms : deadline_ms;
    }
    return deadline_ms;
}

static void connected(process_t *process, size_t dealer)
{
    worker_t *worker = worker_of(process);
    if (dealer >= REPORTER_SOCKET) {
        return; /* its reporter sends in the next turn */
    }
    link_connected(worker->link, (uint32_t)dealer, process_now_ms(process));
    worker->unsent[dealer].blocked = false;
}

static void disconnected(process_t *process, size_t dealer)
{
    worker_t *worker = worker_of(process);
    if (dealer >= REPORTER_SOCKET) {
        return; /* and connects again */
    }
    link_disconnected(worker->link, (uint32_t)dealer, process_now_ms(process));
    worker->unsent[dealer].blocked = false;
}

static void receive_published(process_t *process, size_t dealer, fabric_bytes_t frame)
{
    work_frame_t *copy = work_frame_copy(frame);
    link_receive(worker_of(process)->link, (uint32_t)dealer, copy, process_now_ms(process));
    work_frame_drop(copy);
}

static void receive(process_t *process, size_t dealer, channel_t *connection, fabric_bytes_t frame)
{
    (void)connection;
    worker_t *worker = worker_of(process);
    if (dealer >= REPORTER_SOCKET) {
        reporter_receive(&worker->reporter, process, dealer, frame);
        return;
    }
    check_worker_receives(process, frame);
    work_frame_t *copy = work_frame_copy(frame);
    link_receive(worker->link, (uint32_t)dealer, copy, process_now_ms(process));
    work_frame_drop(copy);
    hand_over(worker);
}

/* Each process brings other types than the one before. Each type has a worker that always brings
 * it, so that it is served when all workers run. */
static void draw_types(worker_t *worker)
{
    bool other = world.plan.events > 0 && world.plan.snapshot_versions && world_chance(4000);
    worker->types = type_table_new();
    worker->brought = (unsigned)(world_random() | 1u << world_random() % world.plan.types);
    for (unsigned i = 0; i < world.plan.types; i++) {
        if (world.plan.rolling || i % world.plan.workers == worker->process.index) {
            worker->brought |= 1u << i;
        }
        if (worker->brought & 1u << i) {
            fabric_error_t error =
                type_table_add(worker->types, other ? ledger_other_type(i) : ledger_type(i), NULL);
            assert(!error);
            (void)error;
        }
    }
}

/* While a new version is rolled out, some workers still come with an older one. */
static void draw_version(worker_t *worker)
{
    worker->app_version = 0;
    if (world.plan.rolls_out) {
        world.app_version += world.app_version == 0 || (world.app_version < VERSIONS_MAX &&
                                                        world_chance(NEW_VERSION_OF_10000));
        worker->app_version = world_chance(OLD_VERSION_OF_10000)
                                  ? world_between(1, world.app_version)
                                  : world.app_version;
    }
}

/* One worker of four has room for few entities, and some of these for none that wait. Such a worker
 * answers volatile messages as MailboxFull, so there is none in runs in which no call may fail. */
static executor_limits_t limits_of(worker_t *worker, const link_config_t *config)
{
    uint32_t number = config->window;
    worker->is_large = world.plan.rolling || number % 4 != 0;
    return worker->is_large ? (executor_limits_t){UINT32_MAX, UINT32_MAX}
                            : (executor_limits_t){1 + number / 16, number % 8 ? 4 : 0};
}

static void start(process_t *process)
{
    worker_t *worker = worker_of(process);
    worker->leaving = false;
    worker->incarnation = world_incarnation();
    worker->standing = worker->inherits ? worker->standing : RUNNER_OPEN;
    worker->standing_us = world.now_us;
    worker->inherits = false;
    draw_types(worker);
    draw_version(worker);
    world_note("worker.types", process->index, worker->brought, worker->app_version);
    worker->culprit = 0;
    check_worker_began(process, runner_id_of(worker->incarnation));
    reporter_start(&worker->reporter, process);
    wire_writer_reset(&worker->description);
    type_table_describe(worker->types, &worker->description);
    link_config_t config = {.incarnation = worker->incarnation,
                            .supervised = world.plan.supervised,
                            .name = fabric_bytes_of("worker"),
                            .types = wire_writer_bytes(&worker->description),
                            .weight = 100,
                            .app_version = worker->app_version,
                            .standing = worker->standing,
                            .window = (uint32_t)world_between(2, 64),
                            .grace_ms = GRACE_MS,
                            .executors = EXECUTORS};
    worker->link = link_new(&config, process_now_ms(process));
    executor_limits_t limits = limits_of(worker, &config);
    for (uint32_t i = 0; i < EXECUTORS; i++) {
        worker->executors[i] = executor_new(
            worker->types, &limits, &(executor_hooks_t){.wake = on_wake, .wake_context = process});
    }
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        fabric_error_t error = link_add_endpoint(worker->link, network_endpoint(i));
        assert(!error);
        (void)error;
    }
    for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
        worker->unsent[i].blocked = false;
    }
    process_touch(process);
}

static void stop(process_t *process)
{
    worker_t *worker = worker_of(process);
    check_worker_ended(process, runner_id_of(worker->incarnation), worker->culprit);
    network_cut_all(process);
    ledger_worker = process;
    for (uint32_t i = 0; i < EXECUTORS; i++) {
        const char *fault = executor_check(worker->executors[i]);
        if (fault) {
            world_fail("accounts of worker %u: %s", process->index, fault);
        }
        world.result->kept += executor_stats(worker->executors[i]).answered;
        executor_destroy(&worker->executors[i]);
    }
    link_destroy(&worker->link);
    type_table_destroy(&worker->types);
}

worker_facts_t simulated_worker_facts(const process_t *process)
{
    const worker_t *worker = (const worker_t *)process;
    bool handles = false;
    for (uint32_t i = 0; i < EXECUTORS; i++) {
        char text[LIMIT_TEXT_BYTES_MAX];
        handles |=
            worker->executors[i] && executor_describe(worker->executors[i], text, sizeof text);
    }
    return (worker_facts_t){.types = worker->brought,
                            .app_version = worker->app_version,
                            .leaving = worker->leaving,
                            .runner = runner_id_of(worker->incarnation),
                            .standing = worker->standing,
                            .standing_us = worker->standing_us,
                            .is_large = worker->is_large,
                            .handles = handles};
}

void simulated_worker_crash(process_t *process, uint64_t culprit)
{
    worker_t *worker = worker_of(process);
    worker->culprit = culprit;
    worker->inherits = world.plan.supervised;
    process_crash(process);
    worker->reporter.due = false;
    if (world.plan.supervised && (culprit > 0 || world_chance(5000))) {
        reporter_crash(&worker->reporter, worker->incarnation, culprit);
    }
}

process_t *simulated_worker_new(unsigned index)
{
    worker_t *worker = calloc(1, sizeof *worker);
    if (!worker) {
        abort();
    }
    worker->process = (process_t){.kind = PROCESS_WORKER,
                                  .index = index,
                                  .turn = turn,
                                  .deadline_ms = deadline_ms,
                                  .connected = connected,
                                  .disconnected = disconnected,
                                  .receive = receive,
                                  .receive_published = receive_published,
                                  .start = start,
                                  .stop = stop};
    return &worker->process;
}

void simulated_worker_free(process_t **process)
{
    worker_t *worker = worker_of(*process);
    wire_writer_destroy(&worker->description);
    for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
        wire_writer_destroy(&worker->unsent[i].frame);
    }
    free(worker);
    *process = NULL;
}

static void on_leave(event_t *event)
{
    worker_t *worker = worker_of(event->process);
    if (!worker->leaving) {
        worker->leaving = true;
        worker->restart_us = event->number;
        link_leave(worker->link, fabric_bytes_of("worker stops"), process_now_ms(event->process));
        process_touch(event->process);
    }
}

void simulated_worker_leave(process_t *process, uint64_t after_us)
{
    event_t *event = event_new(process, on_leave, NULL, 0);
    event->number = after_us;
    event_schedule(event, world.now_us);
}
