/* Encoded messages on their way to another broker: pieces of whole messages, each with room for a
 * frame's head before them, so that a piece can become a frame as it is.
 *
 * A queue is zeroed to begin with.
 */
#ifndef BROKER_MESH_QUEUE_H
#define BROKER_MESH_QUEUE_H

#include "core/message.h"

typedef struct mesh_piece mesh_piece_t;

typedef struct mesh_queue {
    mesh_piece_t *first, *last;
    size_t bytes; /* of the messages in it */
} mesh_queue_t;

/* Where the next message is to be put. mesh_queue_put must follow. */
wire_writer_t *mesh_queue_writer(mesh_queue_t *queue, size_t bytes);
/* The message is put: counts its bytes, and returns them. */
size_t mesh_queue_put(mesh_queue_t *queue);
static inline bool mesh_queue_is_empty(const mesh_queue_t *queue)
{
    return queue->first == NULL;
}
/* Moves the first piece into the frame, whose head is not set yet, and returns the bytes of its
 * messages. 0: the queue is empty, or the frame has no room for it. */
size_t mesh_queue_move(mesh_queue_t *queue, wire_writer_t *frame);
void mesh_queue_clear(mesh_queue_t *queue);

#endif
