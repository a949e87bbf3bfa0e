/* What an executor is at: see executor_at_hand_state.h. */
#include "worker/executor_at_hand_state.h"

#include <stdio.h>
#include <string.h>

#include "core/address.h"

static void put_name(fabric_bytes_t type, fabric_bytes_t id, bool cut, fabric_bytes_t tag,
                     uint64_t request_id, char name[MESSAGE_NAME_SIZE])
{
    char names[3][128];
    bytes_escape(type, names[0], sizeof names[0]);
    bytes_escape(id, names[1], sizeof names[1]);
    bytes_escape(tag, names[2], sizeof names[2]);
    snprintf(name, MESSAGE_NAME_SIZE, "%s/%s%s %s, request %llu", names[0], names[1],
             cut ? "..." : "", names[2], (unsigned long long)request_id);
}

void message_name(fabric_bytes_t type, fabric_bytes_t id, fabric_bytes_t tag, uint64_t request_id,
                  char name[MESSAGE_NAME_SIZE])
{
    put_name(type, id, false, tag, request_id, name);
}

/* All but the request id, which counts only if the same message is at hand before and after. */
typedef struct at_hand_copy {
    uint64_t id[AT_HAND_ID_BYTES / sizeof(uint64_t)];
    uint32_t id_size;
    const type_entry_t *type;
    const fabric_handler_t *handler;
} at_hand_copy_t;

static at_hand_copy_t copy_of(const executor_at_hand_t *at_hand)
{
    at_hand_copy_t copy;
    for (size_t i = 0; i < sizeof copy.id / sizeof copy.id[0]; i++) {
        copy.id[i] = atomic_load_explicit(&at_hand->id[i], memory_order_relaxed);
    }
    copy.id_size = atomic_load_explicit(&at_hand->id_size, memory_order_relaxed);
    copy.type = atomic_load_explicit(&at_hand->type, memory_order_relaxed);
    copy.handler = atomic_load_explicit(&at_hand->handler, memory_order_relaxed);
    return copy;
}

static void name_copy(const at_hand_copy_t *copy, uint64_t request_id, char name[MESSAGE_NAME_SIZE])
{
    bool cut = copy->id_size > sizeof copy->id;
    put_name(copy->type->name, fabric_bytes(copy->id, cut ? sizeof copy->id : copy->id_size), cut,
             fabric_bytes_of(copy->handler->message->tag), request_id, name);
}

uint64_t at_hand_read(const executor_at_hand_t *at_hand, char name[MESSAGE_NAME_SIZE],
                      const type_entry_t **type)
{
    uint64_t request_id = atomic_load_explicit(&at_hand->request_id, memory_order_acquire);
    if (request_id == 0) {
        return 0;
    }
    at_hand_copy_t copy = copy_of(at_hand);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&at_hand->request_id, memory_order_relaxed) != request_id) {
        return 0;
    }
    name_copy(&copy, request_id, name);
    *type = copy.type;
    return request_id;
}

void at_hand_last(const executor_at_hand_t *at_hand, uint64_t request_id,
                  char name[MESSAGE_NAME_SIZE], const type_entry_t **type)
{
    at_hand_copy_t copy = copy_of(at_hand);
    name_copy(&copy, request_id, name);
    *type = copy.type;
}
