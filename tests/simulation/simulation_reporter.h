/* What a supervisor knows of its worker's last process, and how the next process reports it to all
 * brokers. It does what worker/crash_report_zmq.c does, which blocks and so does not run here. */
#ifndef TESTS_SIMULATION_SIMULATION_REPORTER_H
#define TESTS_SIMULATION_SIMULATION_REPORTER_H

#include "tests/simulation/simulation_world.h"

/* The last sockets of a worker are its reporter's. */
#define REPORTER_SOCKET (SOCKETS_MAX - BROKERS_MAX)

typedef struct reporter {
    bool due; /* a crash is to be reported */
    incarnation_t dead;
    uint64_t culprit; /* request id; 0: not known */
    uint64_t next_ms, until_ms;
    bool noted[BROKERS_MAX];
} reporter_t;

/* The worker's process has crashed. */
void reporter_crash(reporter_t *reporter, incarnation_t dead, uint64_t culprit);
/* The next process begins. */
void reporter_start(reporter_t *reporter, process_t *process);
/* Sends the reports that are due. */
void reporter_turn(reporter_t *reporter, process_t *process);
/* A frame has arrived on one of the reporter's sockets. */
void reporter_receive(reporter_t *reporter, process_t *process, size_t dealer,
                      fabric_bytes_t frame);
uint64_t reporter_deadline_ms(const reporter_t *reporter);

#endif
