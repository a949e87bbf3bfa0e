/* The runners that this broker's router knows: the types that each of them brings, whether the
 * router waits for its admission, and which rows of the `runner` table are to be written or
 * removed.
 */
#ifndef BROKER_COORDINATOR_RUNNERS_H
#define BROKER_COORDINATOR_RUNNERS_H

#include "broker/router/router.h"
#include "core/store.h"
#include "core/type_description.h"

/* Only runners.c writes it. */
typedef struct coordinator_runner {
    store_runner_t stored;
    uint64_t app_version; /* of its program; 0: it has none */
    runner_standing_t standing;
    type_description_t **types;
    size_t type_count;
    bool joined;
    bool asked;           /* the router waits for router_admitted */
    uint64_t deadline_ms; /* asked: when that wait ends */
    bool unregistered;    /* its types have not been looked at since this broker took the term */
    bool unwritten;       /* its row is to be written */
} coordinator_runner_t;

typedef struct coordinator_runners coordinator_runners_t;

coordinator_runners_t *coordinator_runners_new(void);
void coordinator_runners_destroy(coordinator_runners_t **runners);

size_t coordinator_runners_count(const coordinator_runners_t *runners);
const coordinator_runner_t *coordinator_runners_at(const coordinator_runners_t *runners,
                                                   size_t index);
const coordinator_runner_t *coordinator_runners_find(const coordinator_runners_t *runners,
                                                     incarnation_t incarnation);

/* Whether the runner has joined, has a weight, and brings the type. */
bool coordinator_runner_may_own(const coordinator_runner_t *runner, const char *type);

/* ROUTER_ADMIT: adds the runner if it is unknown, and notes what it brings now. An error says that
 * the description of its types cannot be read; the runner then still waits for an answer. */
FABRIC_MUST_USE
fabric_error_t coordinator_runners_ask(coordinator_runners_t *runners, const router_order_t *order,
                                       uint64_t deadline_ms);
/* The runner's types were looked at, with this result. Removes a runner that is refused, unless it
 * joined before. Returns whether the router waited for the answer. */
bool coordinator_runners_conclude(coordinator_runners_t *runners, incarnation_t incarnation,
                                  fabric_error_t error);
/* Does nothing for a runner that is unknown. */
void coordinator_runners_join(coordinator_runners_t *runners, incarnation_t incarnation);
void coordinator_runners_remove(coordinator_runners_t *runners, incarnation_t incarnation);
/* The same for its standing. Returns whether that matters: the runner has joined. */
bool coordinator_runners_set_standing(coordinator_runners_t *runners, incarnation_t incarnation,
                                      runner_standing_t standing);

/* This broker has taken the term: all types are to be looked at again, and all rows are to be
 * written.
 */
void coordinator_runners_begin_term(coordinator_runners_t *runners);

/* The runner's row is to be removed. */
void coordinator_runners_forget_row(coordinator_runners_t *runners, incarnation_t incarnation);
/* The runner's row was removed, or is to be kept. */
void coordinator_runners_keep_row(coordinator_runners_t *runners, incarnation_t incarnation);
/* The runner whose row is to be removed next, or NULL. */
const incarnation_t *coordinator_runners_next_removal(const coordinator_runners_t *runners);
/* The runner whose row is to be written next, or NULL. */
const coordinator_runner_t *
coordinator_runners_next_unwritten(const coordinator_runners_t *runners);
void coordinator_runners_row_written(coordinator_runners_t *runners, incarnation_t incarnation);

#endif
