/* Placement: balance, weights, fewest moves, determinism. */
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
    return (placement_member_t){{{number, (uint8_t)(number * 37)}}, weight, true};
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

static void shares_follow_weights(void **state)
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
static void joins_and_leaves_move_one_share(void **state)
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

static void those_that_bring_all_types_come_first(void **state)
{
    (void)state;
    incarnation_t owners[SHARDS] = {0};
    placement_member_t members[] = {member_of(1, 100), member_of(2, 100), member_of(3, 100)};
    members[0].brings_types = false;
    placement_compute(members, 3, owners, SHARDS);
    assert_int_equal(count_owned(owners, members[0].incarnation), 0);
    assert_balanced(members + 1, 2, owners);
    members[1].brings_types = false; /* the only one left takes all */
    placement_compute(members, 3, owners, SHARDS);
    assert_int_equal(count_owned(owners, members[2].incarnation), SHARDS);
    members[2].weight = 0; /* brings them, but takes no shards */
    placement_compute(members, 3, owners, SHARDS);
    assert_balanced(members, 2, owners);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_follow_weights),
        cmocka_unit_test(without_members_there_are_no_owners),
        cmocka_unit_test(joins_and_leaves_move_one_share),
        cmocka_unit_test(a_balanced_placement_stays_as_it_is),
        cmocka_unit_test(a_whole_share_is_not_rounded_up),
        cmocka_unit_test(a_heavy_joiner_takes_only_its_own_share),
        cmocka_unit_test(the_order_of_members_does_not_matter),
        cmocka_unit_test(those_that_bring_all_types_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
