/* State machines as tables: see state_machine.h. */
#include "core/state_machine.h"

#include <stdio.h>
#include <stdlib.h>

const char *state_machine_name(const state_machine_t *machine, unsigned state)
{
    return state < machine->count ? machine->states[state].name : "?";
}

void state_machine_refuse(const state_machine_t *machine, unsigned from, unsigned to)
{
    fprintf(stderr, "%s: a transition from %s (%u) to %s (%u) is not allowed\n", machine->name,
            state_machine_name(machine, from), from, state_machine_name(machine, to), to);
    abort();
}
