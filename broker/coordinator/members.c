/* The coordinator's core: which brokers live, and who holds the term. */
#include "broker/coordinator/coordinator_state.h"

#include <stdlib.h>

static member_t *find_member(const coordinator_t *c, incarnation_t incarnation)
{
    for (size_t i = 0; i < c->member_count; i++) {
        if (incarnation_equal(c->members[i].broker.incarnation, incarnation)) {
            return &c->members[i];
        }
    }
    return NULL;
}

bool coordinator_is_member(const coordinator_t *c, incarnation_t incarnation)
{
    return find_member(c, incarnation) != NULL;
}

static bool is_dead(const coordinator_t *c, const member_t *member)
{
    return !incarnation_equal(member->broker.incarnation, c->config.incarnation) &&
           (member->silent_ms >= c->config.lease_ms ||
            incarnation_equal(member->broker.incarnation, c->deposed));
}

/* Whether the time since the last reading counts as silence, and how much of it surely does: the
 * readings may have looked at any time while they ran. */
static bool is_countable(const coordinator_t *c, uint64_t now_ms, uint64_t *counted_ms)
{
    uint64_t gap_ms = c->config.lease_ms / 3;
    gap_ms = gap_ms < READING_GAP_MS ? gap_ms : READING_GAP_MS;
    if (c->last_list_ms == 0 || now_ms - c->last_list_ms > gap_ms) {
        return false;
    }
    *counted_ms = c->call_started_ms - c->last_list_ms;
    return true;
}

static void judge_holder(coordinator_t *c)
{
    bool ours = incarnation_equal(c->row.holder, c->config.incarnation);
    if (ours && !c->holder) {
        coordinator_become_holder(c, c->row.term); /* an answer that was lost */
        return;
    }
    if (c->holder) {
        if (!ours || c->row.term != c->term) {
            coordinator_fence(c);
        }
        return;
    }
    const member_t *holder = find_member(c, c->row.holder);
    c->take_due = !holder || is_dead(c, holder);
    c->deposed = c->take_due ? c->row.holder : (incarnation_t){{0}};
    if (!c->take_due && !c->judged) {
        c->judged = true;
        c->refresh_ms = c->now_ms;
    }
}

void coordinator_take_members(coordinator_t *c, const coordinator_results_t *results,
                              uint64_t now_ms)
{
    uint64_t counted_ms = 0;
    bool countable = is_countable(c, now_ms, &counted_ms);
    member_t *members = calloc(results->broker_count + 1, sizeof *members);
    if (!members) {
        abort();
    }
    for (size_t i = 0; i < results->broker_count; i++) {
        members[i].broker = results->brokers[i];
        const member_t *before = find_member(c, results->brokers[i].incarnation);
        if (before && before->broker.counter == results->brokers[i].counter && countable) {
            members[i].silent_ms = before->silent_ms + counted_ms;
        }
    }
    free(c->members);
    c->members = members;
    c->member_count = results->broker_count;
    c->last_list_ms = now_ms;
    c->list_ms = now_ms + c->config.lease_ms / 12; /* however long it took, others come between */
    c->list_is_fresh = true;
    c->fresh_list_due = false;
    if (!coordinator_is_member(c, c->config.incarnation)) {
        coordinator_fence(c);
        return;
    }
    /* The row was read before the members: who held the term then and is no member now is gone. */
    if (c->row_read) {
        c->row_read = false;
        judge_holder(c);
    }
    for (size_t i = 0; c->holder && i < c->member_count; i++) {
        c->homes_due |= is_dead(c, &c->members[i]);
    }
    c->homes_due |= c->holder && coordinator_homes_missing(c);
    coordinator_map_sync(c);
}

/* For people who ask this broker: who holds the term is the home. */
static void tell_holder(coordinator_t *c)
{
    if (!incarnation_equal(c->row.holder, c->told_holder)) {
        c->told_holder = c->row.holder;
        coordinator_emit(c, COORDINATOR_HOLDER)->broker = c->row.holder;
    }
}

void coordinator_take_row(coordinator_t *c, const store_coordinator_t *row)
{
    if (store_past_is_lost(c->config.past, row->term)) {
        coordinator_fence(c); /* who opens the store again says why */
        return;
    }
    store_past_read(c->config.past, row->term);
    c->row = *row;
    tell_holder(c);
    c->row_read = true;
    c->fresh_list_due = true;
}

void coordinator_become_holder(coordinator_t *c, uint64_t term)
{
    store_past_read(c->config.past, term);
    c->holder = true;
    c->term = term;
    c->row = (store_coordinator_t){term, c->config.incarnation};
    tell_holder(c);
    c->take_due = false;
    c->judged = true;
    c->homes_due = true;
    c->runners_due = true;
    c->last_list_ms = 0;
    for (size_t i = 0; i < c->member_count; i++) {
        c->members[i].silent_ms = 0;
    }
    for (size_t i = 0; i < c->runner_count; i++) {
        c->runners[i]->register_due = true;
        c->runners[i]->put_due = c->runners[i]->joined;
    }
    /* Ready is who has loaded its shards: what was read as a standby does not count. */
    c->shards_read = c->groups_read = c->types_read = false;
    shard_map_begin_term(c->map, term);
    coordinator_emit(c, COORDINATOR_ELECTED)->number = term;
}

void coordinator_find_living(coordinator_t *c, coordinator_call_t *call)
{
    free(c->living);
    c->living = calloc(c->member_count + 1, sizeof *c->living);
    if (!c->living) {
        abort();
    }
    call->living_count = 0;
    for (size_t i = 0; i < c->member_count; i++) {
        if (!is_dead(c, &c->members[i])) {
            c->living[call->living_count++] = c->members[i].broker.incarnation;
        }
    }
    call->living = c->living;
}
