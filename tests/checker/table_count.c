/* How many messages there are: see table_count.h. */
#include "tests/checker/table_count.h"

#include <stdlib.h>

#include "core/message.h"
#include "tests/checker/history.h"
#include "tests/checker/table_dump.h"

static int compare_ids(const void *left, const void *right)
{
    uint64_t a = ((const table_message_t *)left)->request_id;
    uint64_t b = ((const table_message_t *)right)->request_id;
    return a < b ? -1 : a > b;
}

static int compare_keys(const void *left, const void *right)
{
    const table_message_t *a = left;
    const table_message_t *b = right;
    if (a->key_client != b->key_client) {
        return a->key_client < b->key_client ? -1 : 1;
    }
    return a->key_sequence < b->key_sequence ? -1 : a->key_sequence > b->key_sequence;
}

static bool is_counted(const table_message_t *message, const table_filter_t *filter)
{
    return message->request_id > filter->above &&
           (filter->entity.size == 0 ||
            message->id_hash == history_hash(filter->entity.data, filter->entity.size));
}

/* Keeps only what is counted, by id. */
static void filter_messages(table_dump_t *dump, const table_filter_t *filter)
{
    size_t kept = 0;
    for (size_t i = 0; i < dump->message_count; i++) {
        if (is_counted(&dump->messages[i], filter)) {
            dump->messages[kept++] = dump->messages[i];
        }
    }
    dump->message_count = kept;
    if (kept > 0) {
        qsort(dump->messages, kept, sizeof *dump->messages, compare_ids);
    }
}

static bool has_message(const table_dump_t *dump, uint64_t id)
{
    table_message_t key = {.request_id = id};
    return dump->message_count > 0 &&
           bsearch(&key, dump->messages, dump->message_count, sizeof key, compare_ids) != NULL;
}

/* Sorts the messages anew. */
static uint64_t count_keys(table_dump_t *dump)
{
    uint64_t keys = dump->message_count > 0;
    if (dump->message_count > 0) {
        qsort(dump->messages, dump->message_count, sizeof *dump->messages, compare_keys);
    }
    for (size_t i = 1; i < dump->message_count; i++) {
        keys += compare_keys(&dump->messages[i - 1], &dump->messages[i]) != 0;
    }
    return keys;
}

table_count_t table_count_read(testbed_t *bed, const table_filter_t *filter)
{
    static const table_filter_t all = {.above = 0};
    filter = filter ? filter : &all;
    table_count_t count = {.messages = 0};
    table_dump_t dump = table_dump_read(bed);
    if (dump.fault_count > 0 && !filter->inconsistent) {
        fail_msg("%s", dump.faults[0].text);
    }
    filter_messages(&dump, filter);
    count.messages = dump.message_count;
    count.last_id = dump.message_count ? dump.messages[dump.message_count - 1].request_id : 0;
    for (size_t i = 0; i < dump.reply_count; i++) {
        bool counts = has_message(&dump, dump.replies[i].request_id);
        count.ended += counts;
        count.answered += counts && dump.replies[i].status == STATUS_OK;
    }
    for (size_t i = 0; i < dump.dead_letter_count; i++) {
        count.dead += has_message(&dump, dump.dead_letters[i].request_id);
    }
    count.calls = count_keys(&dump);
    count.states = dump.state_count;
    table_dump_free(&dump);
    return count;
}

void table_count_expect_all_answered(testbed_t *bed, uint64_t messages)
{
    table_count_t count = table_count_read(bed, NULL);
    assert_int_equal(count.messages, messages);
    assert_int_equal(count.calls, messages);
    assert_int_equal(count.ended, messages);
    assert_int_equal(count.answered, messages);
    assert_int_equal(count.dead, 0);
}
