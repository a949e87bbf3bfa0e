/* Configuration: precedence, unknown keys, ranges, secrets, files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config.h"

static const config_key_t keys[] = {
    {"lease_ms", CONFIG_UINT, "3000", 100, 60000, "MS", "lease in milliseconds"},
    {"endpoint", CONFIG_TEXT, NULL, 0, 0, "ENDPOINT", "where to listen"},
    {"brokers", CONFIG_LIST, NULL, 0, 0, "LIST", "first contacts"},
    {"allow_plaintext", CONFIG_BOOL, "no", 0, 0, NULL, "allow connections without encryption"},
    {"store_password", CONFIG_SECRET, NULL, 0, 0, NULL, "the database's password"},
    {0},
};

typedef struct loaded {
    config_t *config;
    fabric_error_t error;
    reason_t reason;
    int rest;
    bool help;
    bool version;
    char **argv;
} loaded_t;

static char directory[] = "/tmp/core_config.XXXXXX";
static char path[64];

/* Loads with arguments given as one text, separated by spaces. */
static loaded_t load(const char *arguments)
{
    static char copy[512];
    static char *argv[32];
    loaded_t loaded = {.config = config_new(keys), .rest = -1, .argv = argv};
    int argc = 0;
    strcpy(copy, arguments);
    argv[argc++] = (char *)"program";
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    loaded.error = config_load(loaded.config, argc, argv, &loaded.reason, &loaded.rest,
                               &loaded.help, &loaded.version);
    return loaded;
}

static void assert_refused(const char *arguments, fabric_error_t error, const char *needle)
{
    loaded_t loaded = load(arguments);
    assert_int_equal(loaded.error, error);
    if (!strstr(loaded.reason.text, needle)) {
        fail_msg("'%s' does not name '%s'", loaded.reason.text, needle);
    }
    assert_null(strstr(loaded.reason.text, "hunter2"));
    for (const char *next = loaded.reason.text; *next; next++) {
        assert_in_range(*next, ' ', '~'); /* one line */
    }
    assert_int_equal(loaded.rest, -1);
    config_destroy(&loaded.config);
}

static void write_file(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    assert_int_equal(setenv("FABRIC_CONFIG", path, 1), 0);
}

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory)) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/test.cfg", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static int clear_environment(void **state)
{
    (void)state;
    for (size_t i = 0; environ[i];) { /* those of whoever runs the tests too */
        char name[128];
        size_t size = strcspn(environ[i], "=");
        if (strncmp(environ[i], "FABRIC_", 7) != 0 || size >= sizeof name) {
            i++;
            continue;
        }
        memcpy(name, environ[i], size);
        name[size] = '\0';
        unsetenv(name); /* moves the next one here */
    }
    unlink(path);
    return 0;
}

static void assert_lease(const char *arguments, uint64_t lease_ms)
{
    loaded_t loaded = load(arguments);
    assert_int_equal(loaded.error, FABRIC_OK);
    assert_int_equal(config_uint(loaded.config, "lease_ms"), lease_ms);
    config_destroy(&loaded.config);
    assert_null(loaded.config);
    config_destroy(&loaded.config);
}

static void arguments_win_over_environment_over_file_over_defaults(void **state)
{
    (void)state;
    assert_lease("", 3000);
    write_file("lease_ms = 400\n", 0644);
    assert_lease("", 400);
    setenv("FABRIC_LEASE_MS", "500", 1);
    assert_lease("", 500);
    assert_lease("--lease-ms 600", 600);
    assert_lease("--lease-ms=700", 700);
    unsetenv("FABRIC_CONFIG");
    unsetenv("FABRIC_LEASE_MS");
    char arguments[100];
    snprintf(arguments, sizeof arguments, "--config %s", path);
    assert_lease(arguments, 400);
    setenv("FABRIC_CONFIG", "/nowhere", 1); /* --config wins */
    assert_lease(arguments, 400);
}

static void unset_keys_are_told_from_set_ones(void **state)
{
    (void)state;
    loaded_t loaded = load("");
    assert_int_equal(loaded.error, FABRIC_OK);
    assert_null(config_text(loaded.config, "endpoint"));
    assert_null(config_text(loaded.config, "store_password"));
    assert_int_equal(config_list_size(loaded.config, "brokers"), 0);
    assert_false(config_bool(loaded.config, "allow_plaintext"));
    assert_false(config_is_set(loaded.config, "endpoint"));
    assert_true(config_is_set(loaded.config, "lease_ms"));
    config_destroy(&loaded.config);
    loaded = load("--endpoint ipc://x");
    assert_string_equal(config_text(loaded.config, "endpoint"), "ipc://x");
    assert_true(config_is_set(loaded.config, "endpoint"));
    config_destroy(&loaded.config);
}

static void operands_options_and_answers(void **state)
{
    (void)state;
    loaded_t loaded = load("get --allow-plaintext counter --lease-ms 200 -- --odd");
    assert_int_equal(loaded.error, FABRIC_OK);
    assert_true(config_bool(loaded.config, "allow_plaintext"));
    assert_string_equal(loaded.argv[loaded.rest], "get");
    assert_string_equal(loaded.argv[loaded.rest + 1], "counter");
    assert_string_equal(loaded.argv[loaded.rest + 2], "--odd");
    assert_false(loaded.help || loaded.version);
    config_destroy(&loaded.config);
    setenv("FABRIC_LEASE_SM", "1", 1); /* help is for those who are in trouble */
    loaded = load("--help --nonsense");
    assert_int_equal(loaded.error, FABRIC_OK);
    assert_true(loaded.help && !loaded.version);
    config_destroy(&loaded.config);
    loaded = load("-h");
    assert_true(loaded.help && !loaded.version);
    config_destroy(&loaded.config);
    loaded = load("--version");
    assert_true(loaded.version && !loaded.help);
    config_destroy(&loaded.config);
}

static void wrong_arguments_are_named(void **state)
{
    (void)state;
    const fabric_error_t error = FABRIC_ERROR_INVALID_ARGUMENT;
    assert_refused("--lease-sm 5", error, "--lease-sm");
    assert_refused("--lease-sm=5", error, "--lease-sm");
    assert_refused("--lease 500", error, "--lease-ms");
    assert_refused("--lease=500", error, "--lease-ms");
    assert_refused("--lease_ms 500", error, "--lease_ms");
    assert_refused("--help=5", error, "--help");
    assert_refused("-x", error, "-x");
    assert_refused("operand --lease-ms", error, "--lease-ms");
    assert_refused("--lease-ms 500 --lease-ms 500", error, "--lease-ms: is given twice");
    assert_refused("--lease-ms 99", error, "100..60000");
    assert_refused("--lease-ms 60001", error, "100..60000");
    assert_refused("--lease-ms -500", error, "--lease-ms");
    assert_refused("--lease-ms 500ms", error, "500ms");
    assert_refused("--lease-ms=", error, "--lease-ms");
    assert_refused("--lease-ms 18446744073709551916", error, "--lease-ms");
    assert_refused("--allow-plaintext=maybe", error, "--allow-plaintext");
    assert_refused("--brokers a,,b", error, "--brokers");
    assert_refused("--lease-ms 5\n6\033[2J", error, "--lease-ms"); /* stays one line */
    assert_refused("--config a --config b", error, "--config");
    assert_refused("--config=", error, "--config: the file's name is empty");
    assert_lease("--lease-ms 100", 100);
    assert_lease("--lease-ms 60000", 60000);
}

static void unknown_environment_variables_are_refused(void **state)
{
    (void)state;
    const fabric_error_t error = FABRIC_ERROR_INVALID_CONFIGURATION;
    setenv("FABRIC_CRASH", "store.commit:2", 1); /* another program's */
    assert_lease("", 3000);
    assert_true(config_known_elsewhere("FABRIC_CRASH"));
    assert_false(config_known_elsewhere("FABRIC_LEASE_SM"));
    setenv("FABRIC_LEASE_SM", "500", 1);
    assert_refused("", error, "FABRIC_LEASE_SM");
    unsetenv("FABRIC_LEASE_SM");
    setenv("FABRIC_lease_ms", "500", 1);
    assert_refused("", error, "FABRIC_lease_ms");
    unsetenv("FABRIC_lease_ms");
    setenv("FABRIC_CONFIG", "", 1);
    assert_refused("", error, "FABRIC_CONFIG: the file's name is empty");
    unsetenv("FABRIC_CONFIG");
    setenv("FABRIC_LEASE_MS", "5", 1);
    assert_refused("", error, "FABRIC_LEASE_MS");
    assert_refused("--lease-ms 500", error, "FABRIC_LEASE_MS"); /* wrong, though overruled */
}

static void lists_add_up_within_one_source(void **state)
{
    (void)state;
    write_file("brokers = \"f1,f2\"\nbrokers = f3\n", 0644);
    loaded_t loaded = load("");
    assert_int_equal(loaded.error, FABRIC_OK);
    assert_int_equal(config_list_size(loaded.config, "brokers"), 3);
    assert_string_equal(config_list_at(loaded.config, "brokers", 2), "f3");
    config_destroy(&loaded.config);
    loaded = load("--brokers a,b --brokers c");
    assert_int_equal(config_list_size(loaded.config, "brokers"), 3);
    assert_string_equal(config_list_at(loaded.config, "brokers", 0), "a");
    assert_string_equal(config_list_at(loaded.config, "brokers", 1), "b");
    assert_string_equal(config_list_at(loaded.config, "brokers", 2), "c");
    config_destroy(&loaded.config);
}

static void booleans_have_four_spellings(void **state)
{
    (void)state;
    const char *const yes[] = {"yes", "true", "on", "1"};
    const char *const no[] = {"no", "false", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        for (int truth = 0; truth < 2; truth++) {
            setenv("FABRIC_ALLOW_PLAINTEXT", truth ? yes[i] : no[i], 1);
            loaded_t loaded = load("");
            assert_int_equal(loaded.error, FABRIC_OK);
            assert_int_equal(config_bool(loaded.config, "allow_plaintext"), truth);
            config_destroy(&loaded.config);
        }
    }
    loaded_t loaded = load("--allow-plaintext=no");
    assert_false(config_bool(loaded.config, "allow_plaintext"));
    config_destroy(&loaded.config);
}

static void secrets_stay_secret(void **state)
{
    (void)state;
    assert_refused("--store-password hunter2", FABRIC_ERROR_INVALID_ARGUMENT, "--store-password");
    assert_refused("--store-password=hunter2", FABRIC_ERROR_INVALID_ARGUMENT, "--store-password");
    setenv("FABRIC_STORE_PASSWORD", "hunter3", 1);
    loaded_t loaded = load("");
    assert_string_equal(config_text(loaded.config, "store_password"), "hunter3");
    config_destroy(&loaded.config);
    unsetenv("FABRIC_STORE_PASSWORD");
    const mode_t open_modes[] = {0644, 0640, 0604};
    for (size_t i = 0; i < 3; i++) {
        write_file("lease_ms = 500\nstore_password = hunter2\n", open_modes[i]);
        assert_refused("", FABRIC_ERROR_INVALID_CONFIGURATION, "store_password");
    }
    write_file("store_password = 'hunt # er'\n", 0600);
    loaded = load("");
    assert_int_equal(loaded.error, FABRIC_OK);
    assert_string_equal(config_text(loaded.config, "store_password"), "hunt # er");
    config_destroy(&loaded.config);
    write_file("store_password = hunter2\nstore_password = hunter2\n", 0600);
    assert_refused("", FABRIC_ERROR_INVALID_CONFIGURATION, "twice");
}

static void wrong_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *needle;
    } cases[] = {
        {"lease_sm = 500\n", "lease_sm"},
        {"config = other\n", "config"},
        {"LEASE_MS = 500\n", "LEASE_MS"},
        {"lease-ms = 500\n", "line 1"},
        {"\n# fine\nlease_ms\n", "line 3"},
        {"lease_ms 500\n", "line 1"},
        {"lease_ms = 500\n    endpoint = x\n", "line 2"},
        {"endpoint = \"open\n", "line 1"},
        {"lease_ms = 500\nendpoint = 'closed'and=more\n", "line 2"},
        {"= 5\n", "line 1"},
        {"lease_ms = 5\n", "lease_ms"},
        {"lease_ms = 500\nlease_ms = 500\n", "twice"},
        {"<html>\n", "line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(cases[i].text, 0600);
        assert_refused("", FABRIC_ERROR_INVALID_CONFIGURATION, cases[i].needle);
    }
    write_file("", 0600);
    assert_lease("", 3000);
    write_file("# a comment\n  # another\n\n  \nlease_ms = 500 # tail\r\nendpoint =\n", 0600);
    assert_lease("", 500);
    write_file("brokers = 'quoted' # tail\n", 0600);
    assert_lease("", 3000);
    assert_refused("--config /nowhere/at/all", FABRIC_ERROR_INVALID_CONFIGURATION, "/nowhere");
    assert_refused("--config /tmp", FABRIC_ERROR_INVALID_CONFIGURATION, "/tmp");
    assert_refused("--config /dev/zero", FABRIC_ERROR_INVALID_CONFIGURATION, "/dev/zero");
}

static void usage_is_made_from_the_table(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    config_print_usage(keys, file);
    fclose(file);
    assert_non_null(strstr(text, "  --lease-ms MS"));
    assert_non_null(strstr(text, "lease in milliseconds (default 3000)\n"));
    assert_non_null(strstr(text, "  --allow-plaintext "));
    assert_non_null(strstr(text, "  FABRIC_STORE_PASSWORD"));
    assert_null(strstr(text, "--store-password"));
    assert_non_null(strstr(text, "  --config FILE"));
    free(text);
}

#define CONFIG_TEST(function)                                                                      \
    cmocka_unit_test_setup_teardown(function, clear_environment, clear_environment)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(arguments_win_over_environment_over_file_over_defaults),
        CONFIG_TEST(unset_keys_are_told_from_set_ones),
        CONFIG_TEST(operands_options_and_answers),
        CONFIG_TEST(wrong_arguments_are_named),
        CONFIG_TEST(unknown_environment_variables_are_refused),
        CONFIG_TEST(lists_add_up_within_one_source),
        CONFIG_TEST(booleans_have_four_spellings),
        CONFIG_TEST(secrets_stay_secret),
        CONFIG_TEST(wrong_files_are_named),
        CONFIG_TEST(usage_is_made_from_the_table),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
