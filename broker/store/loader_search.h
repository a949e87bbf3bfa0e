/* Searching for messages that only the store may have, by their ids: one row of each, and the ends
 * that the journal still tells. */
#ifndef BROKER_STORE_LOADER_SEARCH_H
#define BROKER_STORE_LOADER_SEARCH_H

#include "broker/store/loader.h"
#include "broker/wanted_row.h"

/* What one search reads of the journal at the most. */
#define LOADER_SEARCH_BYTES_MAX (UINT64_C(64) << 20)

/* The rows, in state NEW, as loader_load brings them, and the ends, in state ENDED: with id, shard
 * and reply only. A message may have both, as long as no checkpoint has deleted its row. Ends of
 * messages whose entries are purged, or lie behind LOADER_SEARCH_BYTES_MAX of the journal, are not
 * found. Tries once: STORE_UNAVAILABLE, STORE_BUSY, SHUTTING_DOWN; then `found` is empty.
 */
FABRIC_MUST_USE fabric_error_t loader_search(loader_t *loader, uint32_t lane,
                                             const wanted_row_t *wanted, size_t count,
                                             message_chain_t *found);

#endif
