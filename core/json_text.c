/* JSON text: see json_text.h. */
#include "core/json_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prints and reads in the program's locale, whose decimal point may be any bytes. */
static void print_shortest(double value, char text[JSON_NUMBER_SIZE])
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, JSON_NUMBER_SIZE, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            return;
        }
    }
}

void json_number(double value, char text[JSON_NUMBER_SIZE])
{
    static const char exponents[] = "eE";
    char printed[JSON_NUMBER_SIZE];
    print_shortest(value, printed);
    const char *from = printed;
    char *to = text;
    while (*from == '-' || (*from >= '0' && *from <= '9')) {
        *to++ = *from++;
    }
    bool whole = *from == '\0';
    if (!whole && !strchr(exponents, *from)) {
        from += strcspn(from, "0123456789"); /* the locale's decimal point */
        *to++ = '.';
        while (*from >= '0' && *from <= '9') {
            *to++ = *from++;
        }
    }
    if (*from) { /* e+05, e-05 */
        *to++ = 'e';
        from++;
        if (*from == '-') {
            *to++ = '-';
        }
        from += strspn(from, "+-0");
    }
    (void)snprintf(to, (size_t)(text + JSON_NUMBER_SIZE - to), "%s%s", from, whole ? ".0" : "");
}

static void print_value(FILE *file, json_t *value, unsigned indent, unsigned depth);

/* The text before a member, or before the closing bracket. */
static void print_break(FILE *file, bool first, bool last, unsigned indent, unsigned depth)
{
    if (!first && !last) {
        fputs(indent ? "," : ", ", file);
    }
    if (indent) {
        fprintf(file, "\n%*s", (int)(indent * (last ? depth : depth + 1)), "");
    }
}

static void print_object(FILE *file, json_t *object, unsigned indent, unsigned depth)
{
    const char *key;
    json_t *member;
    bool first = true;
    fputc('{', file);
    json_object_foreach(object, key, member)
    {
        json_t *name = json_string_nocheck(key);
        print_break(file, first, false, indent, depth);
        print_value(file, name, indent, depth);
        json_decref(name);
        fputs(": ", file);
        print_value(file, member, indent, depth + 1);
        first = false;
    }
    if (!first) {
        print_break(file, false, true, indent, depth);
    }
    fputc('}', file);
}

static void print_array(FILE *file, json_t *array, unsigned indent, unsigned depth)
{
    size_t count = json_array_size(array);
    fputc('[', file);
    for (size_t i = 0; i < count; i++) {
        print_break(file, i == 0, false, indent, depth);
        print_value(file, json_array_get(array, i), indent, depth + 1);
    }
    if (count > 0) {
        print_break(file, false, true, indent, depth);
    }
    fputc(']', file);
}

static void print_value(FILE *file, json_t *value, unsigned indent, unsigned depth)
{
    char number[JSON_NUMBER_SIZE];
    if (json_is_object(value)) {
        print_object(file, value, indent, depth);
    } else if (json_is_array(value)) {
        print_array(file, value, indent, depth);
    } else if (json_is_real(value)) {
        json_number(json_real_value(value), number);
        fputs(number, file);
    } else if (json_dumpf(value, file, JSON_ENCODE_ANY) != 0) {
        abort();
    }
}

char *json_text(json_t *value, unsigned indent)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) {
        abort();
    }
    print_value(file, value, indent, 0);
    if (ferror(file) || fclose(file) != 0) {
        abort();
    }
    return text;
}
