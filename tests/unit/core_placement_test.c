/* Placement: balance, weights, versions, fewest moves, determinism. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/placement.h"

enum { SHARDS = 300, MEMBERS_MAX = 40 };

static placement_member_t member_of(uint8_t number, uint32_t weight)
{
    return (placement_member_t){.incarnation = {{number, (uint8_t)(number * 37)}},
                                .weight = weight};
}

static size_t count_owned(const incarnation_t *owners, incarnation_t member)
{
    size_t count = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        count += incarnation_equal(owners[i], member);
    }
    return count;
}

static size_t count_moves(const incarnation_t *before, const incarnation_t *after)
{
    size_t count = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        count += !incarnation_equal(before[i], after[i]);
    }
    return count;
}

/* Every shard has an owner, and everyone its share rounded down or up. */
static void assert_balanced(const placement_member_t *members, size_t count,
                            const incarnation_t *owners)
{
    uint64_t total = 0;
    size_t owned = 0;
    for (size_t i = 0; i < count; i++) {
        total += members[i].weight;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t exact = (uint64_t)SHARDS * members[i].weight;
        size_t has = count_owned(owners, members[i].incarnation);
        assert_true(has == exact / total || has == (exact + total - 1) / total);
        owned += has;
    }
    assert_int_equal(owned, SHARDS);
}

static void test_nt_06_shares_follow_weights(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    placement_member_t members[] = {member_of(1, 100), member_of(2, 200), member_of(3, 0),
                                    member_of(4, 50), member_of(5, UINT32_MAX)};
    placement_compute(members, 4, owners, SHARDS);
    assert_balanced(members, 4, owners);
    assert_int_equal(count_owned(owners, members[2].incarnation), 0);
    assert_true(count_owned(owners, members[1].incarnation) >= 171);
    placement_compute(members, 5, owners, SHARDS);
    assert_balanced(members, 5, owners);
    placement_member_t equal[7];
    for (uint8_t i = 0; i < 7; i++) {
        equal[i] = member_of((uint8_t)(i + 1), 100);
    }
    placement_compute(equal, 7, owners, SHARDS);
    assert_balanced(equal, 7, owners);
}

/* A member that comes again is the same member: it has its own share once. */
static void test_hr_01_a_member_that_comes_again_has_one_share(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    incarnation_t before[SHARDS];
    placement_member_t members[] = {member_of(1, 100), member_of(2, 100)};
    placement_compute(members, 2, owners, SHARDS);
    placement_compute(members, 1, owners, SHARDS);
    assert_int_equal(count_owned(owners, members[0].incarnation), SHARDS);
    placement_compute(members, 2, owners, SHARDS);
    assert_balanced(members, 2, owners);
    memcpy(before, owners, sizeof before);
    placement_compute(members, 2, owners, SHARDS);
    assert_int_equal(count_moves(before, owners), 0);
}

/* Its weight is the last one. */
static void test_hr_02_a_new_weight_replaces_the_old_one(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    placement_member_t members[] = {member_of(1, 100), member_of(2, 100)};
    placement_compute(members, 2, owners, SHARDS);
    assert_int_equal(count_owned(owners, members[1].incarnation), SHARDS / 2);
    members[1].weight = 200;
    placement_compute(members, 2, owners, SHARDS);
    assert_int_equal(count_owned(owners, members[1].incarnation), SHARDS / 3 * 2);
    members[1].weight = 50;
    placement_compute(members, 2, owners, SHARDS);
    assert_int_equal(count_owned(owners, members[1].incarnation), SHARDS / 3);
}

static void without_members_there_are_no_owners(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    placement_member_t members[] = {member_of(1, 100), member_of(2, 0)};
    placement_compute(members, 2, owners, SHARDS);
    assert_int_equal(count_owned(owners, members[0].incarnation), SHARDS);
    placement_compute(members + 1, 1, owners, SHARDS);
    assert_int_equal(count_owned(owners, (incarnation_t){{0}}), SHARDS);
    placement_compute(members, 2, owners, SHARDS);
    placement_compute(NULL, 0, owners, SHARDS);
    assert_int_equal(count_owned(owners, (incarnation_t){{0}}), SHARDS);
    placement_compute(members, 2, owners, 0);
}

/* Each of up to 40 joins, then leaves again: only the shards that must move do. */
static void test_nt_05_joins_and_leaves_move_one_share(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    incarnation_t before[SHARDS];
    placement_member_t members[MEMBERS_MAX];
    for (uint8_t n = 0; n < MEMBERS_MAX; n++) {
        members[n] = member_of((uint8_t)(n * 11 + 1), 100);
        memcpy(before, owners, sizeof before);
        placement_compute(members, n + 1u, owners, SHARDS);
        assert_balanced(members, n + 1u, owners);
        size_t moves = count_moves(before, owners);
        assert_int_equal(moves, count_owned(owners, members[n].incarnation));
        memcpy(before, owners, sizeof before);
        placement_compute(members, n + 1u, owners, SHARDS); /* nothing changed: nothing moves */
        assert_int_equal(count_moves(before, owners), 0);
    }
    for (size_t n = MEMBERS_MAX - 1; n > 0; n--) {
        size_t lost = count_owned(owners, members[n].incarnation);
        memcpy(before, owners, sizeof before);
        placement_compute(members, n, owners, SHARDS);
        assert_balanced(members, n, owners);
        assert_int_equal(count_moves(before, owners), lost);
    }
}

/* A member that has one shard more keeps it, whatever the order of incarnations is. */
static void a_balanced_placement_stays_as_it_is(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS];
    incarnation_t before[SHARDS];
    placement_member_t members[7];
    for (uint8_t i = 0; i < 7; i++) {
        members[i] = member_of((uint8_t)(i + 1), 100);
    }
    for (size_t i = 0; i < SHARDS; i++) {
        owners[i] = members[6 - i % 7].incarnation; /* the last six have 43 */
    }
    memcpy(before, owners, sizeof before);
    placement_compute(members, 7, owners, SHARDS);
    assert_int_equal(count_moves(before, owners), 0);
}

/* Shares of 100, 50.5 and 149.5: only the latter two may be rounded up. */
static void a_whole_share_is_not_rounded_up(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS];
    placement_member_t members[] = {member_of(1, 200), member_of(2, 101), member_of(3, 299)};
    for (size_t i = 0; i < SHARDS; i++) {
        owners[i] = members[0].incarnation;
    }
    placement_compute(members, 3, owners, SHARDS);
    assert_balanced(members, 3, owners);
}

/* A member with weights unequal: the others' quotas shrink, and nothing moves between them. */
static void a_heavy_joiner_takes_only_its_own_share(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    incarnation_t before[SHARDS];
    placement_member_t members[] = {member_of(1, 100), member_of(2, 70), member_of(3, 30),
                                    member_of(4, 400)};
    placement_compute(members, 3, owners, SHARDS);
    memcpy(before, owners, sizeof before);
    placement_compute(members, 4, owners, SHARDS);
    assert_balanced(members, 4, owners);
    for (size_t i = 0; i < SHARDS; i++) {
        assert_true(incarnation_equal(owners[i], before[i]) ||
                    incarnation_equal(owners[i], members[3].incarnation));
    }
}

static void the_order_of_members_does_not_matter(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    incarnation_t other[SHARDS] = {0};
    placement_member_t members[MEMBERS_MAX];
    placement_member_t reversed[MEMBERS_MAX];
    for (uint8_t i = 0; i < MEMBERS_MAX; i++) {
        members[i] = member_of((uint8_t)(i + 1), 50u + i % 3u);
        reversed[MEMBERS_MAX - 1 - i] = members[i];
    }
    for (size_t n = 1; n <= MEMBERS_MAX; n += 3) {
        placement_compute(members, n, owners, SHARDS);
        placement_compute(reversed + MEMBERS_MAX - n, n, other, SHARDS);
        assert_int_equal(count_moves(owners, other), 0);
    }
}

/* ---- versions ---- */

static placement_member_t member_of_version(uint8_t number, uint64_t version)
{
    placement_member_t member = member_of(number, 100);
    member.version = version;
    return member;
}

/* A roll-out, worker by worker: new ones take their shares, and nothing goes back. */
static void nothing_moves_to_an_older_version(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    uint64_t versions[SHARDS] = {0};
    placement_member_t members[] = {member_of_version(1, 1), member_of_version(2, 1),
                                    member_of_version(3, 1), member_of_version(4, 2)};
    placement_compute_versions(members, 3, owners, versions, SHARDS);
    assert_balanced(members, 3, owners);
    placement_compute_versions(members, 4, owners, versions, SHARDS);
    assert_balanced(members, 4, owners);
    /* One more old worker gets nothing of the new one. */
    size_t newer = count_owned(owners, members[3].incarnation);
    placement_member_t five[] = {members[0], members[1], members[2], members[3],
                                 member_of_version(5, 1)};
    placement_compute_versions(five, 5, owners, versions, SHARDS);
    assert_int_equal(count_owned(owners, members[3].incarnation), newer);
    /* The new worker is replaced by another new one, which takes all that it had. */
    five[3] = member_of_version(6, 2);
    placement_compute_versions(five, 5, owners, versions, SHARDS);
    assert_int_equal(count_owned(owners, five[3].incarnation), newer);
    /* Old ones leave: what they had may go to any. */
    placement_compute_versions(five + 3, 2, owners, versions, SHARDS);
    assert_balanced(five + 3, 2, owners);
    /* Nobody of the new version is left: an old one is better than nobody. */
    placement_compute_versions(five + 4, 1, owners, versions, SHARDS);
    assert_int_equal(count_owned(owners, five[4].incarnation), SHARDS);
    assert_int_equal(versions[0], 1);
}

/* For a while there is no member at all: the last version is remembered. */
static void the_last_version_outlives_its_members(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    uint64_t versions[SHARDS] = {0};
    placement_member_t members[] = {member_of_version(1, 2), member_of_version(2, 1),
                                    member_of_version(3, 3)};
    placement_compute_versions(members, 1, owners, versions, SHARDS);
    placement_compute_versions(NULL, 0, owners, versions, SHARDS);
    assert_int_equal(versions[SHARDS - 1], 2);
    placement_compute_versions(members + 1, 2, owners, versions, SHARDS);
    assert_int_equal(count_owned(owners, members[2].incarnation), SHARDS);
}

static uint64_t version_of(const placement_member_t *members, size_t count, incarnation_t owner)
{
    for (size_t i = 0; i < count; i++) {
        if (incarnation_equal(members[i].incarnation, owner)) {
            return members[i].version;
        }
    }
    return 0;
}

/* Members of random weights and versions come and go. */
static void versions_hold_in_any_order_of_events(void **state)
{
    (void)state;
    uint32_t random = 12345;
    incarnation_t owners[SHARDS] = {0};
    incarnation_t before[SHARDS];
    uint64_t versions[SHARDS] = {0};
    uint64_t last[SHARDS];
    for (unsigned round = 0; round < 2000; round++) {
        placement_member_t members[8];
        size_t count = 0;
        uint64_t largest = 0;
        for (uint8_t i = 0; i < 8; i++) {
            random = random * 1664525u + 1013904223u;
            if (random >> 31) {
                members[count] = member_of((uint8_t)(i + 1), 1 + (random >> 20) % 100);
                members[count].version = i % 4u;
                largest = members[count].version > largest ? members[count].version : largest;
                count++;
            }
        }
        memcpy(last, versions, sizeof last);
        placement_compute_versions(members, count, owners, versions, SHARDS);
        for (size_t i = 0; i < SHARDS && count > 0; i++) {
            assert_false(incarnation_is_none(owners[i]));
            assert_int_equal(versions[i], version_of(members, count, owners[i]));
            assert_true(versions[i] >= (last[i] < largest ? last[i] : largest));
        }
        memcpy(before, owners, sizeof before);
        placement_compute_versions(members, count, owners, versions, SHARDS);
        assert_int_equal(count_moves(before, owners), 0);
    }
}

/* ---- members that are cordoned ---- */

static void a_cordoned_member_keeps_its_shards_and_gets_no_others(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    incarnation_t before[SHARDS];
    placement_member_t members[] = {member_of(1, 100), member_of(2, 100), member_of(3, 100)};
    placement_compute(members, 3, owners, SHARDS);
    memcpy(before, owners, sizeof before);
    members[1].cordoned = true;
    placement_compute(members, 3, owners, SHARDS);
    assert_int_equal(count_moves(before, owners), 0);
    placement_compute(members, 2, owners, SHARDS); /* the third one has died */
    assert_int_equal(count_owned(owners, members[1].incarnation), SHARDS / 3);
    assert_int_equal(count_owned(owners, members[0].incarnation), SHARDS - SHARDS / 3);
    for (size_t i = 0; i < SHARDS; i++) {
        bool was = incarnation_equal(before[i], members[1].incarnation);
        assert_true(was == incarnation_equal(owners[i], members[1].incarnation));
    }
    placement_compute(members, 3, owners, SHARDS); /* and comes back */
    assert_int_equal(count_owned(owners, members[1].incarnation), SHARDS / 3);
    assert_int_equal(count_owned(owners, members[2].incarnation), SHARDS / 3);
}

static void what_only_cordoned_members_could_take_has_no_owner(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    uint64_t versions[SHARDS] = {0};
    placement_member_t members[] = {member_of(1, 100), member_of(2, 100)};
    members[0].version = members[1].version = 5;
    placement_compute_versions(members, 2, owners, versions, SHARDS);
    members[0].cordoned = true;
    placement_compute_versions(members, 1, owners, versions, SHARDS);
    assert_int_equal(count_owned(owners, members[0].incarnation), SHARDS / 2);
    assert_int_equal(count_owned(owners, (incarnation_t){{0}}), SHARDS / 2);
    for (size_t i = 0; i < SHARDS; i++) {
        assert_int_equal(versions[i], 5); /* also of those that have none now */
    }
    members[0].weight = 0;
    placement_compute_versions(members, 1, owners, versions, SHARDS);
    assert_int_equal(count_owned(owners, members[0].incarnation), 0);
}

/* A cordoned member of a new version keeps nobody from moving to an older one: else the shards
 * would wait although somebody could run them. */
static void a_cordoned_member_sets_no_version(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    uint64_t versions[SHARDS] = {0};
    placement_member_t members[] = {member_of(1, 100), member_of(2, 100), member_of(3, 100)};
    members[0].version = members[1].version = 2;
    placement_compute_versions(members, 2, owners, versions, SHARDS);
    members[2].version = 1;
    members[0].cordoned = true;
    members[1].weight = 0;
    placement_compute_versions(members, 3, owners, versions, SHARDS);
    assert_int_equal(count_owned(owners, members[0].incarnation), SHARDS / 2);
    assert_int_equal(count_owned(owners, members[2].incarnation), SHARDS / 2);
}

static void standings_become_members(void **state)
{
    (void)state;
    incarnation_t id = {{1}};
    assert_int_equal(placement_runner(id, 100, 3, RUNNER_DRAINING).weight, 0);
    assert_true(placement_runner(id, 100, 3, RUNNER_CORDONED).cordoned);
    placement_member_t open = placement_runner(id, 70, 3, RUNNER_OPEN);
    assert_true(open.weight == 70 && open.version == 3 && !open.cordoned);
    assert_int_equal(placement_broker(id, true).weight, 0);
    assert_int_equal(placement_broker(id, false).weight, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nt_06_shares_follow_weights),
        cmocka_unit_test(test_hr_01_a_member_that_comes_again_has_one_share),
        cmocka_unit_test(test_hr_02_a_new_weight_replaces_the_old_one),
        cmocka_unit_test(without_members_there_are_no_owners),
        cmocka_unit_test(test_nt_05_joins_and_leaves_move_one_share),
        cmocka_unit_test(a_balanced_placement_stays_as_it_is),
        cmocka_unit_test(a_whole_share_is_not_rounded_up),
        cmocka_unit_test(a_heavy_joiner_takes_only_its_own_share),
        cmocka_unit_test(the_order_of_members_does_not_matter),
        cmocka_unit_test(nothing_moves_to_an_older_version),
        cmocka_unit_test(the_last_version_outlives_its_members),
        cmocka_unit_test(versions_hold_in_any_order_of_events),
        cmocka_unit_test(a_cordoned_member_keeps_its_shards_and_gets_no_others),
        cmocka_unit_test(what_only_cordoned_members_could_take_has_no_owner),
        cmocka_unit_test(a_cordoned_member_sets_no_version),
        cmocka_unit_test(standings_become_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
