/** @file
 * Log callbacks: how a client or a worker tells its program what is worth a log line. The libraries
 * themselves print nothing, except for one line on standard error before they end the process: when
 * memory is exhausted, or by a bug of theirs.
 */
#ifndef FABRIC_LOG_H
#define FABRIC_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

/** How serious an event is. */
typedef enum fabric_log_level {
    FABRIC_LOG_ERROR = 0, /**< the client or worker cannot do its work, and a person must act */
    FABRIC_LOG_WARN = 1,  /**< something failed; the client or worker goes on or tries again */
    FABRIC_LOG_INFO = 2,  /**< a change of state in normal operation */
    FABRIC_LOG_DEBUG = 3  /**< a detail for people who look for an error */
} fabric_log_level_t;

/** Takes one event.
 *
 *  `context` is the pointer that stands beside the callback in the options. `code` is a stable name
 *  for programs, such as "client.welcomed"; it has static storage. `text` is one line for people,
 *  without a newline; it is valid during the call only.
 *
 *  The header of the client or the worker says on which thread a callback runs. A callback must not
 *  call functions of the client or worker that called it, and it must not wait: the client or
 *  worker waits with it. */
typedef void fabric_log_fn(void *context, fabric_log_level_t level, const char *code,
                           const char *text);

#ifdef __cplusplus
}
#endif
#endif
