/* The sum of what brokers say about their health: see health.h. */
#include "core/health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ids.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/wire.h"

enum { NAME_SIZE = LIMIT_NAME_BYTES_MAX + 1, ID_SIZE = 33, STEPS = 5 };

/* What a lane may wait for, as keys of documents and as words. */
static const struct {
    const char *key;
    const char *words;
} steps[STEPS] = {
    {"append_ms", "an append has"},          {"checkpoint_ms", "a checkpoint has"},
    {"adoption_ms", "its adoption has"},     {"load_ms", "a load of messages has"},
    {"lookup_ms", "a look-up of calls has"},
};

/* A lane in the words of the broker that holds it. */
typedef struct lane_words {
    bool known;
    uint64_t epoch;
    bool home, stuck, damaged;
    uint64_t steps_ms[STEPS];
    char cause[160];
    char broker[NAME_SIZE];
} lane_words_t;

typedef struct type_words {
    char name[NAME_SIZE];
    bool brought;
    uint64_t served, moving, waiting;
} type_words_t;

/* A runner in the words of one broker, or of several. */
typedef struct runner_words {
    char id[ID_SIZE];
    char name[NAME_SIZE];
    bool joined;
    uint64_t executors, stuck, stuck_ms;
} runner_words_t;

struct health_sum {
    fabric_health_t health; /* what is known so far; the reasons of brokers */
    uint64_t shards_per_group;
    lane_words_t lanes[LIMIT_LANES_MAX];
    type_words_t *types;
    size_t type_count, type_capacity;
    runner_words_t *runners;
    size_t runner_count, runner_capacity;
};

health_sum_t *health_sum_new(void)
{
    return memory_allocate_zeroed(1, sizeof(health_sum_t));
}

void health_sum_destroy(health_sum_t **sum)
{
    if (*sum) {
        free((*sum)->types);
        free((*sum)->runners);
        free(*sum);
        *sum = NULL;
    }
}

/* ---- reading documents ---- */

static bool is(fabric_bytes_t key, const char *name)
{
    return fabric_bytes_equal(key, fabric_bytes_of(name));
}

/* A number; 0 for nil. */
static uint64_t read_number(wire_reader_t *reader)
{
    if (wire_peek(reader) == WIRE_NIL) {
        wire_get_nil(reader);
        return 0;
    }
    return wire_get_uint(reader);
}

static void read_text(wire_reader_t *reader, char *text, size_t size)
{
    fabric_bytes_t bytes = wire_get_str(reader);
    size_t used = bytes.size < size ? bytes.size : size - 1;
    if (bytes.data && used > 0) {
        memcpy(text, bytes.data, used);
    }
    text[used] = '\0';
}

static bool read_is(wire_reader_t *reader, const char *text)
{
    return is(wire_get_str(reader), text);
}

static void read_lane_member(wire_reader_t *reader, fabric_bytes_t key, uint64_t *number,
                             lane_words_t *lane)
{
    if (is(key, "number")) {
        *number = wire_get_uint(reader);
    } else if (is(key, "state")) {
        lane->home = read_is(reader, "home");
    } else if (is(key, "epoch")) {
        lane->epoch = wire_get_uint(reader);
    } else if (is(key, "stuck")) {
        lane->stuck = wire_get_bool(reader);
    } else if (is(key, "damaged")) {
        lane->damaged = wire_get_bool(reader);
    } else if (is(key, "cause")) {
        read_text(reader, lane->cause, sizeof lane->cause);
    } else {
        int step = 0;
        while (step < STEPS && !is(key, steps[step].key)) {
            step++;
        }
        if (step < STEPS) {
            lane->steps_ms[step] = wire_get_uint(reader);
        } else {
            wire_skip(reader);
        }
    }
}

/* Of two brokers that both count as holder for a moment, the later one is right. */
static void read_lane(health_sum_t *sum, wire_reader_t *reader, const char *broker)
{
    lane_words_t lane = {.known = true};
    uint64_t number = LIMIT_LANES_MAX;
    snprintf(lane.broker, sizeof lane.broker, "%s", broker);
    for (uint32_t members = wire_get_map(reader); members > 0; members--) {
        fabric_bytes_t key = wire_get_str(reader);
        read_lane_member(reader, key, &number, &lane);
    }
    if (number < LIMIT_LANES_MAX && !reader->failed &&
        (!sum->lanes[number].known || lane.epoch > sum->lanes[number].epoch)) {
        sum->lanes[number] = lane;
    }
}

static type_words_t *find_type(health_sum_t *sum, const char *name)
{
    size_t i = 0;
    while (i < sum->type_count && strcmp(sum->types[i].name, name) != 0) {
        i++;
    }
    if (i == sum->type_capacity) {
        sum->type_capacity = sum->type_capacity ? 2 * sum->type_capacity : 16;
        sum->types = memory_resize(sum->types, sum->type_capacity, sizeof *sum->types);
    }
    if (i == sum->type_count) {
        sum->types[sum->type_count++] = (type_words_t){.name = ""};
        snprintf(sum->types[i].name, sizeof sum->types[i].name, "%s", name);
    }
    return &sum->types[i];
}

static void read_type(health_sum_t *sum, wire_reader_t *reader)
{
    type_words_t words = {.name = ""};
    for (uint32_t members = wire_get_map(reader); members > 0; members--) {
        fabric_bytes_t key = wire_get_str(reader);
        if (is(key, "name")) {
            read_text(reader, words.name, sizeof words.name);
        } else if (is(key, "brought")) {
            words.brought = wire_get_uint(reader) > 0;
        } else if (is(key, "served")) {
            words.served = wire_get_uint(reader);
        } else if (is(key, "moving")) {
            words.moving = wire_get_uint(reader);
        } else if (is(key, "waiting")) {
            words.waiting = wire_get_uint(reader);
        } else {
            wire_skip(reader);
        }
    }
    type_words_t *type = find_type(sum, words.name);
    type->brought |= words.brought;
    type->served += words.served;
    type->moving += words.moving;
    type->waiting += words.waiting;
}

static void read_runner(health_sum_t *sum, wire_reader_t *reader)
{
    if (sum->runner_count == sum->runner_capacity) {
        sum->runner_capacity = sum->runner_capacity ? 2 * sum->runner_capacity : 16;
        sum->runners = memory_resize(sum->runners, sum->runner_capacity, sizeof *sum->runners);
    }
    runner_words_t *runner = &sum->runners[sum->runner_count++];
    *runner = (runner_words_t){.id = ""};
    for (uint32_t members = wire_get_map(reader); members > 0; members--) {
        fabric_bytes_t key = wire_get_str(reader);
        if (is(key, "incarnation")) {
            read_text(reader, runner->id, sizeof runner->id);
        } else if (is(key, "name")) {
            read_text(reader, runner->name, sizeof runner->name);
        } else if (is(key, "state")) {
            runner->joined = read_is(reader, "healthy");
        } else if (is(key, "executors")) {
            runner->executors = wire_get_uint(reader);
        } else if (is(key, "stuck")) {
            runner->stuck = wire_get_uint(reader);
        } else if (is(key, "stuck_ms")) {
            runner->stuck_ms = wire_get_uint(reader);
        } else {
            wire_skip(reader);
        }
    }
}

static void read_fence(health_sum_t *sum, wire_reader_t *reader)
{
    fabric_health_t *health = &sum->health;
    uint64_t ago_ms = 0;
    int32_t lane = -1;
    if (wire_peek(reader) == WIRE_NIL) {
        wire_get_nil(reader);
        return;
    }
    for (uint32_t members = wire_get_map(reader); members > 0; members--) {
        fabric_bytes_t key = wire_get_str(reader);
        if (is(key, "ago_ms")) {
            ago_ms = wire_get_uint(reader);
        } else if (is(key, "lane") && wire_peek(reader) != WIRE_NIL) {
            lane = (int32_t)(wire_get_uint(reader) % LIMIT_LANES_MAX);
        } else {
            wire_skip(reader);
        }
    }
    if (!health->fenced || ago_ms < health->last_fence_ms) {
        health->fenced = true;
        health->last_fence_ms = ago_ms;
        health->last_fence_lane = lane;
    }
}

/* ---- reasons ---- */

static void add_reason(fabric_health_t *health, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_reason(fabric_health_t *health, const char *format, ...)
{
    va_list arguments;
    if (health->reason_count < FABRIC_HEALTH_REASONS_MAX) {
        char *reason = health->reasons[health->reason_count];
        va_start(arguments, format);
        vsnprintf(reason, sizeof health->reasons[0], format, arguments);
        va_end(arguments);
    }
    health->reason_count++;
}

/* ---- brokers ---- */

/* What one broker says about itself as a whole. */
typedef struct broker_words {
    char name[NAME_SIZE];
    char state[16];
    uint64_t map_term, map_sequence;
} broker_words_t;

/* Members that are sums or the same for all brokers. */
static void read_member(health_sum_t *sum, wire_reader_t *reader, fabric_bytes_t key,
                        broker_words_t *broker)
{
    fabric_health_t *health = &sum->health;
    if (is(key, "cluster")) {
        read_text(reader, health->cluster, sizeof health->cluster);
    } else if (is(key, "state")) {
        read_text(reader, broker->state, sizeof broker->state);
    } else if (is(key, "map_term")) {
        broker->map_term = wire_get_uint(reader);
    } else if (is(key, "map_sequence")) {
        broker->map_sequence = wire_get_uint(reader);
    } else if (is(key, "lanes_of_cluster")) {
        uint64_t lanes = wire_get_uint(reader);
        health->lanes = lanes < LIMIT_LANES_MAX ? (uint32_t)lanes : LIMIT_LANES_MAX;
    } else if (is(key, "shards_per_group")) {
        sum->shards_per_group = wire_get_uint(reader);
    } else if (is(key, "pending")) {
        health->pending += wire_get_uint(reader);
    } else if (is(key, "oldest_pending_ms")) {
        uint64_t oldest_ms = read_number(reader);
        health->oldest_pending_ms =
            oldest_ms > health->oldest_pending_ms ? oldest_ms : health->oldest_pending_ms;
    } else if (is(key, "fence")) {
        read_fence(sum, reader);
    } else {
        wire_skip(reader);
    }
}

static void read_document(health_sum_t *sum, wire_reader_t *reader, broker_words_t *broker)
{
    for (uint32_t members = wire_get_map(reader); members > 0 && !reader->failed; members--) {
        fabric_bytes_t key = wire_get_str(reader);
        bool lanes = is(key, "lanes");
        bool types = is(key, "types");
        if (!lanes && !types && !is(key, "runners")) {
            read_member(sum, reader, key, broker);
            continue;
        }
        for (uint32_t i = wire_get_array(reader); i > 0 && !reader->failed; i--) {
            if (lanes) {
                read_lane(sum, reader, broker->name);
            } else if (types) {
                read_type(sum, reader);
            } else {
                read_runner(sum, reader);
            }
        }
    }
}

static bool is_newer(const broker_words_t *broker, const fabric_health_t *than)
{
    return broker->map_term != than->map_term ? broker->map_term > than->map_term
                                              : broker->map_sequence > than->map_sequence;
}

fabric_error_t health_sum_add(health_sum_t *sum, const char *name, const char *endpoint,
                              fabric_bytes_t document)
{
    fabric_health_t *health = &sum->health;
    broker_words_t broker = {.name = ""};
    wire_reader_t reader = wire_reader(document);
    wire_skip(&reader); /* before anything of a broken document counts */
    if (wire_finish(&reader) || (reader = wire_reader(document), wire_peek(&reader) != WIRE_MAP)) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    snprintf(broker.name, sizeof broker.name, "%s", name);
    read_document(sum, &reader, &broker);
    if (reader.failed) {
        return FABRIC_ERROR_MALFORMED_MESSAGE;
    }
    health->brokers++;
    health->brokers_answering++;
    if (is_newer(&broker, health)) {
        health->map_term = broker.map_term;
        health->map_sequence = broker.map_sequence;
    }
    if (strcmp(broker.state, "unconfirmed") == 0) {
        add_reason(health,
                   "broker %s (%s) serves nothing now: the database has not confirmed its lease "
                   "in time",
                   name, endpoint);
    }
    return FABRIC_OK;
}

void health_sum_add_silent(health_sum_t *sum, const char *name, const char *endpoint,
                           const char *why)
{
    fabric_health_t *health = &sum->health;
    health->brokers++;
    if (health->silent_count < FABRIC_HEALTH_BROKERS_MAX) {
        snprintf(health->silent[health->silent_count++], sizeof health->silent[0], "%s (%s)", name,
                 endpoint);
    }
    add_reason(health, "broker %s (%s) does not answer: %s", name, endpoint, why);
}

/* ---- the sum ---- */

static void end_lane(fabric_health_t *health, uint32_t number, const lane_words_t *lane)
{
    health->lanes_served += lane->known && lane->home;
    health->lanes_moving += lane->known && !lane->home && !lane->damaged;
    health->lanes_stuck += lane->known && lane->stuck;
    if (!lane->known) {
        add_reason(health, "lane %" PRIu32 " has no home among the brokers that answer", number);
    } else if (lane->damaged) {
        add_reason(health,
                   "lane %" PRIu32 " of broker %s cannot be read: fabricctl journal repair shows "
                   "what can be done",
                   number, lane->broker);
    }
    if (!lane->known || !lane->stuck || lane->damaged) {
        return;
    }
    int longest = 0;
    for (int step = 1; step < STEPS; step++) {
        longest = lane->steps_ms[step] > lane->steps_ms[longest] ? step : longest;
    }
    add_reason(health, "lane %" PRIu32 " of broker %s is stuck: %s waited for %.1f s%s%s", number,
               lane->broker, steps[longest].words, (double)lane->steps_ms[longest] / 1000,
               lane->cause[0] ? ": " : "", lane->cause);
}

static int compare_runners(const void *a, const void *b)
{
    return strcmp(((const runner_words_t *)a)->id, ((const runner_words_t *)b)->id);
}

/* Makes one of the words of several brokers about one runner, which stand side by side. */
static void merge_runners(health_sum_t *sum)
{
    size_t count = 0;
    if (sum->runner_count > 0) {
        qsort(sum->runners, sum->runner_count, sizeof *sum->runners, compare_runners);
    }
    for (size_t i = 0; i < sum->runner_count; i++) {
        const runner_words_t *next = &sum->runners[i];
        runner_words_t *last = count > 0 ? &sum->runners[count - 1] : NULL;
        if (!last || strcmp(last->id, next->id) != 0) {
            sum->runners[count++] = *next;
            continue;
        }
        last->joined &= next->joined;
        if (next->stuck > last->stuck ||
            (next->stuck == last->stuck && next->stuck_ms > last->stuck_ms)) {
            last->executors = next->executors;
            last->stuck = next->stuck;
            last->stuck_ms = next->stuck_ms;
        }
    }
    sum->runner_count = count;
}

static void end_runner(fabric_health_t *health, const runner_words_t *runner)
{
    health->runners++;
    health->runners_healthy += runner->joined && runner->stuck == 0;
    health->runners_stuck += runner->stuck > 0;
    if (runner->stuck > 0) {
        add_reason(health,
                   "runner %s is stuck: %" PRIu64 " of its %" PRIu64 " executors, the first for "
                   "%.1f s; its log says at which message",
                   runner->name, runner->stuck, runner->executors, (double)runner->stuck_ms / 1000);
    }
}

static uint64_t at_most(uint64_t number, uint64_t most)
{
    return number < most ? number : most;
}

static void end_type(health_sum_t *sum, const type_words_t *type)
{
    fabric_health_t *health = &sum->health;
    uint64_t all = sum->shards_per_group;
    uint64_t served = at_most(type->served, all);
    uint64_t moving = type->brought ? at_most(type->moving, all - served) : 0;
    uint64_t unserved = type->brought ? all - served - moving : type->waiting;
    health->types++;
    health->types_missing += !type->brought;
    health->shards_served += served;
    health->shards_moving += moving;
    health->shards_unserved += unserved;
    if (!type->brought && unserved > 0) {
        add_reason(health,
                   "messages wait for the entity type %s, and no runner brings it: start a worker "
                   "that does",
                   type->name);
    } else if (unserved > 0) {
        add_reason(health, "%" PRIu64 " of %" PRIu64 " shards are unserved for the entity type %s",
                   unserved, all, type->name);
    }
}

void health_sum_end(health_sum_t *sum, fabric_health_t *result)
{
    fabric_health_t *health = &sum->health;
    if (health->brokers == 0) {
        add_reason(health, "no broker is known");
    }
    for (uint32_t i = 0; i < health->lanes; i++) {
        end_lane(health, i, &sum->lanes[i]);
    }
    merge_runners(sum);
    for (size_t i = 0; i < sum->runner_count; i++) {
        end_runner(health, &sum->runners[i]);
    }
    for (size_t i = 0; i < sum->type_count; i++) {
        end_type(sum, &sum->types[i]);
    }
    if (health->types > 0 && health->runners == 0 && health->brokers_answering > 0) {
        add_reason(health, "there is no runner: start a worker");
    }
    health->shards = health->shards_served + health->shards_moving + health->shards_unserved;
    health->healthy = health->reason_count == 0;
    *result = *health;
}
