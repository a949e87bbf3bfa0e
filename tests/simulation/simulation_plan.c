/* What a seed decides before its run begins. See simulation.h. */
#include "core/store_message.h"
#include "libfabric_client/src/session.h"
#include "tests/simulation/simulation_faults.h"
#include "tests/simulation/simulation_processes.h"

enum {
    POISON_EVERY = 6, /* seeds */
    FULL_FILTER_EVERY = 3,
    SUPERVISED_EVERY = 4,
    FALSE_CLAIMS_EVERY = 5,
    SCHEDULES_EVERY = 3,
    KEEPS_EVERY = 3,
    KEYED_EVERY = 3,   /* of full runs */
    CANCELS_EVERY = 2, /* so some of those with keys */
    FAILING_EVERY = 8,
    LATE_MS = 1000,      /* where nothing fails, but lanes may be handed over */
    SCHEDULED_EVERY = 6, /* of full runs; some of them fail, too */
    PERSISTED_EVERY = 4,
    EVENTS_EVERY = 2,
    EVENTS_READ = 16,        /* of one read, where it reads few: small ones */
    TELLING_EVERY = 5,       /* full runs */
    TELLING_CALLS_MAX = 600, /* those of handlers come on top of them */
    EARLY_EVERY = 4          /* in how many ways types persist their states */
};

/* Lanes, checkpoints, windows and retention. They are small in half of the seeds or more, so that
 * brokers drop messages from memory, and entries are purged. */
static void draw_store(world_plan_t *plan)
{
    plan->lanes = (unsigned)world_between(1, SIMULATION_LANES_MAX);
    plan->appenders = (unsigned)world_between(1, 2);
    plan->entity_window = world_chance(7000) ? (uint32_t)world_between(1, 8) : 1024;
    plan->schedule_window = plan->entity_window < 1024 ? plan->entity_window : 4096;
    plan->memory_bytes_max = 64 << 20;
    plan->checkpoint_ms = (uint32_t)(world_chance(5000) ? world_between(20, 200) : 1000);
    plan->checkpoint_bytes = world_chance(3000) ? world_between(200, 5000) : 64 << 20;
    plan->checkpoint_bytes_max =
        world_chance(2000) ? 2 * plan->checkpoint_bytes + world_between(0, 20000) : 256 << 20;
    plan->slice_rows_max = world_chance(7000) ? (uint32_t)world_between(2, 10) : 5000;
    plan->page_entries = 5;
    plan->call_retention_ms = (uint32_t)(world_chance(3000) ? world_between(500, 5000) : 600000);
    plan->lane_bytes_max = world_chance(2000) ? world_between(500, 20000) : UINT64_C(1) << 30;
}

static void draw_publications(world_plan_t *plan)
{
    plan->subscribes = world_chance(5000);
    plan->published_lost = world_chance(3000) ? 3000 : 300;
    if (plan->forward != SESSION_FORWARD_ALWAYS && world_chance(3000)) {
        plan->mapless = (unsigned)world_between(1, (1u << CLIENTS_MAX) - 1);
        plan->mapless_welcomes = world_chance(5000);
    }
}

/* Some twenty faults of any kind in a cluster of full size. */
static void plan_full(world_plan_t *plan)
{
    plan->brokers = BROKERS_MAX;
    plan->workers = WORKERS_MAX;
    plan->clients = CLIENTS_MAX;
    plan->calls = 1000;
    plan->entities = (unsigned)world_between(12, 36);
    plan->types = SIMULATION_TYPES_MAX;
    plan->lull_ms = world_chance(4000) ? 3000 : 0;
    plan->chaos_ms = world_between(3000, 8000) + plan->lull_ms;
    plan->lanes = (unsigned)world_between(BROKERS_MAX, SIMULATION_LANES_MAX);
    plan->faults = (1u << FAULT_KINDS) - 1;
    plan->fault_count = 20;
    plan->served_ms = 10000;
    plan->page_entries = 40;
    plan->commit_us = world_chance(7000) ? 1500 : 5000;
}

/* Everything but the links between brokers is well. */
static void plan_apart(world_plan_t *plan)
{
    plan->brokers = (unsigned)world_between(3, BROKERS_MAX);
    plan->calls = (unsigned)world_between(200, 400);
    plan->chaos_ms = 10000;
    plan->gap_ms = 20;
    plan->faults = 1u << FAULT_APART;
    plan->store_errors = plan->full = 0;
    plan->commit_us = 1500;
    plan->lease_ms = 600;
    plan->poison = false;
}

/* Workers are restarted in order, while the store, and with it each coordinator, is slow. Nothing
 * fails, so no call may. */
static void plan_rolling(world_plan_t *plan)
{
    plan->rolling = true;
    plan->workers = (unsigned)world_between(2, WORKERS_MAX);
    plan->calls = (unsigned)world_between(400, 800);
    plan->chaos_ms = 10000;
    plan->commit_us = 15000;
    plan->lease_ms = 1500;
    plan->release_grace_ms = 500;
    plan->call_retention_ms = 600000;
    plan->lane_bytes_max = UINT64_C(1) << 30;
}

/* What earlier holders wrote is purged soon. Takeovers are their faults. */
static void plan_takeovers(world_plan_t *plan, uint64_t seed)
{
    plan->brokers = 2;
    plan->calls = (unsigned)world_between(200, 400);
    plan->chaos_ms = 15000;
    plan->gap_ms = 200;
    plan->faults = 1u << FAULT_CUT;
    plan->store_errors = 200;
    plan->commit_us = 4000;
    if (seed % 2 == 0) { /* a takeover, or a look-up, takes long enough for others to go on */
        plan->take_us = 200000;
        plan->read_us = 50000;
    }
    plan->lease_ms = 400;
    plan->checkpoint_ms = 50;
    plan->call_retention_ms = (uint32_t)world_between(50, 500);
}

/* Messages fail in all ways, and the four types have the four policies. */
static void plan_failing(world_plan_t *plan, bool calm)
{
    plan->failing = true;
    plan->deaths = !calm;
    plan->poison = false;
    plan->types = SIMULATION_TYPES_MAX;
    plan->attempts_max = 3;
}

/* Memory has a few of the messages that wait for their times. */
static void plan_scheduled(world_plan_t *plan, bool calm)
{
    plan->schedules = plan->scheduled = true;
    plan->schedule_window = (uint32_t)world_between(1, 16);
    plan->commit_us = calm ? 1500 : plan->commit_us; /* so that no message waits for others */
}

/* In a fourth of the seeds no type has persisted states, in one all have, in the others every
 * second type has. In two of three seeds brokers forget states that rows have. */
static void plan_persisted(world_plan_t *plan, const simulation_options_t *options)
{
    static const unsigned types[PERSISTED_EVERY] = {0, 5, 10, 15};
    uint64_t seed = options->seed;
    plan->persisted = types[options->persisting ? PERSISTED_EVERY - 1 : seed % PERSISTED_EVERY];
    plan->state_bytes_free = seed % 3 == 0 ? 64 << 20 : seed % 3 == 1 ? 1 : 4000;
}

/* The bytes of EVENTS_READ small events, as stores count them. With one event a read, a slow store
 * needs seconds for a history without snapshots, and nothing that waits for it is over in time. */
static uint64_t small_read_bytes(void)
{
    static const uint8_t payload[12];
    const store_event_t event = {.tag = fabric_bytes_of(ledger_event_type(0)->tag),
                                 .payload = fabric_bytes(payload, sizeof payload)};
    return EVENTS_READ * store_event_bytes(&event);
}

/* In every second seed in which types persist their states, they append events instead. */
static void plan_events(world_plan_t *plan, const simulation_options_t *options)
{
    static const uint32_t every[] = {1, 3, 10, 0, 2, 100};
    uint64_t place = options->seed / PERSISTED_EVERY / EARLY_EVERY;
    if (options->appending || (!options->persisting && place % EVENTS_EVERY == 0)) {
        plan->events = options->appending ? (1u << SIMULATION_TYPES_MAX) - 1 : plan->persisted;
        plan->persisted = 0;
    }
    plan->snapshot_every = every[options->seed % 6];
    plan->snapshot_versions = place % 4 < 2;
    plan->large_events = options->seed % 5 == 3;
    plan->events_bytes_read = options->seed % 7 < 3 ? small_read_bytes() : UINT64_MAX;
}

/* In a fourth of the seeds no type has early delivery, in one all have, in the others two have,
 * one with and one without a persisted state. */
static void plan_early(world_plan_t *plan, const simulation_options_t *options)
{
    static const unsigned types[EARLY_EVERY] = {0, 6, 9, 15};
    uint64_t place = options->seed / PERSISTED_EVERY;
    plan->early = types[options->early ? EARLY_EVERY - 1 : place % EARLY_EVERY];
}

/* Early delivery has no part in it: nothing may leave before it is stored. The journals keep what
 * is open, as long as bytes allow, so that no outcome is unknown. */
static void plan_telling(world_plan_t *plan, const simulation_options_t *options)
{
    plan->tells = true;
    plan->early = options->early ? 6 : 0; /* two types that tell nothing, and are told */
    plan->lane_bytes_max = UINT64_C(1) << 30;
    plan->calls = plan->calls > TELLING_CALLS_MAX ? TELLING_CALLS_MAX : plan->calls;
}

/* What the options ask for, and what every so many seeds have beside. */
static void plan_kinds(world_plan_t *plan, const simulation_options_t *options)
{
    if (options->loses) {
        plan->brokers = 1;
    }
    if (options->full) {
        plan_full(plan);
    }
    if (options->apart) {
        plan_apart(plan);
    }
    if (options->rolling || options->rolling_brokers) {
        plan_rolling(plan);
    }
    if (options->rolling_brokers) {
        plan->rolling_brokers = true;
        plan->release_grace_ms = 5000; /* no call takes as long */
        plan->brokers = (unsigned)world_between(2, BROKERS_MAX);
    }
    if (options->takeovers) {
        plan_takeovers(plan, options->seed);
    }
    if (options->failing ||
        (!options->calm && !options->apart && options->seed % FAILING_EVERY == 3)) {
        plan_failing(plan, options->calm);
    }
    if (options->scheduled || (options->full && options->seed % SCHEDULED_EVERY == 1)) {
        plan_scheduled(plan, options->calm);
    }
    if (options->telling || (options->full && options->seed % TELLING_EVERY == 4)) {
        plan_telling(plan, options);
    }
    if (options->clearing) { /* keys would stand for other messages after a clear */
        plan->clears = true;
        plan->keyed = plan->poison = false;
        plan->false_claims = false; /* a clear ends what would show them: see README.md */
    }
}

void world_draw_plan(const simulation_options_t *options)
{
    uint64_t seed = options->seed;
    bool calm = options->calm;
    world_plan_t *plan = &world.plan;
    plan->clients = (unsigned)world_between(1, CLIENTS_MAX);
    plan->workers = (unsigned)world_between(1, WORKERS_MAX);
    plan->brokers = (unsigned)world_between(1, BROKERS_MAX);
    plan->calls = (unsigned)world_between(60, 600);
    plan->entities = (unsigned)world_between(2, 24);
    plan->types = (unsigned)world_between(1, SIMULATION_TYPES_MAX);
    plan->rolls_out = world_chance(3000);
    plan->chaos_ms = world_between(1500, 10000);
    plan->gap_ms = world_between(5, 300);
    plan->faults = (unsigned)(world_random() & world_random()) & ((1u << FAULT_KINDS) - 1);
    plan->faults |= 1u << (world_random() % FAULT_KINDS);
    plan->store_errors = world_chance(5000) ? (uint32_t)world_between(0, 1000) : 0;
    plan->full = world_chance(3000) ? (uint32_t)world_between(0, 300) : 0;
    plan->delay_us = world_chance(7000) ? 1000 : 8000;
    plan->commit_us = world_chance(7000) ? 1500 : 15000;
    plan->lease_ms = (uint32_t)world_between(300, 1500);
    /* Some stores write few messages in a second. A slow one looks calls up that are sent again,
     * one after the other: each time it reads the whole journal, in small pages. */
    plan->served_ms = plan->commit_us > 1500 ? 180000 : 60000;
    plan->release_grace_ms = world_chance(5000) ? 500 : (uint32_t)world_between(10, 60);
    if (world_chance(1500)) { /* move a shard, also away from a worker that does not answer */
        plan->workers = (unsigned)world_between(2, WORKERS_MAX);
        plan->faults = 1u << FAULT_WORKER_LEAVE | 1u << FAULT_WORKER_FREEZE;
        plan->gap_ms = world_between(5, 30);
        plan->release_grace_ms = (uint32_t)world_between(10, 60);
        plan->lease_ms = 900;
    }
    draw_store(plan);
    plan->one_contact = seed % 4 == 1 || seed % 3 == 0;
    plan->forward = seed % 4 == 1   ? SESSION_FORWARD_ALWAYS
                    : seed % 4 == 3 ? SESSION_FORWARD_NEVER
                                    : SESSION_FORWARD_AUTO;
    draw_publications(plan);
    /* These decisions draw no random number, so that other seeds keep their runs. */
    plan->poison = options->poison || (!calm && seed % POISON_EVERY == POISON_EVERY - 1);
    plan->supervised = options->poison || seed % SUPERVISED_EVERY == SUPERVISED_EVERY - 1;
    plan->schedules = seed % SCHEDULES_EVERY == 1;
    plan->keeps = seed % KEEPS_EVERY == 2;
    plan->cancels = seed % CANCELS_EVERY == 0;
    plan->key_filter_bytes = seed % FULL_FILTER_EVERY == 0 ? 64 : 4096;
    plan->keyed = options->keyed || (options->full && seed % KEYED_EVERY == KEYED_EVERY - 1);
    plan->false_claims = !calm && seed % FALSE_CLAIMS_EVERY == 2;
    plan->attempts_max = 10; /* as it is unless configured */
    if (calm) {
        world.calm = true;
        plan->faults = plan->store_errors = plan->full = 0;
    }
    plan_persisted(plan, options);
    plan_events(plan, options);
    plan_early(plan, options);
    plan_kinds(plan, options);
    plan->late_ms = calm && plan->scheduled ? LATE_MS : plan->served_ms;
}
