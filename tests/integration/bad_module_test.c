/* Files that are not modules, and modules that break a rule: fabric-worker refuses them with one
 * line. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/harness/invocation.h"

static invocation_t invocation;

static const char *module_path(const char *name, char path[INVOCATION_PATH_SIZE])
{
    invocation_program("fabric", path);
    snprintf(strrchr(path, '/'), 64, "/../%s", name);
    return path;
}

static void expect_refused(const testbed_t *bed, const char *module, const char *rule,
                           const char *what)
{
    char variable[64];
    char pattern[300];
    const char *const environment[] = {variable, NULL};
    const char *const arguments[] = {"fabric-worker", "--url", "tcp://127.0.0.1:1",
                                     "--module",      module,  NULL};
    snprintf(variable, sizeof variable, "BAD_MODULE=%s", rule);
    snprintf(pattern, sizeof pattern,
             "*error worker.failed error=InvalidModule reason=\"module *%s*", what);
    invocation_run(bed, arguments, environment, &invocation);
    if (invocation.status != 78) {
        print_error("%s: %s\n", module, rule);
    }
    invocation_check(&invocation, __LINE__, 78, pattern, arguments);
}

static void files(void **state)
{
    char path[INVOCATION_PATH_SIZE];
    expect_refused(*state, invocation_path(*state, "nothing.so", path), "",
                   "nothing.so: there is no such file");
    expect_refused(*state, invocation_path(*state, ".", path), "", "is no file");
    assert_int_equal(mkfifo(invocation_path(*state, "pipe.so", path), 0600), 0);
    expect_refused(*state, path, "", "pipe.so: is no file");
    invocation_write_file(*state, "empty.so", "", 0600, path);
    expect_refused(*state, path, "", "empty.so: *file too short");
    invocation_write_file(*state, "text.so",
                          "This is no module, but a text that is long enough for a header.\n", 0600,
                          path);
    expect_refused(*state, path, "", "text.so: *invalid ELF header");
    invocation_write_file(*state, "header.so", "\177ELF", 0600, path);
    expect_refused(*state, path, "", "header.so: *file too short");
    expect_refused(*state, module_path("bin/fabricctl", path), "", "fabricctl: ");
    expect_refused(*state, module_path("lib/libfabric_client.so", path), "", "fabric_module");
    expect_refused(*state, module_path("tests/unresolved_module.so", path), "",
                   "undefined symbol: nobody_has_this");
}

static void rules(void **state)
{
    static const struct {
        const char *rule;
        const char *what;
    } rows[] = {
        {"abi", "module version 1000, this program has [1-9]"},
        {"null_types", "has no entity types"},
        {"no_types", "has no entity types"},
        {"twins", "Bad: there are two of this name"},
        {"no_name", "name of 1-255 bytes"},
        {"empty_name", "name of 1-255 bytes"},
        {"long_name", "name of 1-255 bytes"},
        {"control_name", "entity type B[?][[]31mad[?]: "},
        {"long_group", "Bad: a shard group has 1-255 bytes"},
        {"null_handlers", "Bad: needs 1-128 handlers"},
        {"no_handlers", "Bad: needs 1-128 handlers"},
        {"many_handlers", "Bad: needs 1-128 handlers"},
        {"two_handlers", "Bad: message Do has two handlers"},
        {"huge_state", "Bad: the state has more than 64 MiB"},
        {"no_message", "Bad: a handler has no message or no function"},
        {"no_function", "Bad: a handler has no message or no function"},
        {"no_tag", "Bad: a message needs a tag"},
        {"long_tag", "Bad: a message needs a tag"},
        {"no_request", "Bad: a message needs a tag"},
        {"no_reply", "Bad: a message needs a tag"},
        {"no_schema_name", "Bad: a schema of message Do lacks a name"},
        {"no_fields", "Bad: a schema of message Do lacks a name"},
        {"no_field_name", "Bad: a schema of message Do lacks a name"},
        {"no_inner_schema", "Bad: a schema of message Do lacks a name"},
        {"endless_schema", "Bad: a schema of message Do lacks a name"},
        {"many_fields", "Bad: a schema breaks a rule"},
        {"twin_fields", "Bad: a schema breaks a rule"},
        {"bad_kind", "Bad: a schema breaks a rule"},
        {"huge_struct", "Bad: message Do has a struct of more than 64 MiB"},
        {"huge_string", "Bad: a schema breaks a rule"},
        {"not_utf8", "Bad: a schema breaks a rule"},
    };
    char path[INVOCATION_PATH_SIZE];
    module_path("tests/bad_module.so", path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_refused(*state, path, rows[i].rule, rows[i].what);
    }
}

int main(void)
{
    static const testbed_test_t tests[] = {
        {"files", files, TESTBED_SQLITE},
        {"rules", rules, TESTBED_SQLITE},
    };
    return testbed_run("bad_module", tests, sizeof tests / sizeof tests[0]);
}
