/* Names of brokers and runners: see names.h. */
#include "cli/names.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/report.h"

enum { LIST_SIZE = 700 };

static bool is_called(const cli_name_t *one, const char *wanted)
{
    size_t size = strlen(wanted);
    return strcmp(one->name, wanted) == 0 ||
           (size >= CLI_ID_DIGITS_MIN && strncasecmp(one->id, wanted, size) == 0);
}

size_t cli_name_count(const cli_name_t *names, size_t count, const char *wanted)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += is_called(&names[i], wanted);
    }
    return found;
}

/* Lists those that are called `wanted`; NULL: all. */
static void list(const cli_name_t *names, size_t count, const char *wanted, char text[LIST_SIZE])
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && used < LIST_SIZE - 1u; i++) {
        if (!wanted || is_called(&names[i], wanted)) {
            used += (size_t)snprintf(text + used, LIST_SIZE - used, "%s%.60s (%.*s)",
                                     used > 0 ? ", " : "", names[i].name, CLI_ID_DIGITS_SHOWN,
                                     names[i].id);
        }
    }
}

int cli_name_find(const cli_name_t *names, size_t count, const char *what, const char *wanted,
                  size_t *index)
{
    char candidates[LIST_SIZE];
    char remedy[LIST_SIZE + 100];
    size_t found = cli_name_count(names, count, wanted);
    if (found == 1) {
        for (*index = 0; !is_called(&names[*index], wanted); ++*index) {
        }
        return CLI_DONE;
    }
    list(names, count, found > 0 ? wanted : NULL, candidates);
    if (found > 0) {
        snprintf(remedy, sizeof remedy, "say more digits of one of these: %s", candidates);
        return cli_fail(FABRIC_ERROR_NOT_FOUND, remedy, "%zu %ss are called '%.100s'", found, what,
                        wanted);
    }
    snprintf(remedy, sizeof remedy, count > 0 ? "there are %s" : "there are none%s",
             count > 0 ? candidates : "");
    return cli_fail(FABRIC_ERROR_NOT_FOUND, remedy, "no %s is called '%.100s'", what, wanted);
}
