/* Doubly linked lists of calls. A call may be in several lists, with one call_links_t for each. */
#ifndef CLIENT_LIST_H
#define CLIENT_LIST_H

#include <assert.h>

#include "libfabric_client/src/call.h"

typedef struct call_list {
    call_t *first;
    call_t *last;
    size_t count;
} call_list_t;

/* Defines NAME_insert_after (NULL: at the front), NAME_append, NAME_remove and NAME_insert_sorted
 * (by sequence) over one member. */
#define CALL_LIST_FUNCTIONS(name, member)                                                          \
    __attribute__((unused)) static inline void name##_insert_after(call_list_t *list,              \
                                                                   call_t *before, call_t *call)   \
    {                                                                                              \
        call_t *after = before ? before->member.next : list->first;                                \
        call->member = (call_links_t){before, after};                                              \
        *(before ? &before->member.next : &list->first) = call;                                    \
        *(after ? &after->member.previous : &list->last) = call;                                   \
        list->count++;                                                                             \
    }                                                                                              \
    __attribute__((unused)) static inline void name##_append(call_list_t *list, call_t *call)      \
    {                                                                                              \
        name##_insert_after(list, list->last, call);                                               \
    }                                                                                              \
    __attribute__((unused)) static inline void name##_remove(call_list_t *list, call_t *call)      \
    {                                                                                              \
        call_links_t links = call->member;                                                         \
        assert(list->count > 0);                                                                   \
        *(links.previous ? &links.previous->member.next : &list->first) = links.next;              \
        *(links.next ? &links.next->member.previous : &list->last) = links.previous;               \
        call->member = (call_links_t){NULL, NULL};                                                 \
        list->count--;                                                                             \
    }                                                                                              \
    /* The place is nearly always the end. */                                                      \
    __attribute__((unused)) static inline void name##_insert_sorted(call_list_t *list,             \
                                                                    call_t *call)                  \
    {                                                                                              \
        call_t *before = list->last;                                                               \
        while (before && before->sequence > call->sequence) {                                      \
            before = before->member.previous;                                                      \
        }                                                                                          \
        name##_insert_after(list, before, call);                                                   \
    }

CALL_LIST_FUNCTIONS(open_list, open)
CALL_LIST_FUNCTIONS(queue_list, queue)
CALL_LIST_FUNCTIONS(ready_list, ready)
CALL_LIST_FUNCTIONS(timer_list, timer)

#endif
