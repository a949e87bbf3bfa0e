/* Rows as a table: see table.h. */
#include "cli/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "core/memory.h"
#include "core/printable.h"

enum { COLUMNS_MAX = 12 };

/* ---- cells ---- */

static char *printable(const char *text)
{
    size_t size = PRINTABLE_SIZE(strlen(text));
    char *copy = memory_allocate(size);
    printable_copy(text, copy, size);
    return copy;
}

static char *join(char *list, const char *key, const char *text)
{
    char *joined = NULL;
    char *safe_key = printable(key);
    char *safe = printable(text);
    if (asprintf(&joined, "%s%s%s%s%s", list ? list : "", list ? "," : "", safe_key,
                 *key ? "=" : "", safe) < 0) {
        abort();
    }
    free(safe_key);
    free(safe);
    free(list);
    return joined;
}

static char *list_cell(const json_t *value)
{
    char *list = NULL;
    size_t index;
    const char *key;
    const json_t *element;
    if (json_is_array(value)) {
        json_array_foreach(value, index, element)
        {
            list = join(list, "", json_string_value(element) ? json_string_value(element) : "-");
        }
    } else {
        json_object_foreach((json_t *)value, key, element)
        {
            list = join(list, key, json_string_value(element) ? json_string_value(element) : "-");
        }
    }
    return list ? list : memory_copy_string("-");
}

/* The cell's text, the caller's. */
static char *cell(const json_t *row, const cli_column_t *column)
{
    const json_t *value = json_object_get(row, column->key);
    char number[32];
    if (json_is_string(value)) {
        char *text = printable(json_string_value(value));
        if (column->cut > 0 && strlen(text) > column->cut) {
            text[column->cut] = '\0';
        }
        return text;
    }
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        return memory_copy_string(number);
    }
    if (json_is_boolean(value)) {
        return memory_copy_string(json_is_true(value) ? "yes" : "");
    }
    return json_is_array(value) || json_is_object(value) ? list_cell(value)
                                                         : memory_copy_string("-");
}

/* ---- tables ---- */

static int width_of(const json_t *rows, const cli_column_t *column)
{
    size_t width = strlen(column->title);
    size_t index;
    const json_t *row;
    json_array_foreach((json_t *)rows, index, row)
    {
        char *text = cell(row, column);
        width = strlen(text) > width ? strlen(text) : width;
        free(text);
    }
    return (int)width;
}

static void print_cell(const char *text, int width, bool right, bool last, FILE *file)
{
    if (right) {
        fprintf(file, "%*s", width, text);
    } else if (last) {
        fputs(text, file);
    } else {
        fprintf(file, "%-*s", width, text);
    }
    fputs(last ? "\n" : "  ", file);
}

void cli_table_print(const json_t *rows, const cli_column_t *columns, const char *none, FILE *file)
{
    int widths[COLUMNS_MAX];
    size_t count = 0;
    size_t index;
    const json_t *row;
    const json_t *first = json_array_get(rows, 0);
    for (; count < COLUMNS_MAX && columns[count].title; count++) {
        widths[count] = width_of(rows, &columns[count]);
    }
    for (size_t i = 0; i < count; i++) {
        bool right = json_is_integer(json_object_get(first, columns[i].key));
        print_cell(columns[i].title, widths[i], right, i + 1 == count, file);
    }
    json_array_foreach((json_t *)rows, index, row)
    {
        for (size_t i = 0; i < count; i++) {
            char *text = cell(row, &columns[i]);
            bool right = json_is_integer(json_object_get(row, columns[i].key));
            print_cell(text, widths[i], right, i + 1 == count, file);
            free(text);
        }
    }
    if (json_array_size(rows) == 0) {
        fprintf(file, "%s\n", none);
    }
}

void cli_json_print(const json_t *value, FILE *file)
{
    char *text = json_text((json_t *)(uintptr_t)value, 2);
    fprintf(file, "%s\n", text);
    free(text);
}
