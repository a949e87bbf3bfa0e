/* The checker decides from the histories of all processes and the contents of the tables whether a
 * cluster kept its promises, whatever faults were injected. It is pure, and takes linear time but
 * for one sort by time.
 *
 * "Counted" is the execution (run of a handler) that the stored reply of a message names; a tell's
 * reply names none, so there it is the only execution that ended, or the one that a later counted
 * execution builds upon.
 *
 * The method is Jepsen's (K. Kingsbury): record what each client was told and what the system did,
 * and look for what no correct run could have left; here identifiers in every message and reply
 * make each question one of looking up instead of searching.
 *
 * Threading: none of its own.
 */
#ifndef TESTS_CHECKER_CHECKER_H
#define TESTS_CHECKER_CHECKER_H

#include "tests/checker/history.h"
#include "tests/checker/table_dump.h"

typedef enum checker_kind {
    /* its caller was told accepted, or got a reply, and it is not in the store */
    CHECKER_LOST,
    /* its caller was told certainly not accepted, and it is in the store or was handled */
    CHECKER_FALSELY_ACCEPTED,
    CHECKER_INVENTED, /* in the store or handled, and never sent with these contents */
    CHECKER_DOUBLED,  /* stored twice, or an execution or effect counted twice */
    /* counted, and built upon what did not count, or upon another instance's state */
    CHECKER_CHAIN,
    /* a caller saw a reply that is not the stored one, or that answers another call */
    CHECKER_REPLY,
    CHECKER_ORDER,       /* counted in another order than sent */
    CHECKER_OWNERSHIP,   /* tokens that go back, or counted executions that overlap */
    CHECKER_VOLATILE,    /* a volatile message handled twice */
    CHECKER_LIVENESS,    /* still pending at the end */
    CHECKER_DEAD_LETTER, /* more dead letters than the faults may cause */
    CHECKER_STORE,       /* the tables contradict themselves or each other */
    CHECKER_BOUNDS,      /* a process that used too much memory or too many descriptors */
    CHECKER_KINDS
} checker_kind_t;

enum { CHECKER_LINES_MAX = 40, CHECKER_LINE_SIZE = 256 };

/* The resources of a process at the end. */
typedef struct checker_process {
    char name[32];
    uint64_t memory_kib; /* resident, the most it ever had */
    uint64_t descriptors;
} checker_process_t;

typedef struct checker_input {
    const history_t *history;
    const table_dump_t *tables;
    uint32_t dead_letters_max;
    const checker_process_t *processes;
    size_t process_count;
    uint64_t memory_kib_max; /* of each process */
    uint64_t descriptors_max;
} checker_input_t;

typedef struct checker_report {
    uint64_t violations;
    uint64_t of_kind[CHECKER_KINDS];
    uint32_t line_count; /* of the first violations */
    char lines[CHECKER_LINES_MAX][CHECKER_LINE_SIZE];
    /* what the checker looked at */
    uint64_t calls, executions, messages, replies;
    uint64_t counted;   /* executions */
    uint64_t uncounted; /* ended executions of durable messages that do not count */
    uint64_t settled;   /* calls that were sent again and then had a known outcome */
} checker_report_t;

void checker_run(const checker_input_t *input, checker_report_t *report);
/* Prints one line about what was checked, and the violations. */
void checker_print(const checker_report_t *report);

#endif
