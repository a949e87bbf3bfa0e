/* The list of a lane's primary keys in the store: see key_list.h. */
#include "broker/router/key_list.h"

/* Rows that are read for each key that is looked up, so that reading costs about as much as looking
 * up; and rows of one page, since look-ups wait for it. */
enum { ROWS_FOR_EACH_KEY = 32, PAGE_ROWS_MAX = 4096, FILTER_BYTES_EACH = 3 };

/* Whether its rows are being read. */
static bool is_read(const key_list_t *list)
{
    return !list->complete && !list->too_long;
}

void key_list_begin(key_list_t *list)
{
    key_filter_clear(&list->filter);
    *list = (key_list_t){.number = list->number + 1};
}

bool key_list_excludes(const key_list_t *list, const uint8_t hash[STORE_KEY_BYTES])
{
    return list->complete && !key_filter_has(&list->filter, hash);
}

static void give_up(key_list_t *list)
{
    key_list_begin(list);
    list->too_long = true;
}

void key_list_add(key_list_t *list, uint64_t bytes_max, const uint8_t hash[STORE_KEY_BYTES])
{
    if (list->too_long) {
        list->forgotten++;
        if (list->forgotten >= bytes_max / FILTER_BYTES_EACH) {
            key_list_begin(list);
        }
    } else if (!key_filter_add(&list->filter, bytes_max, hash)) {
        if (list->complete) {
            key_list_begin(list); /* the key has a row, which will be read */
        } else {
            give_up(list);
        }
    }
}

key_page_t key_list_next(const key_list_t *list, size_t key_count)
{
    if (!is_read(list) || key_count == 0) {
        return (key_page_t){.limit = 0};
    }
    size_t rows = key_count * ROWS_FOR_EACH_KEY;
    return (key_page_t){.number = list->number,
                        .limit = rows < PAGE_ROWS_MAX ? (uint32_t)rows : PAGE_ROWS_MAX,
                        .any = list->any,
                        .after = list->last};
}

void key_list_take(key_list_t *list, uint64_t bytes_max, uint32_t number,
                   const store_key_name_t *names, size_t count, bool ended)
{
    if (!is_read(list) || list->number != number) {
        return; /* the lane was dropped meanwhile, or the list was given up */
    }
    for (size_t i = 0; i < count; i++) {
        if (!key_filter_add(&list->filter, bytes_max, names[i].hash)) {
            give_up(list);
            return;
        }
    }
    if (count > 0) {
        list->last = names[count - 1];
        list->any = true;
    }
    if (ended) {
        list->complete = true;
    }
}
