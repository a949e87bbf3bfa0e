/* The router under a sequence of events, in one of two ways, as the first byte says.
 *
 * Even: four malicious peers send anything but the names of others, beside correct clients,
 * workers, store and coordinator (tests/unit/router_model.h, which check all that must hold).
 *
 * Odd: the four malicious peers only, also with any hello, and a store that fails and gives lanes
 * to others. What the router sends can be decoded, ids are committed once, grow along a shard, and
 * end once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/router/router_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/router_model.h"
#include "tests/harness/vectors.h"

enum {
    PEERS = 4,
    IDS_MAX = 4096,
    UNIDENTIFIED = 77,
    STRANGE_RUNNER = 240,
    BROKER = 0xb1,
    STEPS_MAX = 3000
};

typedef struct row {
    uint64_t id;
    bool ended;
} row_t;

typedef struct world {
    fuzz_input_t input;
    driver_t *driver;
    model_t *model; /* NULL: only malicious peers */
    uint64_t connection;
    uint64_t newest[DRIVER_SHARDS + 1]; /* id, by shard */
    row_t rows[IDS_MAX];
    size_t row_count;
    uint64_t epochs[LANES];
    bool orphaned[LANES]; /* the lane was dropped since its batch was taken */
    bool lookup_running[LANES];
    router_lookup_t lookups[LANES];
} world_t;

static char *peer_name(world_t *w, char name[8])
{
    snprintf(name, 8, "x%d", fuzz_byte(&w->input) % PEERS);
    return name;
}

/* ---- frames ---- */

static bool is_our_incarnation(fabric_bytes_t incarnation)
{
    bool ours = false;
    for (unsigned i = 0; i < 256 && !ours; i++) {
        incarnation_t one = driver_incarnation(i);
        ours = i != STRANGE_RUNNER && fabric_bytes_equal(incarnation, fabric_bytes(one.bytes, 16));
    }
    return ours;
}

static bool is_ours(const message_hello_t *hello)
{
    bool client = hello->client_number >= 1 && hello->client_number <= CLIENTS;
    return client || is_our_incarnation(hello->incarnation);
}

/* Whether a frame can be told from those of the model's peers: it neither takes one's name nor asks
 * for one's entities. */
static bool is_strange(const model_t *model, fabric_bytes_t frame)
{
    wire_reader_t reader;
    wire_reader_t body;
    frame_head_t head;
    message_kind_t kind;
    message_hello_t hello;
    message_request_t request;
    message_crashed_t crashed;
    if (!model || frame_open(frame, &reader, &head)) {
        return true;
    }
    while (frame_next(&reader, &body)) {
        if (message_open(&body, &kind)) {
            continue;
        }
        if ((kind == KIND_HELLO && !message_get_hello(&body, &hello) && is_ours(&hello)) ||
            (kind == KIND_CRASHED && !message_get_crashed(&body, &crashed) &&
             is_our_incarnation(crashed.incarnation)) ||
            (kind == KIND_REQUEST && !message_get_request(&body, &request) && request.id.size > 0 &&
             request.id.data[0] == 'e')) {
            return false;
        }
    }
    return true;
}

static void send_frame(world_t *w, fabric_bytes_t frame)
{
    char peer[8];
    peer_name(w, peer);
    if (is_strange(w->model, frame)) {
        driver_send_bytes(w->driver, peer, frame);
    }
}

static void structured(world_t *w)
{
    unsigned count = 1u + fuzz_byte(&w->input) % 4u;
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, fuzz_number(&w->input),
                                        fuzz_number(&w->input)});
    while (count-- > 0) {
        fuzz_put_message(&w->input, &frame);
    }
    send_frame(w, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
}

static void raw(world_t *w)
{
    fabric_bytes_t frame = fuzz_block(&w->input);
    send_frame(w, frame);
    free((void *)(uintptr_t)frame.data);
}

/* ---- the store and the coordinator of a run without the model ---- */

static row_t *find_row(world_t *w, uint64_t id)
{
    for (size_t i = 0; i < w->row_count; i++) {
        if (w->rows[i].id == id) {
            return &w->rows[i];
        }
    }
    return NULL;
}

static void store_rows(world_t *w, const lane_batch_t *batch)
{
    for (size_t i = 0; i < batch->message_count; i++) {
        const store_message_t *message = batch->messages[i];
        uint16_t shard = shard_id_number(message->shard);
        assert_in_range(shard, 1, DRIVER_SHARDS);
        assert_true(message->id.value > w->newest[shard]);
        w->newest[shard] = message->id.value;
        if (w->row_count < IDS_MAX) {
            w->rows[w->row_count++] = (row_t){.id = message->id.value};
        }
    }
    for (size_t i = 0; i < batch->end_count; i++) {
        row_t *row = find_row(w, batch->ends[i].message->id.value);
        assert_true(row && !row->ended); /* I5, and that it was accepted */
        row->ended = true;
    }
}

/* The batch is stored, or another broker has taken the lane, whether the router knows or not. */
static void answer_batch(world_t *w, uint32_t lane, bool fenced)
{
    driver_t *driver = w->driver;
    if (fenced) {
        driver->epochs[lane] = 0;
        driver_batch_fenced(driver, lane);
    } else {
        if (!w->orphaned[lane]) {
            store_rows(w, driver->batch[lane]);
        }
        driver_batch_done(driver, lane);
    }
    w->orphaned[lane] = false;
}

static void lane_step(world_t *w, uint32_t lane)
{
    driver_t *driver = w->driver;
    uint8_t choice = fuzz_byte(&w->input);
    if (w->lookup_running[lane] && choice & 1) {
        w->lookup_running[lane] = false;
        request_id_t reached = {choice & 4 ? UINT64_MAX : w->lookups[lane].floor.value};
        router_lookup_done(driver->router, lane,
                           choice & 2 ? FABRIC_ERROR_STORE_UNAVAILABLE : FABRIC_OK, reached,
                           driver->now_ms);
    } else if (driver->batch[lane]) {
        answer_batch(w, lane, choice % 16 == 15);
    } else if (!driver_take_batch(driver, lane) && !w->lookup_running[lane]) {
        w->lookup_running[lane] = router_take_lookup(driver->router, lane, &w->lookups[lane]);
    }
    driver_pull(driver);
}

/* The lane gets another holder, or this broker again, or is adopted. */
static void home_step(world_t *w, uint32_t lane)
{
    uint8_t choice = fuzz_byte(&w->input);
    if (choice % 4 == 0) {
        w->orphaned[lane] = w->driver->batch[lane] != NULL;
        driver_hold(w->driver, lane, choice & 4 ? 0 : ++w->epochs[lane]);
    } else if (w->driver->epochs[lane] > 0) {
        driver_adopt(w->driver, lane, NULL, 0);
    } else {
        driver_hold(w->driver, lane, ++w->epochs[lane]);
    }
}

static void desire(world_t *w)
{
    uint8_t runner = fuzz_byte(&w->input) % 4;
    incarnation_t wanted = driver_runner(runner ? STRANGE_RUNNER + runner - 1u : 0);
    for (uint16_t i = 1; i <= DRIVER_SHARDS; i++) {
        router_desire(w->driver->router, "Counter", shard_id_make(1, i), wanted, w->driver->now_ms);
    }
    driver_pull(w->driver);
}

/* ---- any event ---- */

static void hello(world_t *w)
{
    char peer[8];
    unsigned who = fuzz_byte(&w->input);
    peer_name(w, peer);
    if (who % 8 == 7 && !w->model) {
        driver_broker_hello(w->driver, peer, BROKER, ++w->connection);
    } else if (who & 1) {
        unsigned runner = STRANGE_RUNNER + (w->model ? 0 : who / 2 % 3);
        driver_worker_hello(w->driver, peer, runner, ++w->connection, who / 16);
    } else {
        driver_client_hello(w->driver, peer, UNIDENTIFIED + who / 2 % 3, ++w->connection);
    }
}

static void trouble(world_t *w)
{
    char peer[8];
    switch (fuzz_byte(&w->input) % 4) {
    case 0:
        driver_gone(w->driver, peer_name(w, peer));
        memset(w->driver->gone, 0, sizeof w->driver->gone); /* it may be back at once */
        break;
    case 1:
        peer_name(w, w->driver->full);
        break;
    case 2:
        w->driver->full[0] = '\0';
        break;
    default:
        router_lane_available(w->driver->router, fuzz_byte(&w->input) % LANES,
                              fuzz_byte(&w->input) % 2, "it is away");
    }
}

/* A message that a handler of another broker has told, which may be sound. */
static void outgoing(world_t *w)
{
    static const char *const ids[] = {"x1", "x2", "x3", ""};
    uint8_t what = fuzz_byte(&w->input);
    uint8_t which = fuzz_byte(&w->input);
    message_request_t like = driver_request(1, ids[which % 4], what & 1 ? 0 : REQUEST_DURABLE);
    shard_id_t shard = shard_map_locate(w->driver->router->map, 1, like.id);
    message_outgoing_t message = {.lane = what & 2 ? which / 64 : 0,
                                  .epoch = 1 + (what & 4 ? which / 128 : 0),
                                  .source = 300 + which / 4 % 4,
                                  .sequence = which / 16 % 4,
                                  .shard = shard.value + (what == 255),
                                  .flags = like.flags | (what & 8 ? REQUEST_RESEND : 0),
                                  .type = like.type,
                                  .id = like.id,
                                  .tag = like.tag,
                                  .payload = like.payload,
                                  .predecessor = what & 16 ? which / 16 % 4 - 1u : 0,
                                  .floor = what & 32 ? fuzz_byte(&w->input) : 0,
                                  .primary_key = fabric_bytes_of(what & 64 ? "k" : "")};
    char peer[8];
    driver_send(w->driver, peer_name(w, peer), outgoing, &message);
}

/* Events of a run without the model, which otherwise makes them. */
static void inside(world_t *w, uint8_t what)
{
    driver_t *driver = w->driver;
    switch (what % 8) {
    case 0:
        router_drain(driver->router, DRIVER_DRAIN_MS, driver->now_ms);
        if (what / 8 % 2) {
            router_close(driver->router, driver->now_ms);
        }
        (void)router_drained(driver->router);
        break;
    case 1:
        router_lease(driver->router, driver->now_ms + fuzz_byte(&w->input) * 10u, UINT64_MAX);
        break;
    case 2:
        desire(w);
        break;
    case 3:
        home_step(w, what / 8 % LANES);
        break;
    default:
        lane_step(w, what / 8 % LANES);
    }
}

static void pass(world_t *w, uint64_t ms)
{
    w->driver->now_ms += ms;
    router_tick(w->driver->router, w->driver->now_ms);
    driver_pull(w->driver);
    driver_orders_forget(w->driver);
}

static void step(world_t *w)
{
    uint8_t what = fuzz_byte(&w->input);
    switch (what % 8) {
    case 0:
    case 1:
    case 2:
        structured(w);
        break;
    case 3:
        what & 64 && !w->model ? outgoing(w) : raw(w);
        break;
    case 4:
        hello(w);
        break;
    case 5:
        trouble(w);
        break;
    default:
        if (!w->model) {
            what & 8 ? pass(w, fuzz_byte(&w->input)) : inside(w, fuzz_byte(&w->input));
            break;
        }
        w->model->random = (uint64_t)(fuzz_byte(&w->input) + 1) * UINT64_C(0x9e3779b97f4a7c15);
        for (unsigned i = 0; i <= what / 32u; i++) {
            model_step(w->model);
        }
    }
    if (w->model) {
        model_take_notes(w->model);
        driver_orders_forget(w->driver);
    } else {
        driver_forget(w->driver);
    }
}

static void run_among_others(world_t *w)
{
    w->model = model_open(1);
    w->driver = w->model->driver;
    for (int i = 0; i < STEPS_MAX && fuzz_left(&w->input) > 0; i++) {
        step(w);
    }
    w->driver->full[0] = '\0';
    model_calm_down(w->model);
    router_counters_t counters = driver_counters(w->driver);
    assert_int_equal(counters.accepted, w->model->accepted - w->model->accepted_unseen);
    assert_int_equal(counters.ended, w->model->accepted - w->model->ended_unseen);
    model_close(&w->model);
}

static void run_without_model(world_t *w)
{
    router_config_t config;
    driver_config(&config);
    config.lanes = LANES;
    config.batch_items_max = 30;
    config.batch_bytes_max = 1000;
    config.pending_max = 60;
    config.client_memory_ms = 500;
    config.peers_max = PEERS - 1;
    w->driver = driver_new(&config);
    driver_homes(w->driver, NULL);
    broker_credential_t other = driver_credential(BROKER);
    router_members(w->driver->router, &other, 1, w->driver->now_ms);
    w->epochs[0] = w->epochs[1] = DRIVER_EPOCH;
    for (int i = 0; i < STEPS_MAX && fuzz_left(&w->input) > 0; i++) {
        step(w);
        assert_true(driver_counters(w->driver).pending <= config.pending_max);
    }
    driver_close(&w->driver);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t item[] = {0x92, 0xa2, 'a', 'b', 7};
    static const uint8_t runner[16] = {STRANGE_RUNNER};
    static const uint8_t client[16] = {UNIDENTIFIED};
    static const uint8_t broker[16] = {BROKER};
    static const uint8_t ping[] = "\x93\x02\x00\x00\xc4\x05\x94\x05\x01\x00\x00";
    static const uint8_t types[] = "\x91\x95\xa5Other\xa7"
                                   "default\x04\x01\x91\x95\xa3"
                                   "Add\xc3\xc2\x92\xa1I\x90\x92\xa1I\x90";
    const fabric_bytes_t words[] = {fabric_bytes_of("Counter"),
                                    fabric_bytes_of("Add"),
                                    fabric_bytes_of("Peek"),
                                    fabric_bytes(item, sizeof item),
                                    fabric_bytes_of("x1"),
                                    fabric_bytes_of("x2"),
                                    fabric_bytes(runner, sizeof runner),
                                    fabric_bytes(client, sizeof client),
                                    fabric_bytes(broker, sizeof broker),
                                    fabric_bytes(ping, sizeof ping - 1),
                                    fabric_bytes(types, sizeof types - 1),
                                    fabric_bytes_of("test"),
                                    fabric_bytes_of("status"),
                                    fabric_bytes_of("events"),
                                    {NULL, 0}};
    world_t *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->input = fuzz_input(data, size);
    w->input.words = words;
    w->input.word_count = sizeof words / sizeof words[0];
    if (fuzz_byte(&w->input) & 1) {
        run_without_model(w);
    } else {
        run_among_others(w);
    }
    free(w);
    return 0;
}

/* ---- the first inputs ---- */

/* hellos of a client and a worker, the frame, and some life before and after it. */
static void seed_frame(uint8_t way, fabric_bytes_t frame)
{
    wire_writer_t input = {0};
    uint8_t head[] = {
        way, 4, 0, 0, 4, 1, 1, 6, 2, 1, 3, (uint8_t)(frame.size >> 8), (uint8_t)frame.size};
    static const uint8_t tail[] = {0, 6, 3, 6, 3, 6, 3, 14, 20, 7, 9, 39, 5};
    wire_append(&input, head, sizeof head);
    wire_append(&input, frame.data, frame.size);
    wire_append(&input, tail, sizeof tail);
    fuzz_seed(wire_writer_bytes(&input));
    wire_writer_destroy(&input);
}

static void seed_vector(const vector_t *vector, void *context)
{
    (void)context;
    seed_frame(0, vector->bytes);
    seed_frame(1, vector->bytes);
}

/* A request of a malicious peer to the entity type that exists. */
static void seed_request(uint64_t sequence, uint64_t flags)
{
    message_request_t request = driver_request(sequence, "x1", flags);
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, 0, 0});
    message_put_request(&frame, &request);
    request.sequence++;
    request.predecessor = flags & REQUEST_DURABLE ? sequence : 0;
    message_put_request(&frame, &request);
    seed_frame(0, wire_writer_bytes(&frame));
    seed_frame(1, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
}

/* The unidentified worker has crashed on the first requests, or on none that anybody knows. */
static void seed_crash(bool known)
{
    static const uint8_t culprits[] = {0x92, 0xcf, 0, 0, 3, 0xd0, 0x90, 0, 0x70, 0, 1};
    incarnation_t dead = driver_incarnation(STRANGE_RUNNER);
    message_crashed_t crashed = {.incarnation = fabric_bytes(dead.bytes, sizeof dead.bytes),
                                 .culprits = fabric_bytes(culprits, known ? sizeof culprits : 0),
                                 .text = fabric_bytes_of("signal 11")};
    wire_writer_t frame = {0};
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, 0, 0});
    message_put_crashed(&frame, &crashed);
    seed_frame(0, wire_writer_bytes(&frame));
    seed_frame(1, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
}

/* Another broker says hello, and sends two outgoing messages; the first one again while it is in a
 * batch, and when it has been accepted. */
static void seed_outgoing(void)
{
    static const uint8_t input[] = {1,  4, 7,  0,  67, 0, 16, 0,  67, 16, 32, 0, 6, 4, 1,
                                    67, 8, 16, 0,  6,  4, 1,  67, 8,  16, 0,  6, 4, 0, 6,
                                    4,  1, 67, 64, 48, 0, 6,  4,  0,  6,  4,  1, 6, 4, 1};
    fuzz_seed(fabric_bytes(input, sizeof input));
}

void fuzz_seeds(void)
{
    seed_outgoing();
    seed_crash(true);
    seed_crash(false);
    seed_request(1, 0);
    seed_request(1, REQUEST_DURABLE);
    seed_request(1, REQUEST_DURABLE | REQUEST_TELL | REQUEST_WANT_ACCEPTED);
    seed_request(1, REQUEST_DURABLE | REQUEST_RESEND);
    vectors_visit("schemas/vectors/frames.txt", seed_vector, NULL);
}
