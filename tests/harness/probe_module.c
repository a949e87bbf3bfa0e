/* The entity type Probe: see probe.h. Built, with Fold, as a module for fabric-worker. */
#include <fabric/worker.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/checker/fold_entity.h"
#include "tests/harness/probe.h"

enum { ROW_SIZE = 700, POLL_NS = 2000000 };

#define FNV_BASIS 14695981039346656037ULL
#define FNV_PRIME 1099511628211ULL

typedef struct probe {
    uint64_t count;
    uint64_t hash;
} probe_t;

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void in_folder(const char *name, char path[ROW_SIZE])
{
    const char *folder = getenv(PROBE_FOLDER);
    snprintf(path, ROW_SIZE, "%s/%s", folder ? folder : "/nonexistent", name);
}

static void work(void)
{
    const char *text = getenv(PROBE_WORK_US);
    long us = text ? strtol(text, NULL, 10) : 0;
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    if (us > 0) {
        nanosleep(&time, NULL);
    }
}

static void record(const fabric_context_t *context, const char *tag, uint64_t number)
{
    char path[ROW_SIZE];
    char row[ROW_SIZE];
    char id[256];
    fabric_bytes_t name = fabric_context_id(context);
    snprintf(id, sizeof id, "%.*s", (int)name.size, (const char *)name.data);
    int size = snprintf(row, sizeof row, PROBE_STARTS_ROW, (unsigned long long)now_us(),
                        (int)getpid(), (unsigned long long)fabric_context_request_id(context),
                        fabric_context_delivery(context), fabric_context_attempt(context),
                        (unsigned long long)number, tag, id);
    in_folder(PROBE_STARTS, path);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ssize_t written = file >= 0 ? write(file, row, (size_t)size) : -1;
    (void)written; /* a test without a folder wants no records */
    if (file >= 0) {
        close(file);
    }
}

/* ---- handlers that answer later ---- */

typedef struct waiter {
    fabric_pending_t *pending;
    uint64_t until_us; /* 0: a gate */
    char gate[64];
    uint64_t answer;
    struct waiter *next;
} waiter_t;

static pthread_mutex_t waiters_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t waiters_once = PTHREAD_ONCE_INIT;
static waiter_t *waiters;

static bool is_due(const waiter_t *waiter)
{
    char path[ROW_SIZE];
    if (waiter->until_us) {
        return now_us() >= waiter->until_us;
    }
    in_folder(waiter->gate, path);
    return access(path, F_OK) == 0;
}

static void answer_due(void)
{
    waiter_t **link = &waiters;
    while (*link) {
        waiter_t *waiter = *link;
        if (!is_due(waiter)) {
            link = &waiter->next;
            continue;
        }
        *link = waiter->next;
        probe_number_t reply = {waiter->answer};
        fabric_pending_reply(&waiter->pending, &reply);
        free(waiter);
    }
}

static void *watch(void *unused)
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    (void)unused;
    for (;;) {
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&waiters_lock);
        answer_due();
        pthread_mutex_unlock(&waiters_lock);
    }
    return NULL;
}

static void start_watching(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch, NULL) != 0) {
        abort();
    }
    pthread_detach(thread);
}

static fabric_result_t answer_later(fabric_context_t *context, uint64_t until_us, const char *gate)
{
    waiter_t *waiter = calloc(1, sizeof *waiter);
    if (!waiter) {
        abort();
    }
    waiter->pending = fabric_later(context);
    waiter->until_us = until_us;
    snprintf(waiter->gate, sizeof waiter->gate, "%s", gate);
    waiter->answer = fabric_context_delivery(context);
    pthread_once(&waiters_once, start_watching);
    pthread_mutex_lock(&waiters_lock);
    waiter->next = waiters;
    waiters = waiter;
    pthread_mutex_unlock(&waiters_lock);
    return FABRIC_PENDING;
}

static fabric_result_t slow(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    const probe_number_t *asked = request;
    (void)state;
    (void)reply;
    record(context, "Slow", asked->number);
    return answer_later(context, now_us() + asked->number * 1000, "");
}

static fabric_result_t hold(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    const probe_text_t *asked = request;
    (void)state;
    (void)reply;
    record(context, "Hold", 0);
    return answer_later(context, 0, asked->text);
}

/* ---- handlers that answer at once ---- */

static fabric_result_t append(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    probe_t *probe = state;
    const probe_number_t *asked = request;
    probe_place_t *place = reply;
    record(context, "Append", asked->number);
    work();
    probe->count++;
    probe->hash = ((probe->count == 1 ? FNV_BASIS : probe->hash) ^ asked->number) * FNV_PRIME;
    *place = (probe_place_t){probe->count, probe->hash, fabric_context_delivery(context)};
    return FABRIC_REPLY;
}

static fabric_result_t padded_append(fabric_context_t *context, void *state, const void *request,
                                     void *reply)
{
    const probe_padded_t *asked = request;
    probe_number_t number = {asked->number};
    return padding_is_whole(&asked->padding, asked->number)
               ? append(context, state, &number, reply)
               : fabric_defect(context, "the padding is not the one that was sent");
}

static fabric_result_t echo(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)state;
    record(context, "Echo", 0);
    *(probe_text_t *)reply = *(const probe_text_t *)request;
    return FABRIC_REPLY;
}

static fabric_result_t fail(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    const probe_failure_t *asked = request;
    (void)state;
    (void)reply;
    record(context, "Fail", asked->code);
    return fabric_fail(context, asked->code, "%s", asked->text);
}

static fabric_result_t defect(fabric_context_t *context, void *state, const void *request,
                              void *reply)
{
    const probe_number_t *asked = request;
    uint32_t attempt = fabric_context_attempt(context);
    (void)state;
    record(context, "Defect", asked->number);
    if (attempt < asked->number) {
        return fabric_defect(context, "broken at attempt %u", attempt);
    }
    ((probe_number_t *)reply)->number = attempt;
    return FABRIC_REPLY;
}

static fabric_result_t bad_reply(fabric_context_t *context, void *state, const void *request,
                                 void *reply)
{
    (void)state;
    (void)request;
    record(context, "BadReply", 0);
    memcpy(((probe_text_t *)reply)->text, "\xff\xfe", 3); /* no UTF-8 */
    return FABRIC_REPLY;
}

/* ---- ends of the process ---- */

/* UBSan would report the fault before it happens. */
__attribute__((no_sanitize("undefined"))) static void use_null(void)
{
    volatile int *volatile nowhere = NULL;
    *nowhere = 1;
}

/* NOLINTNEXTLINE(misc-no-recursion) */
static int overflow_stack(volatile int *deeper)
{
    volatile int frame[256] = {*deeper};
    return frame[0] == -1 ? 0 : overflow_stack(frame) + frame[1];
}

static void use_memory(void)
{
    enum { PIECE = 1 << 24 };
    for (void *volatile piece = malloc(PIECE); piece; piece = malloc(PIECE)) {
    }
    use_null();
}

static void end_process(const char *way)
{
    volatile int begin = 1;
    if (strcmp(way, "null") == 0) {
        use_null();
    } else if (strcmp(way, "abort") == 0) {
        abort();
    } else if (strcmp(way, "stack") == 0) {
        (void)overflow_stack(&begin);
    } else if (strcmp(way, "exit") == 0) {
        exit(99);
    } else if (strcmp(way, "memory") == 0) {
        use_memory();
    }
    _exit(99);
}

static fabric_result_t crash(fabric_context_t *context, void *state, const void *request,
                             void *reply)
{
    const probe_end_t *asked = request;
    (void)state;
    record(context, "Crash", asked->times);
    if (fabric_context_delivery(context) <= asked->times) {
        end_process(asked->way);
    }
    ((probe_number_t *)reply)->number = fabric_context_delivery(context);
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {
    {&probe_append, append},
    {&probe_volatile_append, append},
    {&probe_padded_append, padded_append},
    {&probe_echo, echo},
    {&probe_volatile_echo, echo},
    {&probe_slow, slow},
    {&probe_hold, hold},
    {&probe_volatile_hold, hold},
    {&probe_fail, fail},
    {&probe_defect, defect},
    {&probe_bad_reply, bad_reply},
    {&probe_crash, crash},
};

static const fabric_entity_type_t probe_type = {
    .name = PROBE_TYPE,
    .state_size = sizeof(probe_t),
    .handlers = handlers,
    .handler_count = sizeof handlers / sizeof handlers[0],
};

FABRIC_MODULE(&probe_type, &fold_entity);
