/* What the link and the executors hand each other: see work.h. */
#include "worker/work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

void work_frame_init(work_frame_t *frame, fabric_bytes_t bytes,
                     void (*release)(work_frame_t *frame))
{
    atomic_init(&frame->references, 1);
    frame->bytes = bytes;
    frame->release = release;
}

/* The frame and its bytes are one block. */
static void release_copy(work_frame_t *frame)
{
    free(frame);
}

work_frame_t *work_frame_copy(fabric_bytes_t bytes)
{
    work_frame_t *frame = (work_frame_t *)memory_allocate(sizeof *frame + bytes.size);
    uint8_t *copy = (uint8_t *)(frame + 1);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    work_frame_init(frame, fabric_bytes(copy, bytes.size), release_copy);
    return frame;
}

work_frame_t *work_frame_share(work_frame_t *frame)
{
    atomic_fetch_add_explicit(&frame->references, 1, memory_order_relaxed);
    return frame;
}

void work_frame_drop(work_frame_t *frame)
{
    if (frame && atomic_fetch_sub_explicit(&frame->references, 1, memory_order_acq_rel) == 1) {
        frame->release(frame);
    }
}

static size_t work_size(uint32_t capacity)
{
    return sizeof(work_t) + capacity * sizeof(message_deliver_t);
}

work_t *work_new(work_kind_t kind, uint32_t executor, work_source_t source, uint32_t capacity)
{
    work_t *work = (work_t *)memory_allocate(work_size(capacity));
    memset(work, 0, sizeof *work);
    work->kind = kind;
    work->executor = executor;
    work->source = source;
    work->capacity = capacity;
    return work;
}

work_t *work_add(work_t *work, const message_deliver_t *delivery)
{
    assert((work->kind == WORK_DELIVERIES || work->kind == WORK_INTERRUPT) &&
           work->count < WORK_DELIVERIES_MAX);
    if (work->count == work->capacity) {
        uint32_t capacity = work->capacity < 4 ? 4 : work->capacity * 4;
        work = (work_t *)memory_resize(work, work_size(capacity), 1);
        work->capacity = capacity;
    }
    work->deliveries[work->count++] = *delivery;
    return work;
}

void work_destroy(work_t **work)
{
    if (*work) {
        work_frame_drop((*work)->frame);
        wire_writer_destroy(&(*work)->kept);
        free(*work);
        *work = NULL;
    }
}

void work_list_destroy(work_t **first)
{
    while (*first) {
        work_t *work = *first;
        *first = work->next;
        work_destroy(&work);
    }
}

message_alive_t work_not_woken(const message_deliver_t *wake)
{
    return (message_alive_t){.shard = wake->shard,
                             .home_epoch = wake->home_epoch,
                             .owner_sequence = wake->owner_sequence,
                             .activation = wake->activation,
                             .causes = wake->attempt,
                             .absent = 1,
                             .type = wake->type,
                             .id = wake->id};
}

message_result_t work_result(const message_deliver_t *delivery, uint64_t status, uint64_t error)
{
    return (message_result_t){
        .shard = delivery->shard,
        .home_epoch = delivery->home_epoch,
        .owner_sequence = delivery->owner_sequence,
        .activation = delivery->activation,
        .request_id = delivery->request_id,
        .status = status,
        .error = error,
    };
}

message_result_t work_result_of_state(const message_result_state_t *result)
{
    return (message_result_t){
        .shard = result->shard,
        .home_epoch = result->home_epoch,
        .owner_sequence = result->owner_sequence,
        .activation = result->activation,
        .request_id = result->request_id,
        .status = result->status,
        .error = result->error,
        .code = result->code,
        .payload = result->payload,
    };
}

message_result_t work_result_of_events(const message_result_events_t *result)
{
    return (message_result_t){
        .shard = result->shard,
        .home_epoch = result->home_epoch,
        .owner_sequence = result->owner_sequence,
        .activation = result->activation,
        .request_id = result->request_id,
        .status = result->status,
        .error = result->error,
        .code = result->code,
        .payload = result->payload,
    };
}

message_result_events_t work_result_of_told(const message_result_told_t *result)
{
    return (message_result_events_t){
        .shard = result->shard,
        .home_epoch = result->home_epoch,
        .owner_sequence = result->owner_sequence,
        .activation = result->activation,
        .request_id = result->request_id,
        .status = result->status,
        .error = result->error,
        .code = result->code,
        .payload = result->payload,
        .first = result->first,
        .events = result->events,
        .version = result->version,
        .state = result->state,
        .sequence = result->sequence,
    };
}

message_result_told_t work_result_with_told(const message_result_t *result, uint32_t count,
                                            fabric_bytes_t told)
{
    static const uint8_t no_events[] = {0x90};
    return (message_result_told_t){.shard = result->shard,
                                   .home_epoch = result->home_epoch,
                                   .owner_sequence = result->owner_sequence,
                                   .activation = result->activation,
                                   .request_id = result->request_id,
                                   .status = result->status,
                                   .error = result->error,
                                   .code = result->code,
                                   .payload = result->payload,
                                   .events = fabric_bytes(no_events, sizeof no_events),
                                   .count = count,
                                   .told = told};
}

work_output_t *work_output_new(work_output_kind_t kind, work_source_t source)
{
    work_output_t *output = (work_output_t *)memory_allocate_zeroed(1, sizeof *output);
    output->kind = kind;
    output->source = source;
    if (kind == OUTPUT_RESULTS) {
        frame_reserve_head(&output->results);
    }
    return output;
}

fabric_bytes_t work_output_messages(const work_output_t *output)
{
    return fabric_bytes(output->results.data + FRAME_HEAD_BYTES,
                        output->results.size - FRAME_HEAD_BYTES);
}

void work_output_list_destroy(work_output_t **first)
{
    while (*first) {
        work_output_t *output = *first;
        *first = output->next;
        wire_writer_destroy(&output->results);
        free(output);
    }
}
