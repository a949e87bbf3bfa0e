/* Reading JSON: see json.h. */
#include "cli/json.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/printable.h"

json_t *cli_find(const json_t *array, const char *key, const char *text)
{
    size_t index;
    json_t *element;
    json_array_foreach((json_t *)array, index, element)
    {
        const char *found = json_string_value(json_object_get(element, key));
        if (found && strcmp(found, text) == 0) {
            return element;
        }
    }
    return NULL;
}

const char *cli_text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

long long cli_number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

json_t *cli_json_text(const char *text)
{
    json_t *made = json_string(text);
    if (!made) {
        size_t size = PRINTABLE_SIZE(strlen(text));
        char *copy = memory_allocate(size);
        printable_copy(text, copy, size);
        made = json_string(copy);
        free(copy);
    }
    return made;
}
