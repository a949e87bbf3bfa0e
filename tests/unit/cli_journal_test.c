/* fabricctl journal: entries as text and as JSON, and the filter by type and id. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/journal_print.h"
#include "core/memory.h"

enum { ID = 7000 };

static store_message_t message_of(uint64_t id, const char *type, const char *entity)
{
    return (store_message_t){.id = {id},
                             .shard = {0x10007},
                             .flags = 1,
                             .type = fabric_bytes_of(type),
                             .entity = fabric_bytes_of(entity),
                             .tag = fabric_bytes_of("Add"),
                             .payload = fabric_bytes("\x91\x05", 2),
                             .call = {77, 3}};
}

static const journal_attempts_t none = {0, 0};

static store_entry_t seal(journal_writer_t *writer)
{
    store_entry_t entry = {.lane = 3,
                           .number = 4711,
                           .epoch = 6,
                           .incarnation = {{0xab}},
                           .last_id = ID + 9,
                           .created_ms = INT64_C(1790000000123)};
    journal_seal(writer, &entry, 100);
    return entry;
}

static store_entry_t make_entry(journal_writer_t *writer)
{
    store_message_t add = message_of(ID, "Counter", "c-1");
    store_message_t evil = message_of(ID + 1, "Counter", "e\033[31m");
    store_message_t order = message_of(ID + 2, "Order", "c-1");
    store_reply_t yes = {.payload = fabric_bytes("\x91\x07", 2)};
    store_reply_t no = {.status = 1, .error = 13, .code = 300, .payload = fabric_bytes_of("no")};
    evil.entity.size += 1; /* with its NUL */
    journal_put_adopt(writer, (incarnation_t){{0xab}}, 6, fabric_bytes_of("broker-1"));
    journal_put_message(writer, &add, add.id.value, none);
    journal_put_message(writer, &evil, 5, none);
    journal_put_message(writer, &order, order.id.value, none);
    journal_put_attempt(writer, &order, order.id.value, (journal_attempts_t){2, 1});
    journal_put_result(writer, &add, add.id.value, &yes);
    journal_put_result(writer, &order, order.id.value, &no);
    journal_put_dead(writer, &evil, evil.id.value, &no, (journal_attempts_t){10, 0}, 14,
                     fabric_bytes_of("broken"));
    return seal(writer);
}

typedef void print_fn(const journal_printer_t *printer, const store_entry_t *entry);

static char *print(print_fn *function, const store_entry_t *entry, bool json,
                   journal_filter_t *filter)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    journal_printer_t printer = {file, json, filter};
    function(&printer, entry);
    fclose(file);
    return text;
}

static void records_are_lines(void **state)
{
    (void)state;
    journal_writer_t *writer = journal_writer_new();
    store_entry_t entry = make_entry(writer);
    char *text = print(journal_print_records, &entry, false, NULL);
    static const char head[] = "3/4711 2026-09-21T14:13:20.123Z ";
    unsigned lines = 0;
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        assert_memory_equal(line, head, strlen(head));
        lines++;
    }
    assert_int_equal(lines, 8);
    assert_non_null(strstr(text, " ADOPT name=broker-1 broker=ab00"));
    assert_non_null(strstr(text, " MESSAGE id=7000 entity_hash="));
    assert_non_null(strstr(text, " type=Counter entity=c-1 tag=Add call=77:3 payload_bytes=2\n"));
    assert_non_null(strstr(text, "entity=e\\x1b[31m\\x00 tag=Add call=77:3 payload_bytes=2 "
                                 "position=5\n"));
    assert_non_null(strstr(text, " attempts=2 crashes=1\n"));
    assert_non_null(strstr(text, " status=ok reply_bytes=2\n"));
    assert_non_null(strstr(text, " status=failure error=EntityFailure code=300 reply_bytes=2\n"));
    assert_non_null(strstr(text, " cause=EntityDefect text=broken attempts=10 crashes=0 "));
    assert_null(strchr(text, '\033'));
    free(text);
    journal_writer_destroy(&writer);
}

static void records_are_lines_of_json(void **state)
{
    (void)state;
    journal_writer_t *writer = journal_writer_new();
    store_entry_t entry = make_entry(writer);
    char *text = print(journal_print_records, &entry, true, NULL);
    unsigned lines = 0;
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        char *end = strchr(line, '\n');
        json_t *object = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_non_null(object);
        assert_int_equal(json_integer_value(json_object_get(object, "number")), 4711);
        assert_string_equal(json_string_value(json_object_get(object, "time")),
                            "2026-09-21T14:13:20.123Z");
        assert_non_null(json_object_get(object, "kind"));
        json_decref(object);
        lines++;
    }
    assert_int_equal(lines, 8);
    free(text);
    journal_writer_destroy(&writer);
}

static unsigned count_lines(const char *type, const char *id, const char *must_have)
{
    journal_writer_t *writer = journal_writer_new();
    store_entry_t entry = make_entry(writer);
    journal_filter_t *filter = journal_filter_new(type, id);
    char *text = print(journal_print_records, &entry, false, filter);
    unsigned lines = 0;
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        lines++;
    }
    assert_non_null(strstr(text, must_have));
    free(text);
    journal_filter_destroy(&filter);
    journal_filter_destroy(&filter); /* takes NULL */
    journal_writer_destroy(&writer);
    return lines;
}

static void a_filter_follows_entities(void **state)
{
    (void)state;
    assert_int_equal(count_lines("Counter", "c-1", "RESULT id=7000"), 2);
    assert_int_equal(count_lines("Counter", NULL, "DEAD id=7001"), 4);
    assert_int_equal(count_lines(NULL, "c-1", "ATTEMPT id=7002"), 5);
    assert_int_equal(count_lines("Order", NULL, "RESULT id=7002"), 3);
    assert_int_equal(count_lines("Nobody", NULL, ""), 0);
}

/* Of both, the entity's hash is known without a message. */
static void a_filter_of_both_needs_no_message(void **state)
{
    (void)state;
    journal_writer_t *writer = journal_writer_new();
    store_message_t add = message_of(ID, "Counter", "c-1");
    store_reply_t yes = {.status = 0};
    journal_put_result(writer, &add, add.id.value, &yes);
    store_entry_t entry = seal(writer);
    journal_filter_t *both = journal_filter_new("Counter", "c-1");
    journal_filter_t *one = journal_filter_new("Counter", NULL);
    char *text = print(journal_print_records, &entry, false, both);
    assert_non_null(strstr(text, "RESULT id=7000"));
    free(text);
    text = print(journal_print_records, &entry, false, one);
    assert_string_equal(text, "");
    free(text);
    journal_filter_destroy(&both);
    journal_filter_destroy(&one);
    journal_writer_destroy(&writer);
}

static void a_typed_failure_is_told(void **state)
{
    (void)state;
    journal_writer_t *writer = journal_writer_new();
    store_message_t add = message_of(ID, "Counter", "c-1");
    store_reply_t failure = {
        .status = 4, .error = 13, .code = 7, .payload = fabric_bytes("\x92\x05\x0c", 3)};
    journal_put_result(writer, &add, add.id.value, &failure);
    store_entry_t entry = seal(writer);
    char *text = print(journal_print_records, &entry, false, NULL);
    assert_non_null(
        strstr(text, " status=typed_failure error=EntityFailure code=7 reply_bytes=3\n"));
    free(text);
    journal_writer_destroy(&writer);
}

static void events_are_told(void **state)
{
    (void)state;
    journal_writer_t *writer = journal_writer_new();
    wire_writer_t list = {0};
    store_message_t add = message_of(ID, "Counter", "c-1");
    store_reply_t yes = {.payload = fabric_bytes("\x91\x07", 2)};
    journal_events_put(&list, fabric_bytes_of("Added"), 1, fabric_bytes("\x91\x05", 2));
    journal_events_put(&list, fabric_bytes_of("Ad\033ded"), 2, fabric_bytes("\x91\x06", 2));
    journal_effects_t effects = {.version = 3,
                                 .state = fabric_bytes_of("state"),
                                 .sequence = 8,
                                 .events = {.first = 7,
                                            .count = 2,
                                            .recorded_ms = 1790000000000,
                                            .list = wire_writer_bytes(&list)}};
    journal_put_result_with_effects(writer, &add, add.id.value, &yes, &effects);
    store_entry_t entry = seal(writer);
    char *text = print(journal_print_records, &entry, false, NULL);
    assert_non_null(strstr(text, " type=Counter entity=c-1 state_version=3 state_bytes=5"
                                 " state_sequence=8 first_event=7 event_count=2\n"));
    free(text);
    text = print(journal_print_entry, &entry, false, NULL);
    assert_non_null(strstr(text, "\n  event_count=2\n  event=7 tag=Added version=1 payload=9105\n"
                                 "  event=8 tag=Ad\\x1bded version=2 payload=9106\n"));
    free(text);
    text = print(journal_print_entry, &entry, true, NULL);
    json_t *root = json_loads(text, 0, NULL);
    json_t *record = json_array_get(json_object_get(root, "records"), 0);
    json_t *second = json_array_get(json_object_get(record, "events"), 1);
    assert_int_equal(json_integer_value(json_object_get(second, "sequence")), 8);
    assert_string_equal(json_string_value(json_object_get(second, "payload")), "9106");
    json_decref(root);
    free(text);
    wire_writer_destroy(&list);
    journal_writer_destroy(&writer);
}

static void outgoing_messages_are_told(void **state)
{
    (void)state;
    journal_writer_t *writer = journal_writer_new();
    wire_writer_t list = {0};
    store_message_t place = message_of(ID, "Order", "o-1");
    place.tag = fabric_bytes_of("Place");
    store_reply_t yes = {.payload = fabric_bytes("\x91\x07", 2)};
    store_outgoing_t pay = {.shard = {0x10003},
                            .type = fabric_bytes_of("Account"),
                            .entity = fabric_bytes_of("a-\0331"),
                            .tag = fabric_bytes_of("Pay"),
                            .payload = fabric_bytes("\x91\x05", 2),
                            .flags = 3};
    journal_outgoing_put(&list, &pay);
    pay.deliver_at_ms = 1790000000000;
    journal_outgoing_put(&list, &pay);
    journal_effects_t effects = {.outgoing = {.id = ID + 5,
                                              .count = 2,
                                              .traceparent = fabric_bytes_of("00-4bf9"),
                                              .list = wire_writer_bytes(&list)}};
    journal_put_result_with_effects(writer, &place, place.id.value, &yes, &effects);
    store_entry_t entry = seal(writer);
    char *text = print(journal_print_records, &entry, false, NULL);
    assert_non_null(strstr(text, " type=Order entity=o-1 outgoing_id=7005 outgoing_count=2\n"));
    free(text);
    text = print(journal_print_entry, &entry, false, NULL);
    assert_non_null(strstr(text, "\n  outgoing_count=2\n  tag=Place\n  traceparent=00-4bf9\n"
                                 "  outgoing=0 type=Account entity=a-\\x1b1 tag=Pay payload=9105"
                                 " primary_key= headers= flags=3 shard=65539\n"
                                 "  outgoing=1 type=Account entity=a-\\x1b1 tag=Pay payload=9105"
                                 " primary_key= headers= flags=3 shard=65539"
                                 " deliver_at=2026-09-21T14:13:20.000Z\n"));
    free(text);
    text = print(journal_print_entry, &entry, true, NULL);
    json_t *root = json_loads(text, 0, NULL);
    json_t *record = json_array_get(json_object_get(root, "records"), 0);
    json_t *second = json_array_get(json_object_get(record, "outgoing"), 1);
    assert_int_equal(json_integer_value(json_object_get(second, "index")), 1);
    assert_string_equal(json_string_value(json_object_get(second, "tag")), "Pay");
    json_decref(root);
    free(text);
    wire_writer_destroy(&list);
    journal_writer_destroy(&writer);
}

static void ends_of_outgoing_messages_are_told(void **state)
{
    (void)state;
    journal_writer_t *writer = journal_writer_new();
    wire_writer_t list = {0};
    const store_sent_t ends[] = {{0, {9000}, 0}, {3, {9001}, FABRIC_ERROR_BUSY}};
    journal_sent_put(&list, &ends[0]);
    journal_sent_put(&list, &ends[1]);
    journal_sent_t sent = {ID + 5, 2, wire_writer_bytes(&list)};
    journal_put_sent(writer, (request_id_t){ID}, (shard_id_t){0x10003}, 99, &sent);
    store_entry_t entry = seal(writer);
    char *text = print(journal_print_records, &entry, false, NULL);
    assert_non_null(strstr(text, " SENT id=7000 entity_hash=0000000000000063 outgoing_id=7005"
                                 " end_count=2\n"));
    free(text);
    text = print(journal_print_entry, &entry, false, NULL);
    assert_non_null(strstr(text, "\n  end=0 accepted=9000 cause=OK\n"
                                 "  end=3 dead_letter=9001 cause=Busy\n"));
    free(text);
    wire_writer_destroy(&list);
    journal_writer_destroy(&writer);
}

static void damage_is_told(void **state)
{
    (void)state;
    journal_writer_t *writer = journal_writer_new();
    store_entry_t entry = make_entry(writer);
    uint8_t *body = memory_allocate(entry.body.size);
    memcpy(body, entry.body.data, entry.body.size);
    body[entry.body.size - 1] ^= 1;
    entry.body.data = body;
    char *text = print(journal_print_records, &entry, false, NULL);
    assert_non_null(strstr(text, " DEAD damaged id=7001 entity_hash="));
    free(text);
    text = print(journal_print_entry, &entry, false, NULL);
    assert_non_null(strstr(text, "sound        no\n"));
    free(text);
    body[10] ^= 1;
    text = print(journal_print_records, &entry, false, NULL);
    assert_string_equal(text, "3/4711 2026-09-21T14:13:20.123Z UNREADABLE reason=the body's index "
                              "cannot have 65544 records in 568 bytes\n");
    free(text);
    text = print(journal_print_entry, &entry, true, NULL);
    assert_non_null(strstr(text, "\"kind\": \"UNREADABLE\""));
    free(text);
    free(body);
    journal_writer_destroy(&writer);
}

static void an_entry_is_shown_with_all_fields(void **state)
{
    (void)state;
    journal_writer_t *writer = journal_writer_new();
    store_entry_t entry = make_entry(writer);
    char *text = print(journal_print_entry, &entry, false, NULL);
    assert_non_null(strstr(text, "epoch        6\n"));
    assert_non_null(strstr(text, "sound        yes\n"));
    assert_non_null(strstr(text, "\nrecord 1: MESSAGE\n  id=7000\n"));
    assert_non_null(strstr(text, "\n  payload=9105\n"));
    assert_non_null(strstr(text, "\n  reply=9107\n"));
    free(text);
    text = print(journal_print_entry, &entry, true, NULL);
    json_t *object = json_loads(text, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(object, "records")), 8);
    assert_true(json_is_true(json_object_get(object, "sound")));
    json_decref(object);
    free(text);
    journal_writer_destroy(&writer);
}

static void times_are_utc(void **state)
{
    char text[JOURNAL_TIME_SIZE];
    (void)state;
    assert_string_equal(journal_time_text(0, text), "1970-01-01T00:00:00.000Z");
    assert_string_equal(journal_time_text(INT64_C(1709164799999), text),
                        "2024-02-28T23:59:59.999Z");
    assert_string_equal(journal_time_text(-5, text), "-5ms");
    assert_non_null(strstr(journal_time_text(INT64_MAX, text), "292278994-08-17T07:12:55.807Z"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_lines),
        cmocka_unit_test(records_are_lines_of_json),
        cmocka_unit_test(a_filter_follows_entities),
        cmocka_unit_test(a_filter_of_both_needs_no_message),
        cmocka_unit_test(a_typed_failure_is_told),
        cmocka_unit_test(events_are_told),
        cmocka_unit_test(outgoing_messages_are_told),
        cmocka_unit_test(ends_of_outgoing_messages_are_told),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(an_entry_is_shown_with_all_fields),
        cmocka_unit_test(times_are_utc),
    };
    return cmocka_run_group_tests_name("cli_journal", tests, NULL, NULL);
}
