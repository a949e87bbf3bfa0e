/* The in-memory store: how each call begins and ends, and the faults that strike it. */
#include <pthread.h>
#include <string.h>

#include "tests/memory/memory_connection.h"

/* A lock whose holders take turns: a thread that reads again and again does not keep others from
 * writing. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static uint64_t next_turn;
static uint64_t turn;

void memory_lock(void)
{
    pthread_mutex_lock(&mutex);
    uint64_t own = next_turn++;
    while (turn != own) {
        pthread_cond_wait(&turned, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

void memory_unlock(void)
{
    pthread_mutex_lock(&mutex);
    turn++;
    pthread_cond_broadcast(&turned);
    pthread_mutex_unlock(&mutex);
}

static bool changes(memory_store_operation_t operation)
{
    return operation != MEMORY_STORE_OPEN && operation != MEMORY_STORE_SCHEMA &&
           operation != MEMORY_STORE_READ && operation != MEMORY_STORE_READ_JOURNAL &&
           operation != MEMORY_STORE_LOAD && operation != MEMORY_STORE_FIND_KEYS;
}

/* Whether a running transaction holds locks that a change with these properties needs. */
static bool blocks(const memory_running_t *running, memory_store_operation_t operation,
                   uint32_t lane)
{
    return running->operation != MEMORY_STORE_APPEND && changes(operation) &&
           operation != MEMORY_STORE_APPEND &&
           (running->lane == lane || running->lane == MEMORY_NO_LANE || lane == MEMORY_NO_LANE);
}

/* A lane_assign waits for nobody who has locked its lane. */
static bool is_refused(const memory_running_t *running, memory_store_operation_t operation,
                       uint32_t lane)
{
    return blocks(running, operation, lane) && operation == MEMORY_STORE_ASSIGN &&
           running->lane == lane;
}

/* Carries out what has waited long enough, and what this call waits for. false: the call does
 * not wait. */
static bool resume_running(memory_database_t *database, memory_store_operation_t operation,
                           uint32_t lane)
{
    bool refused = false;
    for (size_t i = 0; i < database->running.count;) {
        memory_running_t *running = &database->running.items[i];
        if (running->delay == 0 ||
            (blocks(running, operation, lane) && !is_refused(running, operation, lane))) {
            memory_resume(database, i);
        } else {
            refused = refused || is_refused(running, operation, lane);
            running->delay--;
            i++;
        }
    }
    return !refused;
}

/* Counts the call for all faults; `struck` gets a copy of the first that strikes. */
static bool strike(memory_database_t *database, memory_store_operation_t operation,
                   memory_store_fault_t *struck)
{
    bool found = false;
    for (size_t i = 0; i < database->faults.count; i++) {
        memory_store_fault_t *fault = &database->faults.items[i];
        if (fault->operation != MEMORY_STORE_ANY && fault->operation != operation) {
            continue;
        }
        if (fault->after > 0) {
            fault->after--;
        } else if (fault->times > 0 && !found) {
            fault->times--;
            *struck = *fault;
            found = true;
        }
    }
    return found;
}

/* What a struck call answers before anything is done; OK: it goes on. */
static fabric_error_t suffer(memory_store_t *store, const memory_store_fault_t *fault)
{
    bool changing = changes(store->operation);
    fabric_error_t unknown = changing ? FABRIC_ERROR_STORE_UNKNOWN : FABRIC_ERROR_STORE_UNAVAILABLE;
    store_note_error(&store->base, fault->kind, fault->words ? fault->words : "an injected fault");
    switch (fault->kind) {
    case MEMORY_STORE_UNAVAILABLE:
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    case MEMORY_STORE_DISCONNECTED:
        store->dead = true;
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    case MEMORY_STORE_UNKNOWN_BEFORE:
        store->dead = true;
        return unknown;
    case MEMORY_STORE_UNKNOWN_AFTER:
    case MEMORY_STORE_UNKNOWN_RUNNING:
        store->dead = true;
        store->struck = changing;
        store->fault = *fault;
        return changing ? FABRIC_OK : FABRIC_ERROR_STORE_UNAVAILABLE;
    case MEMORY_STORE_BUSY:
        return FABRIC_ERROR_STORE_BUSY;
    case MEMORY_STORE_REJECTED:
        return store->operation == MEMORY_STORE_APPEND || store->operation == MEMORY_STORE_TAKE ||
                       store->operation == MEMORY_STORE_ASSIGN
                   ? FABRIC_ERROR_STORE_REJECTED
                   : FABRIC_ERROR_STORE_UNAVAILABLE;
    case MEMORY_STORE_LOSE:
        memory_lose_appends(store->database, fault->lost);
        store->dead = true;
        return unknown;
    }
    abort();
}

static fabric_error_t begin(memory_store_t *store, memory_store_operation_t operation,
                            uint32_t lane)
{
    memory_store_fault_t fault;
    if (store->dead) {
        return FABRIC_ERROR_STORE_UNAVAILABLE;
    }
    store->operation = operation;
    store->lane = lane;
    store->struck = false;
    bool unlocked = resume_running(store->database, operation, lane);
    if (strike(store->database, operation, &fault)) {
        return suffer(store, &fault);
    }
    return unlocked ? FABRIC_OK : FABRIC_ERROR_STORE_BUSY;
}

fabric_error_t memory_enter(memory_store_t *store, memory_store_operation_t operation,
                            uint32_t lane)
{
    memory_lock();
    fabric_error_t error = begin(store, operation, lane);
    if (error) {
        memory_unlock();
        return error;
    }
    memory_begin(store->database);
    return FABRIC_OK;
}

fabric_error_t memory_enter_as(memory_store_t *store, memory_store_operation_t operation,
                               uint32_t lane, uint64_t term, incarnation_t holder)
{
    fabric_error_t error = memory_enter(store, operation, lane);
    const store_coordinator_t *coordinator = &store->database->coordinator;
    if (!error && (coordinator->term != term || !incarnation_equal(coordinator->holder, holder))) {
        return memory_leave(store, FABRIC_ERROR_FENCED);
    }
    return error;
}

fabric_error_t memory_leave(memory_store_t *store, fabric_error_t error)
{
    if (error) {
        memory_rollback(store->database);
    } else if (store->struck && store->fault.kind == MEMORY_STORE_UNKNOWN_RUNNING) {
        memory_suspend(store->database, store->operation, store->lane, store->fault.delay);
    } else {
        memory_commit(store->database);
    }
    bool struck = store->struck;
    memory_unlock();
    return struck ? FABRIC_ERROR_STORE_UNKNOWN : error;
}

fabric_error_t memory_strike_open(memory_store_t *store)
{
    return begin(store, MEMORY_STORE_OPEN, MEMORY_NO_LANE);
}
