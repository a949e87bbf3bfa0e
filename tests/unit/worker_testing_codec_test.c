/* <fabric/testing.h>: what an entity that is tested alone gets and gives was encoded and decoded by
 * its schemas, as between processes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <fabric/testing.h>

/* The struct of all messages: two of its members are in the schema. */
typedef struct note {
    fabric_bytes_t text;
    uint32_t number;
    uint32_t hidden;
} note_t;

static const fabric_field_t note_fields[] = {FABRIC_STRING_VIEW(note_t, text),
                                             FABRIC_U32(note_t, number)};
static const fabric_schema_t note_schema = FABRIC_SCHEMA("Note", note_t, note_fields);
static const fabric_choice_t refusal_items[] = {FABRIC_VARIANT(1, "Refused", note_schema, NULL)};
static const fabric_choices_t refusals = FABRIC_CHOICES("Refusals", refusal_items);

/* Both take a note. What they answer, as a reply or as a failure, is `answer`. */
static const fabric_message_type_t durable_message = {.tag = "Write",
                                                      .request = &note_schema,
                                                      .reply = &note_schema,
                                                      .durable = true,
                                                      .failures = &refusals};
static const fabric_message_type_t volatile_message = {
    .tag = "Read", .request = &note_schema, .reply = &note_schema, .failures = &refusals};

static note_t answer;
static bool refuses;

/* What the handler was given, and the bytes of its text at that time. */
static note_t given;
static char given_text[32];
static unsigned handled;

static fabric_result_t take(fabric_context_t *context, void *state, const void *request,
                            void *reply)
{
    (void)state;
    given = *(const note_t *)request;
    assert_true(given.text.size < sizeof given_text);
    memcpy(given_text, given.text.data, given.text.size);
    given_text[given.text.size] = '\0';
    handled++;
    if (refuses) {
        return fabric_fail_with(context, 1, &answer);
    }
    *(note_t *)reply = answer;
    return FABRIC_REPLY;
}

static const fabric_handler_t handlers[] = {{&durable_message, take}, {&volatile_message, take}};
static const fabric_entity_type_t type = {
    .name = "Scribe", .handlers = handlers, .handler_count = 2};

static const fabric_message_type_t *const messages[] = {&durable_message, &volatile_message};
static char question_text[] = "what is asked";
static char answer_text[] = "what is answered";
static const note_t question = {
    .text = {(const uint8_t *)question_text, sizeof question_text - 1}, .number = 7, .hidden = 9};

static int set_up(void **state)
{
    answer = (note_t){.text = fabric_bytes_of(answer_text), .number = 8, .hidden = 9};
    refuses = false;
    handled = 0;
    return (int)fabric_testing_open(&type, "scribe", (fabric_testing_t **)state, NULL);
}

static int tear_down(void **state)
{
    fabric_testing_close((fabric_testing_t **)state);
    return 0;
}

/* It says the same, in bytes of its own, and has nothing that the schema does not have. */
static void expect_copy(const note_t *note, const char *text, uint32_t number)
{
    assert_true(fabric_bytes_equal(note->text, fabric_bytes_of(text)));
    assert_ptr_not_equal(note->text.data, text);
    assert_int_equal(note->number, number);
    assert_int_equal(note->hidden, 0);
}

static void test_ru_03_messages_are_encoded_and_decoded(void **state)
{
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    for (unsigned i = 0; i < 2; i++) {
        note_t reply = {.hidden = 5};
        assert_int_equal(fabric_testing_send(testing, messages[i], &question, &reply, NULL),
                         FABRIC_REPLY);
        assert_string_equal(given_text, question_text);
        assert_ptr_not_equal(given.text.data, question_text);
        assert_int_equal(given.number, 7);
        assert_int_equal(given.hidden, 0);
        expect_copy(&reply, answer_text, 8);
    }
    refuses = true;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(fabric_testing_send(testing, messages[i], &question, NULL, NULL),
                         FABRIC_FAILURE);
        const note_t *failure = (const note_t *)fabric_testing_failure(testing);
        assert_non_null(failure);
        expect_copy(failure, answer_text, 8);
    }
}

static void expect_malformed(fabric_testing_t *testing, const fabric_message_type_t *message,
                             const note_t *request)
{
    fabric_outcome_t outcome;
    note_t reply = {0};
    assert_int_equal(fabric_testing_send(testing, message, request, &reply, &outcome),
                     FABRIC_DEFECT);
    assert_int_equal(outcome.error, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_non_null(strstr(outcome.text, "text"));
    assert_int_equal(reply.number, 0);
}

/* It concerns its message only: the instance goes on. */
static void test_ru_03_what_does_not_fit_its_schema_is_malformed(void **state)
{
    static const char broken[] = "\xff";
    fabric_testing_t *testing = (fabric_testing_t *)*state;
    note_t unfit = {.text = fabric_bytes_of(broken)};
    note_t reply;
    for (unsigned i = 0; i < 2; i++) {
        handled = 0;
        refuses = false;
        answer.text = fabric_bytes_of(answer_text);
        expect_malformed(testing, messages[i], &unfit);
        assert_int_equal(handled, 0);
        answer.text = fabric_bytes_of(broken);
        expect_malformed(testing, messages[i], &question);
        assert_int_equal(handled, 1);
        refuses = true;
        expect_malformed(testing, messages[i], &question);
        assert_int_equal(handled, 2);
        assert_true(fabric_testing_has_instance(testing));
        answer.text = fabric_bytes_of(answer_text);
        refuses = false;
        assert_int_equal(fabric_testing_send(testing, messages[i], &question, &reply, NULL),
                         FABRIC_REPLY);
    }
}

#define SCRIBE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRIBE_TEST(test_ru_03_messages_are_encoded_and_decoded),
        SCRIBE_TEST(test_ru_03_what_does_not_fit_its_schema_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
