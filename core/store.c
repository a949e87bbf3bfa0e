/* The store port: choosing an adapter by its URL. */
#include "core/store.h"

#include <stdio.h>

#include "core/printable.h"

fabric_error_t store_open(const store_driver_t *const *drivers, const store_options_t *options,
                          reason_t *reason, store_t **store)
{
    const char *colon = options->url ? strchr(options->url, ':') : NULL;
    size_t size = colon ? (size_t)(colon - options->url) : 0;
    char schemes[128] = "";
    for (size_t i = 0; drivers[i]; i++) {
        if (size > 0 && strlen(drivers[i]->scheme) == size &&
            memcmp(drivers[i]->scheme, options->url, size) == 0) {
            return drivers[i]->open(options, reason, store);
        }
        size_t used = strlen(schemes);
        snprintf(schemes + used, sizeof schemes - used, "%s%s:", used ? ", " : "",
                 drivers[i]->scheme);
    }
    char url[100];
    printable_url(options->url ? options->url : "", url, sizeof url);
    return reason_set(reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                      "store: '%s' must begin with one of %s", url, schemes);
}

void store_note_error(store_t *store, unsigned number, const char *words)
{
    (void)reason_set(&store->last_error, FABRIC_OK, "%.480s (%u)", words, number);
}

const char *store_error_text(const store_t *store, fabric_error_t error)
{
    bool refused = error == FABRIC_ERROR_STORE_BUSY || error == FABRIC_ERROR_STORE_REJECTED ||
                   error == FABRIC_ERROR_STORE_UNAVAILABLE || error == FABRIC_ERROR_STORE_UNKNOWN;
    return refused && store->last_error.text[0] ? store->last_error.text
                                                : fabric_error_meaning(error);
}

void store_close(store_t **store)
{
    if (*store) {
        (*store)->driver->close(store);
    }
    *store = NULL;
}
