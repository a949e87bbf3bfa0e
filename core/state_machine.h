/* A state machine as a constant table: the name of each state for logs, and the states that may
 * follow it.
 *
 * The owner of a state keeps it as its own enum and has one setter, which calls state_machine_check
 * and then assigns; no other place assigns the state. A transition that the table does not allow is
 * a bug of this program: the process ends.
 *
 *     static const state_description_t switch_states[] = {
 *         [SWITCH_OFF] = {"off", STATE_BIT(SWITCH_ON)},
 *         [SWITCH_ON] = {"on", STATE_BIT(SWITCH_OFF)},
 *     };
 *     static const state_machine_t switch_machine = {"switch", switch_states, 2};
 *
 * Threading: tables are constant; the owner of a state is its only user.
 * Source of the idea: dqlite, src/lib/sm.h.
 */
#ifndef CORE_STATE_MACHINE_H
#define CORE_STATE_MACHINE_H

#include <stdint.h>

#define STATE_BIT(state) (UINT32_C(1) << (unsigned)(state))

typedef struct state_description {
    const char *name;
    uint32_t next; /* STATE_BIT of each state that may follow */
} state_description_t;

typedef struct state_machine {
    const char *name;
    const state_description_t *states;
    unsigned count; /* of states, at most 32 */
} state_machine_t;

/* Ends the process with a line on stderr that names the machine and both states. */
_Noreturn void state_machine_refuse(const state_machine_t *machine, unsigned from, unsigned to);

/* Returns if the transition is allowed. */
static inline void state_machine_check(const state_machine_t *machine, unsigned from, unsigned to)
{
    if (from >= machine->count || to >= machine->count ||
        !(machine->states[from].next & STATE_BIT(to))) {
        state_machine_refuse(machine, from, to);
    }
}

/* The state's name, or "?" for a number that is no state of the machine. */
const char *state_machine_name(const state_machine_t *machine, unsigned state);

#endif
