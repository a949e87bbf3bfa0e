/* Configuration files, parsed with czmq's zconfig. */
#include "core/config_file.h"

#include <assert.h>
#include <czmq.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"

static const char BYTE_ORDER_MARK[] = "\xef\xbb\xbf"; /* UTF-8, as some editors write it */
static const char SPACES[] = " \t";
static const char NAME[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

/* Reads all of an open file into `text`, terminated; the caller frees it. */
static fabric_error_t read_open_file(int file, const char *path, reason_t *reason, char **text)
{
    char *contents = memory_allocate(CONFIG_FILE_BYTES_MAX + 1);
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

/* Looks at the mode of the open file, not of its path: it is the file whose bytes are read. */
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

/* What is wrong with the value behind `=`, and what to do. NULL: nothing is wrong. */
static const char *value_fault(const char *value)
{
    value += strspn(value, SPACES);
    if (*value == '\0' || *value == '#') {
        return "the value is missing; write \"\" for an empty one";
    }
    if (*value == '"' || *value == '\'') {
        const char *end = strchr(value + 1, *value);
        if (!end) {
            return "the quote is not closed; a value with a quote in it stands in the other kind";
        }
        end += 1 + strspn(end + 1, SPACES);
        return *end == '\0' || *end == '#' ? NULL
                                           : "text follows the closing quote; put # before it, or "
                                             "all of the value in the other kind of quotes";
    }
    const char *mark = strpbrk(value, "#\"'");
    if (mark && *mark != '#') {
        return "a value with a quote in it stands in quotes of the other kind, as \"it's\"";
    }
    return !mark || strchr(SPACES, mark[-1]) ? NULL
                                             : "a value with # in it stands in quotes, as \"a#b\"; "
                                               "white space goes before a comment";
}

/* What is wrong with a line, and what to do. NULL: nothing is wrong. A line without a name is made
 * a plain comment, since zconfig refuses an indented comment. */
static const char *line_fault(char *line, size_t size)
{
    if (size > CONFIG_FILE_LINE_BYTES_MAX) {
        return "it has more than 1024 bytes; shorten it";
    }
    for (const char *next = line; *next; next++) {
        if (iscntrl((unsigned char)*next) && *next != '\t') {
            return "it holds a control character; remove it";
        }
    }
    size_t name_size = strspn(line, NAME);
    const char *next = line + name_size + strspn(line + name_size, SPACES);
    if (name_size == 0 && (*next == '\0' || *next == '#')) {
        memset(line, '#', size);
        return NULL;
    }
    if (name_size == 0 && next > line && strchr(NAME, *next)) {
        return "it is indented; a name begins its line";
    }
    if (name_size == 0 || *next != '=') {
        return "it is not of the form: name = value";
    }
    return value_fault(next + 1);
}

/* zconfig cuts a value at any #, takes a name without a value for an empty value, makes a tree of
 * indented lines, and reports what it refuses on standard output. It therefore gets to see only
 * lines that can be read in one way. */
static fabric_error_t check_lines(const char *path, char *text, reason_t *reason)
{
    for (unsigned number = 1; *text; number++) {
        size_t size = strcspn(text, "\n");
        bool ended = text[size] == '\n';
        if (ended && size > 0 && text[size - 1] == '\r') {
            text[size - 1] = ' ';
        }
        text[size] = '\0';
        const char *fault = line_fault(text, size);
        if (fault) {
            return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION, "%s: line %u: %s", path,
                              number, fault);
        }
        text[size] = ended ? '\n' : '\0';
        text += size + ended;
    }
    return FABRIC_OK;
}

fabric_error_t config_file_read(const char *path, reason_t *reason, config_file_line_t line,
                                void *context)
{
    bool open_to_others = false;
    char *contents = NULL;
    fabric_error_t error = read_file(path, reason, &open_to_others, &contents);
    if (error) {
        return error;
    }
    assert(contents);
    size_t mark_size = sizeof BYTE_ORDER_MARK - 1;
    char *text = contents + (strncmp(contents, BYTE_ORDER_MARK, mark_size) == 0 ? mark_size : 0);
    error = check_lines(path, text, reason);
    zconfig_t *root = error ? NULL : zconfig_str_load(text);
    free(contents);
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
