/* JSON with large integers: see json_load.h. */
#include "core/json_load.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

/* Large integers become strings that begin with a NUL, which no string of an accepted text has. */
#define MARK "\\u0000"

enum { FLAGS = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, WRAP_BYTES = sizeof "\"" MARK "\"" - 1 };

static bool is_large(const char *number)
{
    errno = 0;
    (void)strtoll(number, NULL, 10);
    return errno == ERANGE;
}

/* The end of the string whose opening quote is given. */
static const char *skip_string(const char *quote)
{
    const char *next = quote + 1;
    while (*next && *next != '"') {
        next += next[0] == '\\' && next[1] ? 2 : 1;
    }
    return *next ? next + 1 : next;
}

static size_t copy(char *to, const char *from, size_t size)
{
    memcpy(to, from, size);
    return size;
}

/* A copy of the text with each large integer marked, which the caller frees. */
static char *mark_large_integers(const char *text)
{
    /* At worst the text consists of large integers, which have at least 19 digits each. */
    size_t capacity = strlen(text) + (strlen(text) / 19 + 1) * WRAP_BYTES + 1;
    char *marked = memory_allocate(capacity);
    size_t size = 0;
    while (*text) {
        size_t token =
            *text == '"' ? (size_t)(skip_string(text) - text) : strspn(text, "+-.eE0123456789");
        bool large =
            token > 0 && *text != '"' && strspn(text, "-0123456789") == token && is_large(text);
        if (large) {
            size += copy(marked + size, "\"" MARK, sizeof "\"" MARK - 1);
        }
        token = token > 0 ? token : 1;
        size += copy(marked + size, text, token);
        if (large) {
            marked[size++] = '"';
        }
        text += token;
    }
    marked[size] = '\0';
    return marked;
}

json_t *json_load_text(const char *text, json_error_t *error)
{
    json_t *value = json_loads(text, FLAGS, error);
    if (value || json_error_code(error) != json_error_numeric_overflow || strstr(text, MARK)) {
        return value;
    }
    char *marked = mark_large_integers(text);
    value = json_loads(marked, FLAGS | JSON_ALLOW_NUL, error);
    free(marked);
    return value;
}

const char *json_large_integer(const json_t *value)
{
    const char *text = json_string_value(value);
    return text && json_string_length(value) > 0 && *text == '\0' ? text + 1 : NULL;
}
