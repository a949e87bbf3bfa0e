/* Keys for effects outside of the fabric, as handlers get them from fabric_context_effect_key(). */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "tests/harness/errand.h"
#include "tests/harness/testbed.h"

enum { WAIT_MAX_MS = 60000, KEY_SIZE = 128, KEYS_MAX = 8 };

static const errand_gate_t gate = {"gate"};

typedef struct keys {
    char list[KEYS_MAX][KEY_SIZE];
    unsigned count;
} keys_t;

static void note_end(void *context, const fabric_outcome_t *outcome, fabric_bytes_t payload)
{
    (void)payload;
    assert_int_equal(outcome->error, FABRIC_OK);
    (*(unsigned *)context)++;
}

static void begin(testbed_t *bed, const char *id, unsigned *ends)
{
    fabric_call_t call = {.entity = fabric_entity(ERRAND_TYPE, id),
                          .message = &errand_block,
                          .request = &gate,
                          .timeout_ms = WAIT_MAX_MS};
    assert_int_equal(fabric_client_start(bed->client, &call, note_end, ends, NULL), FABRIC_OK);
}

/* Those that handlers of the entity have noted. */
static void read_keys(const testbed_t *bed, const char *id, keys_t *keys)
{
    char path[FOLDER_PATH_SIZE + 16];
    char line[256], entity[64];
    keys->count = 0;
    snprintf(path, sizeof path, "%s/errands", bed->folder);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        assert_true(keys->count < KEYS_MAX);
        if (sscanf(line, "effect %63s %127s", entity, keys->list[keys->count]) == 2 &&
            strcmp(entity, id) == 0) {
            keys->count++;
        }
    }
    if (file) {
        fclose(file);
    }
}

static void wait_for_keys(testbed_t *bed, const char *id, unsigned count, keys_t *keys)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    read_keys(bed, id, keys);
    while (keys->count < count) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the key of an effect");
        read_keys(bed, id, keys);
    }
    assert_int_equal(keys->count, count);
}

static bool begins_with_a_cluster(const char *key)
{
    return strspn(key, "0123456789abcdef") == 32 &&
           strncmp(key, "00000000000000000000000000000000", 32) != 0;
}

static void a_message_keeps_its_key_when_its_worker_dies(void **state)
{
    testbed_t *bed = *state;
    keys_t first, again, other;
    unsigned ends = 0;
    testbed_start(bed, 0);
    bed->options.module = ERRAND_MODULE;
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 1);
    begin(bed, "a", &ends);
    wait_for_keys(bed, "a", 1, &first);
    testbed_kill(&bed->cluster.workers[0]);
    testbed_restart_worker(bed, 0);
    wait_for_keys(bed, "a", 2, &again);
    assert_string_equal(again.list[1], first.list[0]);
    assert_true(begins_with_a_cluster(first.list[0]));
    assert_string_equal(strrchr(first.list[0], '-'), "-charge");
    testbed_open_gate(bed, "gate");
    begin(bed, "b", &ends);
    wait_for_keys(bed, "b", 1, &other);
    assert_string_not_equal(other.list[0], first.list[0]);
    assert_memory_equal(other.list[0], first.list[0], 32); /* the same cluster */
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (ends < 2) {
        (void)fabric_client_wait(bed->client, 5);
        testbed_poll(deadline_ms, "the ends of the calls");
    }
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"a_message_keeps_its_key_when_its_worker_dies",
         a_message_keeps_its_key_when_its_worker_dies, TESTBED_SQLITE},
        {"a_message_keeps_its_key_when_its_worker_dies_on_three_brokers",
         a_message_keeps_its_key_when_its_worker_dies, TESTBED_MYSQL_3},
    };
    return testbed_run("effect_key", tests, sizeof tests / sizeof tests[0]);
}
