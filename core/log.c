/* Log lines: formatting into one buffer and one write. */
#include "core/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/sink.h"

static log_level_t current_level = LOG_INFO_LEVEL;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for what follows */
static sink_t sink = {.fd = STDERR_FILENO};
static atomic_uint_least64_t dropped; /* lines that the sink did not take, since it took one */

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_set_level(log_level_t level)
{
    current_level = level;
}

void log_set_sink(int descriptor)
{
    pthread_mutex_lock(&lock);
    sink_close(&sink);
    sink = sink_open(descriptor);
    pthread_mutex_unlock(&lock);
}

fabric_error_t log_level_parse(const char *text, log_level_t *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (log_level_t)i;
            return FABRIC_OK;
        }
    }
    return FABRIC_ERROR_INVALID_ARGUMENT;
}

bool log_enabled(log_level_t level)
{
    return level <= current_level;
}

/* A line under construction. Text that does not fit is left out, and the line then ends in
 * "...". */
typedef struct line {
    char *text;
    size_t size;
    size_t max; /* without the end mark and the newline */
    bool cut;
} line_t;

static void append(line_t *line, const char *text, size_t size)
{
    if (line->cut || line->max - line->size < size) {
        line->cut = true;
        return;
    }
    memcpy(line->text + line->size, text, size);
    line->size += size;
}

static void append_text(line_t *line, const char *text)
{
    append(line, text, strlen(text));
}

static bool is_plain(uint8_t byte)
{
    return byte > 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static void append_value(line_t *line, fabric_bytes_t value)
{
    bool plain = value.size > 0;
    for (size_t i = 0; plain && i < value.size; i++) {
        plain = is_plain(value.data[i]);
    }
    if (plain) { /* byte by byte, so that a long value is cut rather than left out */
        for (size_t i = 0; i < value.size; i++) {
            append(line, (const char *)&value.data[i], 1);
        }
        return;
    }
    append_text(line, "\"");
    for (size_t i = 0; i < value.size && !line->cut; i++) {
        uint8_t byte = value.data[i];
        char piece[8] = {(char)byte, '\0'};
        if (byte == '"' || byte == '\\') {
            snprintf(piece, sizeof piece, "\\%c", byte);
        } else if (byte != ' ' && !is_plain(byte)) {
            snprintf(piece, sizeof piece, "\\x%02x", byte);
        }
        append_text(line, piece);
    }
    append_text(line, "\"");
}

static void append_field(line_t *line, const log_field_t *field)
{
    char number[24];
    append_text(line, " ");
    append_text(line, field->key);
    append_text(line, "=");
    switch (field->type) {
    case LOG_FIELD_END:
        break;
    case LOG_FIELD_TEXT:
        append_value(line, fabric_bytes_of(field->value.text));
        break;
    case LOG_FIELD_UINT:
        snprintf(number, sizeof number, "%" PRIu64, field->value.uint);
        append_text(line, number);
        break;
    case LOG_FIELD_INT:
        snprintf(number, sizeof number, "%" PRId64, field->value.sint);
        append_text(line, number);
        break;
    case LOG_FIELD_BYTES:
        append_value(line, field->value.bytes);
        break;
    }
}

static void append_stamp(line_t *line, int64_t wall_ms)
{
    char stamp[40];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm date;
    gmtime_r(&seconds, &date);
    size_t size = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &date);
    snprintf(stamp + size, sizeof stamp - size, ".%03uZ ", (unsigned)(wall_ms % 1000));
    append_text(line, stamp);
}

size_t log_format(char text[LOG_LINE_BYTES_MAX], int64_t wall_ms, log_level_t level,
                  const char *code, const log_field_t *fields)
{
    static const char end_mark[] = "...";
    line_t line = {.text = text, .max = LOG_LINE_BYTES_MAX - sizeof end_mark};
    append_stamp(&line, wall_ms);
    append_text(&line, level_names[level]);
    append_text(&line, " ");
    append_text(&line, code);
    for (; fields->type != LOG_FIELD_END; fields++) {
        append_field(&line, fields);
    }
    if (line.cut) {
        memcpy(text + line.size, end_mark, sizeof end_mark - 1);
        line.size += sizeof end_mark - 1;
    }
    text[line.size++] = '\n';
    return line.size;
}

/* Formats the line that says how many lines were dropped; returns its size, 0 if none was. Under
 * the lock. */
static size_t format_dropped(char text[LOG_LINE_BYTES_MAX])
{
    uint64_t count = atomic_load_explicit(&dropped, memory_order_relaxed);
    return count == 0 ? 0
                      : log_format(text, clock_wall_ms(), LOG_WARN_LEVEL, "log.dropped",
                                   (const log_field_t[]){log_uint("lines", count), {0}});
}

void log_write(log_level_t level, const char *code, const log_field_t *fields)
{
    if (!log_enabled(level)) {
        return;
    }
    char text[2 * LOG_LINE_BYTES_MAX];
    pthread_mutex_lock(&lock);
    size_t size = format_dropped(text);
    size += log_format(text + size, clock_wall_ms(), level, code, fields);
    if (sink_write(&sink, text, size)) {
        atomic_store_explicit(&dropped, 0, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&lock);
}

void log_report_dropped(void)
{
    if (atomic_load_explicit(&dropped, memory_order_relaxed) == 0) {
        return;
    }
    char text[LOG_LINE_BYTES_MAX];
    pthread_mutex_lock(&lock);
    size_t size = format_dropped(text);
    if (size > 0 && sink_write(&sink, text, size)) {
        atomic_store_explicit(&dropped, 0, memory_order_relaxed);
    }
    pthread_mutex_unlock(&lock);
}

bool log_limiter_pass(log_limiter_t *limiter, uint32_t per_s, uint64_t now_ms, uint32_t *left_out)
{
    uint64_t second = now_ms / 1000;
    if (second != limiter->second) {
        limiter->second = second;
        limiter->used = 0;
    }
    if (limiter->used >= per_s) {
        limiter->left_out += limiter->left_out < UINT32_MAX;
        return false;
    }
    limiter->used++;
    *left_out = limiter->left_out;
    limiter->left_out = 0;
    return true;
}
