/* The standing of a runner: see standing.h. */
#include "core/standing.h"

#include <string.h>

#include "core/state_machine.h"

static const state_description_t states[] = {
    [RUNNER_OPEN] = {"open", STATE_BIT(RUNNER_CORDONED) | STATE_BIT(RUNNER_DRAINING)},
    [RUNNER_CORDONED] = {"cordoned", STATE_BIT(RUNNER_OPEN) | STATE_BIT(RUNNER_DRAINING)},
    [RUNNER_DRAINING] = {"draining", STATE_BIT(RUNNER_OPEN) | STATE_BIT(RUNNER_CORDONED)},
};
static const state_machine_t machine = {"standing", states, sizeof states / sizeof *states};

const char *runner_standing_name(runner_standing_t standing)
{
    return state_machine_name(&machine, standing);
}

bool runner_standing_is(uint64_t number)
{
    return number < sizeof states / sizeof *states;
}

bool runner_standing_parse(const char *name, runner_standing_t *standing)
{
    for (unsigned i = 0; i < sizeof states / sizeof *states; i++) {
        if (strcmp(states[i].name, name) == 0) {
            *standing = (runner_standing_t)i;
            return true;
        }
    }
    return false;
}

bool runner_standing_set(runner_standing_t *standing, runner_standing_t next)
{
    if (*standing == next) {
        return false;
    }
    state_machine_check(&machine, *standing, next);
    *standing = next;
    return true;
}
