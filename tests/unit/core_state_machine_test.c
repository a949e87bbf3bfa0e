/* State machines as tables, and memory that is never NULL. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/state_machine.h"

enum { LAMP_OFF, LAMP_ON, LAMP_BROKEN };
static const state_description_t lamp_states[] = {
    [LAMP_OFF] = {"off", STATE_BIT(LAMP_ON)},
    [LAMP_ON] = {"on", STATE_BIT(LAMP_OFF) | STATE_BIT(LAMP_BROKEN)},
    [LAMP_BROKEN] = {"broken", 0},
};
static const state_machine_t lamp_machine = {"lamp", lamp_states, 3};

static void allowed_transitions_pass(void **state)
{
    (void)state;
    state_machine_check(&lamp_machine, LAMP_OFF, LAMP_ON);
    state_machine_check(&lamp_machine, LAMP_ON, LAMP_OFF);
    state_machine_check(&lamp_machine, LAMP_ON, LAMP_BROKEN);
    assert_string_equal(state_machine_name(&lamp_machine, LAMP_BROKEN), "broken");
    assert_string_equal(state_machine_name(&lamp_machine, 3), "?");
}

/* How a child process ends that runs `act`, and what it writes to stderr. */
static int end_of(void (*act)(void), char *text, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        act();
        _exit(0);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], text, size - 1);
    text[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void break_at_once(void)
{
    state_machine_check(&lamp_machine, LAMP_OFF, LAMP_BROKEN);
}

static void take_too_much(void)
{
    volatile size_t count = SIZE_MAX / 2;
    free(memory_resize(NULL, count, 4));
}

static void what_is_not_allowed_ends_the_process(void **state)
{
    (void)state;
    char text[200];
    int status = end_of(break_at_once, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_string_equal(text, "lamp: a transition from off (0) to broken (2) is not allowed\n");
    status = end_of(take_too_much, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_string_equal(text, "fabric: out of memory\n");
}

static void memory_is_never_null(void **state)
{
    (void)state;
    free(memory_allocate(0));
    unsigned char *zeroed = memory_allocate_zeroed(3, 2);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(zeroed[i], 0);
    }
    zeroed = memory_resize(zeroed, 100, 2);
    zeroed[199] = 1;
    free(zeroed);
    char *copy = memory_copy_string("text");
    assert_string_equal(copy, "text");
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allowed_transitions_pass),
        cmocka_unit_test(what_is_not_allowed_ends_the_process),
        cmocka_unit_test(memory_is_never_null),
    };
    return cmocka_run_group_tests_name("core_state_machine", tests, NULL, NULL);
}
