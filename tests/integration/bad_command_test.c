/* Wrong command lines, environments, files and modules: each is refused with the documented exit
 * status, one line that names the mistake, and nothing on standard output. No line contains a
 * secret or an escape sequence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/invocation.h"

enum { ROW_ARGUMENTS = 8, LONG_SIZE = 300 };

#define NOBODY      "65534"
#define SECRET      "hunter2-in-plain-sight"
#define WRONG_VALUE "FABRIC_LEASE_MS=1x"

/* One wrong invocation. An argument that begins with @ is a file of the test's folder, "LONG" a
 * text of 300 bytes. */
typedef struct row {
    int status;
    const char *pattern;
    const char *arguments[ROW_ARGUMENTS];
    const char *environment; /* one variable, or NULL */
} row_t;

static invocation_t invocation;

static void check_row(const testbed_t *bed, int line, const row_t *row)
{
    static char paths[ROW_ARGUMENTS][INVOCATION_PATH_SIZE];
    static char long_text[LONG_SIZE + 1];
    const char *arguments[ROW_ARGUMENTS + 1] = {NULL};
    const char *const environment[] = {row->environment, NULL};
    memset(long_text, 'x', LONG_SIZE);
    for (size_t i = 0; i < ROW_ARGUMENTS && row->arguments[i]; i++) {
        arguments[i] = row->arguments[i];
        if (arguments[i][0] == '@') {
            arguments[i] = invocation_path(bed, arguments[i] + 1, paths[i]);
        } else if (strcmp(arguments[i], "LONG") == 0) {
            arguments[i] = long_text;
        }
    }
    invocation_run(bed, arguments, environment, &invocation);
    invocation_check(&invocation, line, row->status, row->pattern, arguments);
    assert_null(strstr(invocation.complaints, SECRET));
    assert_null(strpbrk(invocation.complaints, "\033\r\t\x7f"));
}

static void check_rows(const testbed_t *bed, int line, const row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_row(bed, line, &rows[i]);
    }
}

#define CHECK_ROWS(rows) check_rows(*state, __LINE__, rows, sizeof(rows) / sizeof((rows)[0]))

/* ---- what all programs share ---- */

/* The same mistake with each program: how its lines begin, and what it ends with. */
static void check_programs(void **state, const char *option, const char *value,
                           const char *environment, bool usage, const char *what)
{
    static const struct {
        const char *arguments[2];
        const char *begin;
        int usage;
        int configuration;
    } programs[] = {
        {{"fabric-broker", "--migrate"}, "fabric-broker: ", 64, 78},
        {{"fabric-worker", "--module=x.so"}, "* error worker.failed error=* reason=*", 64, 78},
        {{"fabricctl", "status"}, "fabricctl: ", 2, 2},
        {{"fabric-bench", "ask"}, "fabric-bench: ", 64, 78},
    };
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        char pattern[400];
        snprintf(pattern, sizeof pattern, "%s*%s*", programs[i].begin, what);
        row_t row = {usage ? programs[i].usage : programs[i].configuration,
                     pattern,
                     {programs[i].arguments[0], programs[i].arguments[1], option, value},
                     environment};
        check_row(*state, __LINE__, &row);
    }
}

static void every_program(void **state)
{
    char path[INVOCATION_PATH_SIZE];
    check_programs(state, "--nonsense", NULL, NULL, true, "--nonsense: is no option");
    check_programs(state, "--nonsense=" SECRET, NULL, NULL, true, "--nonsense: is no option");
    check_programs(state, "-x", NULL, NULL, true, "-x: is no option");
    check_programs(state, "--config", NULL, NULL, true, "--config: a value is missing");
    check_programs(state, "--config", "", NULL, true, "--config: the file's name is empty");
    check_programs(state, "--allow-plaintext=maybe", NULL, NULL, true,
                   "--allow-plaintext: 'maybe'");
    check_programs(state, "--config", "@nothing", NULL, false, "/nothing: *No such file");
    check_programs(state, "--config", "@.", NULL, false, "*directory");
    check_programs(state, NULL, NULL, "FABRIC_CONFG=x", false, "FABRIC_CONFG: no Fabric program");
    check_programs(state, NULL, NULL, "FABRIC_CONFIG=", false,
                   "FABRIC_CONFIG: the file's name is empty");
    check_programs(state, NULL, NULL, "FABRIC_ALLOW_PLAINTEXT=", false,
                   "FABRIC_ALLOW_PLAINTEXT: ''");
    invocation_write_file(*state, "key", "nonsense = 1\n", 0600, path);
    check_programs(state, "--config", "@key", NULL, false,
                   "/key: this program has no key 'nonsense'");
    invocation_write_file(*state, "syntax", "# fine\nallow_plaintext yes\n", 0600, path);
    check_programs(state, "--config", "@syntax", NULL, false, "/syntax: *line 2");
    invocation_write_file(*state, "range", "allow_plaintext = 7\n", 0600, path);
    check_programs(state, "--config", "@range", NULL, false, "/range: allow_plaintext: '7'");
    invocation_write_file(*state, "escape", "\033[31m = 1\n", 0600, path);
    check_programs(state, "--config", "@escape", NULL, false, "/escape");
}

static void numbers(void **state)
{
    static const char *const wrong[] = {"",   "-1",      "0x10", "1x",
                                        "1 ", "1000001", "1e3",  "99999999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const row_t rows[] = {
            {64,
             "fabric-broker: --peers-max:*whole number of 1..1000000*",
             {"fabric-broker", "--peers-max", wrong[i]},
             NULL},
            {64,
             "*--executors:*whole number of 0..64*",
             {"fabric-worker", "--executors", wrong[i]},
             NULL},
            {2,
             "fabricctl: --shards-per-group:*whole number of 1..16384*",
             {"fabricctl", "status", "--shards-per-group", wrong[i]},
             NULL},
            {64,
             "fabric-bench: --workers:*whole number of 1..64*",
             {"fabric-bench", "ask", "--workers", wrong[i]},
             NULL},
        };
        CHECK_ROWS(rows);
    }
}

/* A password in a file that others may read, and a file that this user may not read. */
static void files_of_others(void **state)
{
    char path[INVOCATION_PATH_SIZE];
    char program[INVOCATION_PATH_SIZE];
    const row_t secret[] = {
        {78,
         "fabric-broker: *secret 'store_password'*chmod 600",
         {"fabric-broker", "--config", "@pw"},
         NULL},
        {2,
         "fabricctl: *secret 'store_password'*chmod 600*",
         {"fabricctl", "--config", "@pw"},
         NULL},
        {78,
         "fabric-bench: *secret 'store_password'*chmod 600",
         {"fabric-bench", "ask", "--config", "@pw"},
         NULL},
        {78, "*no key 'store_password'*", {"fabric-worker", "--config", "@pw"}, NULL},
    };
    invocation_write_file(*state, "pw", "store_password = " SECRET "\n", 0644, path);
    CHECK_ROWS(secret);
    invocation_write_file(*state, "pw", "", 0000, path);
    const char *const known[] = {"setpriv",        "--reuid=" NOBODY,
                                 "--clear-groups", invocation_program("fabric-broker", program),
                                 "--version",      NULL};
    invocation_run(*state, known, NULL, &invocation);
    bool as_nobody = getuid() == 0;
    if (as_nobody && invocation.status != 0) {
        print_message("skip: files_of_others: uid " NOBODY " cannot run %s\n", program);
        skip();
    }
    const row_t rows[] = {
        {78,
         "fabric-broker: */pw: *Permission denied",
         {"setpriv", "--reuid=" NOBODY, "--clear-groups", program, "--config", "@pw"},
         NULL},
        {78, "fabric-broker: */pw: *Permission denied", {"fabric-broker", "--config", "@pw"}, NULL},
    };
    check_row(*state, __LINE__, &rows[as_nobody ? 0 : 1]);
}

/* ---- each program's own ---- */

static void broker(void **state)
{
    static const row_t rows[] = {
        {78,
         "fabric-broker: cluster_name: must have 1 to 255 bytes",
         {"fabric-broker", "--cluster-name", ""},
         NULL},
        {78,
         "fabric-broker: cluster_name: must have 1 to 255 bytes",
         {"fabric-broker", "--cluster-name", "LONG"},
         NULL},
        {78, "fabric-broker: store: '' must begin with*", {"fabric-broker", "--store", ""}, NULL},
        {78, "fabric-broker: store: 'sqlite:'*", {"fabric-broker", "--store", "sqlite:"}, NULL},
        {78,
         "fabric-broker: store: *host or port*",
         {"fabric-broker", "--store", "mysql://u@h:99999/d"},
         NULL},
        {78,
         "fabric-broker: store: the password does not belong in the URL*",
         {"fabric-broker", "--store", "mysql://u:" SECRET "@h/d"},
         NULL},
        {78,
         "fabric-broker: store: 'oracle://u:\\*\\*\\*@h/d' must*",
         {"fabric-broker", "--store", "oracle://u:" SECRET "@h/d"},
         NULL},
        {78, "fabric-broker: listen: endpoint ''*", {"fabric-broker", "--listen", ""}, NULL},
        {78,
         "fabric-broker: listen: *xxx...' is longer than 255 bytes",
         {"fabric-broker", "--listen", "LONG"},
         NULL},
        {78,
         "fabric-broker: publish: *port of 1..65535",
         {"fabric-broker", "--publish", "tcp://127.0.0.1:99999"},
         NULL},
        {78,
         "fabric-broker: advertise: *cannot be connected to",
         {"fabric-broker", "--advertise", "tcp://127.0.0.1:*"},
         NULL},
        {78, "fabric-broker: log_level: ''*", {"fabric-broker", "--log-level", ""}, NULL},
        {78, "fabric-broker: FABRIC_LEASE_MS: '1x'*", {"fabric-broker"}, WRONG_VALUE},
    };
    CHECK_ROWS(rows);
}

static void worker(void **state)
{
    char module[INVOCATION_PATH_SIZE];
    invocation_program("fabric", module);
    snprintf(strrchr(module, '/'), 64, "/../tests/probe_module.so");
    const row_t rows[] = {
        {64, "*--module: ''*", {"fabric-worker", "--module", ""}, NULL},
        {78, "*broker list*", {"fabric-worker", "--module", module, "--url", ""}, NULL},
        {78, "*broker list*", {"fabric-worker", "--module", module, "--url", "LONG"}, NULL},
        {78, "*'smoke://x'*", {"fabric-worker", "--module", module, "--url", "smoke://x"}, NULL},
        {78,
         "*port of 1..65535*",
         {"fabric-worker", "--module", module, "--url", "fabric://127.0.0.1:0"},
         NULL},
        {78,
         "*name has more than 255 bytes*",
         {"fabric-worker", "--module", module, "--name", "LONG"},
         NULL},
        {78,
         "*name has more than 255 bytes*",
         {"fabric-worker", "--module", module, "--cluster-name", "LONG"},
         NULL},
        {78, "*log_level is *", {"fabric-worker", "--module", module, "--log-level", ""}, NULL},
        {78,
         "*Probe: there are two*",
         {"fabric-worker", "--module", module, "--module", module},
         NULL},
    };
    CHECK_ROWS(rows);
}

static void command_line(void **state)
{
    static const row_t rows[] = {
        {2, "fabricctl: '' is no command*", {"fabricctl", ""}, NULL},
        {2,
         "fabricctl: 'a\\\\x1b\\[31m\\\\xc2\\\\x9b' is no command*",
         {"fabricctl", "a\033[31m\xc2\x9b"},
         NULL},
        {2, "fabricctl: status takes no argument*", {"fabricctl", "status", "x"}, NULL},
        {2, "fabricctl: call takes TYPE ID TAG*", {"fabricctl", "call", "Probe", "x"}, NULL},
        {2,
         "fabricctl: send takes TYPE ID TAG*",
         {"fabricctl", "send", "Probe", "x", "Echo", "{}", "x"},
         NULL},
        {2, "fabricctl: TYPE must have 1 to 255*", {"fabricctl", "call", "", "x", "Echo"}, NULL},
        {2, "fabricctl: ID must have 1 to 255*", {"fabricctl", "call", "Probe", "", "Echo"}, NULL},
        {2,
         "fabricctl: ID must have 1 to 255*",
         {"fabricctl", "call", "Probe", "LONG", "Echo"},
         NULL},
        {2, "fabricctl: TAG must have 1 to 255*", {"fabricctl", "call", "Probe", "x", ""}, NULL},
        {2, "fabricctl: schema takes one of*", {"fabricctl", "schema", "drop"}, NULL},
        {2, "fabricctl: --store: *missing*", {"fabricctl", "schema", "status"}, NULL},
        {2, "fabricctl: error takes one name*", {"fabricctl", "error", "Busy", "Timeout"}, NULL},
        {2, "fabricctl: --output: ''*", {"fabricctl", "status", "-o"}, NULL},
        {2, "fabricctl: --key: '0:1'*", {"fabricctl", "status", "--key", "0:1"}, NULL},
        {2,
         "fabricctl: --key: '1:99999999999999999999'*",
         {"fabricctl", "status", "--key", "1:99999999999999999999"},
         NULL},
        {2, "fabricctl: --key: '1:1x'*", {"fabricctl", "status", "--key", "1:1x"}, NULL},
        {2,
         "fabricctl: --cluster-name: must have 1 to 255*",
         {"fabricctl", "status", "--cluster-name", ""},
         NULL},
        {2,
         "fabricctl: --cluster-name: must have 1 to 255*",
         {"fabricctl", "status", "--cluster-name", "LONG"},
         NULL},
        {2, "fabricctl: --url: *broker list*", {"fabricctl", "status", "--url", ""}, NULL},
        {2, "fabricctl: smoke://x: *", {"fabricctl", "status", "--url", "smoke://x"}, NULL},
        {2, "fabricctl: fabric://: *", {"fabricctl", "status", "--url", "fabric://"}, NULL},
        {2,
         "fabricctl: fabric://*: *port of 1..65535*",
         {"fabricctl", "status", "--url", "fabric://127.0.0.1:99999"},
         NULL},
        {2,
         "fabricctl: mysql://u:\\*\\*\\*@h/d: store: the password does not belong*",
         {"fabricctl", "schema", "status", "--store", "mysql://u:" SECRET "@h/d"},
         NULL},
        {4,
         "fabricctl: sqlite:/nowhere/x.db: *",
         {"fabricctl", "schema", "status", "--store", "sqlite:/nowhere/x.db"},
         NULL},
        {2, "fabricctl: FABRIC_TIMEOUT_MS: ''*", {"fabricctl", "status"}, "FABRIC_TIMEOUT_MS="},
    };
    CHECK_ROWS(rows);
}

static void bench(void **state)
{
    static const row_t rows[] = {
        {64, "fabric-bench: give one of: ask, tell*", {"fabric-bench", "ask", "tell"}, NULL},
        {64,
         "fabric-bench: *exclude each other",
         {"fabric-bench", "ask", "--durable", "--volatile"},
         NULL},
        {64, "fabric-bench: --spawn: ''*", {"fabric-bench", "ask", "--spawn", ""}, NULL},
        {64, "fabric-bench: *broker list*", {"fabric-bench", "ask", "--url", ""}, NULL},
        {78,
         "fabric-bench: nonsense: *PlaintextRefused*",
         {"fabric-bench", "ask", "--url", "nonsense"},
         NULL},
        {78,
         "fabric-bench: store: 'oracle:'*",
         {"fabric-bench", "ask", "--url", "tcp://127.0.0.1:1", "--store", "oracle:"},
         NULL},
        {64, "fabric-bench: --size:*", {"fabric-bench", "ask", "--size", "99999999"}, NULL},
    };
    CHECK_ROWS(rows);
}

/* ---- with a cluster ---- */

static void json_that_does_not_fit(void **state)
{
    static const struct {
        const char *tag;
        const char *json;
        const char *pattern;
    } rows[] = {
        {"Echo", "nonsense", "*expected JSON*nonsense*"},
        {"Echo", "", "*expected JSON*"},
        {"Echo", "[]", "*expected an object*"},
        {"Echo", "{}", "*text: *found nothing*"},
        {"Echo", "{\"text\": null}", "*text: *"},
        {"Echo", "{\"text\": \"\xff\"}", "*expected JSON*"},
        {"Append", "{\"number\": -1}", "*number: *found -1*"},
        {"Append", "{\"number\": 1.5}", "*number: *fraction*"},
        {"Append", "{\"number\": 18446744073709551616}", "*number: *found 18446744073709551616*"},
        {"Append", "{\"number\": 1, \"number\": 2}", "*duplicate*"},
        {"Append", "{\"number\": 1} x", "*end of file expected*"},
    };
    testbed_t *bed = *state;
    testbed_start(bed, 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const row_t row = {2,
                           rows[i].pattern,
                           {"fabricctl", "--url", bed->cluster.url, "call", PROBE_TYPE, "x",
                            rows[i].tag, rows[i].json},
                           NULL};
        check_row(bed, __LINE__, &row);
    }
}

static void assert_harmless(const char *text)
{
    for (; *text; text++) {
        assert_true((unsigned char)*text >= ' ' || *text == '\n');
        assert_true(*text != 0x7f);
    }
}

/* Escape sequences in a worker's name, an id and a failure's text reach no terminal. */
static void escape_sequences_in_names(void **state)
{
    static const char *const name[] = {"--name", "evil\033[31m\033]0;x\007\xc2\x9b\xff\r\n", NULL};
    static const char id[] = "evil\033[31m\177\n\xff";
    testbed_t *bed = *state;
    bed->worker_arguments = name;
    testbed_start(bed, 1);
    const char *url = bed->cluster.url;
    const char *const text[] = {"fabricctl", "--url", url, "status", NULL};
    invocation_run(bed, text, NULL, &invocation);
    assert_int_equal(invocation.status, 0);
    assert_non_null(strstr(invocation.output, "evil"));
    assert_harmless(invocation.output);
    assert_null(strstr(invocation.output, "\xc2\x9b"));
    const char *const json[] = {"fabricctl", "--url", url, "-ojson", "status", NULL};
    invocation_run(bed, json, NULL, &invocation);
    json_t *document = json_loads(invocation.output, 0, NULL);
    assert_non_null(document);
    json_decref(document);
    const char *const echo[] = {"fabricctl", "--url", url,    "call",
                                PROBE_TYPE,  id,      "Echo", "{\"text\": \"\\u001b[31m\\u0007\"}",
                                NULL};
    invocation_run(bed, echo, NULL, &invocation);
    document = json_loads(invocation.output, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(document, "text")), "\033[31m\a");
    json_decref(document);
    assert_harmless(invocation.output);
    const row_t row = {
        1,
        "fabricctl: Probe/evil\\\\x1b\\[31m\\\\x7f \\\\xff Fail: code 1: *(EntityFailure)*",
        {"fabricctl", "--url", url, "call", PROBE_TYPE, id, "Fail",
         "{\"code\": 1, \"text\": \"\\u001b[31m\\n\\u009b\"}"},
        NULL};
    check_row(bed, __LINE__, &row);
    assert_null(strstr(invocation.complaints, "\xc2\x9b"));
}

/* ---- secrets ---- */

static void assert_without_secret(const char *path)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_true(size > 0 && size < sizeof text);
    if (memmem(text, size, SECRET, strlen(SECRET))) {
        fail_msg("%s holds the secret", path);
    }
}

static void secrets(void **state)
{
    static const char *const environment[] = {"FABRIC_STORE_PASSWORD=" SECRET, NULL};
    static const char *const debug[] = {"--log-level", "debug", NULL};
    testbed_t *bed = *state;
    char path[INVOCATION_PATH_SIZE];
    bed->broker_environment = environment;
    bed->broker_arguments = debug;
    testbed_start(bed, 1);
    snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)bed->cluster.broker.pid);
    assert_without_secret(path);
    snprintf(path, sizeof path, "%s/broker.log", bed->cluster.folder);
    assert_without_secret(path);
    const char *const runs[][8] = {
        {"fabric-broker", "--help"},
        {"fabricctl", "--help"},
        {"fabric-bench", "--help"},
        {"fabricctl", "--url", bed->cluster.url, "status"},
        {"fabricctl", "--url", bed->cluster.url, "-ojson", "status"},
        {"fabricctl", "schema", "status", "--store", "mysql://root@127.0.0.1:1/fabric"},
        {"fabric-broker", "--store", "mysql://root@127.0.0.1:1/fabric", "--listen",
         "tcp://127.0.0.1:*", "--publish", "tcp://127.0.0.1:*"},
    };
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        invocation_run(bed, runs[i], environment, &invocation);
        assert_true(invocation.output_size > 0 || invocation.lines == 1);
        assert_null(strstr(invocation.output, SECRET));
        assert_null(strstr(invocation.complaints, SECRET));
    }
    testbed_stop_processes(bed);
    snprintf(path, sizeof path, "%s/broker.log", bed->cluster.folder);
    assert_without_secret(path);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"every_program", every_program, TESTBED_SQLITE},
        {"numbers", numbers, TESTBED_SQLITE},
        {"files_of_others", files_of_others, TESTBED_SQLITE},
        {"broker", broker, TESTBED_SQLITE},
        {"worker", worker, TESTBED_SQLITE},
        {"command_line", command_line, TESTBED_SQLITE},
        {"bench", bench, TESTBED_SQLITE},
        {"json_that_does_not_fit", json_that_does_not_fit, TESTBED_SQLITE},
        {"escape_sequences_in_names", escape_sequences_in_names, TESTBED_SQLITE},
        {"secrets", secrets, TESTBED_SQLITE},
    };
    return testbed_run("bad_command", tests, sizeof tests / sizeof tests[0]);
}
