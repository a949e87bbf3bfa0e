/* make install and uninstall: a program outside the tree is built against what was installed and
 * runs. */
#include <fnmatch.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/testbed.h"

enum { LINE_SIZE = 4000, PATH_SIZE = FOLDER_PATH_SIZE + 100, STEP_MS = 120000 };

static const char outside_source[] =
    "#include <fabric/client.h>\n"
    "#include <fabric/worker.h>\n"
    "#include <stdio.h>\n"
    "#include <string.h>\n"
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
    "    printf(\"%s: %s, %d\\n\", fabric_error_name(error), reply.text,\n"
    "           strcmp(fabric_version(), FABRIC_VERSION_STRING));\n"
    "    fabric_client_close(&client);\n"
    "    return error ? 1 : 0;\n"
    "}\n";

static testbed_t *bed;
static char destination[PATH_SIZE]; /* DESTDIR; empty: none */
static char prefix[PATH_SIZE];
static char place[2 * PATH_SIZE]; /* where both lead to */

/* Runs a program to its end, which must succeed. `line` gets the first line of its output. */
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

/* Has the shell run a script in the test's folder. */
static void run_script(const char *script, char line[LINE_SIZE])
{
    char whole[4 * LINE_SIZE];
    assert_true(snprintf(whole, sizeof whole, "set -e\ncd '%s'\n%s", bed->folder, script) <
                (int)sizeof whole);
    const char *const arguments[] = {"sh", "-c", whole, NULL};
    run(arguments, line);
}

/* The loader's configurator, as make install finds it: it notes how it is called, and prints what
 * the file `known` holds. */
static void write_ldconfig(void)
{
    run_script("printf '#!/bin/sh\necho \"called $*\" >>\"%s/calls\"\ncat \"%s/known\"\n' \"$PWD\" "
               "\"$PWD\" >ldconfig\nchmod +x ldconfig\n: >known",
               NULL);
}

static void make(const char *target)
{
    char build[PATH_SIZE];
    char destdir[PATH_SIZE + 10];
    char prefixed[PATH_SIZE + 10];
    char ldconfig[PATH_SIZE + 20];
    snprintf(build, sizeof build, "B=%s", getenv("FABRIC_BUILD"));
    snprintf(destdir, sizeof destdir, "DESTDIR=%s", destination);
    snprintf(prefixed, sizeof prefixed, "PREFIX=%s", prefix);
    snprintf(ldconfig, sizeof ldconfig, "LDCONFIG=%s/ldconfig", bed->folder);
    const char *const arguments[] = {
        "make", "--no-print-directory", target, build, destdir, prefixed, ldconfig, NULL};
    run(arguments, NULL);
}

static void forget_make(void) /* the one that runs the tests */
{
    unsetenv("MAKEFLAGS");
    unsetenv("MAKELEVEL");
}

static void install(void **state, const char *destdir, const char *prefix_format)
{
    bed = *state;
    assert_non_null(getenv("FABRIC_BUILD"));
    snprintf(destination, sizeof destination, "%s%s%s", *destdir ? bed->folder : "",
             *destdir ? "/" : "", destdir);
    snprintf(prefix, sizeof prefix, "%s%s", *destdir ? "" : bed->folder, prefix_format);
    snprintf(place, sizeof place, "%s%s", destination, prefix);
    forget_make();
    write_ldconfig();
    make("install");
}

/* Both may hold spaces. */
static void open_test(void **state)
{
    install(state, "a root", "/usr local");
}

/* ---- building outside ---- */

static void write_file(const char *name, const char *text)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", bed->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void outside_program_runs(void **state)
{
    char script[LINE_SIZE];
    char line[LINE_SIZE];
    install(state, "", "/my prefix");
    write_file("outside.c", outside_source);
    run_script("export PKG_CONFIG_PATH='my prefix/lib/pkgconfig'\n"
               "eval cc -std=c11 -Wall -Wextra -Wpedantic -Werror -o outside outside.c "
               "$(pkg-config --cflags --libs fabric_client)",
               NULL);
    testbed_start(bed, 1);
    snprintf(script, sizeof script, "LD_LIBRARY_PATH='my prefix/lib' ./outside %s",
             bed->cluster.url);
    run_script(script, line);
    assert_string_equal(line, "OK: from outside, 0");
}

/* Copies the shell commands of the document into a script. */
static void copy_recipes(const char *document, char *script, size_t size)
{
    char line[LINE_SIZE];
    size_t used = 0;
    bool inside = false;
    FILE *file = fopen(document, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        bool fence = strncmp(line, "```", 3) == 0;
        if (inside && !fence) {
            used += (size_t)snprintf(script + used, size - used, "%s", line);
            assert_true(used < size);
        }
        inside = fence ? !inside : inside;
    }
    fclose(file);
    assert_true(used > 0 && !inside);
}

/* What examples/README.md tells to do outside the tree, word for word, and what comes of it at
 * work. */
static void recipes_work(void **state)
{
    char recipes[LINE_SIZE];
    char script[2 * LINE_SIZE];
    char module[PATH_SIZE];
    char source[PATH_SIZE];
    char line[LINE_SIZE];
    install(state, "", "/prefix");
    assert_non_null(getcwd(source, sizeof source));
    copy_recipes("examples/README.md", recipes, sizeof recipes);
    snprintf(script, sizeof script,
             "mkdir examples\ncp -r '%s/examples/counter' examples\n"
             "export PKG_CONFIG_PATH=$PWD/prefix/lib/pkgconfig LD_LIBRARY_PATH=$PWD/prefix/lib\n%s",
             source, recipes);
    run_script(script, NULL);
    snprintf(module, sizeof module, "%s/counter.so", bed->folder);
    bed->worker_arguments = (const char *const[]){"--module", module, NULL};
    testbed_start(bed, 1);
    snprintf(script, sizeof script, "LD_LIBRARY_PATH=$PWD/prefix/lib ./counter_client %s",
             bed->cluster.url);
    run_script(script, line);
    assert_string_equal(line, "counter-1: incremented by 5 to 5");
    snprintf(script, sizeof script, "./counter_static %s", bed->cluster.url); /* needs no library */
    run_script(script, line);
    assert_string_equal(line, "counter-1: incremented by 5 to 11");
}

/* ---- variables of make ---- */

static void builders_flags_are_taken(void **state)
{
    char script[LINE_SIZE];
    char source[PATH_SIZE];
    bed = *state;
    forget_make();
    assert_non_null(getcwd(source, sizeof source));
    snprintf(script, sizeof script,
             "b=$PWD/build; cd '%s'\n"
             "for variant in '' debug asan; do\n"
             "make B=\"$b\" VARIANT=$variant CPPFLAGS=-D_FORTIFY_SOURCE=3 \"$b/obj/core/ids.o\"\n"
             "make B=\"$b\" VARIANT=$variant CFLAGS=-D_FORTIFY_SOURCE=3 \"$b/obj/core/error.o\"\n"
             "rm -r \"$b\"\ndone",
             source);
    run_script(script, NULL);
}

static void environment_changes_no_folder(void **state)
{
    char line[LINE_SIZE];
    bed = *state;
    forget_make();
    const char *const arguments[] = {"env",  "B=elsewhere", "VARIANT=debug",
                                     "make", "-s",          "--eval=show:;@echo $(B)",
                                     "show", NULL};
    run(arguments, line);
    assert_string_equal(line, "build");
}

/* ---- the loader ---- */

static unsigned count_lines(const char *file, const char *part)
{
    char path[PATH_SIZE];
    char line[LINE_SIZE];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/%s", bed->folder, file);
    FILE *opened = fopen(path, "r");
    while (opened && fgets(line, sizeof line, opened)) {
        count += strstr(line, part) != NULL;
    }
    if (opened) {
        fclose(opened);
    }
    return count;
}

static void loader_is_updated_or_the_user_is_told(void **state)
{
    static const char note[] = "The loader does not find the libraries";
    char known[3 * PATH_SIZE];
    open_test(state);
    assert_int_equal(count_lines("calls", "called"),
                     0); /* with DESTDIR the files are for another system's loader */
    assert_int_equal(count_lines("log", note), 0);
    install(state, "", "/my prefix");
    assert_int_equal(count_lines("calls", "called \n"), geteuid() == 0);
    assert_int_equal(count_lines("log", note), 1);
    snprintf(known, sizeof known,
             "\tlibzmq.so.5 (libc6) => /lib/libzmq.so.5\n\tlibfabric_client.so.0 (libc6) => "
             "%s/lib/libfabric_client.so.0\n",
             place);
    write_file("known", known);
    make("install");
    assert_int_equal(count_lines("log", note), 0);
}

static void programs_run(void **state)
{
    static const char *const names[] = {"fabric-broker", "fabric-worker", "fabricctl",
                                        "fabric-bench"};
    char path[sizeof place + 40];
    char line[LINE_SIZE];
    open_test(state);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/bin/%s", place, names[i]);
        const char *const ask[] = {path, "--version", NULL};
        run(ask, line);
        assert_int_equal(strncmp(line, names[i], strlen(names[i])), 0);
    }
}

/* ---- the symbols of a library ---- */

static void check_symbols(const char *library)
{
    char path[sizeof place + 40];
    char log[PATH_SIZE];
    char line[LINE_SIZE];
    unsigned symbols = 0;
    reason_t reason = {{0}};
    process_t process = PROCESS_NONE;
    snprintf(path, sizeof path, "%s/lib/%s", place, library);
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

/* A library is not linked with what it does not use: clients would have to have it installed. */
static void check_needed(const char *library)
{
    char path[sizeof place + 40];
    char log[PATH_SIZE];
    char line[LINE_SIZE];
    unsigned needed = 0;
    reason_t reason = {{0}};
    process_t process = PROCESS_NONE;
    snprintf(path, sizeof path, "%s/lib/%s", place, library);
    snprintf(log, sizeof log, "%s/log", bed->folder);
    const char *const ask[] = {"readelf", "-dW", path, NULL};
    assert_int_equal(process_start(ask, log, true, &reason, &process), FABRIC_OK);
    bool others = false;
    while (process_read_line(&process, STEP_MS, line, sizeof line) == FABRIC_OK) {
        const char *name = strstr(line, "(NEEDED)") ? strchr(line, '[') : NULL;
        if (name) {
            needed++;
            others |= strncmp(name, "[libzmq.", 8) != 0 && strncmp(name, "[libjansson.", 12) != 0 &&
                      strncmp(name, "[libc.", 6) != 0 && strncmp(name, "[libm.", 6) != 0;
        }
        if (others) {
            process_stop(&process, 0);
            fail_msg("%s needs %s", library, name);
        }
    }
    process_stop(&process, STEP_MS);
    assert_true(needed >= 3);
}

static void libraries_export_only_their_symbols(void **state)
{
    open_test(state);
    check_needed("libfabric_client.so");
    check_needed("libfabric_worker.so");
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
    char path[sizeof place + 40];
    char log[PATH_SIZE];
    char line[LINE_SIZE];
    elf_facts_t facts = {0};
    reason_t reason = {{0}};
    process_t process = PROCESS_NONE;
    snprintf(path, sizeof path, "%s/%s", place, name);
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
    if (type != FTW_D || fnmatch("*fabric*", path + strlen(destination), 0) == 0) {
        print_error("left: %s\n", path);
        left++;
    }
    return 0;
}

static void uninstall_leaves_nothing(void **state)
{
    char path[sizeof place + 40];
    open_test(state);
    snprintf(path, sizeof path, "%s/bin/fabricctl", place);
    assert_int_equal(access(path, X_OK), 0);
    make("uninstall");
    left = 0;
    assert_int_equal(nftw(destination, count_left, 16, FTW_PHYS), 0);
    assert_int_equal(left, 0);
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"outside_program_runs", outside_program_runs, TESTBED_SQLITE},
        {"recipes_work", recipes_work, TESTBED_SQLITE},
        {"builders_flags_are_taken", builders_flags_are_taken, TESTBED_SQLITE},
        {"environment_changes_no_folder", environment_changes_no_folder, TESTBED_SQLITE},
        {"loader_is_updated_or_the_user_is_told", loader_is_updated_or_the_user_is_told,
         TESTBED_SQLITE},
        {"programs_run", programs_run, TESTBED_SQLITE},
        {"libraries_export_only_their_symbols", libraries_export_only_their_symbols,
         TESTBED_SQLITE},
#ifndef FABRIC_TEST_BUILD
        {"programs_are_hardened", programs_are_hardened, TESTBED_SQLITE},
#endif
        {"uninstall_leaves_nothing", uninstall_leaves_nothing, TESTBED_SQLITE},
    };
    return testbed_run("install", tests, sizeof tests / sizeof tests[0]);
}
