/* The seeded simulation: a whole cluster (clients, workers, brokers, a store) in one thread under
 * virtual time. It runs the same cores as the programs; a seed decides how network, processes and
 * database fail.
 *
 * Everything that happens follows from the seed: two runs of one seed are the same, event by event.
 *
 * Threading: one simulation at a time, on one thread.
 */
#ifndef TESTS_SIMULATION_SIMULATION_H
#define TESTS_SIMULATION_SIMULATION_H

#include <stdbool.h>
#include <stdint.h>

typedef struct simulation_options {
    uint64_t seed;
    bool calm;   /* no faults at all */
    bool poison; /* one message is poison, and the workers are supervised, whatever the seed says */
    bool loses;  /* the store loses commits once, and the run ends when a broker has noticed */
    bool takeovers; /* lanes change their holders again and again, and entries are purged soon */
    bool apart;     /* no other fault than that two brokers do not reach each other, for long */
    bool rolling;   /* no fault: workers but one are restarted in order, at any time */
    bool rolling_brokers; /* the same of brokers, one after the other, and workers meanwhile */
    bool keyed;           /* many calls have primary keys, each of which several calls have */
    bool scheduled;       /* half of the durable messages have a time, many of them the same one */
    bool clearing;        /* operators clear entities */
    bool persisting;      /* all types have persisted states */
    bool appending;       /* all types append events */
    bool early;           /* all types have early delivery */
    bool telling;         /* handlers tell other entities something */
    bool failing;         /* each type has another policy for messages that fail, and many do */
    bool full;  /* 5 brokers, 5 runners, 1,000 messages and 20 faults, whatever the seed says */
    bool trace; /* every event to standard error */
} simulation_options_t;

#define SIMULATION_STEPS_MAX 160u

/* How often processes took each step at which faults may strike (simulation_steps.h), and were
 * struck there. */
typedef struct simulation_steps {
    uint64_t passed[SIMULATION_STEPS_MAX], struck[SIMULATION_STEPS_MAX];
} simulation_steps_t;

typedef struct simulation_result {
    bool failed;
    char what[512];      /* the first rule that was broken */
    uint64_t trace_hash; /* of every event, in order */
    uint64_t events;
    uint64_t virtual_ms;
    /* What happened, so that a test can see that a run injected anything. */
    uint64_t calls, durable, unknown, rejected;
    uint64_t runs;        /* handlers started */
    uint64_t entries;     /* appended to journals */
    uint64_t checkpoints; /* of lanes, completed */
    uint64_t rows;        /* of pending messages, found at checkpoints */
    uint64_t moves;       /* scheduled messages that came due */
    uint64_t late_us;     /* the latest of them, after its time and the last fault */
    uint64_t loaded;      /* messages that brokers had dropped from memory, and loaded again */
    uint64_t purged;      /* entries */
    uint64_t lost;        /* brokers that noticed that the store had lost commits */
    uint64_t misplaced;   /* entries behind lost ones that were told as durable */
    uint64_t faults;      /* injected: cuts, crashes, freezes, outages */
    uint64_t at_steps;    /* of them, at the step that they had waited for */
    uint64_t relayed;     /* frames of clients for brokers that they did not reach */
    uint64_t lost_frames; /* on the wire */
    uint64_t fenced;      /* calls to the store that were refused as fenced */
    uint64_t takeovers;   /* terms taken */
    uint64_t hand_overs;  /* lanes given up by brokers that lived on */
    uint64_t restarts;    /* of workers and brokers, in order, where nothing fails */
    uint64_t refusals;    /* of connections, by dead brokers that were tried */
    uint64_t repeated;    /* handlers of durable messages that had been started before */
    uint64_t early;       /* handlers of messages that were not stored when they began */
    uint64_t unstored;    /* of these, messages that never were */
    uint64_t unbuilt;     /* builds of instances that have failed */
    uint64_t attempts;    /* counted for messages that break */
    uint64_t parked;      /* entities, each time */
    uint64_t clears;      /* of entities */
    uint64_t cleared;     /* messages that those have ended */
    uint64_t resumed;     /* the same, by operators */
    uint64_t unharmed;    /* messages handled by an instance that had answered with a failure */
    uint64_t states;      /* of entities, stored with results */
    uint64_t given;       /* the same, to workers */
    uint64_t reread;      /* the same, by brokers from rows */
    uint64_t appended;    /* events of entities, stored */
    uint64_t snapshots;   /* stored with results */
    uint64_t parts;       /* messages with events that owners were given, but for last ones */
    uint64_t unreadable;  /* snapshots that workers could not read */
    uint64_t read;        /* events that were told to who reads histories */
    uint64_t told;        /* messages to other entities, stored with the ends of their handlers */
    uint64_t alive;       /* records of entities that are, or are not any more, kept alive */
    uint64_t kept;        /* deliveries answered from results of before a change of home */
    uint64_t outlived;    /* messages handled by instances that had outlived a home */
    uint64_t duplicates;  /* calls that were answered by the message of another one */
    uint64_t dead_letters;
    uint64_t cancelled;   /* calls that ended so */
    uint64_t interrupted; /* handlers that stopped because they were told to */
    uint64_t crashes;     /* counted for messages */
    uint64_t stale;       /* results that reached a broker under an old token */
    uint64_t late;        /* frames that arrived after their connection was cut */
    uint64_t store_errors;
    uint64_t served_ms; /* after the last fault: until the last lane has served a call */
    simulation_steps_t steps;
} simulation_result_t;

void simulation_run(const simulation_options_t *options, simulation_result_t *result);

#endif
