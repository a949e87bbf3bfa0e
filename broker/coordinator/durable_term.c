/* The term that is known to be durable in the store: see durable_term.h. */
#include "broker/coordinator/durable_term.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void durable_term_read(durable_term_t *known, uint64_t term)
{
    known->read_term = term;
}

void durable_term_wrote(durable_term_t *known)
{
    known->durable_term = known->read_term;
}

void durable_term_failed(durable_term_t *known)
{
    known->read_term = known->durable_term;
}

bool durable_term_is_lost(const durable_term_t *known, uint64_t term)
{
    return term < known->durable_term;
}

static fabric_error_t lost(reason_t *reason, const char *what)
{
    return reason_set(reason, FABRIC_ERROR_STORE_LOST, "store: %s (%s, as in an old copy): %s",
                      fabric_error_meaning(FABRIC_ERROR_STORE_LOST), what,
                      fabric_error_remedy(FABRIC_ERROR_STORE_LOST));
}

fabric_error_t durable_term_check(durable_term_t *known, const store_cluster_t *cluster,
                                  uint64_t term, reason_t *reason)
{
    char what[100];
    if (known->opened && memcmp(known->cluster_id, cluster->id, sizeof cluster->id) != 0) {
        return lost(reason, "it has another cluster id than before");
    }
    if (durable_term_is_lost(known, term)) {
        snprintf(what, sizeof what, "its coordinator's term is %" PRIu64 " and was %" PRIu64, term,
                 known->durable_term);
        return lost(reason, what);
    }
    known->opened = true;
    memcpy(known->cluster_id, cluster->id, sizeof known->cluster_id);
    durable_term_read(known, term);
    return FABRIC_OK;
}
