/* Entities that keep themselves alive come back by themselves: on another worker when theirs dies,
 * and under another home when theirs dies, too. So do those with resources. On SQLite with one
 * broker, and on MariaDB with three.
 *
 * The names begin with the ids of the behaviours that are ported. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "tests/harness/invocation.h"
#include "tests/harness/life.h"
#include "tests/harness/testbed.h"

enum { BROKERS = 3, ENTITIES = 12, WAIT_MAX_MS = 60000, LIFE_BYTES_MAX = 1 << 16 };

static const char *const quick[] = {"--backoff-ms", "50", "--backoff-max-ms", "200", NULL};

static void start(testbed_t *bed, uint32_t workers)
{
    bed->broker_arguments = quick;
    if (strcmp(bed->store, "sqlite") == 0) {
        testbed_start(bed, 0);
    } else {
        testbed_start_brokers(bed, BROKERS, 0);
    }
    bed->options.module = LIFE_MODULE;
    for (uint32_t i = 0; i < workers; i++) {
        testbed_add_worker(bed);
    }
    testbed_wait_ready(bed, workers);
}

static void ask(testbed_t *bed, unsigned number, const fabric_message_type_t *message,
                const void *request)
{
    char id[] = {(char)('a' + number), '\0'};
    fabric_outcome_t outcome = {0};
    life_number_t reply = {0};
    fabric_call_t call = {.entity = fabric_entity(LIFE_TYPE, id),
                          .message = message,
                          .request = request,
                          .timeout_ms = WAIT_MAX_MS};
    void *to = message->reply->field_count > 0 ? &reply : NULL;
    if (fabric_client_call(bed->client, &call, to, NULL, NULL, &outcome)) {
        fail_msg("%s %s: %s", message->tag, id, outcome.text);
    }
}

/* All events of an entity, each with a space behind it; in static storage. */
static const char *read_life(const testbed_t *bed, unsigned number)
{
    static char text[LIFE_BYTES_MAX];
    char path[INVOCATION_PATH_SIZE];
    char line[700];
    size_t size = 0;
    text[0] = '\0';
    FILE *file = fopen(invocation_path(bed, LIFE_FILE, path), "r");
    while (file && fgets(line, sizeof line, file)) {
        char event[16];
        char of[64];
        if (sscanf(line, "%15s %63s", event, of) == 2 && of[0] == (char)('a' + number) && !of[1]) {
            size += (size_t)snprintf(text + size, sizeof text - size, "%s ", event);
            assert_true(size < sizeof text);
        }
    }
    if (file) {
        assert_int_equal(fclose(file), 0);
    }
    return text;
}

static size_t count_in(const char *text, const char *word)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, word)); at++) {
        count++;
    }
    return count;
}

/* Waits until each of the first entities has had so many of these events. */
static void wait_for(testbed_t *bed, unsigned entities, const char *event, size_t count)
{
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    for (unsigned i = 0; i < entities; i++) {
        while (count_in(read_life(bed, i), event) < count) {
            testbed_poll(deadline_ms, event);
        }
    }
}

static void kill_worker(testbed_t *bed, unsigned number)
{
    testbed_kill(&bed->cluster.workers[number]);
}

/* The last one is not to be kept alive any more; nobody sends anything to the others. */
static void test_nt_03_kept_entities_come_back_on_another_worker(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    for (unsigned i = 0; i < ENTITIES; i++) {
        ask(bed, i, i % 2 ? &life_keep : &life_volatile_keep, &(life_number_t){1});
    }
    ask(bed, ENTITIES - 1, &life_keep, &(life_number_t){0});
    ask(bed, ENTITIES, &life_keep, &(life_number_t){1});
    ask(bed, ENTITIES, &life_end, NULL);
    ask(bed, ENTITIES + 1, &life_count, NULL);
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    kill_worker(bed, 0);
    wait_for(bed, ENTITIES - 1, "built", 2);
    testbed_wait_ready(bed, 1);
    for (unsigned i = 0; i < ENTITIES - 1; i++) {
        ask(bed, i, &life_count, NULL);
        assert_int_equal(count_in(read_life(bed, i), "built"), 2);
    }
    assert_int_equal(count_in(read_life(bed, ENTITIES - 1), "built"), 1);
    assert_int_equal(count_in(read_life(bed, ENTITIES), "built"), 1);
    assert_int_equal(count_in(read_life(bed, ENTITIES + 1), "built"), 1);
    assert_int_equal(testbed_sum(bed, "kept_alive"), ENTITIES - 1);
}

static void kill_brokers(testbed_t *bed)
{
    if (strcmp(bed->store, "sqlite") == 0) {
        testbed_kill(&bed->cluster.broker);
        testbed_restart_broker(bed);
        return;
    }
    for (unsigned i = 0; i < BROKERS - 1; i++) {
        testbed_kill(&bed->cluster.brokers[i]);
    }
}

/* Their homes die with their worker: what the next homes know is in the store, in rows and entries.
 */
static void test_nt_03_kept_entities_come_back_when_home_and_worker_die(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    for (unsigned i = 0; i < ENTITIES; i++) {
        ask(bed, i, &life_keep, &(life_number_t){1});
        if (i == ENTITIES / 2) {
            testbed_pause(1200); /* a checkpoint */
        }
    }
    ask(bed, 0, &life_keep, &(life_number_t){0});
    kill_worker(bed, 0);
    kill_brokers(bed);
    testbed_add_worker(bed);
    for (unsigned i = 1; i < ENTITIES; i++) {
        uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
        while (count_in(read_life(bed, i), "built") < 2) {
            testbed_poll(deadline_ms, "an instance without a message");
        }
    }
    assert_int_equal(count_in(read_life(bed, 0), "built"), 1);
}

/* The home alone dies, and another broker knows who the owners were: the instances go on. */
static void kept_instances_outlive_their_home(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    for (unsigned i = 0; i < ENTITIES; i++) {
        ask(bed, i, &life_keep, &(life_number_t){1});
    }
    testbed_kill(&bed->cluster.brokers[1]);
    testbed_wait_ready(bed, 1);
    for (unsigned i = 0; i < ENTITIES; i++) {
        ask(bed, i, &life_count, NULL);
        assert_int_equal(count_in(read_life(bed, i), "built"), 1);
    }
}

static void kept_entities_move_with_their_shard(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    for (unsigned i = 0; i < ENTITIES; i++) {
        ask(bed, i, &life_keep, &(life_number_t){1});
    }
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    assert_int_equal(kill(bed->cluster.workers[0].pid, SIGTERM), 0);
    wait_for(bed, ENTITIES, "built second first built ", 1);
}

/* An instance whose build fails is wanted again, until it is there. */
static void test_nt_03_a_kept_entity_that_breaks_or_cannot_be_built_comes_back(void **state)
{
    testbed_t *bed = *state;
    char path[INVOCATION_PATH_SIZE];
    start(bed, 1);
    ask(bed, 0, &life_volatile_keep, &(life_number_t){1});
    testbed_open_gate(bed, LIFE_AWAY);
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    kill_worker(bed, 0);
    wait_for(bed, 1, "failed", 3);
    assert_int_equal(unlink(invocation_path(bed, LIFE_AWAY, path)), 0);
    wait_for(bed, 1, "built", 2);
}

/* ---- clears ---- */

static void test_ms_01_a_cleared_entity_does_not_come_back(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    for (unsigned i = 0; i < ENTITIES; i++) {
        ask(bed, i, &life_keep, &(life_number_t){1});
    }
    const char *const arguments[] = {
        "fabricctl", "--url", bed->cluster.urls, "entity", "clear", LIFE_TYPE, "a", NULL};
    static invocation_t invocation;
    invocation_run(bed, arguments, NULL, &invocation);
    assert_int_equal(invocation.status, 0);
    wait_for(bed, 1, "second first", 1);
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    kill_worker(bed, 0);
    testbed_wait_ready(bed, 1);
    for (unsigned i = 1; i < ENTITIES; i++) {
        ask(bed, i, &life_count, NULL);
        assert_int_equal(count_in(read_life(bed, i), "built"), 2);
    }
    assert_int_equal(count_in(read_life(bed, 0), "built"), 1);
    assert_int_equal(testbed_sum(bed, "kept_alive"), ENTITIES - 1);
}

/* ---- room ---- */

static bool has_come_back(const testbed_t *bed, unsigned number, size_t built)
{
    const char *life = read_life(bed, number);
    size_t size = strlen(life);
    return count_in(life, "built") > built && size >= 6 && strcmp(life + size - 6, "built ") == 0;
}

/* More entities are kept alive than the workers have places. */
static void messages_come_before_kept_entities(void **state)
{
    static const char *const places[] = {"--residents", "4", "--executors", "1", NULL};
    enum { OTHERS = 6 };
    testbed_t *bed = *state;
    bed->worker_arguments = places;
    start(bed, 1);
    for (unsigned i = 0; i < ENTITIES; i++) {
        ask(bed, i, &life_keep, &(life_number_t){1});
    }
    for (unsigned i = 0; i < OTHERS; i++) {
        ask(bed, ENTITIES + i, &life_count, NULL);
    }
    kill_worker(bed, 0);
    size_t built = count_in(read_life(bed, ENTITIES - 1), "built");
    testbed_add_worker(bed);
    for (unsigned i = 0; i < 3 * OTHERS; i++) {
        ask(bed, ENTITIES + i % OTHERS, &life_count, NULL);
    }
    assert_int_equal(testbed_sum(bed, "kept_alive"), ENTITIES);
    for (unsigned i = 0; i + 1 < ENTITIES; i++) {
        ask(bed, i, &life_keep, &(life_number_t){0});
    }
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (!has_come_back(bed, ENTITIES - 1, built)) {
        testbed_poll(deadline_ms, "an instance for which there is room again");
    }
    assert_int_equal(testbed_sum(bed, "kept_alive"), 1);
}

/* ---- resources ---- */

/* A worker that has died has left its entity's resource behind. The entity comes back, finds it,
 * and nobody uses it. */
static void test_nt_02_a_resource_that_nobody_uses_is_let_go(void **state)
{
    testbed_t *bed = *state;
    start(bed, 1);
    testbed_open_gate(bed, LIFE_RENTED);
    ask(bed, 0, &life_rent, NULL);
    testbed_add_worker(bed);
    testbed_wait_ready(bed, 2);
    kill_worker(bed, 0);
    wait_for(bed, 1, "acquired", 2);
    uint64_t deadline_ms = clock_monotonic_ms() + WAIT_MAX_MS;
    while (testbed_sum(bed, "kept_alive") > 0) {
        testbed_poll(deadline_ms, "the end of the resource");
    }
    assert_string_equal(read_life(bed, 0), "built acquired built acquired released ");
}

#define ALIVE_TEST(name)                                                                           \
    {                                                                                              \
#name, name, TESTBED_BOTH                                                                  \
    }

int main(void)
{
    static const testbed_test_t tests[] = {
        ALIVE_TEST(test_nt_03_kept_entities_come_back_on_another_worker),
        ALIVE_TEST(test_nt_03_kept_entities_come_back_when_home_and_worker_die),
        {"kept_instances_outlive_their_home", kept_instances_outlive_their_home, TESTBED_MYSQL},
        ALIVE_TEST(kept_entities_move_with_their_shard),
        ALIVE_TEST(test_nt_03_a_kept_entity_that_breaks_or_cannot_be_built_comes_back),
        ALIVE_TEST(test_ms_01_a_cleared_entity_does_not_come_back),
        ALIVE_TEST(messages_come_before_kept_entities),
        ALIVE_TEST(test_nt_02_a_resource_that_nobody_uses_is_let_go),
    };
    return testbed_run("alive", tests, sizeof tests / sizeof tests[0]);
}
