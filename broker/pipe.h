/* A pipe between two threads: what one end sends, the other end takes, in order. Values are copied
 * whole. A pipe is never full; whoever uses it bounds what is under way.
 *
 * Each end has an eventfd, which is readable while values wait, so that the end can be polled
 * beside other descriptors. Why not an inproc pair of libzmq: docs/decisions/0019-pipes.md.
 *
 * Threading: an end belongs to one thread.
 */
#ifndef BROKER_PIPE_H
#define BROKER_PIPE_H

#include <stdbool.h>
#include <stddef.h>

/* One end. */
typedef struct pipe pipe_t;

/* false: the process may have no more descriptors. */
bool pipe_open(pipe_t **end, pipe_t **other_end);
/* Closes both ends. Values that nobody took are dropped. */
void pipe_close(pipe_t **end, pipe_t **other_end);

/* Readable while values wait. It may be readable once more than that. */
int pipe_fd(const pipe_t *pipe);
/* Sends a value to the other end. */
void pipe_send(pipe_t *pipe, const void *value, size_t size);
/* Takes the next value, which must have this size. false: there is none. Does not wait. */
bool pipe_take(pipe_t *pipe, void *value, size_t size);
/* Waits for the next value, which must have this size. */
void pipe_wait(pipe_t *pipe, void *value, size_t size);

#endif
