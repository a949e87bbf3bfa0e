/* Test vectors: reads the files of schemas/vectors/, whose form is told in schemas/protocol.md.
 *
 * Reading fails the running cmocka test where a file cannot be read or has a bad line.
 */
#ifndef TESTS_HARNESS_VECTORS_H
#define TESTS_HARNESS_VECTORS_H

#include <fabric/bytes.h>

typedef struct vector {
    bool valid;
    const char *name;
    const char *expected;
    /* In memory of exactly its size, so that sanitizers see a read beyond it. */
    fabric_bytes_t bytes;
} vector_t;

/* The bytes that pairs of hexadecimal digits stand for ("-": none), in memory of exactly their
 * size, which the caller frees. */
uint8_t *vectors_parse_hexadecimal(const char *text, size_t *size);
/* Calls `visit` for each line of a file, named from the root of the tree; the vector is valid
 * during the call only. */
void vectors_visit(const char *path, void (*visit)(const vector_t *vector, void *context),
                   void *context);
/* Calls `read` so many times, each with a copy of the vector's bytes in which up to four are
 * changed by rand(). */
void vectors_damage(const vector_t *vector, unsigned rounds, void (*read)(fabric_bytes_t damaged));
/* Copies the valid vector of that name out of a file; its bytes are the caller's to free(). */
uint8_t *vectors_find(const char *path, const char *name, size_t *size);

#endif
