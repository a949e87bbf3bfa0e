/* Log lines are events: a level, a stable code and key=value pairs in one line on standard error,
 * which is written with one write() that never waits (core/sink.h). A line that the descriptor does
 * not take is dropped and counted; "log.dropped lines=N" comes before the next line that is taken,
 * or is written by log_report_dropped().
 *
 *     2026-01-02T03:04:05.678Z info broker.started endpoint=tcp://127.0.0.1:5700 store=sqlite
 *
 * A value that is empty, or has spaces, quotes, backslashes or bytes other than printable ASCII,
 * stands in double quotes, with \", \\ and \xHH inside. A line has at most 1,024 bytes with its
 * newline; a line that was cut ends in "...". Libraries do not log; programs do, once, at the edge
 * that decides.
 *
 * Threading: any thread; the level and sink are set once at start.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include <fabric/bytes.h>
#include <fabric/error.h>

typedef enum log_level {
    LOG_ERROR_LEVEL = 0,
    LOG_WARN_LEVEL,
    LOG_INFO_LEVEL,
    LOG_DEBUG_LEVEL
} log_level_t;

#define LOG_LINE_BYTES_MAX 1024

/* Info unless set. */
void log_set_level(log_level_t level);
/* The file descriptor to write to, standard error unless set. It stays the caller's. A program
 * calls this function at its start, with standard error too: only then is a pipe or terminal opened
 * anew (core/sink.h). */
void log_set_sink(int descriptor);
/* "error", "warn", "info", "debug". INVALID_ARGUMENT. */
FABRIC_MUST_USE
fabric_error_t log_level_parse(const char *text, log_level_t *level);
bool log_enabled(log_level_t level);

/* A key and its value, made by the log_* constructors below. A list of fields ends with a zeroed
 * one. */
typedef struct log_field {
    const char *key;
    enum { LOG_FIELD_END, LOG_FIELD_TEXT, LOG_FIELD_UINT, LOG_FIELD_INT, LOG_FIELD_BYTES } type;
    union {
        const char *text;
        uint64_t uint;
        int64_t sint;
        fabric_bytes_t bytes;
    } value;
} log_field_t;

static inline log_field_t log_text(const char *key, const char *value)
{
    return (log_field_t){key, LOG_FIELD_TEXT, {.text = value ? value : ""}};
}
static inline log_field_t log_uint(const char *key, uint64_t value)
{
    return (log_field_t){key, LOG_FIELD_UINT, {.uint = value}};
}
static inline log_field_t log_int(const char *key, int64_t value)
{
    return (log_field_t){key, LOG_FIELD_INT, {.sint = value}};
}
static inline log_field_t log_bytes(const char *key, fabric_bytes_t value)
{
    return (log_field_t){key, LOG_FIELD_BYTES, {.bytes = value}};
}

/* Writes one event if its level is enabled. Keys and codes are not escaped. */
void log_write(log_level_t level, const char *code, const log_field_t *fields);
/* Writes how many lines were dropped, if any were and the sink takes lines again. A program's loop
 * calls it about once a second, since no other line may follow for long. */
void log_report_dropped(void);
/* Formats the line of an event, with its newline and without a terminator; returns its size. */
size_t log_format(char text[LOG_LINE_BYTES_MAX], int64_t wall_ms, log_level_t level,
                  const char *code, const log_field_t *fields);

/* log_event(LOG_INFO_LEVEL, "broker.started", log_text("endpoint", e), log_uint("lanes", n)); with
 * at least one field. */
#define log_event(level, code, ...)                                                                \
    log_write((level), (code), (const log_field_t[]){__VA_ARGS__, {0}})

/* Lets at most `per_s` events a second pass, for one static limiter. The next event that passes
 * says how many were left out. */
typedef struct log_limiter {
    uint64_t second;
    uint32_t used;
    uint32_t left_out;
} log_limiter_t;
/* Whether an event may pass now; `left_out` gets how many were suppressed since the last one that
 * passed. One thread. */
bool log_limiter_pass(log_limiter_t *limiter, uint32_t per_s, uint64_t now_ms, uint32_t *left_out);

#endif
