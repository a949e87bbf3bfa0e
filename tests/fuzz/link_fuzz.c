/* The worker's link under a sequence of events: connections, well-formed frames with any fields,
 * raw bytes, time, and executors that answer what they were given. Whatever comes, what the link
 * says can be read, hellos are numbered upwards, nothing but a hello and the standing in its frame
 * goes out before a welcome, a shard's tokens only grow, and RELEASED is not said while its
 * executor has not confirmed that it stopped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/harness/vectors.h"
#include "worker/link.h"

enum { ENDPOINTS = 2, SHARDS = 64, EVENTS_MAX = 4096 };

typedef struct ownership {
    bool any;
    token_t begun;   /* the newest token that an executor was told */
    bool confirmed;  /* its entities are stopped */
    bool stop_asked; /* by WORK_STOP */
    bool orphaned;   /* by WORK_ORPHAN, and not resumed since */
    bool gathering;  /* WORK_ORPHAN is not confirmed */
    bool kept;       /* no results are to come by WORK_KEPT */
    token_t former;  /* under which it was orphaned */
    work_source_t source;
} ownership_t;

typedef struct world {
    link_t *link;
    fuzz_input_t input;
    uint64_t now_ms;
    uint32_t endpoints;
    uint64_t connection;               /* of the last hello */
    bool welcomed[LINK_ENDPOINTS_MAX]; /* one was delivered on the present connection */
    uint64_t hello_on[LINK_ENDPOINTS_MAX];
    ownership_t ownerships[SHARDS];
    wire_writer_t map;
} world_t;

static const link_config_t config = {
    .incarnation = {{1, 2, 3}},
    .name = {(const uint8_t *)"w", 1},
    .types = {(const uint8_t *)"\x90", 1},
    .weight = 100,
    .window = 64,
    .grace_ms = 500,
    .executors = 2,
};

static ownership_t *ownership_of(world_t *w, shard_id_t shard)
{
    uint16_t number = shard_id_number(shard);
    return shard_id_group(shard) == 1 && number < SHARDS ? &w->ownerships[number] : NULL;
}

/* ---- what the link says and wants ---- */

/* `greets`: the frame holds a hello. */
static void read_message(world_t *w, uint32_t endpoint, wire_reader_t *body, bool *greets)
{
    message_kind_t kind;
    message_hello_t hello;
    message_released_t released;
    assert_int_equal(message_open(body, &kind), FABRIC_OK);
    if (kind == KIND_HELLO) {
        assert_int_equal(message_get_hello(body, &hello), FABRIC_OK);
        assert_true(hello.connection > w->hello_on[endpoint]);
        w->hello_on[endpoint] = w->connection = hello.connection;
        w->welcomed[endpoint] = false;
        *greets = true;
        return;
    }
    assert_true(w->welcomed[endpoint] || (*greets && kind == KIND_RUNNER_STANDING));
    if (kind == KIND_RELEASED) {
        assert_int_equal(message_get_released(body, &released), FABRIC_OK);
        ownership_t *ownership = ownership_of(w, (shard_id_t){(uint32_t)released.shard});
        token_t token = {released.home_epoch, released.owner_sequence};
        bool live = ownership && ownership->any && ownership->source.endpoint == endpoint &&
                    ownership->source.connection == w->hello_on[endpoint] &&
                    token_equal(ownership->begun, token);
        assert_true(!live || ownership->confirmed);
    }
}

static void pull_frames(world_t *w)
{
    wire_writer_t frame = {0};
    for (uint32_t i = 0; i < w->endpoints; i++) {
        for (unsigned count = 0; link_next_frame(w->link, i, &frame); count++) {
            wire_reader_t reader;
            wire_reader_t body;
            frame_head_t head;
            bool greets = false;
            assert_true(count < EVENTS_MAX && frame.size <= LIMIT_FRAME_BYTES_MAX);
            assert_int_equal(frame_open(wire_writer_bytes(&frame), &reader, &head), FABRIC_OK);
            while (frame_next(&reader, &body)) {
                read_message(w, i, &body, &greets);
            }
            assert_int_equal(wire_finish(&reader), FABRIC_OK);
        }
    }
    wire_writer_destroy(&frame);
}

static void pull_work(world_t *w)
{
    for (work_t *work = link_next_work(w->link); work; work = link_next_work(w->link)) {
        ownership_t *ownership = ownership_of(w, work->shard);
        assert_in_range(work->executor, 0, config.executors - 1);
        if (work->kind == WORK_BEGIN && ownership) {
            assert_true(!ownership->any || token_less(ownership->begun, work->token));
            *ownership = (ownership_t){
                .any = true, .begun = work->token, .source = work->source, .kept = true};
        } else if (work->kind == WORK_ORPHAN && ownership &&
                   token_equal(ownership->begun, work->token)) {
            assert_true(!ownership->stop_asked);
            ownership->orphaned = ownership->gathering = true;
            ownership->former = work->token;
        } else if (work->kind == WORK_RESUME && ownership &&
                   token_equal(ownership->begun, work->former)) {
            assert_true(ownership->orphaned && token_less(ownership->begun, work->token));
            ownership->begun = work->token;
            ownership->source = work->source;
            ownership->orphaned = ownership->kept = false;
        } else if (work->kind == WORK_KEPT && ownership &&
                   token_equal(ownership->begun, work->token)) {
            assert_true(!ownership->stop_asked && !ownership->gathering && !ownership->kept);
            ownership->kept = true;
        } else if (work->kind == WORK_STOP && ownership &&
                   token_equal(ownership->begun, work->token)) {
            ownership->stop_asked = true;
        }
        assert_true(work->kind != WORK_DELIVERIES || work->count > 0);
        work_destroy(&work);
    }
}

static void pull(world_t *w)
{
    uint32_t endpoint;
    link_socket_t action;
    link_event_t event;
    for (unsigned i = 0; link_next_socket(w->link, &endpoint, &action); i++) {
        assert_true(i < EVENTS_MAX && endpoint < LINK_ENDPOINTS_MAX);
        w->endpoints = endpoint < w->endpoints ? w->endpoints : endpoint + 1;
        assert_true(strlen(link_endpoint_name(w->link, endpoint)) <= LIMIT_ENDPOINT_BYTES_MAX);
    }
    pull_frames(w);
    pull_work(w);
    for (unsigned i = 0; link_next_event(w->link, &event); i++) {
        assert_true(i < EVENTS_MAX);
    }
    assert_true(link_shards(w->link) <= UINT16_MAX);
}

/* ---- events ---- */

/* Notes which frames may welcome the link: those that hold anything like a welcome. */
static void receive(world_t *w, uint32_t endpoint, fabric_bytes_t frame)
{
    wire_reader_t reader;
    wire_reader_t body;
    frame_head_t head;
    message_kind_t kind;
    if (frame_open(frame, &reader, &head) == FABRIC_OK) {
        while (frame_next(&reader, &body)) {
            if (message_open(&body, &kind) == FABRIC_OK && kind == KIND_WELCOME) {
                w->welcomed[endpoint] = true;
            }
        }
    }
    work_frame_t *copy = work_frame_copy(frame);
    link_receive(w->link, endpoint, copy, w->now_ms);
    work_frame_drop(copy);
}

static void welcome(world_t *w, uint32_t endpoint)
{
    uint8_t broker[16] = {fuzz_byte(&w->input) % 4};
    static const uint8_t cluster[16] = {7};
    wire_writer_t frame = {0};
    message_welcome_t message = {.protocol = 1,
                                 .cluster_id = fabric_bytes(cluster, 16),
                                 .cluster_name = fabric_bytes_of("c"),
                                 .broker = fabric_bytes(broker, 16),
                                 .connection = w->hello_on[endpoint],
                                 .shards_per_group = SHARDS - 1,
                                 .lease_ms = 3000,
                                 .heartbeat_ms = 50,
                                 .map = wire_writer_bytes(&w->map)};
    frame_begin(&frame, &(frame_head_t){.version = LIMIT_PROTOCOL_VERSION});
    message_put_welcome(&frame, &message);
    receive(w, endpoint, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
}

static void structured(world_t *w, uint32_t endpoint)
{
    wire_writer_t frame = {0};
    unsigned count = 1u + fuzz_byte(&w->input) % 4u;
    frame_begin(&frame, &(frame_head_t){LIMIT_PROTOCOL_VERSION, fuzz_number(&w->input), 0});
    while (count-- > 0) {
        fuzz_put_message(&w->input, &frame);
    }
    receive(w, endpoint, wire_writer_bytes(&frame));
    wire_writer_destroy(&frame);
}

/* An executor confirms a stop or the loss of a home, or, unasked, hands in results. */
static void executor(world_t *w)
{
    uint16_t number = fuzz_byte(&w->input) % SHARDS;
    ownership_t *ownership = &w->ownerships[number];
    work_output_t *output;
    if (ownership->stop_asked && !ownership->confirmed) {
        output = work_output_new(OUTPUT_STOPPED, ownership->source);
        output->shard = shard_id_make(1, number);
        output->token = ownership->begun;
        ownership->confirmed = true;
    } else if (ownership->gathering && fuzz_byte(&w->input) % 2 == 0) {
        output = work_output_new(OUTPUT_ORPHANED, ownership->source);
        output->shard = shard_id_make(1, number);
        output->token = ownership->former;
        ownership->gathering = false;
    } else {
        message_result_t result = {.shard = shard_id_make(1, number).value,
                                   .home_epoch = ownership->begun.home_epoch,
                                   .owner_sequence = ownership->begun.owner_sequence};
        output = work_output_new(OUTPUT_RESULTS, ownership->source);
        message_put_result(&output->results, &result);
        output->count = output->durable = 1;
    }
    link_output(w->link, &output);
}

static void step(world_t *w)
{
    uint8_t what = fuzz_byte(&w->input);
    uint32_t endpoint = what / 16u % ENDPOINTS;
    switch (what % 16u) {
    case 0:
    case 1:
        w->welcomed[endpoint] = false;
        link_connected(w->link, endpoint, w->now_ms);
        break;
    case 2:
        link_disconnected(w->link, endpoint, w->now_ms);
        break;
    case 3:
    case 4:
        welcome(w, endpoint);
        break;
    case 5: {
        fabric_bytes_t frame = fuzz_block(&w->input);
        receive(w, endpoint, frame);
        free((void *)(uintptr_t)frame.data);
        break;
    }
    case 6:
    case 7:
        w->now_ms += fuzz_byte(&w->input) * (what & 128 ? 100u : 1u);
        link_tick(w->link, w->now_ms);
        assert_true(link_next_deadline(w->link) > 0);
        break;
    case 8:
    case 9:
        executor(w);
        break;
    case 10:
        if (fuzz_byte(&w->input) == 1) {
            link_leave(w->link, fabric_bytes_of("fuzz"), w->now_ms);
        }
        (void)link_left(w->link, w->now_ms);
        break;
    default:
        structured(w, endpoint);
    }
    pull(w);
}

static void make_map(wire_writer_t *encoded)
{
    shard_map_t *map = shard_map_new();
    shard_map_set_shards_per_group(map, SHARDS - 1);
    shard_map_set_lanes(map, 1);
    assert_int_equal(shard_map_add_group(map, 1, fabric_bytes_of("default")), FABRIC_OK);
    shard_map_begin_term(map, 1);
    shard_map_encode_snapshot(map, encoded);
    shard_map_destroy(&map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world_t *w = calloc(1, sizeof *w);
    assert_non_null(w);
    make_map(&w->map);
    const fabric_bytes_t words[] = {fabric_bytes_of("Counter"),
                                    fabric_bytes_of("i"),
                                    fabric_bytes_of("tag"),
                                    fabric_bytes_of("c"),
                                    fabric_bytes_of("tcp://127.0.0.1:9"),
                                    fabric_bytes("\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16),
                                    fabric_bytes("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16),
                                    wire_writer_bytes(&w->map)};
    w->now_ms = 1000;
    w->input = fuzz_input(data, size);
    w->input.words = words;
    w->input.word_count = sizeof words / sizeof words[0];
    w->link = link_new(&config, w->now_ms);
    assert_int_equal(link_add_endpoint(w->link, "tcp://127.0.0.1:1"), FABRIC_OK);
    assert_int_equal(link_add_endpoint(w->link, "tcp://127.0.0.1:2"), FABRIC_OK);
    pull(w);
    while (fuzz_left(&w->input) > 0) {
        step(w);
    }
    link_destroy(&w->link);
    wire_writer_destroy(&w->map);
    free(w);
    return 0;
}

static void seed_frame(const fabric_bytes_t frame)
{
    wire_writer_t input = {0};
    uint8_t head[] = {0, 3, 1, 5, (uint8_t)(frame.size >> 8), (uint8_t)frame.size};
    wire_append(&input, head, sizeof head);
    wire_append(&input, frame.data, frame.size);
    wire_append(&input, "\6\300\10\3", 4);
    fuzz_seed(wire_writer_bytes(&input));
    wire_writer_destroy(&input);
}

static void seed_vector(const vector_t *vector, void *context)
{
    (void)context;
    seed_frame(vector->bytes);
}

void fuzz_seeds(void)
{
    /* connected, welcomed, assigned 0x10003 under (1, 1) and (1, 2), released, stopped, connected
     * anew */
    static const uint8_t life[] = {0,   3, 1,   11, 0,  0,  16, 203, 1,  1,   11, 0,  0,  16,
                                   203, 1, 2,   8,  3,  11, 0,  0,   17, 203, 1,  2,  50, 8,
                                   3,   6, 200, 0,  16, 3,  17, 19,  2,  2,   7,  255};
    fuzz_seed(fabric_bytes(life, sizeof life));
    /* welcomed, told to take no shards, connected anew: the standing stands in the hello's frame */
    static const uint8_t cordoned[] = {0, 3, 1, 5,    0, 20, 0x93, 2, 0xcf, 0,    0, 1, 0, 0, 0,
                                       0, 0, 0, 0xc6, 0, 0,  0,    3, 0x92, 0x27, 1, 0, 0, 0};
    fuzz_seed(fabric_bytes(cordoned, sizeof cordoned));
    vectors_visit("schemas/vectors/frames.txt", seed_vector, NULL);
}
