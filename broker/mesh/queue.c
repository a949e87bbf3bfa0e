/* Messages that wait: see queue.h. */
#include "broker/mesh/queue.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/memory.h"

enum { PIECE_BYTES = LIMIT_FRAME_BYTES_GOAL / 2 }; /* a piece that has so many grows no more */

struct mesh_piece {
    mesh_piece_t *next;
    size_t counted; /* bytes of its messages that the queue has counted */
    wire_writer_t writer;
};

static size_t message_bytes(const mesh_piece_t *piece)
{
    return piece->writer.size - FRAME_HEAD_BYTES;
}

wire_writer_t *mesh_queue_writer(mesh_queue_t *queue, size_t bytes)
{
    mesh_piece_t *last = queue->last;
    if (last && message_bytes(last) + bytes <= PIECE_BYTES) {
        return &last->writer;
    }
    mesh_piece_t *piece = memory_allocate_zeroed(1, sizeof *piece);
    wire_writer_reserve(&piece->writer, FRAME_HEAD_BYTES + bytes);
    frame_reserve_head(&piece->writer);
    if (last) {
        last->next = piece;
    } else {
        queue->first = piece;
    }
    queue->last = piece;
    return &piece->writer;
}

size_t mesh_queue_put(mesh_queue_t *queue)
{
    size_t added = message_bytes(queue->last) - queue->last->counted;
    queue->last->counted += added;
    queue->bytes += added;
    return added;
}

static void drop_first(mesh_queue_t *queue)
{
    mesh_piece_t *piece = queue->first;
    queue->first = piece->next;
    queue->bytes -= piece->counted;
    if (!queue->first) {
        queue->last = NULL;
    }
    wire_writer_destroy(&piece->writer);
    free(piece);
}

size_t mesh_queue_move(mesh_queue_t *queue, wire_writer_t *frame)
{
    mesh_piece_t *piece = queue->first;
    if (!piece) {
        return 0;
    }
    size_t bytes = message_bytes(piece);
    if (frame->size == 0) {
        wire_writer_destroy(frame);
        *frame = piece->writer;
        piece->writer = (wire_writer_t){0};
    } else if (frame->size + bytes <= LIMIT_FRAME_BYTES_GOAL) {
        wire_append(frame, piece->writer.data + FRAME_HEAD_BYTES, bytes);
    } else {
        return 0;
    }
    drop_first(queue);
    return bytes;
}

void mesh_queue_clear(mesh_queue_t *queue)
{
    while (queue->first) {
        drop_first(queue);
    }
}
