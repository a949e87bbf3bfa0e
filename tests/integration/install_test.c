/* make install and uninstall: a program outside the tree is built against what was installed and runs. */
#include <fnmatch.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/testbed.h"

enum { ARGUMENTS_MAX = 60, LINE_SIZE = 4000, PATH_SIZE = FOLDER_PATH_SIZE + 100, STEP_MS = 120000 };

static const char outside_source[] =
    "#include <fabric/client.h>\n"
    "#include <fabric/worker.h>\n"
    "#include <stdio.h>\n"
    "typedef struct text { char text[64]; } text_t;\n"
    "static const fabric_field_t fields[] = {FABRIC_STRING(text_t, text)};\n"
    "static const fabric_schema_t schema = FABRIC_SCHEMA(\"Text\", text_t, fields);\n"
    "static const fabric_message_type_t echo = {\n"
    "    .tag = \"Echo\", .request = &schema, .reply = &schema, .durable = true};\n"
    "int main(int argc, char **argv)\n"
    "{\n"
    "    fabric_client_t *client = NULL;\n"
    "    fabric_outcome_t outcome = {0};\n"
    "    text_t request = {\"from outside\"};\n"
    "    text_t reply = {\"\"};\n"
    "    fabric_error_t error = fabric_client_open(argv[argc - 1], NULL, &client, &outcome);\n"
    "    if (!error) {\n"
    "        error = fabric_client_ask(client, fabric_entity(\"Probe\", \"outside\"), &echo, "
    "&request,\n"
    "                                  &reply, &outcome);\n"
    "    }\n"
    "    printf(\"%s: %s\\n\", fabric_error_name(error), reply.text);\n"
    "    fabric_client_close(&client);\n"
    "    return error ? 1 : 0;\n"
    "}\n";

static testbed_t *bed;
static char root[PATH_SIZE]; /* DESTDIR */

/* Runs a program to its end, which must be a good one; the output's first line goes to `line`, the
 * others must not be needed. */
static void run(const char *const *arguments, char line[LINE_SIZE])
{
    char log[PATH_SIZE];
    reason_t reason = {{0}};
    process_t process = PROCESS_NONE;
    snprintf(log, sizeof log, "%s/log", bed->folder);
    unlink(log);
    fabric_error_t error = process_start(arguments, log, line != NULL, &reason, &process);
    if (!error && line) {
        error = process_read_line(&process, STEP_MS, line, LINE_SIZE);
    }
    error = error ? error : process_wait(&process, STEP_MS, &reason);
    process_stop(&process, 0);
    if (error) {
        folder_print_end(bed->folder, "log", stderr);
        fail_msg("%s %s: %s: %s", arguments[0], arguments[1], fabric_error_name(error),
                 reason.text);
    }
}

static void make(const char *target)
{
    char build[PATH_SIZE];
    char destination[PATH_SIZE + 10];
    snprintf(build, sizeof build, "B=%s", getenv("FABRIC_BUILD"));
    snprintf(destination, sizeof destination, "DESTDIR=%s", root);
    const char *const arguments[] = {"make",      "--no-print-directory", target, build,
                                     destination, "PREFIX=/usr",          NULL};
    run(arguments, NULL);
}

static void open_test(void **state)
{
    bed = *state;
    assert_non_null(getenv("FABRIC_BUILD"));
    snprintf(root, sizeof root, "%s/root", bed->folder);
    unsetenv("MAKEFLAGS"); /* not those of the make that runs the tests */
    unsetenv("MAKELEVEL");
    make("install");
}

/* ---- building outside ---- */

/* Adds the words of a line to a list. */
static size_t add_words(const char **arguments, size_t count, char *line)
{
    char *rest = NULL;
    for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        assert_true(count + 1 < ARGUMENTS_MAX);
        arguments[count++] = word;
    }
    return count;
}

static void build_outside(const char *package, const char *source, const char *program)
{
    char path[PATH_SIZE + 40];
    char line[LINE_SIZE];
    snprintf(path, sizeof path, "%s/usr/lib/pkgconfig", root);
    setenv("PKG_CONFIG_PATH", path, 1);
    setenv("PKG_CONFIG_SYSROOT_DIR", root, 1);
    const char *const ask[] = {"pkg-config", "--cflags", "--libs", package, NULL};
    run(ask, line);
    unsetenv("PKG_CONFIG_PATH");
    unsetenv("PKG_CONFIG_SYSROOT_DIR");
    const char *compile[ARGUMENTS_MAX] = {"cc",      "-std=c11", "-Wall", "-Wextra", "-Wpedantic",
                                          "-Werror", "-o",       program, source};
    size_t count = add_words(compile, 9, line);
    compile[count] = NULL;
    run(compile, NULL);
}

static void outside_program_runs(void **state)
{
    char source[PATH_SIZE];
    char program[PATH_SIZE];
    char libraries[PATH_SIZE + 40];
    char line[LINE_SIZE];
    open_test(state);
    snprintf(source, sizeof source, "%s/outside.c", bed->folder);
    snprintf(program, sizeof program, "%s/outside", bed->folder);
    FILE *file = fopen(source, "w");
    assert_non_null(file);
    assert_true(fputs(outside_source, file) >= 0);
    assert_int_equal(fclose(file), 0);
    build_outside("fabric_client", source, program);
    testbed_start(bed, 1);
    snprintf(libraries, sizeof libraries, "LD_LIBRARY_PATH=%s/usr/lib", root);
    const char *const ask[] = {"env", libraries, program, bed->cluster.url, NULL};
    run(ask, line);
    assert_string_equal(line, "OK: from outside");
}

static void programs_run(void **state)
{
    static const char *const names[] = {"fabric-broker", "fabric-worker", "fabricctl",
                                        "fabric-bench"};
    char path[PATH_SIZE + 40];
    char line[LINE_SIZE];
    open_test(state);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/usr/bin/%s", root, names[i]);
        const char *const ask[] = {path, "--version", NULL};
        run(ask, line);
        assert_int_equal(strncmp(line, names[i], strlen(names[i])), 0);
    }
}

/* ---- what a library shows ---- */

static void check_symbols(const char *library)
{
    char path[PATH_SIZE + 40];
    char log[PATH_SIZE];
    char line[LINE_SIZE];
    unsigned symbols = 0;
    reason_t reason = {{0}};
    process_t process = PROCESS_NONE;
    snprintf(path, sizeof path, "%s/usr/lib/%s", root, library);
    snprintf(log, sizeof log, "%s/log", bed->folder);
    const char *const ask[] = {"nm", "-D", "--defined-only", "--format=posix", path, NULL};
    assert_int_equal(process_start(ask, log, true, &reason, &process), FABRIC_OK);
    while (process_read_line(&process, STEP_MS, line, sizeof line) == FABRIC_OK) {
        bool ours = strncmp(line, "fabric_", 7) == 0;
        if (!ours) {
            process_stop(&process, 0);
            fail_msg("%s shows %s", library, line);
        }
        symbols++;
    }
    process_stop(&process, STEP_MS);
    print_message("%s: %u symbols\n", library, symbols);
    assert_true(symbols > 10);
}

static void libraries_show_their_own(void **state)
{
    open_test(state);
    check_symbols("libfabric_client.so");
    check_symbols("libfabric_worker.so");
}

/* ---- how it is linked ---- */

#ifndef FABRIC_TEST_BUILD

typedef struct elf_facts {
    bool position_independent, relro, now, stack_protector, fortified;
    bool stack_executable, text_writable, first_load_executable;
    unsigned loads;
} elf_facts_t;

static void note_line(elf_facts_t *facts, const char *line)
{
    const char *load = strstr(line, "  LOAD ");
    bool executable = strstr(line, " R E ") || strstr(line, " RWE ");
    if (load) {
        facts->first_load_executable |= facts->loads == 0 && executable;
        facts->text_writable |= strstr(line, " RWE ") != NULL;
        facts->loads++;
    }
    facts->position_independent |= strstr(line, "Type:") && strstr(line, "DYN (");
    facts->relro |= strstr(line, "GNU_RELRO") != NULL;
    facts->stack_executable |= strstr(line, "GNU_STACK") && executable;
    facts->now |= strstr(line, "(FLAGS_1)") && strstr(line, "NOW");
    facts->stack_protector |= strstr(line, "__stack_chk_fail") != NULL;
    facts->fortified |= strstr(line, "_chk@") && !strstr(line, "__stack_chk");
}

static void check_hardened(const char *name)
{
    char path[PATH_SIZE + 40];
    char log[PATH_SIZE];
    char line[LINE_SIZE];
    elf_facts_t facts = {0};
    reason_t reason = {{0}};
    process_t process = PROCESS_NONE;
    snprintf(path, sizeof path, "%s/usr/%s", root, name);
    snprintf(log, sizeof log, "%s/log", bed->folder);
    const char *const ask[] = {"readelf", "-hldW", "--dyn-syms", path, NULL};
    assert_int_equal(process_start(ask, log, true, &reason, &process), FABRIC_OK);
    while (process_read_line(&process, STEP_MS, line, sizeof line) == FABRIC_OK) {
        note_line(&facts, line);
    }
    process_stop(&process, STEP_MS);
    print_message("%s: %u segments\n", name, facts.loads);
    assert_true(facts.position_independent);
    assert_true(facts.relro && facts.now);
    assert_true(facts.stack_protector && facts.fortified);
    assert_true(facts.loads >= 4 && !facts.first_load_executable); /* separate code */
    assert_false(facts.stack_executable || facts.text_writable);
}

static void programs_are_hardened(void **state)
{
    open_test(state);
    check_hardened("bin/fabric-broker");
    check_hardened("bin/fabric-worker");
    check_hardened("bin/fabricctl");
    check_hardened("bin/fabric-bench");
    check_hardened("lib/libfabric_client.so");
    check_hardened("lib/libfabric_worker.so");
}

#endif

/* ---- uninstall ---- */

static unsigned left;

static int count_left(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    (void)facts;
    (void)where;
    if (type != FTW_D || fnmatch("*fabric*", path + strlen(root), 0) == 0) {
        print_error("left: %s\n", path);
        left++;
    }
    return 0;
}

static void uninstall_leaves_nothing(void **state)
{
    char path[PATH_SIZE + 40];
    open_test(state);
    snprintf(path, sizeof path, "%s/usr/bin/fabricctl", root);
    assert_int_equal(access(path, X_OK), 0);
    make("uninstall");
    left = 0;
    assert_int_equal(nftw(root, count_left, 16, FTW_PHYS), 0);
    assert_int_equal(left, 0);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"outside_program_runs", outside_program_runs, TESTBED_SQLITE},
        {"programs_run", programs_run, TESTBED_SQLITE},
        {"libraries_show_their_own", libraries_show_their_own, TESTBED_SQLITE},
#ifndef FABRIC_TEST_BUILD
        {"programs_are_hardened", programs_are_hardened, TESTBED_SQLITE},
#endif
        {"uninstall_leaves_nothing", uninstall_leaves_nothing, TESTBED_SQLITE},
    };
    return testbed_run("install", tests, sizeof tests / sizeof tests[0]);
}
