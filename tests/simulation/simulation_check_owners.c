/* Which worker owns a type's part of a shard under which token, as brokers and workers say it: see
 * simulation_check.h.
 *
 * A token names one ownership. A worker runs handlers under tokens that brokers gave it, and under
 * none that is older than what it has been given since. During a roll-out no part moves to an older
 * version, unless nobody else is there. A worker that has drained for a while is given nothing.
 */
#include <assert.h>
#include <stdlib.h>

#include "core/memory.h"
#include "tests/simulation/simulation_check_state.h"
#include "tests/simulation/simulation_processes.h"

/* A worker that a broker has known for so long without trouble, in addition to some leases, is a
 * candidate that the broker's coordinator knows. */
enum { KNOWN_MS = 3000 };

/* A broker that has heard from a worker for so long without trouble knows that it drains. */
enum { DRAIN_KNOWN_MS = 1000 };

/* An ownership, by its token. */
typedef struct ownership {
    token_t token;
    uint64_t made_us;
    unsigned type, worker;
    uint64_t life; /* of the worker */
    bool arrived;  /* at the worker */
    bool
        is_behind; /* when it arrived first, the worker had been given a newer token of the shard */
    bool is_blind; /* its home may have taken a former owner for the last one: see knows_owner */
} ownership_t;

typedef struct shard_notes {
    ownership_t *items;
    size_t count, capacity;
} shard_notes_t;

/* What a worker was given last of a type's part of a shard, and in which turn of its. */
typedef struct given {
    token_t token;
    uint64_t turns;
} given_t;

typedef struct worker_notes {
    uint64_t life;
    given_t given[SIMULATION_TYPES_MAX][SIMULATION_SHARDS + 1];
    token_t newest[SIMULATION_SHARDS + 1];
} worker_notes_t;

typedef struct broker_notes {
    uint64_t life;
    token_t newest[SIMULATION_TYPES_MAX][SIMULATION_SHARDS + 1];
    struct {
        uint64_t routing; /* of the connection that was welcomed */
        uint64_t us;
    } welcomed[WORKERS_MAX];
} broker_notes_t;

/* The last owner of a part, of all that any broker has made one. */
typedef struct last_owner {
    token_t token;
    uint64_t version;
    incarnation_t runner;
    uint64_t made_us;
    unsigned home; /* the broker, and its life */
    uint64_t home_life;
    bool is_blind; /* as of the ownership */
} last_owner_t;

static shard_notes_t shards[SIMULATION_SHARDS + 1];
static worker_notes_t workers[WORKERS_MAX];
static broker_notes_t brokers[BROKERS_MAX];
static last_owner_t last[SIMULATION_TYPES_MAX][SIMULATION_SHARDS + 1];

void check_owners_begin(void)
{
    memset(shards, 0, sizeof shards);
    memset(workers, 0, sizeof workers);
    memset(brokers, 0, sizeof brokers);
    memset(last, 0, sizeof last);
}

void check_owners_free(void)
{
    for (size_t i = 0; i <= SIMULATION_SHARDS; i++) {
        free(shards[i].items);
    }
}

static unsigned number_of(uint64_t shard)
{
    uint16_t number = shard_id_number((shard_id_t){(uint32_t)shard});
    assert(number <= SIMULATION_SHARDS);
    return number;
}

static unsigned type_named(fabric_bytes_t name)
{
    unsigned type = 0;
    while (type < world.plan.types &&
           !fabric_bytes_equal(name, fabric_bytes_of(ledger_type(type)->name))) {
        type++;
    }
    assert(type < world.plan.types);
    return type;
}

static broker_notes_t *notes_of_broker(const process_t *broker)
{
    broker_notes_t *notes = &brokers[broker->index];
    if (notes->life != broker->life) {
        *notes = (broker_notes_t){.life = broker->life};
    }
    return notes;
}

static worker_notes_t *notes_of_worker(const process_t *worker)
{
    worker_notes_t *notes = &workers[worker->index];
    if (notes->life != worker->life) {
        *notes = (worker_notes_t){.life = worker->life};
    }
    return notes;
}

static ownership_t *find(unsigned shard, token_t token)
{
    const shard_notes_t *notes = &shards[shard];
    for (size_t i = notes->count; i > 0; i--) {
        ownership_t *found = &notes->items[i - 1];
        if (!token_less(found->token, token) && !token_less(token, found->token)) {
            return found;
        }
    }
    return NULL;
}

/* ---- versions of applications ---- */

/* Whether nothing has kept the two from hearing each other for a while. */
static bool hear_each_other(const process_t *broker, const process_t *worker, uint64_t since_us)
{
    const broker_notes_t *notes = notes_of_broker(broker);
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        const channel_t *connection = worker->dealers[i].connection;
        if (connection && connection->broker == broker && !connection->cut &&
            connection->routing == notes->welcomed[worker->index].routing) {
            return notes->welcomed[worker->index].us < since_us &&
                   partition_of_both_us(broker, worker) < since_us;
        }
    }
    return false;
}

/* Whether the broker has been well for a while: its coordinator does what it should. */
static bool is_well(const process_t *process, uint64_t since_us)
{
    bool stalls =
        process->kind == PROCESS_BROKER && simulated_broker_stalled_us(process) >= since_us;
    return process->up && !process->frozen && process->thaw_us < since_us && !stalls &&
           process->cut_off_until_us < since_us && process->unanswered_until_us < since_us &&
           world.store_down_until_us < since_us && world.store_slow_until_us < since_us;
}

/* So long ago that whoever is the home has learned of it since. */
static uint64_t known_since_us(void)
{
    uint64_t known_us =
        (2 * world.plan.lease_ms + world.plan.release_grace_ms + KNOWN_MS) * UINT64_C(1000);
    return world.now_us > known_us ? world.now_us - known_us : 0;
}

/* Whether a worker that is surely a candidate has this version or a larger one. */
static bool has_candidate(const process_t *broker, unsigned type, uint64_t version)
{
    uint64_t since_us = known_since_us();
    for (unsigned i = 0; i < world.plan.workers && is_well(broker, since_us); i++) {
        const process_t *worker = world.workers[i];
        worker_facts_t facts = simulated_worker_facts(worker);
        if (is_well(worker, since_us) && !facts.leaving && facts.standing == RUNNER_OPEN &&
            facts.standing_us < since_us && facts.types & 1u << type &&
            facts.app_version >= version && hear_each_other(broker, worker, since_us)) {
            return true;
        }
    }
    return false;
}

/* A home that dies just after it has chosen an owner may not have told it to anybody. */
static bool knows_owner(const process_t *broker, unsigned type, unsigned shard)
{
    const last_owner_t *owner = &last[type][shard];
    return (owner->home == broker->index && owner->home_life == broker->life) ||
           owner->made_us < known_since_us() ||
           incarnation_equal(check_last_owner_in_map(broker, type, shard), owner->runner);
}

static void check_version(const process_t *broker, const process_t *worker, unsigned type,
                          unsigned shard, ownership_t *made)
{
    last_owner_t *owner = &last[type][shard];
    worker_facts_t facts = simulated_worker_facts(worker);
    uint64_t version = facts.app_version;
    if (!token_less(owner->token, made->token)) {
        return;
    }
    /* Its instances go on, as those of an owner under a blind home did. */
    bool goes_on = incarnation_equal(owner->runner, facts.runner);
    made->is_blind = !knows_owner(broker, type, shard) || (goes_on && owner->is_blind);
    if (version < owner->version && knows_owner(broker, type, shard) &&
        has_candidate(broker, type, owner->version)) {
        world_fail("shard %u of type %u moves from version %llu to version %llu of worker %u",
                   shard, type, (ull)owner->version, (ull)version, worker->index);
    }
    *owner = (last_owner_t){.token = made->token,
                            .is_blind = made->is_blind,
                            .version = version,
                            .runner = facts.runner,
                            .made_us = world.now_us,
                            .home = broker->index,
                            .home_life = broker->life};
}

/* ---- standings ---- */

static void check_standing(const process_t *broker, const process_t *worker, unsigned type,
                           unsigned shard)
{
    worker_facts_t facts = simulated_worker_facts(worker);
    uint64_t known_us = DRAIN_KNOWN_MS * UINT64_C(1000);
    uint64_t since_us = world.now_us > known_us ? world.now_us - known_us : 0;
    if (facts.standing == RUNNER_DRAINING && facts.standing_us < since_us &&
        is_well(broker, since_us) && is_well(worker, since_us) &&
        hear_each_other(broker, worker, since_us)) {
        world_fail("shard %u of type %u is given to worker %u, which has drained for %llu ms",
                   shard, type, worker->index, (ull)(world.now_us - facts.standing_us) / 1000);
    }
}

/* ---- tokens ---- */

void check_welcome(const process_t *broker, const channel_t *connection)
{
    if (connection && connection->peer->kind == PROCESS_WORKER) {
        broker_notes_t *notes = notes_of_broker(broker);
        notes->welcomed[connection->peer->index].routing = connection->routing;
        notes->welcomed[connection->peer->index].us = world.now_us;
    }
}

/* A frame may have waited for its peer, and report an owner that has lost the shard meanwhile. */
static void note_newest(const process_t *broker, unsigned type, unsigned shard, token_t token)
{
    token_t *newest = &notes_of_broker(broker)->newest[type][shard];
    if (token_less(*newest, token)) {
        *newest = token;
    }
}

void check_assign(const process_t *broker, const channel_t *connection,
                  const message_assign_t *assign)
{
    const process_t *worker = connection->peer;
    unsigned shard = number_of(assign->shard);
    unsigned type = type_named(assign->type);
    token_t token = {assign->home_epoch, assign->owner_sequence};
    ownership_t made = {.token = token,
                        .made_us = world.now_us,
                        .type = type,
                        .worker = worker->index,
                        .life = connection->peer_life};
    ownership_t *found = find(shard, token);
    note_newest(broker, type, shard, token);
    if (found &&
        (found->type != made.type || found->worker != made.worker || found->life != made.life)) {
        world_fail("I9: token (%llu,%llu) of shard %u names two ownerships", (ull)token.home_epoch,
                   (ull)token.owner_sequence, shard);
    } else if (!found) {
        shard_notes_t *notes = &shards[shard];
        notes->items =
            memory_reserve(notes->items, notes->count + 1, &notes->capacity, sizeof *notes->items);
        if (worker->life == made.life) {
            check_version(broker, worker, type, shard, &made);
            check_standing(broker, worker, type, shard);
        }
        notes->items[notes->count++] = made;
    }
}

bool check_is_blind(unsigned shard, token_t token)
{
    const ownership_t *found = find(shard, token);
    return found && found->is_blind;
}

token_t check_newest_token(const process_t *broker, unsigned type, uint64_t shard)
{
    return notes_of_broker(broker)->newest[type][number_of(shard)];
}

void check_assigned(const process_t *worker, const message_assign_t *assign)
{
    worker_notes_t *notes = notes_of_worker(worker);
    unsigned shard = number_of(assign->shard);
    unsigned type = type_named(assign->type);
    token_t token = {assign->home_epoch, assign->owner_sequence};
    ownership_t *found = find(shard, token);
    given_t *given = &notes->given[type][shard];
    if (found && !found->arrived) {
        found->arrived = true;
        found->is_behind = token_less(token, notes->newest[shard]);
    }
    if (token_less(notes->newest[shard], token)) {
        notes->newest[shard] = token;
    }
    if (token_less(given->token, token)) {
        *given = (given_t){token, worker->turns};
    }
}

void check_owner(const process_t *worker, unsigned type, uint64_t shard_id, token_t token)
{
    unsigned shard = number_of(shard_id);
    const given_t *given = &notes_of_worker(worker)->given[type][shard];
    const ownership_t *found = find(shard, token);
    if (!found || found->type != type || found->worker != worker->index ||
        found->life != worker->life) {
        world_fail("I6: worker %u runs type %u of shard %u under token (%llu,%llu), which is not "
                   "its own",
                   worker->index, type, shard, (ull)token.home_epoch, (ull)token.owner_sequence);
    } else if (found->is_behind) {
        world_fail("I6: worker %u runs type %u of shard %u under token (%llu,%llu), which was "
                   "outdated when it came",
                   worker->index, type, shard, (ull)token.home_epoch, (ull)token.owner_sequence);
    } else if (token_less(token, given->token) && worker->turns > given->turns + 1) {
        world_fail("I6: worker %u runs type %u of shard %u under token (%llu,%llu), and has "
                   "(%llu,%llu)",
                   worker->index, type, shard, (ull)token.home_epoch, (ull)token.owner_sequence,
                   (ull)given->token.home_epoch, (ull)given->token.owner_sequence);
    }
}

bool check_is_owned(const process_t *home, unsigned type, unsigned shard)
{
    const shard_notes_t *notes = &shards[shard];
    for (size_t i = notes->count; i > 0; i--) {
        const ownership_t *last_one = &notes->items[i - 1];
        if (last_one->type == type) {
            const process_t *worker = world.workers[last_one->worker];
            return worker->up && worker->life == last_one->life &&
                   !simulated_worker_facts(worker).leaving &&
                   hear_each_other(home, worker, last_one->made_us);
        }
    }
    return false;
}
