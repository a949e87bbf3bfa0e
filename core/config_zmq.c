/* Configuration files, parsed with czmq's zconfig. */
#include "core/config_file.h"

#include <assert.h>
#include <czmq.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads all of an open file into `text`, terminated; the caller frees it. */
static fabric_error_t read_open_file(int file, const char *path, reason_t *reason, char **text)
{
    char *contents = malloc(CONFIG_FILE_BYTES_MAX + 1);
    if (!contents) {
        abort();
    }
    size_t size = 0;
    ssize_t got = 1;
    while (got > 0 && size <= CONFIG_FILE_BYTES_MAX) {
        got = read(file, contents + size, CONFIG_FILE_BYTES_MAX + 1 - size);
        size += got > 0 ? (size_t)got : 0;
    }
    if (got < 0) {
        free(contents);
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION, "%s: cannot be read: %s",
                          path, strerror(errno));
    }
    if (size > CONFIG_FILE_BYTES_MAX || memchr(contents, '\0', size)) {
        free(contents);
        return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "%s: is no text file of at most %d bytes", path, CONFIG_FILE_BYTES_MAX);
    }
    contents[size] = '\0';
    *text = contents;
    return FABRIC_OK;
}

/* The mode is asked of the open file, so that it is that of the bytes read. */
static fabric_error_t read_file(const char *path, reason_t *reason, bool *open_to_others,
                                char **text)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0) {
        reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION, "%s: cannot be opened: %s", path,
                   strerror(errno));
        if (file >= 0) {
            close(file);
        }
        return FABRIC_ERROR_INVALID_CONFIGURATION;
    }
    *open_to_others = (status.st_mode & (S_IRGRP | S_IROTH)) != 0;
    fabric_error_t error = read_open_file(file, path, reason, text);
    close(file);
    return error;
}

/* Whether a quote is closed, and nothing but a comment comes behind it. */
static bool quote_is_all(const char *quote, const char *end)
{
    const char *next = memchr(quote + 1, *quote, (size_t)(end - quote) - 1);
    for (next = next ? next + 1 : quote; next < end && isspace((unsigned char)*next); next++) {
    }
    return next == end || *next == '#';
}

/* Whether a line is blank, a comment, or name = value with a closed quote. zconfig takes a name
 * alone for an empty value, and reports what it refuses on standard output: neither may happen. */
static bool line_is_valid(const char *line, size_t size)
{
    const char *end = line + size;
    const char *next = line;
    while (next < end && (isalnum((unsigned char)*next) || *next == '_')) {
        next++;
    }
    bool named = next > line;
    while (next < end && isspace((unsigned char)*next)) {
        next++;
    }
    if (!named) {
        return next == end || *next == '#';
    }
    if (next == end || *next++ != '=') {
        return false;
    }
    while (next < end && isspace((unsigned char)*next)) {
        next++;
    }
    bool quoted = next < end && (*next == '"' || *next == '\'');
    return !quoted || quote_is_all(next, end);
}

/* Checks each line, and makes a plain comment of each that has no name: zconfig refuses one that is
 * indented. */
static fabric_error_t check_lines(const char *path, char *text, reason_t *reason)
{
    unsigned number = 1;
    for (char *line = text; *line; number++) {
        size_t size = strcspn(line, "\n");
        if (!line_is_valid(line, size)) {
            return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                              "%s: line %u is not of the form: name = value", path, number);
        }
        if (!isalnum((unsigned char)*line) && *line != '_') {
            memset(line, '#', size);
        }
        line += size + (line[size] == '\n');
    }
    return FABRIC_OK;
}

fabric_error_t config_file_read(const char *path, reason_t *reason, config_file_line_t line,
                                void *context)
{
    bool open_to_others = false;
    char *text = NULL;
    fabric_error_t error = read_file(path, reason, &open_to_others, &text);
    if (error) {
        return error;
    }
    assert(text);
    error = check_lines(path, text, reason);
    zconfig_t *root = error ? NULL : zconfig_str_load(text);
    free(text);
    if (!error && !root) {
        error = reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION, "%s: is malformed", path);
    }
    zconfig_t *item = root ? zconfig_child(root) : NULL;
    for (; item && !error; item = zconfig_next(item)) {
        error = line(context, zconfig_name(item), zconfig_value(item), open_to_others, reason);
    }
    zconfig_destroy(&root);
    return error;
}
