/* fabricctl type forget: the line that says what keeps a type, by the answers of all brokers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cli/forget.h"

static const char *const brokers[] = {"b-1", "b-2", "b-3"};

static void expect(const char *line, const char *const answers[3])
{
    json_t *documents[3];
    char found[200];
    for (size_t i = 0; i < 3; i++) {
        documents[i] = json_loads(answers[i], 0, NULL);
        assert_non_null(documents[i]);
    }
    bool kept = cli_forget_judge("Order", brokers, documents, 3, found, sizeof found);
    assert_string_equal(found, line);
    assert_int_equal(kept, line[0] != '\0');
    for (size_t i = 0; i < 3; i++) {
        json_decref(documents[i]);
    }
}

#define EXPECT(line, ...) expect(line, (const char *const[3]){__VA_ARGS__})

static void nothing_keeps_a_type(void **state)
{
    (void)state;
    EXPECT("", "{\"pending\": 0, \"scheduled\": 0, \"runners\": []}", "{}", "{}");
}

/* A runner is connected to all brokers, and named once. */
static void those_who_bring_it_are_named(void **state)
{
    (void)state;
    EXPECT("type Order is brought by runner w-1", "{\"runners\": [\"w-1\"]}",
           "{\"runners\": [\"w-1\"], \"pending\": 2}", "{}");
    EXPECT("type Order is brought by runners w-1, w-2", "{\"runners\": [\"w-1\"]}", "{}",
           "{\"runners\": [\"w-2\", \"w-1\"]}");
}

static void messages_are_counted_where_they_are(void **state)
{
    (void)state;
    EXPECT("1 message of type Order is pending: 1 at broker b-2", "{}", "{\"pending\": 1}", "{}");
    EXPECT("12 messages of type Order are pending, 5 of them scheduled: 10 at broker b-1, 2 at "
           "broker b-3",
           "{\"pending\": 7, \"scheduled\": 3}", "{}", "{\"scheduled\": 2}");
}

/* Names come from elsewhere, and may be long. */
static void a_line_is_bounded(void **state)
{
    (void)state;
    char name[400];
    char line[50];
    json_t *document = json_pack("{s:i}", "pending", 1);
    const char *const names[] = {name};
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_true(cli_forget_judge(name, names, &document, 1, line, sizeof line));
    assert_int_equal(strlen(line), sizeof line - 1);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_keeps_a_type),
        cmocka_unit_test(those_who_bring_it_are_named),
        cmocka_unit_test(messages_are_counted_where_they_are),
        cmocka_unit_test(a_line_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
