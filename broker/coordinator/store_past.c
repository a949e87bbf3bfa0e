/* What is known to be durable in the store: see store_past.h. */
#include "broker/coordinator/store_past.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void store_past_read(store_past_t *past, uint64_t term)
{
    past->read_term = term;
}

void store_past_wrote(store_past_t *past)
{
    past->durable_term = past->read_term;
}

void store_past_failed(store_past_t *past)
{
    past->read_term = past->durable_term;
}

bool store_past_is_lost(const store_past_t *past, uint64_t term)
{
    return term < past->durable_term;
}

static fabric_error_t lost(reason_t *reason, const char *what)
{
    return reason_set(reason, FABRIC_ERROR_STORE_LOST, "store: %s (%s, as in an old copy): %s",
                      fabric_error_meaning(FABRIC_ERROR_STORE_LOST), what,
                      fabric_error_remedy(FABRIC_ERROR_STORE_LOST));
}

fabric_error_t store_past_check(store_past_t *past, const store_cluster_t *cluster, uint64_t term,
                                reason_t *reason)
{
    char what[100];
    if (past->opened && memcmp(past->cluster_id, cluster->id, sizeof cluster->id) != 0) {
        return lost(reason, "it has another cluster id than before");
    }
    if (store_past_is_lost(past, term)) {
        snprintf(what, sizeof what, "its coordinator's term is %" PRIu64 " and was %" PRIu64, term,
                 past->durable_term);
        return lost(reason, what);
    }
    past->opened = true;
    memcpy(past->cluster_id, cluster->id, sizeof past->cluster_id);
    store_past_read(past, term);
    return FABRIC_OK;
}
