/* Purses and Tellers together: see entity_load.h. */
#include "tests/harness/entity_load.h"

void entity_load_start(entity_load_t *load, fabric_client_t *client)
{
    purse_load_start(&load->purses, client);
    teller_load_start(&load->tellers, client);
}

void entity_load_step(entity_load_t *load)
{
    purse_load_step(&load->purses);
    teller_load_step(&load->tellers);
}

bool entity_load_ends(void *load)
{
    entity_load_t *self = load;
    bool purses_end = purse_load_ends(&self->purses);
    return teller_load_ends(&self->tellers) && purses_end;
}

uint32_t entity_load_open(const entity_load_t *load)
{
    return load->purses.open + load->tellers.open;
}

void entity_load_check(entity_load_t *load, testbed_t *bed)
{
    purse_load_check(&load->purses, bed);
    teller_load_check(&load->tellers);
}
