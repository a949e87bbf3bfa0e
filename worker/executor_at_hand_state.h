/* The message whose handler, or whose entity's start function, runs: other threads read it to say
 * what an executor is at. */
#ifndef WORKER_EXECUTOR_AT_HAND_STATE_H
#define WORKER_EXECUTOR_AT_HAND_STATE_H

#include <stdatomic.h>
#include <string.h>

#include "worker/type_table.h"

enum {
    AT_HAND_ID_BYTES = 32,
    MESSAGE_NAME_SIZE = 3 * 128 + 64 /* for the names of an entity and a tag, and a request id */
};

/* Types and handlers outlive the executor. */
typedef struct executor_at_hand {
    _Atomic uint64_t request_id; /* 0: none; written last at the beginning, first at the end */
    _Atomic(const type_entry_t *) type;
    _Atomic(const fabric_handler_t *) handler;
    _Atomic uint32_t id_size;
    _Atomic uint64_t id[AT_HAND_ID_BYTES / sizeof(uint64_t)]; /* its first bytes */
} executor_at_hand_t;

/* A message's name for people: entity, tag and request id. */
void message_name(fabric_bytes_t type, fabric_bytes_t id, fabric_bytes_t tag, uint64_t request_id,
                  char name[MESSAGE_NAME_SIZE]);

/* These two are on the path of every message. */
static inline void at_hand_begin(executor_at_hand_t *at_hand, const type_entry_t *type,
                                 fabric_bytes_t id, const fabric_handler_t *handler,
                                 uint64_t request_id)
{
    uint64_t words[AT_HAND_ID_BYTES / sizeof(uint64_t)] = {0};
    memcpy(words, id.data, id.size < sizeof words ? id.size : sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        atomic_store_explicit(&at_hand->id[i], words[i], memory_order_relaxed);
    }
    atomic_store_explicit(&at_hand->id_size, (uint32_t)id.size, memory_order_relaxed);
    atomic_store_explicit(&at_hand->type, type, memory_order_relaxed);
    atomic_store_explicit(&at_hand->handler, handler, memory_order_relaxed);
    atomic_store_explicit(&at_hand->request_id, request_id, memory_order_release);
}

/* Returns the request that was at hand; 0: none was. */
static inline uint64_t at_hand_end(executor_at_hand_t *at_hand)
{
    uint64_t request_id = atomic_load_explicit(&at_hand->request_id, memory_order_relaxed);
    atomic_store_explicit(&at_hand->request_id, 0, memory_order_release);
    return request_id;
}

/* The request at hand, and its name and type; 0: none is. Any thread. */
uint64_t at_hand_read(const executor_at_hand_t *at_hand, char name[MESSAGE_NAME_SIZE],
                      const type_entry_t **type);
/* The name and type of the request that was at hand last. On the executor's thread. */
void at_hand_last(const executor_at_hand_t *at_hand, uint64_t request_id,
                  char name[MESSAGE_NAME_SIZE], const type_entry_t **type);

#endif
