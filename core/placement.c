/* Placement: quotas by weight, then as few moves as these quotas and versions allow. */
#include "core/placement.h"

#include <assert.h>
#include <stdlib.h>

#include "core/memory.h"

typedef struct candidate {
    incarnation_t incarnation;
    uint64_t weight;
    uint64_t version;
    uint64_t remainder; /* of its share, in units of 1 / total weight */
    size_t held;        /* shards that it owns at present */
    size_t quota;       /* shards that it may own */
    size_t kept;        /* shards given to it so far */
    bool extra;         /* whether its quota was rounded up */
    bool cordoned;      /* its quota is what it owns */
} candidate_t;

placement_member_t placement_broker(incarnation_t broker, bool draining)
{
    return (placement_member_t){.incarnation = broker, .weight = draining ? 0 : 1};
}

placement_member_t placement_runner(incarnation_t runner, uint32_t weight, uint64_t version,
                                    runner_standing_t standing)
{
    return (placement_member_t){.incarnation = runner,
                                .weight = standing == RUNNER_DRAINING ? 0 : weight,
                                .version = version,
                                .cordoned = standing == RUNNER_CORDONED};
}

static int compare_incarnations(const void *a, const void *b)
{
    const candidate_t *left = a;
    const candidate_t *right = b;
    return memcmp(left->incarnation.bytes, right->incarnation.bytes,
                  sizeof left->incarnation.bytes);
}

/* Collects the members that may own shards, sorted by incarnation, so that the order of `members`
 * makes no difference. */
static size_t choose_candidates(const placement_member_t *members, size_t member_count,
                                candidate_t *candidates)
{
    size_t count = 0;
    for (size_t i = 0; i < member_count; i++) {
        if (members[i].weight > 0) {
            candidates[count++] = (candidate_t){.incarnation = members[i].incarnation,
                                                .weight = members[i].weight,
                                                .version = members[i].version,
                                                .cordoned = members[i].cordoned};
        }
    }
    qsort(candidates, count, sizeof *candidates, compare_incarnations);
    for (size_t i = 1; i < count; i++) {
        assert(compare_incarnations(&candidates[i - 1], &candidates[i]) != 0);
    }
    return count;
}

static candidate_t *find_candidate(candidate_t *candidates, size_t count, incarnation_t incarnation)
{
    candidate_t key = {.incarnation = incarnation};
    return bsearch(&key, candidates, count, sizeof *candidates, compare_incarnations);
}

/* Whether a member keeps one shard more by being rounded up. One that has far more than its share
 * may have to keep it anyway, and so comes after those that have one more. */
static unsigned gain(const candidate_t *candidate)
{
    return candidate->held == candidate->quota + 1 ? 2 : candidate->held > candidate->quota;
}

/* Whether `a` is to be rounded up before `b`. First come members that own more than their share
 * rounded down, since they keep one shard more that way; then larger remainders; then the order of
 * incarnations. */
static bool rounds_up_before(const candidate_t *a, const candidate_t *b)
{
    return gain(a) != gain(b) ? gain(a) > gain(b) : a->remainder > b->remainder;
}

/* Cordoned candidates keep what they own. Returns how many shards the others share; `total_weight`
 * becomes the weight of these. */
static size_t set_quotas_of_cordoned(candidate_t *candidates, size_t count, size_t shard_count,
                                     uint64_t *total_weight)
{
    *total_weight = 0;
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].cordoned) {
            candidates[i].quota = candidates[i].held;
            shard_count -= candidates[i].held;
        } else {
            *total_weight += candidates[i].weight;
        }
    }
    return shard_count;
}

static void set_quotas(candidate_t *candidates, size_t count, size_t all_shards)
{
    uint64_t total_weight;
    size_t shard_count = set_quotas_of_cordoned(candidates, count, all_shards, &total_weight);
    size_t left = total_weight > 0 ? shard_count : 0;
    for (size_t i = 0; total_weight > 0 && i < count; i++) {
        if (!candidates[i].cordoned) {
            uint64_t share = shard_count * candidates[i].weight;
            candidates[i].quota = (size_t)(share / total_weight);
            candidates[i].remainder = share % total_weight;
            left -= candidates[i].quota;
        }
    }
    for (; left > 0; left--) { /* less than the number of candidates with a remainder */
        candidate_t *best = NULL;
        for (size_t i = 0; i < count; i++) {
            candidate_t *candidate = &candidates[i];
            if (candidate->remainder > 0 && !candidate->extra &&
                (!best || rounds_up_before(candidate, best))) {
                best = candidate;
            }
        }
        assert(best);
        best->extra = true;
    }
    for (size_t i = 0; i < count; i++) {
        candidates[i].quota += candidates[i].extra;
    }
}

/* ---- shards that change their owners ---- */

/* A shard whose owner is gone, or may not keep it. */
typedef struct mover {
    size_t index;
    candidate_t *owner; /* that has more than its quota; NULL: there is none */
    uint64_t version;   /* the smallest one that its next owner may have */
} mover_t;

/* The most restricted shards choose first. */
static int compare_movers(const void *a, const void *b)
{
    const mover_t *left = a;
    const mover_t *right = b;
    if (left->version != right->version) {
        return left->version > right->version ? -1 : 1;
    }
    return (left->index > right->index) - (left->index < right->index);
}

/* Of those that take shards. */
static uint64_t largest_version(const candidate_t *candidates, size_t count)
{
    uint64_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        bool larger = !candidates[i].cordoned && candidates[i].version > largest;
        largest = larger ? candidates[i].version : largest;
    }
    return largest;
}

/* Leaves with their owners what these may keep, and finds the rest. */
static size_t find_movers(candidate_t *candidates, size_t count, const incarnation_t *owners,
                          const uint64_t *versions, size_t shard_count, mover_t *movers)
{
    uint64_t largest = largest_version(candidates, count);
    size_t mover_count = 0;
    for (size_t i = 0; i < shard_count; i++) {
        candidate_t *owner = find_candidate(candidates, count, owners[i]);
        uint64_t version = versions ? versions[i] : 0;
        version = version < largest ? version : largest;
        owner = owner && owner->version >= version ? owner : NULL;
        if (owner && owner->kept < owner->quota) {
            owner->kept++;
        } else {
            version = owner ? owner->version : version;
            movers[mover_count++] = (mover_t){.index = i, .owner = owner, .version = version};
        }
    }
    qsort(movers, mover_count, sizeof *movers, compare_movers);
    return mover_count;
}

/* The next candidate below its quota in turn; NULL: there is none. */
static candidate_t *next_below_quota(candidate_t *candidates, size_t count, size_t *turn,
                                     uint64_t version)
{
    for (size_t i = 0; i < count; i++) {
        candidate_t *candidate = &candidates[(*turn + i) % count];
        if (!candidate->cordoned && candidate->version >= version &&
            candidate->kept < candidate->quota) {
            *turn = (*turn + i + 1) % count;
            return candidate;
        }
    }
    return NULL;
}

/* The candidate that has least for its weight; NULL: none takes shards. */
static candidate_t *least_loaded(candidate_t *candidates, size_t count, uint64_t version)
{
    candidate_t *best = NULL;
    for (size_t i = 0; i < count; i++) {
        candidate_t *candidate = &candidates[i];
        if (!candidate->cordoned && candidate->version >= version &&
            (!best || candidate->kept * best->weight < best->kept * candidate->weight)) {
            best = candidate;
        }
    }
    return best;
}

static candidate_t *choose_owner(candidate_t *candidates, size_t count, size_t *turn,
                                 const mover_t *mover)
{
    candidate_t *owner = next_below_quota(candidates, count, turn, mover->version);
    if (!owner) { /* only members of smaller versions have room */
        owner = mover->owner ? mover->owner : least_loaded(candidates, count, mover->version);
    }
    return owner;
}

static void place(candidate_t *candidates, size_t count, incarnation_t *owners, uint64_t *versions,
                  size_t shard_count)
{
    mover_t *movers = memory_allocate_zeroed(shard_count, sizeof *movers);
    set_quotas(candidates, count, shard_count);
    size_t mover_count = find_movers(candidates, count, owners, versions, shard_count, movers);
    size_t turn = 0;
    for (size_t i = 0; i < mover_count; i++) {
        candidate_t *owner = choose_owner(candidates, count, &turn, &movers[i]);
        owners[movers[i].index] = owner ? owner->incarnation : (incarnation_t){{0}};
        if (owner) {
            owner->kept++;
        }
    }
    for (size_t i = 0; versions && i < shard_count; i++) {
        const candidate_t *owner = find_candidate(candidates, count, owners[i]);
        versions[i] = owner ? owner->version : versions[i];
    }
    free(movers);
}

void placement_compute_versions(const placement_member_t *members, size_t member_count,
                                incarnation_t *owners, uint64_t *versions, size_t shard_count)
{
    candidate_t *candidates = memory_allocate_zeroed(member_count, sizeof *candidates);
    size_t count = choose_candidates(members, member_count, candidates);
    for (size_t i = 0; i < shard_count; i++) {
        candidate_t *owner = find_candidate(candidates, count, owners[i]);
        if (owner) {
            owner->held++;
        } else {
            owners[i] = (incarnation_t){{0}};
        }
    }
    if (count > 0) {
        place(candidates, count, owners, versions, shard_count);
    }
    free(candidates);
}

void placement_compute(const placement_member_t *members, size_t member_count,
                       incarnation_t *owners, size_t shard_count)
{
    placement_compute_versions(members, member_count, owners, NULL, shard_count);
}
