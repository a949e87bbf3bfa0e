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

static void assert_text(const config_key_t *table, const char *name, const char *expected)
{
    char *argv[] = {(char *)"program", NULL};
    bool help;
    bool version;
    int rest;
    reason_t reason;
    config_t *config = config_new(table);
    assert_int_equal(config_load(config, 1, argv, &reason, &rest, &help, &version), FABRIC_OK);
    assert_string_equal(config_text(config, name), expected);
    config_destroy(&config);
}

/* What other makers' clusters have in their environment counts for whoever is told nothing else. */
static void common_variables_win_over_defaults_only(void **state)
{
    static const config_key_t table[] = {
        {"url", CONFIG_TEXT, "fabric://here", 0, 0, NULL, "brokers"},
        {"name", CONFIG_TEXT, "nobody", 0, 0, NULL, "name"},
        {0},
    };
    (void)state;
    assert_text(table, "url", "fabric://here");
    setenv("CLUSTER_NODES", "node1:8080,node2:8080", 1);
    setenv("NODE_ID", "node1", 1);
    assert_text(table, "url", "node1:8080,node2:8080");
    assert_text(table, "name", "node1");
    assert_lease("", 3000); /* a program without these keys */
    write_file("url = file:1\n", 0644);
    assert_text(table, "url", "file:1");
    setenv("FABRIC_URL", "variable:1", 1);
    assert_text(table, "url", "variable:1");
    setenv("NODE_ID", "", 1);
    assert_text(table, "name", "nobody");
    unsetenv("CLUSTER_NODES");
    unsetenv("NODE_ID");
}

static void a_choice_is_one_of_some_texts(void **state)
{
    static const config_key_t table[] = {{"way", CONFIG_TEXT, "back", 0, 0, NULL, "way"}, {0}};
    static const char *const choices[] = {"forth", "back", NULL};
    static const char *const others[] = {"left", "right", NULL};
    (void)state;
    unsigned chosen = 0;
    reason_t reason;
    config_t *config = config_new(table);
    assert_int_equal(config_choice(config, "way", choices, &chosen, &reason), FABRIC_OK);
    assert_int_equal(chosen, 1);
    assert_int_equal(config_choice(config, "way", others, &chosen, &reason),
                     FABRIC_ERROR_INVALID_ARGUMENT);
    assert_string_equal(reason.text, "way: 'back' is none of left, right");
    config_destroy(&config);
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
    assert_refused("--lease-sm 5", error, "is --lease-ms meant?");
    assert_refused("--lease 500", error, "--lease-ms");
    assert_refused("--lease=500", error, "--lease-ms");
    assert_refused("--lease_ms 500", error, "--lease_ms");
    assert_refused("--confg x", error, "--confg: is no option; is --config meant?");
    assert_refused("--lease_ms 500", error, "is --lease-ms meant?");
    assert_refused("--nonsense", error, "--nonsense: is no option");
    assert_refused("--help=5", error, "--help: takes no value");
    assert_refused("-x", error, "-x: is no option; -- goes before operands");
    assert_refused("operand -5", error, "-5: is no option; -- goes before operands");
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

static void behind_two_dashes_all_are_operands(void **state)
{
    (void)state;
    loaded_t loaded = load("call --lease-ms 200 -- -5 -x - --lease-ms -h");
    assert_int_equal(loaded.error, FABRIC_OK);
    assert_int_equal(config_uint(loaded.config, "lease_ms"), 200);
    const char *const operands[] = {"call", "-5", "-x", "-", "--lease-ms", "-h"};
    for (int i = 0; i < 6; i++) {
        assert_string_equal(loaded.argv[loaded.rest + i], operands[i]);
    }
    assert_null(loaded.argv[loaded.rest + 6]);
    config_destroy(&loaded.config);
    loaded = load("--endpoint -5"); /* a value is a value */
    assert_string_equal(config_text(loaded.config, "endpoint"), "-5");
    config_destroy(&loaded.config);
}

static void assert_ignored(const char *expected)
{
    loaded_t loaded = load("");
    assert_int_equal(loaded.error, FABRIC_OK);
    assert_string_equal(config_ignored(loaded.config), expected);
    config_destroy(&loaded.config);
}

/* As Kubernetes sets for services of these names. */
static void somebody_elses_variables_are_named(void **state)
{
    (void)state;
    assert_ignored("");
    setenv("FABRIC_SERVICE_HOST", "10.0.0.1", 1);
    assert_ignored("FABRIC_SERVICE_HOST");
    setenv("FABRIC_PORT", "tcp://10.0.0.1:5700", 1);
    assert_ignored("FABRIC_SERVICE_HOST, FABRIC_PORT");
    const char *const services[] = {"", "BROKER_", "STORE_", "WORKER_", "LISTEN_"};
    const char *const kinds[] = {
        "SERVICE_HOST",  "SERVICE_PORT",        "SERVICE_PORT_ROUTER", "PORT",
        "PORT_5700_TCP", "PORT_5700_TCP_PROTO", "PORT_5700_TCP_PORT",  "PORT_5700_TCP_ADDR"};
    for (size_t i = 0; i < 5 * 8; i++) {
        char name[64];
        snprintf(name, sizeof name, "FABRIC_%s%s", services[i / 8], kinds[i % 8]);
        setenv(name, "x", 1);
    }
    loaded_t loaded = load("");
    assert_int_equal(loaded.error, FABRIC_OK);
    const char *ignored = config_ignored(loaded.config);
    const char *more = strstr(ignored, " and ");
    assert_non_null(more);
    unsigned named = 1;
    for (const char *next = ignored; (next = strchr(next, ',')); next++) {
        named++;
    }
    assert_int_equal(named + strtoul(more + 5, NULL, 10), 40);
    config_destroy(&loaded.config);
}

static void near_misses_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *given;
        const char *meant;
    } cases[] = {
        {"FABRIC_LEASE_SM", "FABRIC_LEASE_MS"}, {"FABRIC_LEASEMS", "FABRIC_LEASE_MS"},
        {"FABRIC_LEASE_M", "FABRIC_LEASE_MS"},  {"FABRIC_LEASE_MSS", "FABRIC_LEASE_MS"},
        {"FABRIC_LEASE-MS", "FABRIC_LEASE_MS"}, {"FABRIC_lease_ms", "FABRIC_LEASE_MS"},
        {"FABRIC_LISTENS", "FABRIC_LISTEN"},    {"FABRIC_STROE", "FABRIC_STORE"},
        {"FABRIC_CONFG", "FABRIC_CONFIG"},      {"FABRIC_ULR", "FABRIC_URL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv(cases[i].given, "500", 1);
        assert_refused("", FABRIC_ERROR_INVALID_CONFIGURATION, cases[i].given);
        assert_refused("", FABRIC_ERROR_INVALID_CONFIGURATION, cases[i].meant);
        unsetenv(cases[i].given);
    }
}

static void wrong_environment_variables_are_refused(void **state)
{
    (void)state;
    const fabric_error_t error = FABRIC_ERROR_INVALID_CONFIGURATION;
    setenv("FABRIC_CRASH", "store.commit:2", 1); /* another program's */
    assert_lease("", 3000);
    assert_true(config_known_elsewhere("FABRIC_CRASH"));
    assert_false(config_known_elsewhere("FABRIC_LEASE_SM"));
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
        {"lease_sm = 500\n", "is lease_ms meant?"},
        {"LEASE_MS = 500\n", "is lease_ms meant?"},
        {"lease-ms = 500\n", "is lease_ms meant?"},
        {"nonsense = 500\n", "no key 'nonsense'"},
        {"lease_ms: 500\n", "line 1"},
        {"[broker]\n", "line 1"},
        {"endpoint = ipc:///a#1\n", "line 1: a value with # in it stands in quotes"},
        {"store_password = hunter2#3\n", "line 1: a value with # in it stands in quotes"},
        {"endpoint = ipc:///a#1 # tail\n", "line 1"},
        {"endpoint = a\"b\n", "line 1"},
        {"endpoint = it's\n", "line 1"},
        {"endpoint = ab\"\n", "line 1"},
        {"endpoint = 'a' 'b'\n", "line 1"},
        {"endpoint = 'open\nlease_ms = 500'\n", "line 1"},
        {"endpoint =\n", "line 1"},
        {"endpoint = # none\n", "line 1"},
        {"endpoint = a\033[2Jb\n", "line 1"},
        {"endpoint = a\rlease_ms = 500\n", "line 1"},
        {"\xff\xfe", "line 1"},
        {"\tendpoint = x\n", "line 1: it is indented"},
        {"\n# fine\nlease_ms\n", "line 3"},
        {"lease_ms 500\n", "line 1"},
        {"-x = 500\n", "no key '-x'"},
        {"  # fine\n\t\n-lease_ms\n", "line 3"},
        {"lease_ms = 500\n    endpoint = x\n", "line 2: it is indented"},
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
    write_file("# it's \"a#b\n  # another\n\n  \nlease_ms = 500 # it's\r\nendpoint = ''\n", 0600);
    assert_lease("", 500);
    write_file("\xef\xbb\xbflease_ms=500", 0600); /* as some editors write it */
    assert_lease("", 500);
    assert_refused("--config /nowhere/at/all", FABRIC_ERROR_INVALID_CONFIGURATION, "/nowhere");
    assert_refused("--config /tmp", FABRIC_ERROR_INVALID_CONFIGURATION, "/tmp");
    assert_refused("--config /dev/zero", FABRIC_ERROR_INVALID_CONFIGURATION, "/dev/zero");
}

/* Binary files, with a NUL. */
static void files_that_are_no_text(void **state)
{
    (void)state;
    write_file("lease_ms = 500\n", 0600);
    FILE *file = fopen(path, "a");
    assert_int_equal(fwrite("endpoint = a\0b\n", 1, 15, file), 15);
    assert_int_equal(fclose(file), 0);
    assert_refused("", FABRIC_ERROR_INVALID_CONFIGURATION, "no text file");
}

static void assert_endpoint(const char *line, const char *expected)
{
    write_file(line, 0600);
    loaded_t loaded = load("");
    assert_int_equal(loaded.error, FABRIC_OK);
    assert_string_equal(config_text(loaded.config, "endpoint"), expected);
    config_destroy(&loaded.config);
}

static void values_are_taken_whole(void **state)
{
    (void)state;
    assert_endpoint("endpoint = \"ipc:///hash#1\"\n", "ipc:///hash#1");
    assert_endpoint("endpoint = 'ipc:///hash#1' # tail\n", "ipc:///hash#1");
    assert_endpoint("endpoint='it is \"so\"'\t# tail\n", "it is \"so\"");
    assert_endpoint("endpoint = \"it's\"", "it's");
    assert_endpoint("endpoint\t=\t ipc:///a b \t \r\n", "ipc:///a b");
    assert_endpoint("endpoint = ' ipc:///a  '\n", " ipc:///a  ");
    assert_endpoint("endpoint = a=b\n", "a=b");
    assert_endpoint("endpoint = ipc:///a b\t#1 # 2\n", "ipc:///a b");
    assert_endpoint("endpoint = \"\"#tail\n", "");
    assert_endpoint("endpoint = h\xc3\xa4sh\n", "h\xc3\xa4sh");
}

static void lines_have_a_bound(void **state)
{
    (void)state;
    static char line[1024 + 3];
    memset(line, 'x', 1024);
    memcpy(line, "endpoint = ", 11);
    assert_endpoint(line, line + 11);
    memcpy(line + 1024, "x\n", 2);
    write_file(line, 0600);
    assert_refused("", FABRIC_ERROR_INVALID_CONFIGURATION, "line 1: it has more than 1024 bytes");
    line[0] = '#';
    write_file(line, 0600);
    assert_refused("", FABRIC_ERROR_INVALID_CONFIGURATION, "line 1: it has more than 1024 bytes");
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
        CONFIG_TEST(common_variables_win_over_defaults_only),
        CONFIG_TEST(a_choice_is_one_of_some_texts),
        CONFIG_TEST(unset_keys_are_told_from_set_ones),
        CONFIG_TEST(operands_options_and_answers),
        CONFIG_TEST(wrong_arguments_are_named),
        CONFIG_TEST(behind_two_dashes_all_are_operands),
        CONFIG_TEST(somebody_elses_variables_are_named),
        CONFIG_TEST(near_misses_are_refused),
        CONFIG_TEST(wrong_environment_variables_are_refused),
        CONFIG_TEST(lists_add_up_within_one_source),
        CONFIG_TEST(booleans_have_four_spellings),
        CONFIG_TEST(secrets_stay_secret),
        CONFIG_TEST(wrong_files_are_named),
        CONFIG_TEST(files_that_are_no_text),
        CONFIG_TEST(values_are_taken_whole),
        CONFIG_TEST(lines_have_a_bound),
        CONFIG_TEST(usage_is_made_from_the_table),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
