/* Pipes: see pipe.h. */
#include "broker/pipe.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/memory.h"

typedef struct pipe_value {
    struct pipe_value *next;
    size_t size;
    uint8_t bytes[];
} pipe_value_t;

struct pipe {
    pipe_t *other;
    int fd;
    pthread_mutex_t lock; /* for all that follows */
    pipe_value_t *first, *last;
    bool is_signalled; /* the other end has written into fd, or will at once */
};

static pipe_t *end_new(void)
{
    pipe_t *pipe = memory_allocate_zeroed(1, sizeof *pipe);
    pipe->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pthread_mutex_init(&pipe->lock, NULL) != 0) {
        abort();
    }
    return pipe;
}

static void end_destroy(pipe_t **pipe)
{
    pipe_t *self = *pipe;
    if (self) {
        while (self->first) {
            pipe_value_t *value = self->first;
            self->first = value->next;
            free(value);
        }
        if (self->fd >= 0) {
            close(self->fd);
        }
        pthread_mutex_destroy(&self->lock);
        free(self);
        *pipe = NULL;
    }
}

bool pipe_open(pipe_t **end, pipe_t **other_end)
{
    *end = end_new();
    *other_end = end_new();
    (*end)->other = *other_end;
    (*other_end)->other = *end;
    if ((*end)->fd >= 0 && (*other_end)->fd >= 0) {
        return true;
    }
    pipe_close(end, other_end);
    return false;
}

void pipe_close(pipe_t **end, pipe_t **other_end)
{
    end_destroy(end);
    end_destroy(other_end);
}

int pipe_fd(const pipe_t *pipe)
{
    return pipe->fd;
}

void pipe_send(pipe_t *pipe, const void *value, size_t size)
{
    pipe_t *other = pipe->other;
    pipe_value_t *sent = memory_allocate(sizeof *sent + size);
    sent->next = NULL;
    sent->size = size;
    memcpy(sent->bytes, value, size);
    pthread_mutex_lock(&other->lock);
    if (other->first) {
        other->last->next = sent;
    } else {
        other->first = sent;
    }
    other->last = sent;
    bool was_signalled = other->is_signalled;
    other->is_signalled = true;
    pthread_mutex_unlock(&other->lock);
    if (!was_signalled) { /* without the lock, which the thread that it wakes would wait for */
        uint64_t one = 1;
        ssize_t written = write(other->fd, &one, sizeof one);
        assert(written == sizeof one);
    }
}

/* Nothing waits any more. If the other end has not written yet, the next take finds nothing. */
static void clear_signal(pipe_t *pipe)
{
    uint64_t count;
    if (pipe->is_signalled && read(pipe->fd, &count, sizeof count) == sizeof count) {
        pipe->is_signalled = false;
    }
}

bool pipe_take(pipe_t *pipe, void *value, size_t size)
{
    pthread_mutex_lock(&pipe->lock);
    pipe_value_t *taken = pipe->first;
    pipe->first = taken ? taken->next : NULL;
    if (!pipe->first) {
        clear_signal(pipe);
    }
    pthread_mutex_unlock(&pipe->lock);
    if (!taken) {
        return false;
    }
    assert(taken->size == size);
    memcpy(value, taken->bytes, size);
    free(taken);
    return true;
}

void pipe_wait(pipe_t *pipe, void *value, size_t size)
{
    while (!pipe_take(pipe, value, size)) {
        struct pollfd item = {.fd = pipe->fd, .events = POLLIN};
        (void)poll(&item, 1, -1);
    }
}
