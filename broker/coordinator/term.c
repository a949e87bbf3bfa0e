/* Who holds the term: see term.h. */
#include "broker/coordinator/term.h"

#include <stdlib.h>

#include "core/memory.h"
#include "core/state_machine.h"

static const state_description_t standings[] = {
    [STANDING_UNKNOWN] = {"unknown", STATE_BIT(STANDING_STANDBY) | STATE_BIT(STANDING_HOLDER) |
                                         STATE_BIT(STANDING_FENCED)},
    [STANDING_STANDBY] = {"standby", STATE_BIT(STANDING_HOLDER) | STATE_BIT(STANDING_FENCED)},
    [STANDING_HOLDER] = {"holder", STATE_BIT(STANDING_FENCED)},
    [STANDING_FENCED] = {"fenced", 0},
};
static const state_machine_t standing_machine = {"coordinator", standings, STANDING_FENCED + 1};

struct coordinator_term {
    incarnation_t self;
    coordinator_effects_t *effects;
    coordinator_standing_t standing;
    store_coordinator_t row;
    bool unjudged;             /* the row was read, and no list of members after it */
    uint64_t held;             /* HOLDER: the number of our term */
    incarnation_t told_holder; /* the last one that the router was told of */
};

coordinator_term_t *coordinator_term_new(incarnation_t self_incarnation,
                                         coordinator_effects_t *effects)
{
    coordinator_term_t *self = memory_allocate_zeroed(1, sizeof *self);
    self->self = self_incarnation;
    self->effects = effects;
    return self;
}

void coordinator_term_destroy(coordinator_term_t **term)
{
    free(*term);
    *term = NULL;
}

static void set_standing(coordinator_term_t *self, coordinator_standing_t standing)
{
    state_machine_check(&standing_machine, self->standing, standing);
    self->standing = standing;
}

coordinator_standing_t coordinator_term_standing(const coordinator_term_t *self)
{
    return self->standing;
}

const store_coordinator_t *coordinator_term_row(const coordinator_term_t *self)
{
    return &self->row;
}

bool coordinator_term_is_ours(const coordinator_term_t *self)
{
    return self->standing == STANDING_HOLDER;
}

uint64_t coordinator_term_held(const coordinator_term_t *self)
{
    return self->held;
}

static void set_row(coordinator_term_t *self, const store_coordinator_t *row)
{
    self->row = *row;
    if (!incarnation_equal(row->holder, self->told_holder)) {
        self->told_holder = row->holder;
        coordinator_effects_add(self->effects, COORDINATOR_HOLDER)->broker = row->holder;
    }
}

void coordinator_term_take_row(coordinator_term_t *self, const store_coordinator_t *row)
{
    set_row(self, row);
    self->unjudged = true;
}

bool coordinator_term_is_unjudged(const coordinator_term_t *self)
{
    return self->unjudged;
}

coordinator_verdict_t coordinator_term_judge(coordinator_term_t *self, bool holder_lives)
{
    self->unjudged = false;
    bool ours = incarnation_equal(self->row.holder, self->self);
    if (self->standing == STANDING_HOLDER) {
        return ours && self->row.term == self->held ? VERDICT_NONE : VERDICT_LOST;
    }
    if (ours) {
        return VERDICT_WON;
    }
    return holder_lives ? VERDICT_HELD : VERDICT_VACANT;
}

void coordinator_term_stand_by(coordinator_term_t *self)
{
    set_standing(self, STANDING_STANDBY);
}

void coordinator_term_win(coordinator_term_t *self, uint64_t number)
{
    set_standing(self, STANDING_HOLDER);
    self->held = number;
    set_row(self, &(store_coordinator_t){number, self->self});
    coordinator_effects_add(self->effects, COORDINATOR_ELECTED)->number = number;
}

void coordinator_term_fence(coordinator_term_t *self)
{
    if (self->standing != STANDING_FENCED) {
        set_standing(self, STANDING_FENCED);
        coordinator_effects_add(self->effects, COORDINATOR_FENCED);
    }
}
