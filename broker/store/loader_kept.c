/* Which entities of a lane that is adopted are to be kept alive: what the rows say, and what the
 * entries above the checkpoint say since. */
#include <stdlib.h>
#include <string.h>

#include "broker/store/loader_state.h"
#include "core/limits.h"
#include "core/memory.h"

static void add_name(reading_t *reading, fabric_bytes_t name)
{
    reading->kept_names = memory_reserve(reading->kept_names, reading->kept_name_bytes + name.size,
                                         &reading->kept_name_capacity, 1);
    memcpy(reading->kept_names + reading->kept_name_bytes, name.data, name.size);
    reading->kept_name_bytes += name.size;
}

static bool is_name(fabric_bytes_t name)
{
    return name.size >= 1 && name.size <= LIMIT_NAME_BYTES_MAX;
}

/* Its names are copied one after the other, so that set_views finds them by their sizes. */
static void add(void *context, const store_kept_t *kept)
{
    reading_t *reading = context;
    if (!is_name(kept->type) || !is_name(kept->entity)) {
        return; /* somebody else has written this row */
    }
    add_name(reading, kept->type);
    add_name(reading, kept->entity);
    reading->kept = memory_reserve(reading->kept, reading->kept_count + 1, &reading->kept_capacity,
                                   sizeof *reading->kept);
    reading->kept[reading->kept_count++] = *kept;
}

static void set_views(reading_t *reading)
{
    const uint8_t *at = reading->kept_names;
    for (size_t i = 0; i < reading->kept_count; i++) {
        store_kept_t *kept = &reading->kept[i];
        kept->type.data = at;
        kept->entity.data = at + kept->type.size;
        at = kept->entity.data + kept->entity.size;
    }
}

static int compare_bytes(fabric_bytes_t a, fabric_bytes_t b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* By entity; of one entity, in the order in which it was told of, which is that of the names. */
static int compare(const void *left, const void *right)
{
    const store_kept_t *a = left;
    const store_kept_t *b = right;
    int order = compare_bytes(a->type, b->type);
    order = order ? order : compare_bytes(a->entity, b->entity);
    return order ? order : (a->type.data > b->type.data) - (a->type.data < b->type.data);
}

static bool is_same_entity(const store_kept_t *a, const store_kept_t *b)
{
    return fabric_bytes_equal(a->type, b->type) && fabric_bytes_equal(a->entity, b->entity);
}

/* What was told last of each entity counts. */
static void keep_last(reading_t *reading)
{
    size_t kept = 0;
    for (size_t i = 0; i < reading->kept_count; i++) {
        bool is_last = i + 1 == reading->kept_count ||
                       !is_same_entity(&reading->kept[i], &reading->kept[i + 1]);
        if (is_last) {
            reading->kept[kept++] = reading->kept[i];
        }
    }
    reading->kept_count = kept;
}

fabric_error_t loader_list_kept(reading_t *reading)
{
    fabric_error_t error =
        reading->store->driver->list_kept(reading->store, reading->hold.lane, add, reading);
    size_t count = 0;
    const store_kept_t *told = journal_fold_kept(reading->fold, &count);
    for (size_t i = 0; !error && i < count; i++) {
        store_kept_t kept = told[i];
        kept.number = 0;
        add(reading, &kept);
    }
    if (!error && reading->kept_count > 0) {
        set_views(reading);
        qsort(reading->kept, reading->kept_count, sizeof *reading->kept, compare);
        keep_last(reading);
    }
    return error;
}

void loader_put_kept(reading_t *reading, adoption_t *adoption)
{
    adoption->kept = reading->kept;
    adoption->kept_count = reading->kept_count;
    adoption->kept_names = reading->kept_names;
    reading->kept = NULL;
    reading->kept_names = NULL;
}
