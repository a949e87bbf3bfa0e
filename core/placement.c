/* Placement: quotas by weight, then as few moves as these quotas allow. */
#include "core/placement.h"

#include <assert.h>
#include <stdlib.h>

#include "core/memory.h"

typedef struct candidate {
    incarnation_t incarnation;
    uint64_t weight;
    uint64_t remainder; /* of its share, in units of 1 / total weight */
    size_t held;        /* shards that it owns at present */
    size_t quota;       /* shards that it may own */
    size_t kept;        /* shards given to it so far */
    bool extra;         /* whether its quota was rounded up */
} candidate_t;

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
    bool only_bringers = false;
    for (size_t i = 0; i < member_count; i++) {
        only_bringers |= members[i].weight > 0 && members[i].brings_types;
    }
    size_t count = 0;
    for (size_t i = 0; i < member_count; i++) {
        if (members[i].weight > 0 && (members[i].brings_types || !only_bringers)) {
            candidates[count++] =
                (candidate_t){.incarnation = members[i].incarnation, .weight = members[i].weight};
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

/* Whether `a` is to be rounded up before `b`. First come members that own more than their share
 * rounded down, since they keep one shard more that way; then larger remainders; then the order of
 * incarnations. */
static bool rounds_up_before(const candidate_t *a, const candidate_t *b)
{
    bool a_holds = a->held > a->quota;
    bool b_holds = b->held > b->quota;
    return a_holds != b_holds ? a_holds : a->remainder > b->remainder;
}

static void set_quotas(candidate_t *candidates, size_t count, size_t shard_count)
{
    uint64_t total_weight = 0;
    for (size_t i = 0; i < count; i++) {
        total_weight += candidates[i].weight;
    }
    size_t left = shard_count;
    for (size_t i = 0; i < count; i++) {
        uint64_t share = shard_count * candidates[i].weight;
        candidates[i].quota = (size_t)(share / total_weight);
        candidates[i].remainder = share % total_weight;
        left -= candidates[i].quota;
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

void placement_compute(const placement_member_t *members, size_t member_count,
                       incarnation_t *owners, size_t shard_count)
{
    candidate_t *candidates = memory_allocate_zeroed(member_count, sizeof *candidates);
    size_t count = choose_candidates(members, member_count, candidates);
    for (size_t i = 0; i < shard_count; i++) {
        candidate_t *owner = find_candidate(candidates, count, owners[i]);
        if (owner) {
            owner->held++;
        }
    }
    if (count > 0) {
        set_quotas(candidates, count, shard_count);
    }
    for (size_t i = 0; i < shard_count; i++) { /* an owner within its quota keeps its shards */
        candidate_t *owner = find_candidate(candidates, count, owners[i]);
        if (owner && owner->kept < owner->quota) {
            owner->kept++;
        } else {
            owners[i] = (incarnation_t){{0}};
        }
    }
    size_t next = 0;
    for (size_t i = 0; count > 0 && i < shard_count;
         i++) { /* the rest goes round to candidates below their quota */
        if (incarnation_is_none(owners[i])) {
            while (candidates[next].kept >= candidates[next].quota) {
                next = (next + 1) % count;
            }
            owners[i] = candidates[next].incarnation;
            candidates[next].kept++;
            next = (next + 1) % count;
        }
    }
    free(candidates);
}
