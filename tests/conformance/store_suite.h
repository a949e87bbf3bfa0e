/* The conformance suite of the store port: one set of tests for every adapter (core/store.h has the
 * rules).
 *
 * A program of tests/conformance describes its store by a store_suite_t and returns
 * store_suite_run(). Each test gets a database of its own. Where a test ports a behaviour that
 * has an id (MS-.., SM-.., SR-..), it bears it in its name.
 */
#ifndef TESTS_CONFORMANCE_STORE_SUITE_H
#define TESTS_CONFORMANCE_STORE_SUITE_H

#include "core/store.h"

/* What a test does to a database behind the adapter's back. */
typedef enum store_suite_damage {
    STORE_SUITE_NEWER_VERSION,  /* schema version STORE_SCHEMA_VERSION + 1 */
    STORE_SUITE_FOREIGN_TABLES, /* an empty database gets a table "journal" that is not ours */
    STORE_SUITE_NO_CLUSTER,     /* the cluster's row is gone */
    STORE_SUITE_NO_ENTRY        /* of lane 0: the entry that its checkpoint has reached */
} store_suite_damage_t;

typedef struct store_suite {
    const char *name; /* of the store, in the output */
    const store_driver_t *driver;
    const char *password; /* for store_options_t */
    bool exclusive;       /* the adapter knows the exclusive lock */
    bool row_locks;       /* each lane is locked by itself, and a frozen process loses its locks */
    /* Makes an empty database and writes its URL. false: it cannot be made. */
    bool (*create)(char url[512]);
    void (*destroy)(const char *url);
    bool (*damage)(const char *url, store_suite_damage_t damage);
    /* Copies the journal; puts the copy back in its place, after `appends` appends. The other
     * tables keep their rows, or get them back as well. */
    bool (*copy)(const char *url);
    bool (*put_back)(const char *url, unsigned appends);
    /* Reads a dead letter, which the port only writes. The views are valid until the next call.
     * false: there is none. */
    bool (*dead_letter)(const char *url, uint32_t lane, request_id_t id, store_dead_row_t *row);
    /* The process gets a signal before the connection's n-th statement from now on (1: the
     * next). NULL: the store does not run statements that a process could die between. */
    void (*signal_before)(store_t *store, unsigned nth, int signal);
    /* Runs a statement over the connection, as a handler does; NULL where handlers cannot have
     * transactions. */
    bool (*execute)(store_t *store, const char *text);
} store_suite_t;

/* Runs all tests; returns the number of failures, for main() to return. */
int store_suite_run(const store_suite_t *suite);

#endif
