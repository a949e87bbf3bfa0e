/* Sinks that nobody reads, and the log on them: nothing waits, and what is missing is told. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "core/log.h"
#include "core/sink.h"

enum { WAIT_MAX_S = 20, LINES_MAX = 100000 };

static const char line[] = "a line of the log that is as long as many lines of the log are\n";
#define LINE_BYTES (sizeof line - 1)

/* What waits dies of it. */
static int begin(void **state)
{
    (void)state;
    alarm(WAIT_MAX_S);
    return 0;
}

static int end(void **state)
{
    (void)state;
    alarm(0);
    return 0;
}

static size_t write_until_full(sink_t *sink)
{
    size_t lines = 0;
    while (lines < LINES_MAX && sink_write(sink, line, LINE_BYTES)) {
        lines++;
    }
    return lines;
}

/* Reads so many whole lines, and what was torn before them; returns how often that was. What a
 * terminal was given reaches its reader a little later. */
static size_t read_lines(int fd, size_t lines)
{
    char text[LINE_BYTES + 1];
    size_t torn = 0;
    size_t used = 0;
    while (lines > 0) {
        assert_int_equal(read(fd, text + used, 1), 1);
        used++;
        if (text[used - 1] != '\n') {
            assert_true(used < LINE_BYTES);
            continue;
        }
        torn += used != LINE_BYTES;
        lines -= used == LINE_BYTES;
        used = 0;
    }
    return torn;
}

static void expect_nothing_more(int fd)
{
    char byte;
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(read(fd, &byte, 1), -1);
}

/* `opened`: whether the sink opens it anew; else it asks before it writes. */
static void take_what_fits(int from, int to, bool opened)
{
    sink_t sink = opened ? sink_open(to) : (sink_t){.fd = to};
    assert_int_equal(sink.own, opened);
    size_t lines = write_until_full(&sink);
    assert_true(lines > 10 && lines < LINES_MAX);
    assert_false(sink_write(&sink, line, LINE_BYTES));
    assert_int_equal(fcntl(to, F_GETFL) & O_NONBLOCK, 0); /* that is not only ours */
    assert_int_equal(read_lines(from, lines), 0);
    assert_true(sink_write(&sink, line, LINE_BYTES));
    assert_in_range(read_lines(from, 1), 0, 1);
    expect_nothing_more(from);
    sink_close(&sink);
}

static void a_pipe(void **state)
{
    int ends[2];
    (void)state;
    for (int opened = 0; opened < 2; opened++) {
        assert_int_equal(pipe(ends), 0);
        take_what_fits(ends[0], ends[1], opened);
        close(ends[0]);
        close(ends[1]);
    }
}

/* As the one that a service manager gives. */
static void a_socket(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    take_what_fits(ends[0], ends[1], false);
    sink_t sink = sink_open(ends[1]);
    assert_false(sink.own); /* sockets cannot be opened */
    close(ends[0]);
    close(ends[1]);
}

/* As one whose user has pressed Control-S, or whose window stands still. */
static void a_terminal(void **state)
{
    int master;
    int terminal;
    struct termios raw;
    (void)state;
    cfmakeraw(memset(&raw, 0, sizeof raw));
    assert_int_equal(openpty(&master, &terminal, NULL, &raw, NULL), 0);
    take_what_fits(master, terminal, true);
    close(master);
    close(terminal);
}

static void a_file_and_nothing_at_all(void **state)
{
    (void)state;
    int file = open("/dev/null", O_WRONLY);
    sink_t sink = sink_open(file);
    assert_false(sink.own);
    assert_true(sink_write(&sink, line, LINE_BYTES));
    close(file);
    assert_false(sink_write(&sink, line, LINE_BYTES));
    sink = sink_open(file);
    assert_false(sink_write(&sink, line, LINE_BYTES));
    sink_close(&sink);
}

static void fill(int fd)
{
    sink_t sink = sink_open(fd);
    while (sink_write(&sink, " ", 1)) {
    }
    sink_close(&sink);
}

static void empty(int fd)
{
    char bytes[4096];
    while (read(fd, bytes, sizeof bytes) > 0) {
    }
}

static void assert_next(int fd, const char *expected)
{
    char text[4096];
    ssize_t size = read(fd, text, sizeof text - 1);
    assert_true(size > 24);
    text[size] = '\0';
    const char *second = strchr(text, '\n') + 1;
    char without_stamps[4096];
    snprintf(without_stamps, sizeof without_stamps, "%.*s%s", (int)(second - text) - 24, text + 24,
             *second ? second + 24 : "");
    assert_string_equal(without_stamps, expected);
}

static void the_log_counts_what_it_drops(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    log_set_sink(ends[1]);
    fill(ends[1]);
    for (int i = 0; i < 3; i++) {
        log_event(LOG_INFO_LEVEL, "lost", log_uint("n", 1));
    }
    log_report_dropped(); /* there is no room for that either */
    empty(ends[0]);
    log_event(LOG_INFO_LEVEL, "seen", log_uint("n", 2));
    assert_next(ends[0], " warn log.dropped lines=3\n info seen n=2\n");
    fill(ends[1]);
    log_event(LOG_INFO_LEVEL, "lost", log_uint("n", 3));
    empty(ends[0]);
    log_report_dropped(); /* where nothing else is to be said */
    assert_next(ends[0], " warn log.dropped lines=1\n");
    log_report_dropped();
    log_event(LOG_INFO_LEVEL, "seen", log_uint("n", 4));
    assert_next(ends[0], " info seen n=4\n");
    log_set_sink(STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pipe),
        TEST(a_socket),
        TEST(a_terminal),
        TEST(a_file_and_nothing_at_all),
        TEST(the_log_counts_what_it_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
