/* Reading messages back from SQLite. The functions are the store port's (core/store.h). */
#ifndef SQLITE_SQLITE_LOAD_H
#define SQLITE_SQLITE_LOAD_H

#include "core/store.h"

fabric_error_t sqlite_load_pending(store_t *store, request_id_t from, store_visit_message_fn *visit,
                                   void *context);
fabric_error_t sqlite_find_calls(store_t *store, request_id_t floor, request_id_t *last,
                                 uint32_t rows_max, const call_key_t *calls, size_t call_count,
                                 store_visit_message_fn *visit, void *context);
fabric_error_t sqlite_find_keys(store_t *store, const uint8_t *hashes, size_t hash_count,
                                store_visit_message_fn *visit, void *context);
fabric_error_t sqlite_find_replies(store_t *store, const request_id_t *ids, size_t id_count,
                                   store_visit_message_fn *visit, void *context);

#endif
