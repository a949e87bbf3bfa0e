/* A TCP proxy for fault tests, on a thread of the test program: it forwards bytes to a server, and
 * delays, drops, changes or stops them as a test says.
 *
 *     proxy_t *proxy = proxy_start("127.0.0.1", port, PROXY_MYSQL);
 *     ... clients connect to 127.0.0.1, proxy_port(proxy) ...
 *     proxy_stall(proxy, PROXY_TO_CLIENT, 10);
 *     proxy_heal(proxy);
 *     proxy_stop(&proxy);
 *
 * A control is in force when it returns, for the connections that there are and for later ones.
 * Several may be in force at once. What one end sends goes to the other in order; a close goes with
 * it, so that a stalled or delayed direction also holds back the news that its sender is gone. It
 * keeps its port until it is stopped.
 *
 * Threading: controls and counts from any one thread at a time; the proxy's own thread asserts
 * nothing and takes no signals.
 */
#ifndef TESTS_HARNESS_PROXY_H
#define TESTS_HARNESS_PROXY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct proxy proxy_t;

typedef enum proxy_protocol {
    PROXY_BYTES, /* anything */
    PROXY_MYSQL  /* MySQL, which the proxy keeps from being encrypted: commits are known */
} proxy_protocol_t;

typedef enum proxy_direction {
    PROXY_TO_SERVER = 1,
    PROXY_TO_CLIENT = 2,
    PROXY_BOTH = 3
} proxy_direction_t;

typedef enum proxy_ending {
    PROXY_CLOSE, /* as a process that ends does (FIN) */
    PROXY_RESET, /* as a machine that forgot the connection does (RST) */
    PROXY_STALL  /* stays open, but nothing goes through any more */
} proxy_ending_t;

typedef enum proxy_commit {
    PROXY_TRANSACTION, /* a query COMMIT */
    PROXY_APPEND       /* an execution of a prepared INSERT INTO journal */
} proxy_commit_t;

typedef enum proxy_loss {
    PROXY_LOSE_ANSWER, /* the server commits, its answer is not forwarded */
    PROXY_LOSE_COMMIT  /* the server never sees the commit */
} proxy_loss_t;

/* `host` is a numeric IPv4 address; port 0: the number of the proxy's own one. NULL when a socket
 * or thread cannot be had. */
proxy_t *proxy_start(const char *host, unsigned port, proxy_protocol_t protocol);
void proxy_stop(proxy_t **proxy);
/* Where it listens, on 127.0.0.1. */
uint16_t proxy_port(const proxy_t *proxy);

/* Ends all faults. What was held back goes through now; a connection that has lost something is
 * reset. */
void proxy_heal(proxy_t *proxy);
/* Bytes of these directions take so long. */
void proxy_delay(proxy_t *proxy, proxy_direction_t directions, uint32_t ms);
/* Nothing more is forwarded in these directions once `after_bytes` more (each direction counts for
 * itself, over all connections) have been. */
void proxy_stall(proxy_t *proxy, proxy_direction_t directions, uint64_t after_bytes);
/* Flips a bit in the byte that comes after `after_bytes` more of these directions. */
void proxy_corrupt(proxy_t *proxy, proxy_direction_t directions, uint64_t after_bytes);
/* Ends all connections that there are: PROXY_CLOSE or PROXY_RESET. */
void proxy_cut(proxy_t *proxy, proxy_ending_t how);
/* Ends, with PROXY_CLOSE or PROXY_RESET, the connection that carries the byte after `after_bytes`
 * more of these directions, in the place of that byte. */
void proxy_cut_after(proxy_t *proxy, proxy_direction_t directions, uint64_t after_bytes,
                     proxy_ending_t how);
/* New connections are refused, as where nobody listens, or accepted again. */
void proxy_refuse(proxy_t *proxy, bool refuse);
/* The next `count` commits of a kind lose their answer or are lost themselves; then each one's
 * connection ends as `how` says. A lost answer is counted when the server has answered OK, a lost
 * commit when it was read. */
void proxy_lose_commits(proxy_t *proxy, proxy_commit_t kind, proxy_loss_t what, uint32_t count,
                        proxy_ending_t how);

/* A connection over which a client sends this text from now on is held: nothing goes through it any
 * more, in either direction, until proxy_heal. The text must last as long. */
void proxy_hold(proxy_t *proxy, const char *text);

/* The connections that there are now are held until proxy_heal: their peers have gone silent. Later
 * ones are not. */
void proxy_hold_present(proxy_t *proxy);

/* Connections of this process, present and later ones, are held until proxy_heal. They are over
 * loopback. */
void proxy_hold_process(proxy_t *proxy, pid_t process);

/* How many connections are held. */
uint32_t proxy_held(proxy_t *proxy);
/* How many commits were lost since the start, in each way. */
uint64_t proxy_lost_commits(proxy_t *proxy, proxy_loss_t what);
/* How many commits of a kind were read from clients since the start. */
uint64_t proxy_commits(proxy_t *proxy, proxy_commit_t kind);
/* How many bytes were read in one direction, and wait to be forwarded. */
uint64_t proxy_waiting(proxy_t *proxy, proxy_direction_t direction);
/* How many bytes were forwarded in one direction since the start. */
uint64_t proxy_bytes(proxy_t *proxy, proxy_direction_t direction);
/* How many connections exist, and how many were accepted since the start. */
uint32_t proxy_connections(proxy_t *proxy);
uint64_t proxy_accepted(proxy_t *proxy);

#endif
