/* Test vectors: see vectors.h. */
#include "tests/harness/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

uint8_t *vectors_parse_hexadecimal(const char *text, size_t *size)
{
    size_t digits = strcmp(text, "-") == 0 ? 0 : strlen(text);
    assert_int_equal(digits % 2, 0);
    *size = digits / 2;
    uint8_t *bytes = malloc(*size ? *size : 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < *size; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        bytes[i] = (uint8_t)byte;
    }
    return bytes;
}

static void visit_line(char *line, const char *path,
                       void (*visit)(const vector_t *vector, void *context), void *context)
{
    char *rest = NULL;
    const char *validity = strtok_r(line, " \n", &rest);
    const char *name = strtok_r(NULL, " \n", &rest);
    const char *expected = strtok_r(NULL, " \n", &rest);
    const char *hexadecimal = strtok_r(NULL, " \n", &rest);
    if (!hexadecimal || strtok_r(NULL, " \n", &rest)) {
        fail_msg("%s: a line without exactly four parts: %s", path, name ? name : validity);
        return;
    }
    bool valid = strcmp(validity, "valid") == 0;
    if (!valid && strcmp(validity, "invalid") != 0) {
        fail_msg("%s: %s is neither valid nor invalid", path, name);
        return;
    }
    size_t size = 0;
    uint8_t *bytes = vectors_parse_hexadecimal(hexadecimal, &size);
    vector_t vector = {valid, name, expected, {bytes, size}};
    visit(&vector, context);
    free(bytes);
}

void vectors_visit(const char *path, void (*visit)(const vector_t *vector, void *context),
                   void *context)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        fail_msg("cannot open %s: run from the root of the tree", path);
        return;
    }
    char *line = NULL;
    size_t capacity = 0;
    size_t count = 0;
    while (getline(&line, &capacity, file) > 0) {
        if (line[0] != '#' && line[0] != '\n') {
            visit_line(line, path, visit, context);
            count++;
        }
    }
    free(line);
    (void)fclose(file);
    assert_true(count > 0);
}

static uint8_t *copy_of(fabric_bytes_t bytes)
{
    uint8_t *copy = malloc(bytes.size ? bytes.size : 1);
    assert_non_null(copy);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return copy;
}

void vectors_damage(const vector_t *vector, unsigned rounds, void (*read)(fabric_bytes_t damaged))
{
    size_t size = vector->bytes.size;
    for (unsigned round = 0; size > 0 && round < rounds; round++) {
        uint8_t *bytes = copy_of(vector->bytes);
        for (int i = rand() % 4; i >= 0; i--) {
            bytes[(size_t)rand() % size] = (uint8_t)rand();
        }
        read(fabric_bytes(bytes, size));
        free(bytes);
    }
}

typedef struct search {
    const char *name;
    uint8_t *bytes;
    size_t size;
} search_t;

static void compare(const vector_t *vector, void *context)
{
    search_t *search = context;
    if (search->bytes || !vector->valid || strcmp(vector->name, search->name) != 0) {
        return;
    }
    search->size = vector->bytes.size;
    search->bytes = copy_of(vector->bytes);
}

uint8_t *vectors_find(const char *path, const char *name, size_t *size)
{
    search_t search = {name, NULL, 0};
    vectors_visit(path, compare, &search);
    if (!search.bytes) {
        fail_msg("%s: no valid vector %s", path, name);
    }
    *size = search.size;
    return search.bytes;
}
