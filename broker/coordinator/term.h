/* Who holds the coordinator's term, as far as this broker knows, and what that makes of this
 * broker.
 *
 * The `coordinator` row is read first, the list of members after it: a holder that is no member in
 * the later list is gone. The row is therefore judged only once for each reading, after that list.
 */
#ifndef BROKER_COORDINATOR_TERM_H
#define BROKER_COORDINATOR_TERM_H

#include "broker/coordinator/effects.h"

typedef enum coordinator_standing {
    STANDING_UNKNOWN, /* no row has been judged yet, or no broker holds the term */
    STANDING_STANDBY, /* another broker held the term, and lived, when the row was judged last */
    STANDING_HOLDER,  /* this broker holds the term */
    STANDING_FENCED   /* this incarnation is over */
} coordinator_standing_t;

/* What a row means for this broker. */
typedef enum coordinator_verdict {
    VERDICT_NONE,   /* nothing to do */
    VERDICT_HELD,   /* another broker that lives holds the term */
    VERDICT_VACANT, /* the holder is dead or gone: the term may be taken */
    VERDICT_WON,    /* the row names this broker: the answer to its call was lost */
    VERDICT_LOST    /* another broker has taken this broker's term */
} coordinator_verdict_t;

typedef struct coordinator_term coordinator_term_t;

/* `effects` must outlive the term. */
coordinator_term_t *coordinator_term_new(incarnation_t self, coordinator_effects_t *effects);
void coordinator_term_destroy(coordinator_term_t **term);

coordinator_standing_t coordinator_term_standing(const coordinator_term_t *term);
/* The row as read or taken last. Its term is 0 before the first reading. */
const store_coordinator_t *coordinator_term_row(const coordinator_term_t *term);
bool coordinator_term_is_ours(const coordinator_term_t *term);
/* The number of the term that this broker holds, or 0. */
uint64_t coordinator_term_held(const coordinator_term_t *term);

/* Notes a row that was just read. HOLDER is emitted if its holder is another one than before. */
void coordinator_term_take_row(coordinator_term_t *term, const store_coordinator_t *row);
/* Whether a row waits for the list of members that is read after it. */
bool coordinator_term_is_unjudged(const coordinator_term_t *term);
/* Judges the row that was read last. */
coordinator_verdict_t coordinator_term_judge(coordinator_term_t *term, bool holder_lives);

/* The setters of the standing. HOLDER and ELECTED, or FENCED, are emitted. */
void coordinator_term_stand_by(coordinator_term_t *term);
void coordinator_term_win(coordinator_term_t *term, uint64_t number);
void coordinator_term_fence(coordinator_term_t *term);

#endif
