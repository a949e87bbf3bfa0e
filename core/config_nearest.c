/* Configuration: which key a misspelt one is probably meant to be. */
#include <ctype.h>
#include <string.h>

#include "core/config_state.h"

#define SHORT_NAME 8 /* shorter names may differ in one place only, else too many are near */

static char plain(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many characters must be inserted, left out, replaced or swapped with the next one to make one
 * text of the other (optimal string alignment: F. Damerau, 1964). Upper and lower case, and dash
 * and underscore, count as the same. */
static size_t distance(const char *a, const char *b)
{
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    size_t rows[3][CONFIG_NAME_SIZE];
    for (size_t j = 0; j <= b_size; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *before = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            char x = plain(a[i - 1]);
            char y = plain(b[j - 1]);
            row[j] = least(above[j - 1] + (x != y), least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && x == plain(b[j - 2]) && y == plain(a[i - 2])) {
                row[j] = least(row[j], before[j - 2] + 1);
            }
        }
    }
    return rows[a_size % 3][b_size];
}

bool config_is_near(const char *given, const char *known)
{
    size_t allowed = strlen(known) < SHORT_NAME ? 1 : 2;
    return strlen(given) < CONFIG_NAME_SIZE && strlen(known) < CONFIG_NAME_SIZE &&
           distance(given, known) <= allowed;
}

const char *config_nearest(const config_t *config, const char *given)
{
    for (size_t i = 0; i < config->key_count; i++) {
        if (config_is_near(given, config->keys[i].name)) {
            return config->keys[i].name;
        }
    }
    return NULL;
}
