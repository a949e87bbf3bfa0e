/* A sink: a descriptor, such as standard error, that the program shares with others and writes
 * lines to without ever waiting. The reader of a pipe or the user of a terminal may stop; a server
 * must not stop with them.
 *
 * O_NONBLOCK belongs to the open file, which all holders of a descriptor have in common. It is
 * therefore not set there: pipes and terminals are opened anew through /proc. If that is not
 * possible, and for sockets, the sink asks before each write whether the descriptor takes bytes.
 * Another process that writes to the same pipe at the same moment may then still make it wait. A
 * regular file takes each write, and waits where its file system does.
 *
 * Threading: one thread at a time.
 */
#ifndef CORE_SINK_H
#define CORE_SINK_H

#include <stdbool.h>
#include <stddef.h>

typedef struct sink {
    int fd;
    bool own;  /* the descriptor was opened anew, and does not block */
    bool torn; /* the last line was taken in part */
} sink_t;

/* `fd` stays the caller's and must stay open. */
sink_t sink_open(int fd);
void sink_close(sink_t *sink);
/* Writes whole lines of together at most 4,096 bytes, so that a pipe takes all or nothing. false:
 * the lines are lost, because the descriptor is full or nobody reads any more. The program ignores
 * SIGPIPE. */
bool sink_write(sink_t *sink, const char *text, size_t size);

#endif
