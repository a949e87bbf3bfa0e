/* A pthread_create() for $LD_PRELOAD: it fails with EAGAIN while $THREADS_MAX threads that it
 * started run. The system does the same at its limits, but not to the superuser. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

typedef struct start {
    void *(*run)(void *argument);
    void *argument;
} start_t;

static atomic_long running;

static void *run(void *argument)
{
    start_t start = *(start_t *)argument;
    free(argument);
    void *result = start.run(start.argument);
    atomic_fetch_sub(&running, 1);
    return result;
}

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread,
                                                          const pthread_attr_t *attributes,
                                                          void *(*function)(void *), void *argument)
{
    create_fn *system = (create_fn *)dlsym(RTLD_NEXT, "pthread_create");
    const char *text = getenv("THREADS_MAX");
    start_t *start = malloc(sizeof *start);
    if (!start || (text && atomic_fetch_add(&running, 1) >= strtol(text, NULL, 10))) {
        atomic_fetch_sub(&running, 1);
        free(start);
        return EAGAIN;
    }
    *start = (start_t){function, argument};
    int failed = system(thread, attributes, run, start);
    if (failed) {
        atomic_fetch_sub(&running, 1);
        free(start);
    }
    return failed;
}
