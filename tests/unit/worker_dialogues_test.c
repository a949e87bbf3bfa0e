/* The dialogues of schemas/vectors/dialogues.txt, held with the worker's link and executors: what
 * the broker says in them is said, and the worker must say what they tell. Those in which the
 * worker errs are left out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/unit/link_driver.h"
#include "tests/unit/samples.h"
#include "tests/harness/vectors.h"
#include "worker/executor.h"

enum { EXECUTORS = 2 };

/* ---- the worker of the dialogues ---- */

static fabric_result_t add(fabric_context_t *context, void *state, const void *request, void *reply)
{
    (void)state;
    const item_t *item = request;
    if (strcmp(item->sku, "bad") == 0) {
        return fabric_defect(context, "broken");
    }
    *(item_t *)reply = *item;
    return FABRIC_REPLY;
}

static const fabric_message_type_t add_message = {
    .tag = "Add", .request = &item_schema, .reply = &item_schema, .durable = true};
static const fabric_handler_t handlers[] = {{&add_message, add}};
static const fabric_entity_type_t counter = {
    .name = "Counter", .handlers = handlers, .handler_count = 1};

typedef struct dialogue {
    link_driver_t *driver; /* NULL: it is left out */
    type_table_t *types;
    executor_t *executors[EXECUTORS];
    char name[32];
    size_t count;
} dialogue_t;

static bool worker_errs;

static void look_for_errors(const vector_t *vector, void *context)
{
    const char *name = context;
    bool ours = strncmp(vector->name, name, strlen(name)) == 0;
    worker_errs |= ours && !vector->valid && strcmp(vector->expected, "worker>broker") == 0;
}

static void dialogue_close(dialogue_t *dialogue)
{
    if (!dialogue->driver) {
        return;
    }
    talk_expect_silence(dialogue->driver, 0);
    for (size_t i = 0; i < EXECUTORS; i++) {
        executor_destroy(&dialogue->executors[i]);
    }
    type_table_destroy(&dialogue->types);
    link_driver_teardown((void **)&dialogue->driver);
    dialogue->driver = NULL;
}

static void dialogue_open(dialogue_t *dialogue, const vector_t *vector)
{
    size_t size = strcspn(vector->name, ".") + 1;
    assert_true(size < sizeof dialogue->name);
    memcpy(dialogue->name, vector->name, size);
    dialogue->name[size] = '\0';
    worker_errs = false;
    vectors_visit("schemas/vectors/dialogues.txt", look_for_errors, dialogue->name);
    if (worker_errs) {
        return;
    }
    dialogue->count++;
    assert_int_equal(link_driver_setup((void **)&dialogue->driver), 0);
    talk_join(dialogue->driver, 0, 1);
    dialogue->types = type_table_new();
    assert_int_equal(type_table_add(dialogue->types, &counter, NULL), FABRIC_OK);
    for (size_t i = 0; i < EXECUTORS; i++) {
        dialogue->executors[i] = executor_new(dialogue->types, NULL, &(executor_hooks_t){0});
    }
}

/* Lets the executors do all that there is to do. */
static void work(dialogue_t *dialogue)
{
    link_driver_t *d = dialogue->driver;
    for (work_t *next; (next = link_next_work(d->link));) {
        executor_give(dialogue->executors[next->executor], &next);
    }
    for (size_t i = 0; i < EXECUTORS; i++) {
        while (executor_step(dialogue->executors[i], d->now_ms)) {
        }
        work_output_t *output = executor_take_output(dialogue->executors[i]);
        link_output(d->link, &output);
    }
}

static void expect(link_driver_t *d, fabric_bytes_t frame)
{
    wire_reader_t reader;
    wire_reader_t body;
    frame_head_t head;
    assert_int_equal(frame_open(frame, &reader, &head), FABRIC_OK);
    while (frame_next(&reader, &body)) {
        message_kind_t kind;
        assert_int_equal(message_open(&body, &kind), FABRIC_OK);
        talk_expect(d, 0, kind);
        assert_int_equal(wire_left(&d->body), wire_left(&body));
        assert_memory_equal(d->body.next, body.next, wire_left(&body));
    }
}

static void visit(const vector_t *vector, void *context)
{
    dialogue_t *dialogue = context;
    if (dialogue->name[0] == '\0' ||
        strncmp(vector->name, dialogue->name, strlen(dialogue->name)) != 0) {
        dialogue_close(dialogue);
        dialogue_open(dialogue, vector);
    }
    if (!dialogue->driver) {
        return;
    }
    print_message("%s\n", vector->name);
    if (strcmp(vector->expected, "broker>worker") == 0) {
        talk_receive(dialogue->driver, 0, vector->bytes);
        work(dialogue);
    } else if (strcmp(vector->expected, "worker>broker") == 0) {
        expect(dialogue->driver, vector->bytes);
    }
}

static void the_worker_holds_the_dialogues(void **state)
{
    (void)state;
    dialogue_t dialogue = {.driver = NULL};
    vectors_visit("schemas/vectors/dialogues.txt", visit, &dialogue);
    dialogue_close(&dialogue);
    assert_true(dialogue.count >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_worker_holds_the_dialogues)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
