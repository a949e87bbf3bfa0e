/* The configuration reader: arguments, environment and file. What is taken is within its bounds; a
 * refusal is one line that tells no secret. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config.h"
#include "tests/fuzz/fuzz.h"

enum { WORDS_MAX = 16 };

static const config_key_t keys[] = {
    {"lease_ms", CONFIG_UINT, "3000", 100, 60000, "MS", "lease in milliseconds"},
    {"endpoint", CONFIG_TEXT, NULL, 0, 0, "ENDPOINT", "where to listen"},
    {"brokers", CONFIG_LIST, NULL, 0, 0, "LIST", "first contacts"},
    {"allow_plaintext", CONFIG_BOOL, "no", 0, 0, NULL, "allow connections without encryption"},
    {"store_password", CONFIG_SECRET, NULL, 0, 0, NULL, "the database's password"},
    {0},
};

static char secret[] = "FABRIC_STORE_PASSWORD=hunter2";
static char abort_test[] = "CMOCKA_TEST_ABORT=1";
static char file_name[64] = "FABRIC_CONFIG=/proc/self/fd/";

/* Splits a block into texts at each newline. The block is given a NUL at its end. */
static size_t split(char *text, char *words[WORDS_MAX])
{
    size_t count = 0;
    while (text && count < WORDS_MAX) {
        words[count++] = text;
        text = strchr(text, '\n');
        if (text) {
            *text++ = '\0';
        }
    }
    return count;
}

static char *take_text(fuzz_input_t *input)
{
    fabric_bytes_t block = fuzz_block(input);
    char *text = fuzz_text(block);
    free((void *)(uintptr_t)block.data);
    return text;
}

/* A file in memory that is opened by its name; every input writes it anew. */
static void write_file(fabric_bytes_t contents, bool open_to_others)
{
    static int file = -1;
    if (file < 0) {
        file = memfd_create("config", MFD_CLOEXEC);
        assert_true(file >= 0);
        snprintf(file_name, sizeof file_name, "FABRIC_CONFIG=/proc/self/fd/%d", file);
    }
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(pwrite(file, contents.data, contents.size, 0), contents.size);
    assert_int_equal(fchmod(file, open_to_others ? 0644 : 0600), 0);
}

static void check_values(const config_t *config)
{
    assert_in_range(config_uint(config, "lease_ms"), 100, 60000);
    (void)config_bool(config, "allow_plaintext");
    (void)config_text(config, "endpoint");
    for (size_t i = 0; i < config_list_size(config, "brokers"); i++) {
        assert_true(config_list_at(config, "brokers", i)[0]);
    }
}

static void check_refusal(const reason_t *reason, fabric_bytes_t input)
{
    static const char needle[] = "hunter2";
    assert_true(reason->text[0]);
    for (const char *next = reason->text; *next; next++) {
        assert_true((unsigned char)*next >= ' ');
    }
    char zconfig_refused[100]; /* zconfig would have written a complaint to standard output */
    snprintf(zconfig_refused, sizeof zconfig_refused, "%s: is malformed", strchr(file_name, '/'));
    assert_string_not_equal(reason->text, zconfig_refused);
    if (!memmem(input.data, input.size, needle, sizeof needle - 1)) {
        assert_null(strstr(reason->text, needle));
    }
}

static void load(int argc, char **argv, fabric_bytes_t input)
{
    config_t *config = config_new(keys);
    reason_t reason = {{0}};
    int rest = -1;
    bool help = false;
    bool version = false;
    if (config_load(config, argc, argv, &reason, &rest, &help, &version)) {
        check_refusal(&reason, input);
        assert_int_equal(rest, -1);
    } else {
        assert_in_range(rest, 1, argc);
        check_values(config);
    }
    config_destroy(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = fuzz_input(data, size);
    char *argv[WORDS_MAX + 2] = {(char *)(uintptr_t) "program"};
    char *variables[WORDS_MAX + 4] = {NULL};
    char **kept = environ;
    uint8_t how = fuzz_byte(&input);
    char *arguments = take_text(&input);
    char *environment = take_text(&input);
    write_file(fuzz_rest(&input), how & 1);
    size_t argc = 1 + split(arguments, argv + 1);
    size_t count = split(environment, variables);
    if (how & 2) {
        variables[count++] = secret;
    }
    if (how & 4) {
        variables[count++] = file_name;
    }
    variables[count] = abort_test;
    environ = variables;
    load((int)argc, argv, fabric_bytes(data, size));
    environ = kept;
    free(arguments);
    free(environment);
    return 0;
}

static void seed(uint8_t how, const char *arguments, const char *environment, const char *file)
{
    wire_writer_t input = {0};
    const char *const blocks[] = {arguments, environment};
    wire_append(&input, &how, 1);
    for (int i = 0; i < 2; i++) {
        uint8_t length[2] = {0, (uint8_t)strlen(blocks[i])};
        wire_append(&input, length, 2);
        wire_append(&input, blocks[i], strlen(blocks[i]));
    }
    wire_append(&input, file, strlen(file));
    fuzz_seed(wire_writer_bytes(&input));
    wire_writer_destroy(&input);
}

void fuzz_seeds(void)
{
    seed(0, "--lease-ms=200\n--brokers\na,b\n--allow-plaintext=no\nrest", "FABRIC_LEASE_MS=500",
         "");
    seed(2, "--endpoint=x", "FABRIC_ALLOW_PLAINTEXT=on\nFABRIC_BROKERS=a,b,c\nOTHER=1", "");
    seed(4, "", "",
         "lease_ms = 400 # comment\nendpoint = \"tcp://*:1\"\nbrokers = 'a'\nbrokers=b\n");
    seed(4, "", "", "store_password = geheim\nallow_plaintext = yes\n");
    seed(4, "-5", "FABRIC_SERVICE_HOST=x",
         "\xef\xbb\xbf  # note\nendpoint = 'a#b' # tail\r\nlease-ms = 5#\n");
    seed(7, "--help", "FABRIC_LEASE_SM=1", "store_password = geheim\n");
    seed(7, "--lea=1\n--store-password=x", "FABRIC_LEASE_MS=99999999999999999999", "lease_ms\n");
}
