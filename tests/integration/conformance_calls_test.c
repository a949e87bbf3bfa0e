/* Calls and their outcomes, as docs/conformance.md has them: the names begin with the ids of the
 * cases that are ported. All tests of a set-up share one cluster. */
#include <string.h>

#include "core/clock.h"
#include "tests/harness/case_calls.h"

static const probe_text_t hello = {"hello"};

/* ---- calls ---- */

static void test_sh_01_a_volatile_reply_comes_back(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    uint64_t accepted = testbed_sum(bed, "accepted");
    user_visit_t visit = case_visit(bed, "sh-01", &user_volatile_get);
    assert_int_equal(visit.visit, 1);
    assert_int_equal(testbed_sum(bed, "accepted"), accepted); /* nothing is stored */
}

static user_visit_t visit_of(testbed_t *bed, const char *caller,
                             const fabric_message_type_t *message)
{
    fabric_header_t header = {USER_HEADER, fabric_bytes_of(caller)};
    fabric_call_t call = {.entity = fabric_entity(USER_TYPE, "sh-02"),
                          .message = message,
                          .headers = &header,
                          .header_count = *caller ? 1 : 0};
    const case_call_t *made = case_call(bed, &call);
    case_expect(bed, made, FABRIC_OK);
    return case_user(made);
}

/* What the caller that made the instance told in a header reaches no other caller's handler. */
static void test_sh_02_ent_02_no_caller_sees_what_another_one_told(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    user_visit_t first = visit_of(bed, "first", &user_get);
    assert_string_equal(first.caller, "first");
    user_visit_t durable = visit_of(bed, "", &user_get);
    user_visit_t volatile_one = visit_of(bed, "", &user_volatile_get);
    assert_int_equal(volatile_one.instance, first.instance);
    assert_int_equal(volatile_one.visit, 3);
    assert_string_equal(durable.caller, "");
    assert_string_equal(volatile_one.caller, "");
}

static void test_sh_03_one_message_and_one_result_are_stored(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    uint64_t accepted = testbed_sum(bed, "accepted");
    uint64_t ended = testbed_sum(bed, "ended");
    (void)case_visit(bed, "sh-03", &user_get);
    assert_int_equal(testbed_sum(bed, "accepted"), accepted + 1);
    assert_int_equal(testbed_sum(bed, "ended"), ended + 1);
    assert_int_equal(testbed_sum(bed, "pending"), 0);
}

/* A message is delivered once, and a later one is delivered at once. */
static void test_sm_08_a_message_is_delivered_once(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    uint64_t delivered = testbed_sum(bed, "delivered");
    uint64_t redelivered = testbed_sum(bed, "redelivered");
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(case_visit(bed, "sm-08", &user_get).visit, i);
        assert_int_equal(testbed_sum(bed, "delivered"), delivered + i);
    }
    assert_int_equal(testbed_sum(bed, "redelivered"), redelivered);
}

/* A payload that is encoded already, and the reply's bytes, pass all processes as they are. */
static void test_env_01_env_02_ru_09_encoded_payloads_pass_unchanged(void **state)
{
    static const char bytes[] = "\x91\xa5hello";
    testbed_t *bed = *state;
    case_begin();
    const fabric_message_type_t *const messages[] = {&probe_echo, &probe_volatile_echo};
    for (size_t i = 0; i < 2; i++) {
        fabric_call_t call = {.entity = fabric_entity(PROBE_TYPE, "env-01"),
                              .message = messages[i],
                              .payload = fabric_bytes(bytes, sizeof bytes - 1)};
        const case_call_t *made = case_call(bed, &call);
        case_expect(bed, made, FABRIC_OK);
        assert_int_equal(made->size, sizeof bytes - 1);
        assert_memory_equal(made->payload, bytes, sizeof bytes - 1);
    }
}

/* ---- tells ---- */

static void test_sh_25_a_durable_tell_is_stored_and_handled(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    uint64_t accepted = testbed_sum(bed, "accepted");
    const case_call_t *told = case_tell(bed, PROBE_TYPE, "sh-25", &probe_echo, &hello);
    case_expect(bed, told, FABRIC_OK);
    assert_true(told->outcome.request_id != 0);
    assert_int_equal(told->size, 0);
    assert_int_equal(testbed_sum(bed, "accepted"), accepted + 1);
    testbed_wait_drained(bed);
    assert_int_equal(case_starts(bed, "sh-25"), 1);
}

static void test_sh_26_a_durable_tell_returns_while_its_handler_blocks(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    const case_call_t *told =
        case_tell(bed, PROBE_TYPE, "sh-26", &probe_hold, &(probe_text_t){"sh-26"});
    case_expect(bed, told, FABRIC_OK);
    case_wait_started(bed, "sh-26", 1);
    assert_int_equal(testbed_sum(bed, "pending"), 1);
    testbed_open_gate(bed, "sh-26");
    testbed_wait_drained(bed);
    assert_int_equal(case_starts(bed, "sh-26"), 1);
}

static void test_sh_27_ip_05_so_01_a_volatile_tell_returns_while_its_handler_blocks(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    uint64_t accepted = testbed_sum(bed, "accepted");
    const case_call_t *told =
        case_tell(bed, PROBE_TYPE, "sh-27", &probe_volatile_hold, &(probe_text_t){"sh-27"});
    case_expect(bed, told, FABRIC_OK);
    case_wait_started(bed, "sh-27", 1);
    assert_int_equal(testbed_sum(bed, "accepted"), accepted);
    testbed_open_gate(bed, "sh-27");
}

/* ---- mailboxes ---- */

/* A handler runs, and other volatile messages fill the mailbox: the next one is refused at once. */
static void test_sh_16_a_full_mailbox_refuses_volatile_messages(void **state)
{
    testbed_t *bed = *state;
    case_call_t *calls[USER_MAILBOX];
    case_begin();
    calls[0] = case_ask(bed, USER_TYPE, "sh-16", &user_volatile_never, &(user_gate_t){"sh-16"});
    for (size_t i = 1; i < USER_MAILBOX; i++) {
        calls[i] = case_ask(bed, USER_TYPE, "sh-16", &user_volatile_get, NULL);
    }
    const case_call_t *refused = case_ask(bed, USER_TYPE, "sh-16", &user_volatile_get, NULL);
    case_expect(bed, refused, FABRIC_ERROR_MAILBOX_FULL);
    assert_int_equal(refused->place, 1); /* all others are open */
    testbed_open_gate(bed, "sh-16");
    for (size_t i = 0; i < USER_MAILBOX; i++) {
        case_expect(bed, calls[i], FABRIC_OK);
        assert_int_equal(case_user(calls[i]).visit, i + 1);
    }
}

/* A durable message to a full mailbox waits, and is handled in its turn. */
static void test_sh_17_a_durable_message_waits_for_a_full_mailbox(void **state)
{
    testbed_t *bed = *state;
    case_call_t *calls[2 + USER_MAILBOX];
    case_begin();
    calls[0] = case_ask(bed, USER_TYPE, "sh-17", &user_never, &(user_gate_t){"sh-17"});
    for (size_t i = 1; i <= USER_MAILBOX + 1; i++) {
        calls[i] = case_ask(bed, USER_TYPE, "sh-17", &user_get, NULL);
    }
    const case_call_t *told = case_tell(bed, USER_TYPE, "sh-17", &user_get, NULL);
    case_expect(bed, told, FABRIC_OK); /* accepted, with all others before it */
    assert_int_equal(told->place, 1);
    testbed_open_gate(bed, "sh-17");
    for (size_t i = 0; i <= USER_MAILBOX + 1; i++) {
        case_expect(bed, calls[i], FABRIC_OK);
        assert_int_equal(case_user(calls[i]).visit, i + 1);
    }
    assert_int_equal(case_visit(bed, "sh-17", &user_get).visit, USER_MAILBOX + 4);
}

/* Whatever has gathered while an entity was busy is handled without another message, in order. */
static void test_sh_36_all_that_has_gathered_is_handled(void **state)
{
    testbed_t *bed = *state;
    case_call_t *calls[5];
    case_begin();
    const case_call_t *first =
        case_ask(bed, PROBE_TYPE, "sh-36", &probe_hold, &(probe_text_t){"sh-36"});
    case_wait_started(bed, "sh-36", 1);
    for (uint64_t i = 0; i < 5; i++) {
        calls[i] = case_ask(bed, PROBE_TYPE, "sh-36", &probe_append, &(probe_number_t){i});
    }
    assert_false(first->ended);
    testbed_open_gate(bed, "sh-36");
    for (uint32_t i = 0; i < 5; i++) {
        case_expect(bed, calls[i], FABRIC_OK);
        assert_int_equal(calls[i]->place, i + 2);
    }
}

/* ---- defects, and replies that cannot be encoded ---- */

static void test_sh_30_ru_08_a_defect_makes_the_entity_anew(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    const case_call_t *before = case_ask(bed, GUEST_BESIDE, "sh-30", &guest_greet, NULL);
    case_expect(bed, before, FABRIC_OK);
    const case_call_t *broken = case_ask(bed, GUEST_BESIDE, "sh-30", &guest_break, NULL);
    case_expect(bed, broken, FABRIC_OK);
    assert_true(case_guest(broken).instance > case_guest(before).instance);
    assert_int_equal(case_guest(broken).visit, 1);
}

/* A message whose concurrent handler is pending comes again after the defect of another one. */
static void test_ie_06_a_defect_makes_what_is_pending_come_again(void **state)
{
    static const guest_gate_t gate = {"ie-06"};
    testbed_t *bed = *state;
    case_begin();
    uint64_t redelivered = testbed_sum(bed, "redelivered");
    const case_call_t *held = case_ask(bed, GUEST_BESIDE, "ie-06", &guest_wait, &gate);
    const case_call_t *before = case_ask(bed, GUEST_BESIDE, "ie-06", &guest_greet, NULL);
    case_expect(bed, before, FABRIC_OK);
    const case_call_t *broken = case_ask(bed, GUEST_BESIDE, "ie-06", &guest_break, NULL);
    case_expect(bed, broken, FABRIC_OK);
    assert_false(held->ended);
    testbed_open_gate(bed, "ie-06");
    case_expect(bed, held, FABRIC_OK);
    assert_true(case_guest(broken).instance > case_guest(before).instance);
    assert_int_equal(case_guest(held).instance, case_guest(broken).instance);
    assert_int_equal(testbed_sum(bed, "redelivered"), redelivered + 2);
}

/* The caller of a volatile message hears of the defect, and not that the runner is away. */
static void test_ru_04_a_defect_is_the_answer_to_a_volatile_message(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    user_visit_t before = case_visit(bed, "ru-04", &user_volatile_get);
    const case_call_t *broken = case_ask(bed, USER_TYPE, "ru-04", &user_volatile_break, NULL);
    case_expect(bed, broken, FABRIC_ERROR_ENTITY_DEFECT);
    assert_non_null(strstr(broken->outcome.text, "broken on purpose"));
    user_visit_t after = case_visit(bed, "ru-04", &user_volatile_get);
    assert_true(after.instance != before.instance);
    assert_int_equal(after.visit, 1);
}

static void test_ip_06_ru_01_a_reply_that_cannot_be_encoded_ends_its_call(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    uint64_t ended = testbed_sum(bed, "ended");
    const case_call_t *bad = case_ask(bed, PROBE_TYPE, "ip-06", &probe_bad_reply, NULL);
    case_expect(bed, bad, FABRIC_ERROR_MALFORMED_MESSAGE);
    assert_non_null(strstr(bad->outcome.text, "text"));
    assert_int_equal(testbed_sum(bed, "ended"), ended + 1); /* it is stored, and not tried again */
    assert_int_equal(testbed_sum(bed, "pending"), 0);
    assert_int_equal(case_starts(bed, "ip-06"), 1);
}

static void test_ip_07_so_02_a_bad_reply_harms_no_other_call(void **state)
{
    testbed_t *bed = *state;
    case_begin();
    const case_call_t *held =
        case_ask(bed, PROBE_TYPE, "ip-07", &probe_hold, &(probe_text_t){"ip-07"});
    const case_call_t *bad = case_ask(bed, PROBE_TYPE, "ip-07-bad", &probe_bad_reply, NULL);
    const case_call_t *next = case_ask(bed, PROBE_TYPE, "ip-07-bad", &probe_echo, &hello);
    case_expect(bed, bad, FABRIC_ERROR_MALFORMED_MESSAGE);
    case_expect(bed, next, FABRIC_OK);
    testbed_open_gate(bed, "ip-07");
    case_expect(bed, held, FABRIC_OK);
}

/* ---- where entities live ---- */

static size_t count_runners(testbed_t *bed)
{
    json_t *status = testbed_status(bed->client);
    size_t count = json_array_size(json_object_get(status, "runners"));
    json_decref(status);
    return count;
}

/* Ids are spread over the runners, each has a state of its own, and two messages to one of them are
 * handled in order. The client is no runner. */
static void test_ie_10_nt_10_ids_are_spread_and_apart(void **state)
{
    enum { IDS = 24 };
    testbed_t *bed = *state;
    case_call_t *first[IDS], *second[IDS];
    size_t elsewhere = 0;
    case_begin();
    for (size_t i = 0; i < IDS; i++) {
        char id[] = {'i', 'e', '-', '1', '0', '-', (char)('a' + i), '\0'};
        first[i] = case_ask(bed, USER_TYPE, id, &user_get, NULL);
        second[i] = case_ask(bed, USER_TYPE, id, &user_get, NULL);
    }
    for (size_t i = 0; i < IDS; i++) {
        case_expect(bed, first[i], FABRIC_OK);
        case_expect(bed, second[i], FABRIC_OK);
        assert_int_equal(case_user(first[i]).visit, 1);
        assert_int_equal(case_user(second[i]).visit, 2);
        assert_int_equal(case_user(second[i]).process, case_user(first[i]).process);
        elsewhere += case_user(first[i]).process != case_user(first[0]).process;
    }
    assert_in_range(elsewhere, 1, IDS - 1);
    assert_int_equal(count_runners(bed), 2);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"test_sh_01_a_volatile_reply_comes_back", test_sh_01_a_volatile_reply_comes_back,
         TESTBED_ALL},
        {"test_sh_02_ent_02_no_caller_sees_what_another_one_told",
         test_sh_02_ent_02_no_caller_sees_what_another_one_told, TESTBED_ALL},
        {"test_sh_03_one_message_and_one_result_are_stored",
         test_sh_03_one_message_and_one_result_are_stored, TESTBED_ALL},
        {"test_sm_08_a_message_is_delivered_once", test_sm_08_a_message_is_delivered_once,
         TESTBED_ALL},
        {"test_env_01_env_02_ru_09_encoded_payloads_pass_unchanged",
         test_env_01_env_02_ru_09_encoded_payloads_pass_unchanged, TESTBED_ALL},
        {"test_sh_25_a_durable_tell_is_stored_and_handled",
         test_sh_25_a_durable_tell_is_stored_and_handled, TESTBED_ALL},
        {"test_sh_26_a_durable_tell_returns_while_its_handler_blocks",
         test_sh_26_a_durable_tell_returns_while_its_handler_blocks, TESTBED_ALL},
        {"test_sh_27_ip_05_so_01_a_volatile_tell_returns_while_its_handler_blocks",
         test_sh_27_ip_05_so_01_a_volatile_tell_returns_while_its_handler_blocks, TESTBED_ALL},
        {"test_sh_16_a_full_mailbox_refuses_volatile_messages",
         test_sh_16_a_full_mailbox_refuses_volatile_messages, TESTBED_ALL},
        {"test_sh_17_a_durable_message_waits_for_a_full_mailbox",
         test_sh_17_a_durable_message_waits_for_a_full_mailbox, TESTBED_ALL},
        {"test_sh_36_all_that_has_gathered_is_handled", test_sh_36_all_that_has_gathered_is_handled,
         TESTBED_ALL},
        {"test_sh_30_ru_08_a_defect_makes_the_entity_anew",
         test_sh_30_ru_08_a_defect_makes_the_entity_anew, TESTBED_ALL},
        {"test_ie_06_a_defect_makes_what_is_pending_come_again",
         test_ie_06_a_defect_makes_what_is_pending_come_again, TESTBED_ALL},
        {"test_ru_04_a_defect_is_the_answer_to_a_volatile_message",
         test_ru_04_a_defect_is_the_answer_to_a_volatile_message, TESTBED_ALL},
        {"test_ip_06_ru_01_a_reply_that_cannot_be_encoded_ends_its_call",
         test_ip_06_ru_01_a_reply_that_cannot_be_encoded_ends_its_call, TESTBED_ALL},
        {"test_ip_07_so_02_a_bad_reply_harms_no_other_call",
         test_ip_07_so_02_a_bad_reply_harms_no_other_call, TESTBED_ALL},
        {"test_ie_10_nt_10_ids_are_spread_and_apart", test_ie_10_nt_10_ids_are_spread_and_apart,
         TESTBED_ALL},
    };
    return testbed_run_shared("conformance_calls", case_start, tests,
                              sizeof tests / sizeof tests[0]);
}
