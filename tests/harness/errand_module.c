/* The entity types Errand, Calm, Devoted and Stubborn: see errand.h. Built as a module for
 * fabric-worker. */
#include <fabric/worker.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness/errand.h"

typedef struct errand {
    char id[64];
} errand_t;

static const char *folder(void)
{
    const char *path = getenv("PROBE_FOLDER");
    return path ? path : "/nonexistent";
}

static void note_text(const char *what, const char *id, const char *text)
{
    char path[700];
    char line[256];
    snprintf(path, sizeof path, "%s/errands", folder());
    int size = snprintf(line, sizeof line, "%s %s %s\n", what, id, text);
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || write(file, line, (size_t)size) != size) {
        abort();
    }
    close(file);
}

static void note(const char *what, const char *id, unsigned number)
{
    char text[16];
    snprintf(text, sizeof text, "%u", number);
    note_text(what, id, text);
}

static bool is_open(const char *gate)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", folder(), gate);
    return access(path, F_OK) == 0;
}

static void rest(void)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    nanosleep(&pause, NULL);
}

static bool build(fabric_instance_t *instance, void *state)
{
    fabric_address_t address = fabric_instance_address(instance);
    snprintf(((errand_t *)state)->id, sizeof((errand_t *)state)->id, "%.*s", (int)address.id.size,
             (const char *)address.id.data);
    return true;
}

static fabric_result_t block(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    const char *id = ((const errand_t *)state)->id;
    uint32_t delivery = fabric_context_delivery(context);
    note_text("effect", id, fabric_context_effect_key(context, "charge"));
    note("start", id, delivery);
    while (!is_open(((const errand_gate_t *)request)->name)) {
        fabric_interrupt_t why = fabric_context_interrupt(context);
        if (why != FABRIC_NOT_INTERRUPTED) {
            note("interrupt", id, why);
            return FABRIC_INTERRUPTED;
        }
        rest();
    }
    ((errand_answer_t *)reply)->delivery = delivery;
    return FABRIC_REPLY;
}

/* ---- a handler that is pending ---- */

typedef struct waiter {
    pthread_mutex_t lock;
    bool interrupted;
    fabric_pending_t *pending;
    errand_t errand;
    errand_gate_t gate;
    errand_answer_t answer;
} waiter_t;

static void interrupt(void *argument, fabric_interrupt_t why)
{
    waiter_t *waiter = (waiter_t *)argument;
    note("interrupt", waiter->errand.id, why);
    pthread_mutex_lock(&waiter->lock);
    waiter->interrupted = true;
    pthread_mutex_unlock(&waiter->lock);
}

static bool is_interrupted(waiter_t *waiter)
{
    pthread_mutex_lock(&waiter->lock);
    bool interrupted = waiter->interrupted;
    pthread_mutex_unlock(&waiter->lock);
    return interrupted;
}

static void *answer(void *argument)
{
    waiter_t *waiter = (waiter_t *)argument;
    while (!is_open(waiter->gate.name) && !is_interrupted(waiter)) {
        rest();
    }
    if (is_interrupted(waiter)) {
        fabric_pending_interrupted(&waiter->pending);
    } else {
        fabric_pending_reply(&waiter->pending, &waiter->answer);
    }
    pthread_mutex_destroy(&waiter->lock); /* the function is not called any more */
    free(waiter);
    return NULL;
}

static fabric_result_t wait_handler(fabric_context_t *context, void *state, const void *request,
                                    void *reply)
{
    waiter_t *waiter = (waiter_t *)calloc(1, sizeof *waiter);
    pthread_t thread;
    (void)reply;
    if (!waiter || pthread_mutex_init(&waiter->lock, NULL) != 0) {
        abort();
    }
    waiter->errand = *(const errand_t *)state;
    waiter->gate = *(const errand_gate_t *)request;
    waiter->answer.delivery = fabric_context_delivery(context);
    note("start", waiter->errand.id, waiter->answer.delivery);
    waiter->pending = fabric_later(context);
    fabric_pending_on_interrupt(waiter->pending, interrupt, waiter);
    if (pthread_create(&thread, NULL, answer, waiter) != 0) {
        abort();
    }
    pthread_detach(thread);
    return FABRIC_PENDING;
}

static const fabric_handler_t handlers[] = {
    {&errand_block, block}, {&errand_wait, wait_handler}, {&errand_idle, wait_handler}};

#define ERRAND                                                                                     \
    .state_size = sizeof(errand_t), .build = build, .handlers = handlers,                          \
    .handler_count = sizeof handlers / sizeof handlers[0]

static const fabric_entity_type_t errand_type = {.name = ERRAND_TYPE, ERRAND};
static const fabric_entity_type_t calm_type = {
    .name = CALM_TYPE, .uninterruptible = FABRIC_UNINTERRUPTIBLE_BY_STOPS, ERRAND};
static const fabric_entity_type_t devoted_type = {
    .name = DEVOTED_TYPE, .uninterruptible = FABRIC_UNINTERRUPTIBLE_BY_CALLERS, ERRAND};
static const fabric_entity_type_t stubborn_type = {
    .name = STUBBORN_TYPE,
    .uninterruptible = FABRIC_UNINTERRUPTIBLE_BY_CALLERS | FABRIC_UNINTERRUPTIBLE_BY_STOPS,
    ERRAND};

FABRIC_MODULE(&errand_type, &calm_type, &devoted_type, &stubborn_type);
