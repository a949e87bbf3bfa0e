/* A sink: a descriptor that the program shares with others, as standard error, and writes lines to without ever
 * waiting. Whoever reads a pipe or holds a terminal may stop; a server must not stop with them.
 *
 * O_NONBLOCK belongs to the open file that all who share a descriptor have in common, so it is not set there:
 * pipes and terminals are opened anew through /proc. Where that is not possible, and for sockets, the sink asks
 * before each write whether there is room; then another process that writes to the same pipe at the same moment
 * may still make it wait. A regular file takes each write, and waits where its file system does.
 *
 * Threading: one thread at a time.
 */
#ifndef CORE_SINK_H
#define CORE_SINK_H

#include <stdbool.h>
#include <stddef.h>

typedef struct sink {
    int fd;
    bool own;  /* opened anew, and does not block */
    bool torn; /* the last line was taken in part */
} sink_t;

/* `fd` stays the caller's and must stay open. */
sink_t sink_open(int fd);
void sink_close(sink_t *sink);
/* Writes whole lines, together at most 4,096 bytes, so that a pipe takes all or nothing. false: they are lost, as
 * there is no room or nobody reads any more. SIGPIPE is the program's to ignore. */
bool sink_write(sink_t *sink, const char *text, size_t size);

#endif
