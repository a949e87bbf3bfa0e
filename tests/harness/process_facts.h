/* What the system tells about a process of a test's cluster, and what the process has logged.
 *
 * Memory, descriptors and threads are those of process_child(), which does the work.
 *
 * A failed expectation fails the running cmocka test.
 */
#ifndef TESTS_HARNESS_PROCESS_FACTS_H
#define TESTS_HARNESS_PROCESS_FACTS_H

#include "tests/harness/cluster.h"

/* Memory in use now, in KiB. */
uint64_t process_rss_kib(const process_t *process);
/* The same with pages that processes share shared out among them. */
uint64_t process_pss_kib(const process_t *process);
/* Open descriptors. */
size_t process_descriptors(const process_t *process);
size_t process_threads(const process_t *process);
/* Whether SIGSTOP has stopped the process and process_child(): one thread takes the signal and
 * stops the others, which run on until that thread gets a processor. */
bool process_is_stopped(const process_t *process);
/* Lines of one of the cluster's logs, as "broker.log", that hold `text`. */
size_t process_log_count(const cluster_t *cluster, const char *log, const char *text);
/* The last such line, without its newline; false where there is none. */
bool process_log_last(const cluster_t *cluster, const char *log, const char *text, char *line,
                      size_t line_size);

#endif
