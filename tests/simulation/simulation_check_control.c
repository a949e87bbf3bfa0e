/* Who may decide what, and the shard map: see simulation_check.h.
 *
 * Only the holder of the last term changes what coordinators write, and it gives a lane away only
 * when its holder is no member any more, or has given it up. No broker's map goes back, nor does a
 * client's or a worker's. Each broker is to give up one lane at a time. When all is quiet the map
 * says what the store says, and all brokers have it.
 */
#include "tests/memory/memory_store.h"
#include "tests/simulation/simulation_check_state.h"
#include "tests/simulation/simulation_processes.h"

enum {
    QUIET_MS = 600,
    LINK_MS = 1000,    /* until a link stands again, when its silence has been noticed */
    GREETING_MS = 6000 /* until a link that was cut in silence before its welcome is made anew */
};

/* The map of a broker's process, as its coordinator has told it to the router; and the versions
 * that a client or worker says that it has. What it says may wait for one socket longer than for
 * another. */
typedef struct map_notes {
    uint64_t life;
    map_version_t version;
    map_version_t told[SOCKETS_MAX]; /* by a client or worker, on each of its sockets */
    shard_map_t *map;                /* of a broker */
    uint64_t changed_us;
} map_notes_t;

static map_notes_t notes[PROCESSES_MAX];

void check_control_begin(void)
{
    memset(notes, 0, sizeof notes);
}

void check_control_free(void)
{
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        shard_map_destroy(&notes[i].map);
    }
}

static map_notes_t *notes_of(const process_t *process)
{
    size_t first = process->kind == PROCESS_BROKER   ? 0
                   : process->kind == PROCESS_WORKER ? BROKERS_MAX
                                                     : BROKERS_MAX + WORKERS_MAX;
    map_notes_t *found = &notes[first + process->index];
    if (found->life != process->life) {
        shard_map_destroy(&found->map);
        *found = (map_notes_t){.life = process->life};
    }
    return found;
}

/* ---- the store ---- */

void check_coordinator_writes(const char *what, uint64_t term, incarnation_t holder)
{
    store_coordinator_t row = memory_store_coordinator(SIMULATION_DATABASE);
    if (!world.forgot && (row.term != term || !incarnation_equal(row.holder, holder))) {
        world_fail("I9: %s under term %llu, and the term is %llu", what, (ull)term, (ull)row.term);
    }
}

void check_lane_assigned(const store_hold_t *before)
{
    if (!world.forgot && memory_store_has_broker(SIMULATION_DATABASE, before->holder)) {
        world_fail("I9: lane %u is assigned while its holder is a member, and has not given it up",
                   before->lane);
    }
}

/* ---- versions ---- */

static void note_version(const process_t *process, map_version_t *last, map_version_t version)
{
    if (map_version_is_newer(*last, version)) {
        world_fail("I9: the map of process %u of kind %u goes back from (%llu,%llu) to (%llu,%llu)",
                   process->index, process->kind, (ull)last->term, (ull)last->sequence,
                   (ull)version.term, (ull)version.sequence);
    }
    *last = version;
}

void check_peer_sends(const process_t *peer, size_t dealer, fabric_bytes_t frame)
{
    wire_reader_t reader, body;
    frame_head_t head;
    message_kind_t kind;
    message_ping_t ping;
    if (frame_open(frame, &reader, &head)) {
        world_fail("I14: a process sends a malformed frame");
        return;
    }
    while (frame_next(&reader, &body)) {
        if (!message_open(&body, &kind) && kind == KIND_PING && !message_get_ping(&body, &ping)) {
            note_version(peer, &notes_of(peer)->told[dealer],
                         (map_version_t){ping.map_term, ping.map_sequence});
        }
    }
}

/* ---- the maps of brokers ---- */

/* How many lanes this broker is to give up. */
static unsigned count_leaving(const shard_map_t *map, incarnation_t home)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < world.plan.lanes; i++) {
        const map_lane_t *lane = shard_map_lane(map, i);
        count += incarnation_equal(lane->home, home) && !incarnation_is_none(lane->next);
    }
    return count;
}

static void check_hand_overs(const shard_map_t *map)
{
    for (size_t i = 0; i < shard_map_broker_count(map); i++) {
        unsigned count = count_leaving(map, shard_map_broker_at(map, i)->incarnation);
        if (count > 1) {
            world_fail("a broker is to give up %u lanes at once", count);
        }
    }
}

void check_map(const process_t *broker, map_version_t version, fabric_bytes_t bytes)
{
    map_notes_t *own = notes_of(broker);
    note_version(broker, &own->version, version);
    own->changed_us = world.now_us;
    if (!own->map) {
        own->map = shard_map_new();
        shard_map_set_shards_per_group(own->map, SIMULATION_SHARDS);
        shard_map_set_lanes(own->map, world.plan.lanes);
    }
    if (shard_map_apply_again(own->map, bytes, NULL)) {
        world_fail("a map that broker %u has made or passed on cannot be read", broker->index);
    }
    check_hand_overs(own->map);
}

incarnation_t check_last_owner_in_map(const process_t *broker, unsigned type, unsigned shard)
{
    const shard_map_t *map = notes_of(broker)->map;
    return map ? shard_map_last_owner(map, fabric_bytes_of(ledger_type(type)->name),
                                      shard_id_make(1, (uint16_t)shard))
               : (incarnation_t){{0}};
}

/* ---- the end ---- */

static const process_t *process_of(const shard_map_t *map, incarnation_t incarnation)
{
    const map_broker_t *broker = shard_map_broker(map, incarnation);
    for (unsigned i = 0; broker && i < world.plan.brokers; i++) {
        if (strcmp(broker->router_endpoint, network_endpoint(i)) == 0) {
            return world.brokers[i];
        }
    }
    return NULL;
}

/* The map has the owners that the lane's home knows. */
static void check_owners_of(const shard_map_t *map, uint32_t lane, const process_t *home)
{
    const shard_map_t *known = notes_of(home)->map;
    for (uint32_t number = 1; known && number <= SIMULATION_SHARDS; number++) {
        shard_id_t shard = shard_id_make(1, (uint16_t)number);
        for (unsigned i = 0; number % world.plan.lanes == lane && i < world.plan.types; i++) {
            fabric_bytes_t type = fabric_bytes_of(ledger_type(i)->name);
            incarnation_t published = shard_map_owner(map, type, shard);
            incarnation_t owner = shard_map_owner(known, type, shard);
            /* The home's router may know an owner of before that no published map has named. */
            bool is_told = !incarnation_is_none(published) || check_is_owned(home, i, number);
            if (is_told && !incarnation_equal(published, owner)) {
                world_fail("by the map %02x%02x owns type %u of shard %u, by its home, broker %u, "
                           "%02x%02x does",
                           published.bytes[0], published.bytes[1], i, number, home->index,
                           owner.bytes[0], owner.bytes[1]);
            }
        }
    }
}

static void check_against_store(const shard_map_t *map)
{
    for (uint32_t i = 0; i < world.plan.lanes; i++) {
        store_lane_t row = memory_store_lane(SIMULATION_DATABASE, i);
        const map_lane_t *lane = shard_map_lane(map, i);
        const process_t *home = process_of(map, lane->home);
        if (!incarnation_equal(row.holder, lane->home) || row.epoch != lane->epoch) {
            world_fail("the map has another holder of lane %u than the store", i);
        } else if (home) {
            check_owners_of(map, i, home);
        }
    }
}

/* Whether a broker can get the map, or ought to. A link that is welcomed no more is made anew after
 * a lease, but one that was never welcomed after five hellos only. */
static bool is_linked(const process_t *broker)
{
    return broker == world.with_term || network_reaches(broker, world.with_term) ||
           world.now_us >= world.healed_us + GREETING_MS * UINT64_C(1000);
}

/* Whether links that were cut in silence stand again, and no broker has learned of anything new for
 * a while. */
static bool are_quiet(void)
{
    if (world.now_us < world.healed_us + (2 * world.plan.lease_ms + LINK_MS) * UINT64_C(1000)) {
        return false;
    }
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        const map_notes_t *own = notes_of(world.brokers[i]);
        if (!own->map || !simulated_broker_follows(world.brokers[i]) ||
            !is_linked(world.brokers[i]) ||
            own->changed_us + QUIET_MS * UINT64_C(1000) > world.now_us) {
            return false;
        }
    }
    return true;
}

void check_maps_at_end(void)
{
    if (!world.with_term || !are_quiet()) {
        return;
    }
    const map_notes_t *published = notes_of(world.with_term);
    check_against_store(published->map);
    for (unsigned i = 0; i < world.plan.brokers; i++) {
        map_version_t version = notes_of(world.brokers[i])->version;
        if (map_version_is_newer(version, published->version) ||
            map_version_is_newer(published->version, version)) {
            world_fail("broker %u has map (%llu,%llu), the published one is (%llu,%llu)", i,
                       (ull)version.term, (ull)version.sequence, (ull)published->version.term,
                       (ull)published->version.sequence);
        }
    }
}
