/* What the fuzzers share: reading an input as pieces, and writing the inputs that a corpus begins
 * with.
 *
 * A fuzzer is one file *_fuzz.c with LLVMFuzzerTestOneInput and fuzz_seeds. Its expectations are
 * cmocka's assertions, which abort here, so that libFuzzer keeps the input. Bounds on time and
 * memory are libFuzzer's, set in tests/fuzz/run.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/message.h"

/* libFuzzer's (https://llvm.org/docs/LibFuzzer.html). */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- reading an input ---- */

/* What is left of an input. At its end every read gives zero or nothing. */
typedef struct fuzz_input {
    const uint8_t *next;
    const uint8_t *end;
    const fabric_bytes_t *words; /* what pieces may stand for, so that an input hits on them */
    size_t word_count;           /* at most FUZZ_WORDS_MAX */
} fuzz_input_t;

enum { FUZZ_WORDS_MAX = 32 };

static inline fuzz_input_t fuzz_input(const uint8_t *data, size_t size)
{
    return (fuzz_input_t){data, data + size, NULL, 0};
}
static inline size_t fuzz_left(const fuzz_input_t *input)
{
    return (size_t)(input->end - input->next);
}
uint8_t fuzz_byte(fuzz_input_t *input);
/* Mostly small, sometimes a shard of group 1, sometimes any 64 bits. */
uint64_t fuzz_number(fuzz_input_t *input);
/* A word, or a few bytes of the input. */
fabric_bytes_t fuzz_piece(fuzz_input_t *input);
/* Bytes behind a length of two bytes, in memory of exactly that size: the caller's to free(). */
fabric_bytes_t fuzz_block(fuzz_input_t *input);
fabric_bytes_t fuzz_rest(fuzz_input_t *input);
/* As a terminated text that ends at the first NUL: the caller's to free(). */
char *fuzz_text(fabric_bytes_t bytes);

/* Appends a well-formed message of a kind that the input chooses, with the fields that it says, and
 * returns the kind. */
message_kind_t fuzz_put_message(fuzz_input_t *input, wire_writer_t *frame);

/* ---- the first inputs ---- */

/* Gives the corpus an input. To be called by fuzz_seeds only. */
void fuzz_seed(fabric_bytes_t bytes);
/* The same, with one byte before it. */
void fuzz_seed_after(uint8_t first, fabric_bytes_t bytes);
/* Each vector of a file of schemas/vectors/, good or bad, as an input. */
void fuzz_seed_vectors(const char *path);
/* Each fuzzer's own: calls fuzz_seed for what its corpus begins with. */
void fuzz_seeds(void);

#endif
