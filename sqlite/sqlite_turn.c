/* Turns of writing to one file: see sqlite_turn.h. */
#include "sqlite/sqlite_turn.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "core/memory.h"

struct sqlite_turns {
    sqlite_turns_t *next;
    dev_t device; /* which file it is, under whatever name */
    ino_t file;
    unsigned connections;
    pthread_mutex_t mutex;
    pthread_cond_t moved; /* the queue has another first place */
    sqlite_turn_t *first; /* has the turn */
    sqlite_turn_t **end;  /* where the next place is linked */
};

static pthread_mutex_t files_mutex = PTHREAD_MUTEX_INITIALIZER;
static sqlite_turns_t *files; /* under files_mutex */

void sqlite_turn_open(sqlite_turn_t *turn, const char *path)
{
    struct stat status = {0};
    (void)stat(path, &status);
    pthread_mutex_lock(&files_mutex);
    sqlite_turns_t *found = files;
    while (found && (found->device != status.st_dev || found->file != status.st_ino)) {
        found = found->next;
    }
    if (!found) {
        found = memory_allocate_zeroed(1, sizeof *found);
        found->device = status.st_dev;
        found->file = status.st_ino;
        found->end = &found->first;
        pthread_mutex_init(&found->mutex, NULL);
        pthread_cond_init(&found->moved, NULL);
        found->next = files;
        files = found;
    }
    found->connections++;
    *turn = (sqlite_turn_t){.turns = found};
    pthread_mutex_unlock(&files_mutex);
}

void sqlite_turn_close(sqlite_turn_t *turn)
{
    sqlite_turns_t *turns = turn->turns;
    sqlite_turn_give(turn);
    turn->turns = NULL;
    pthread_mutex_lock(&files_mutex);
    if (--turns->connections == 0) {
        sqlite_turns_t **link = &files;
        while (*link != turns) {
            link = &(*link)->next;
        }
        *link = turns->next;
        pthread_cond_destroy(&turns->moved);
        pthread_mutex_destroy(&turns->mutex);
        free(turns);
    }
    pthread_mutex_unlock(&files_mutex);
}

static void enter(sqlite_turns_t *turns, sqlite_turn_t *turn)
{
    turn->next = NULL;
    turn->queued = true;
    *turns->end = turn;
    turns->end = &turn->next;
}

static void leave(sqlite_turns_t *turns, sqlite_turn_t *turn)
{
    sqlite_turn_t **link = &turns->first;
    while (*link != turn) {
        link = &(*link)->next;
    }
    *link = turn->next;
    if (turns->end == &turn->next) {
        turns->end = link;
    }
    turn->queued = false;
    pthread_cond_broadcast(&turns->moved);
}

bool sqlite_turn_take(sqlite_turn_t *turn, uint64_t deadline_ms)
{
    sqlite_turns_t *turns = turn->turns;
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ms / 1000),
                                .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    pthread_mutex_lock(&turns->mutex);
    enter(turns, turn);
    int expired = 0;
    while (turns->first != turn && !expired) {
        expired = pthread_cond_clockwait(&turns->moved, &turns->mutex, CLOCK_MONOTONIC, &deadline);
    }
    bool taken = turns->first == turn;
    if (!taken) {
        leave(turns, turn);
    }
    pthread_mutex_unlock(&turns->mutex);
    return taken;
}

void sqlite_turn_give(sqlite_turn_t *turn)
{
    sqlite_turns_t *turns = turn->turns;
    pthread_mutex_lock(&turns->mutex);
    if (turn->queued) {
        leave(turns, turn);
    }
    pthread_mutex_unlock(&turns->mutex);
}
