/* Waiting for a welcome: see worker_welcome.h. */
#include "worker/worker_welcome.h"

#include <stdlib.h>
#include <time.h>

#include "core/clock.h"

void worker_welcome_init(worker_welcome_t *welcome)
{
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&welcome->lock, NULL) != 0 || pthread_condattr_init(&attributes) != 0 ||
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&welcome->changed, &attributes) != 0) {
        abort();
    }
    pthread_condattr_destroy(&attributes);
}

void worker_welcome_clear(worker_welcome_t *welcome)
{
    pthread_cond_destroy(&welcome->changed);
    pthread_mutex_destroy(&welcome->lock);
}

void worker_welcome_note(worker_welcome_t *welcome)
{
    pthread_mutex_lock(&welcome->lock);
    welcome->welcomed = true;
    welcome->refused = false;
    pthread_cond_broadcast(&welcome->changed);
    pthread_mutex_unlock(&welcome->lock);
}

void worker_welcome_refused(worker_welcome_t *welcome, fabric_error_t error, bool final,
                            const char *text)
{
    pthread_mutex_lock(&welcome->lock);
    if (!welcome->refused) {
        welcome->refused = final;
        welcome->error = error;
        (void)reason_set(&welcome->reason, error, "%s", text);
    }
    pthread_cond_broadcast(&welcome->changed);
    pthread_mutex_unlock(&welcome->lock);
}

fabric_error_t worker_welcome_wait(worker_welcome_t *welcome, uint32_t timeout_ms, reason_t *reason)
{
    uint64_t until_ms = clock_monotonic_ms() + timeout_ms;
    struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000L};
    pthread_mutex_lock(&welcome->lock);
    while (!welcome->welcomed && !welcome->refused && clock_monotonic_ms() < until_ms) {
        pthread_cond_timedwait(&welcome->changed, &welcome->lock, &until);
    }
    fabric_error_t error = FABRIC_OK;
    if (welcome->refused || !welcome->welcomed) {
        error = welcome->error != FABRIC_OK ? welcome->error : FABRIC_ERROR_NOT_CONNECTED;
        *reason = welcome->reason;
    }
    pthread_mutex_unlock(&welcome->lock);
    return error;
}
