/* The dialogues of schemas/vectors/dialogues.txt, held with the router: the test sends what clients
 * and workers say in a dialogue, and the router must answer as the dialogue says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/address.h"
#include "tests/unit/router_driver.h"
#include "tests/harness/vectors.h"

enum { WAIT_MAX_MS = 5000 };

typedef struct dialogue {
    driver_t *driver;
    char name[32];
    size_t count;
} dialogue_t;

static bool belongs_to(const vector_t *vector, const char *name)
{
    size_t size = strcspn(vector->name, ".");
    return size == strlen(name) && memcmp(vector->name, name, size) == 0;
}

/* The worker owns only the shard of the entity "a". */
static void dialogue_open(dialogue_t *dialogue, const vector_t *vector)
{
    router_config_t config;
    uint16_t number = (uint16_t)address_shard_number(fabric_bytes_of("a"), DRIVER_SHARDS);
    driver_config(&config);
    config.attempts_max = 2;
    snprintf(dialogue->name, sizeof dialogue->name, "%.*s", (int)strcspn(vector->name, "."),
             vector->name);
    dialogue->count++;
    dialogue->driver = driver_new(&config);
    driver_homes(dialogue->driver, NULL);
    driver_client(dialogue->driver, "client", 1);
    driver_worker_hello(dialogue->driver, "worker", 101, 1, 10);
    driver_take(dialogue->driver, "worker", KIND_WELCOME);
    router_desire(dialogue->driver->router, "Counter", shard_id_make(1, number), driver_runner(101),
                  dialogue->driver->now_ms);
    driver_pull(dialogue->driver);
}

static void dialogue_close(dialogue_t *dialogue)
{
    if (dialogue->driver) { /* the router sends nothing else */
        assert_int_equal(driver_count(dialogue->driver, "worker", KIND_DELIVER), 0);
        assert_int_equal(driver_count(dialogue->driver, "client", KIND_REPLY), 0);
        assert_int_equal(driver_count(dialogue->driver, "client", KIND_REJECTED), 0);
        driver_close(&dialogue->driver);
    }
}

/* Waits for the peer's next message of this kind. */
static const note_t *hear(driver_t *driver, const char *peer, message_kind_t kind)
{
    static const char *const alive[] = {"client", "worker", NULL};
    for (uint64_t end_ms = driver->now_ms + WAIT_MAX_MS; driver->now_ms < end_ms;) {
        driver_commit(driver);
        if (driver_count(driver, peer, kind) > 0) {
            break;
        }
        driver_pass_alive(driver, 10, alive);
    }
    return driver_take(driver, peer, kind);
}

static void expect(driver_t *driver, const char *peer, fabric_bytes_t frame)
{
    wire_reader_t reader;
    wire_reader_t body;
    frame_head_t head;
    assert_int_equal(frame_open(frame, &reader, &head), FABRIC_OK);
    while (frame_next(&reader, &body)) {
        message_kind_t kind;
        fabric_bytes_t told = {body.next, wire_left(&body)};
        assert_int_equal(message_open(&body, &kind), FABRIC_OK);
        const note_t *note = hear(driver, peer, kind);
        if (kind == KIND_REJECTED) {
            message_rejected_t rejected;
            assert_int_equal(message_get_rejected(&body, &rejected), FABRIC_OK);
            assert_int_equal(note->as.rejected.sequence, rejected.sequence);
            assert_int_equal(note->as.rejected.error, rejected.error);
            continue;
        }
        assert_int_equal(note->size, told.size);
        assert_memory_equal(note->bytes, told.data, told.size);
    }
}

static void visit(const vector_t *vector, void *context)
{
    dialogue_t *dialogue = context;
    if (!belongs_to(vector, dialogue->name)) {
        dialogue_close(dialogue);
        dialogue_open(dialogue, vector);
    }
    print_message("%s\n", vector->name);
    if (strcmp(vector->expected, "client>broker") == 0) {
        driver_send_bytes(dialogue->driver, "client", vector->bytes);
    } else if (strcmp(vector->expected, "worker>broker") == 0) {
        uint64_t refused = driver_counters(dialogue->driver).results_refused;
        driver_send_bytes(dialogue->driver, "worker", vector->bytes);
        assert_int_equal(driver_counters(dialogue->driver).results_refused,
                         refused + !vector->valid);
    } else if (strcmp(vector->expected, "broker>client") == 0) {
        expect(dialogue->driver, "client", vector->bytes);
    } else {
        assert_string_equal(vector->expected, "broker>worker");
        expect(dialogue->driver, "worker", vector->bytes);
    }
}

static void the_router_holds_the_dialogues(void **state)
{
    (void)state;
    dialogue_t dialogue = {.driver = NULL};
    vectors_visit("schemas/vectors/dialogues.txt", visit, &dialogue);
    dialogue_close(&dialogue);
    assert_true(dialogue.count >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_router_holds_the_dialogues)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
