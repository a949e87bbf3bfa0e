/* Ownerships: the records of which runner owns a type's part of a shard. What follows from a change
 * of owner is decided in owners.c.
 */
#include <utlist.h>

#include "broker/router/router_state.h"
#include "core/memory.h"

static const state_description_t states[] = {
    [OWNERSHIP_UNOWNED] = {"unowned", STATE_BIT(OWNERSHIP_OWNED)},
    [OWNERSHIP_OWNED] = {"owned", STATE_BIT(OWNERSHIP_UNOWNED) | STATE_BIT(OWNERSHIP_RELEASING)},
    [OWNERSHIP_RELEASING] = {"releasing", STATE_BIT(OWNERSHIP_UNOWNED)},
};
static const state_machine_t machine = {"ownership", states, sizeof states / sizeof *states};

static void set_state(ownership_t *ownership, ownership_state_t state)
{
    state_machine_check(&machine, ownership->state, state);
    ownership->state = state;
}

/* ---- the table ---- */

enum { KEY_SIZE_MAX = 4 + LIMIT_NAME_BYTES_MAX }; /* a shard and a type */

static uint32_t make_key(uint8_t key[KEY_SIZE_MAX], const shard_t *shard, fabric_bytes_t type)
{
    memcpy(key, &shard->id.value, sizeof shard->id.value);
    memcpy(key + sizeof shard->id.value, type.data, type.size);
    return (uint32_t)(sizeof shard->id.value + type.size);
}

ownership_t *ownership_of(router_t *router, const shard_t *shard, fabric_bytes_t type)
{
    uint8_t key[KEY_SIZE_MAX];
    uint32_t size = make_key(key, shard, type);
    ownership_t *ownership = NULL;
    HASH_FIND(by_key, router->ownerships, key, size, ownership);
    return ownership;
}

ownership_t *ownership_make(router_t *router, shard_t *shard, fabric_bytes_t type)
{
    ownership_t *ownership = ownership_of(router, shard, type);
    if (ownership) {
        return ownership;
    }
    uint8_t key[KEY_SIZE_MAX];
    uint32_t size = make_key(key, shard, type);
    ownership = memory_allocate(sizeof *ownership + size);
    memset(ownership, 0, sizeof *ownership);
    ownership->shard = shard;
    ownership->key_size = size;
    memcpy(ownership->key, key, size);
    HASH_ADD_KEYPTR(by_key, router->ownerships, ownership->key, size, ownership);
    DL_APPEND(shard->ownerships, ownership);
    return ownership;
}

ownership_t *ownership_of_token(const shard_t *shard, token_t token)
{
    ownership_t *ownership = shard->ownerships;
    while (ownership && !token_equal(ownership->token, token)) {
        ownership = ownership->next;
    }
    return ownership;
}

fabric_bytes_t ownership_type(const ownership_t *ownership)
{
    size_t place = sizeof ownership->shard->id.value;
    return fabric_bytes(ownership->key + place, ownership->key_size - place);
}

bool ownership_dispatches(const router_t *router, const ownership_t *ownership)
{
    return ownership->state == OWNERSHIP_OWNED && shard_serves(router, ownership->shard);
}

/* The runner that is wanted as the owner has left, or leaves. The coordinator has been told so, and
 * has not said yet who is wanted instead. */
static bool is_to_be_chosen(router_t *router, const ownership_t *ownership)
{
    const runner_t *desired = runner_find(router, ownership->desired);
    bool present = desired && (desired->state == RUNNER_JOINED || desired->state == RUNNER_MISSING);
    return !incarnation_is_none(ownership->desired) && !present;
}

bool ownership_takes_volatile(router_t *router, const ownership_t *ownership)
{
    switch (ownership->state) {
    case OWNERSHIP_UNOWNED:
        return is_to_be_chosen(router, ownership);
    case OWNERSHIP_OWNED:
        return ownership->owner->state != RUNNER_MISSING;
    case OWNERSHIP_RELEASING:
        return true;
    }
    return false;
}

void ownerships_destroy(router_t *router)
{
    ownership_t *ownership, *next;
    HASH_ITER(by_key, router->ownerships, ownership, next)
    {
        HASH_DELETE(by_key, router->ownerships, ownership);
        free(ownership);
    }
    timers_destroy(&router->releases);
}

/* ---- the owner ---- */

void ownership_note_predecessor(ownership_t *ownership, incarnation_t runner)
{
    ownership->predecessor = runner;
}

void ownership_end_home(ownership_t *ownership)
{
    ownership->desired = ownership->predecessor = (incarnation_t){{0}};
    ownership->placed = false;
}

void ownership_desire(ownership_t *ownership, incarnation_t runner)
{
    ownership->desired = runner;
    ownership->placed = true;
}

void ownership_give(router_t *router, ownership_t *ownership, runner_t *runner)
{
    set_state(ownership, OWNERSHIP_OWNED);
    fabric_bytes_t type = ownership_type(ownership);
    ownership->appends = type_appends(router, type) || runner_appends(runner, type);
    ownership->persisted =
        ownership->appends || type_persists(router, type) || runner_persists(runner, type);
    ownership->token = shard_next_token(ownership->shard);
    ownership->owner = runner;
    ownership->predecessor = (incarnation_t){{0}};
    runner_gain(runner);
}

void ownership_begin_release(router_t *router, ownership_t *ownership, uint64_t deadline_ms)
{
    set_state(ownership, OWNERSHIP_RELEASING);
    timers_set(&router->releases, &ownership->release, deadline_ms);
}

void ownership_take(router_t *router, ownership_t *ownership)
{
    set_state(ownership, OWNERSHIP_UNOWNED);
    timers_cancel(&router->releases, &ownership->release);
    runner_lose(ownership->owner);
    ownership->token = shard_next_token(ownership->shard);
    ownership->owner = NULL;
}

ownership_t *ownership_take_overdue(router_t *router)
{
    timer_entry_t *release = timers_take_due(&router->releases, router->now_ms);
    return release ? TIMER_OWNER(release, ownership_t, release) : NULL;
}
