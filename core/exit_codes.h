/* The exit codes of the programs. Released: scripts and service managers rest on these numbers. */
#ifndef CORE_EXIT_CODES_H
#define CORE_EXIT_CODES_H

/* fabric-broker, fabric-worker, fabric-bench, fabric-demo: 0 when the program has done what was
 * asked, an orderly stop included; else the numbers of <sysexits.h>. */
enum program_exit {
    EXIT_USAGE = 64,       /* wrong arguments */
    EXIT_UNAVAILABLE = 69, /* another process or the database refused, or did not answer */
    EXIT_INTERNAL = 70,    /* a failure that no configuration prevents */
    EXIT_CONFIG = 78       /* wrong configuration, or one that does not fit the cluster */
};

/* fabricctl. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_ENTITY_FAILED = 1,  /* the entity answered with a failure */
    CLI_UNHEALTHY = 1,      /* status --check: the cluster is not healthy */
    CLI_USAGE = 2,          /* wrong arguments or configuration */
    CLI_NOT_FOUND = 3,      /* no such type, message, error or command's object */
    CLI_CANNOT_CONNECT = 4, /* no broker or database answers */
    CLI_NO_OUTCOME = 5,     /* not in time, or the outcome is unknown */
    CLI_REFUSED = 6         /* any other rejection */
};

#endif
