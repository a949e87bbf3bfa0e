/* Names of brokers and runners: see names.h. */
#include "cli/names.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/json.h"
#include "cli/report.h"

enum { LIST_SIZE = 700 };

static bool is_called(const json_t *one, const char *wanted)
{
    size_t size = strlen(wanted);
    return strcmp(cli_text_of(one, "name"), wanted) == 0 ||
           (size >= CLI_ID_DIGITS_MIN &&
            strncasecmp(cli_text_of(one, "incarnation"), wanted, size) == 0);
}

size_t cli_name_count(const json_t *array, const char *wanted)
{
    size_t found = 0;
    size_t index;
    const json_t *one;
    json_array_foreach((json_t *)array, index, one)
    {
        found += is_called(one, wanted);
    }
    return found;
}

/* Lists those that are called `wanted`; NULL: all. */
static void list(const json_t *array, const char *wanted, char text[LIST_SIZE])
{
    size_t used = 0;
    size_t index;
    const json_t *one;
    text[0] = '\0';
    json_array_foreach((json_t *)array, index, one)
    {
        if (used < LIST_SIZE - 1u && (!wanted || is_called(one, wanted))) {
            used += (size_t)snprintf(text + used, LIST_SIZE - used, "%s%.60s (%.*s)",
                                     used > 0 ? ", " : "", cli_text_of(one, "name"),
                                     CLI_ID_DIGITS_SHOWN, cli_text_of(one, "incarnation"));
        }
    }
}

const json_t *cli_name_find(const json_t *array, const char *what, const char *wanted)
{
    char candidates[LIST_SIZE];
    char remedy[LIST_SIZE + 100];
    size_t found = cli_name_count(array, wanted);
    if (found == 1) {
        size_t index = 0;
        while (!is_called(json_array_get(array, index), wanted)) {
            index++;
        }
        return json_array_get(array, index);
    }
    list(array, found > 0 ? wanted : NULL, candidates);
    if (found > 0) {
        snprintf(remedy, sizeof remedy, "say more digits of one of these: %s", candidates);
        (void)cli_fail(FABRIC_ERROR_NOT_FOUND, remedy, "%zu %ss are called '%.100s'", found, what,
                       wanted);
        return NULL;
    }
    snprintf(remedy, sizeof remedy, *candidates ? "there are %s" : "there are none%s", candidates);
    (void)cli_fail(FABRIC_ERROR_NOT_FOUND, remedy, "no %s is called '%.100s'", what, wanted);
    return NULL;
}
