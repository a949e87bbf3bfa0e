/* What the fuzzers share: see fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/vectors.h"

enum { PIECE_WORDS = FUZZ_WORDS_MAX, NUMBER_SHARDS = 200, NUMBER_WIDE = 240 };

/* ---- reading an input ---- */

uint8_t fuzz_byte(fuzz_input_t *input)
{
    return input->next < input->end ? *input->next++ : 0;
}

static uint64_t wide_number(fuzz_input_t *input, unsigned width)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < width; i++) {
        number = number << 8 | fuzz_byte(input);
    }
    return number;
}

uint64_t fuzz_number(fuzz_input_t *input)
{
    uint8_t first = fuzz_byte(input);
    if (first < NUMBER_SHARDS) {
        return first;
    }
    if (first < NUMBER_WIDE) {
        return 0x10000u + (first - NUMBER_SHARDS);
    }
    return first == UINT8_MAX ? UINT64_MAX : wide_number(input, 1 + first % 8u);
}

static fabric_bytes_t take(fuzz_input_t *input, size_t size)
{
    size = size < fuzz_left(input) ? size : fuzz_left(input);
    fabric_bytes_t bytes = {input->next, size};
    input->next += size;
    return bytes;
}

fabric_bytes_t fuzz_piece(fuzz_input_t *input)
{
    size_t first = fuzz_byte(input);
    if (first < input->word_count) {
        return input->words[first];
    }
    return take(input, first < PIECE_WORDS ? 0 : first - PIECE_WORDS);
}

fabric_bytes_t fuzz_block(fuzz_input_t *input)
{
    fabric_bytes_t view = take(input, wide_number(input, 2));
    uint8_t *copy = malloc(view.size ? view.size : 1);
    assert_non_null(copy);
    if (view.size > 0) {
        memcpy(copy, view.data, view.size);
    }
    return (fabric_bytes_t){copy, view.size};
}

fabric_bytes_t fuzz_rest(fuzz_input_t *input)
{
    return take(input, fuzz_left(input));
}

char *fuzz_text(fabric_bytes_t bytes)
{
    char *text = strndup(bytes.size ? (const char *)bytes.data : "", bytes.size);
    assert_non_null(text);
    return text;
}

#define TAKE_uint(input)       fuzz_number(input)
#define TAKE_optional(input)   fuzz_number(input)
#define TAKE_str(input)        fuzz_piece(input)
#define TAKE_bin(input)        fuzz_piece(input)
#define TAKE_FIELD(type, name) message.name = TAKE_##type(input);
#define FABRIC_KIND_ROW(number, NAME, name)                                                        \
    static void put_##name(fuzz_input_t *input, wire_writer_t *frame)                              \
    {                                                                                              \
        message_##name##_t message;                                                                \
        NAME##_FIELDS(TAKE_FIELD) message_put_##name(frame, &message);                             \
    }
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW

message_kind_t fuzz_put_message(fuzz_input_t *input, wire_writer_t *frame)
{
    static const struct {
        message_kind_t kind;
        void (*put)(fuzz_input_t *input, wire_writer_t *frame);
    } kinds[] = {
#define FABRIC_KIND_ROW(number, NAME, name) {KIND_##NAME, put_##name},
#include "schemas/messages.def"
#undef FABRIC_KIND_ROW
    };
    size_t index = fuzz_byte(input) % (sizeof kinds / sizeof kinds[0]);
    kinds[index].put(input, frame);
    return kinds[index].kind;
}

/* ---- the first inputs ---- */

static const char *seed_folder;
static unsigned seed_count;

void fuzz_seed(fabric_bytes_t bytes)
{
    char path[4096];
    int size = snprintf(path, sizeof path, "%s/seed-%03u", seed_folder, seed_count++);
    assert_true(size > 0 && (size_t)size < sizeof path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    assert_int_equal(fclose(file), 0);
}

void fuzz_seed_after(uint8_t first, fabric_bytes_t bytes)
{
    wire_writer_t input = {0};
    wire_append(&input, &first, 1);
    wire_append(&input, bytes.data, bytes.size);
    fuzz_seed(wire_writer_bytes(&input));
    wire_writer_destroy(&input);
}

static void seed_vector(const vector_t *vector, void *context)
{
    (void)context;
    fuzz_seed(vector->bytes);
}

void fuzz_seed_vectors(const char *path)
{
    vectors_visit(path, seed_vector, NULL);
}

/* `PROGRAM --seeds FOLDER` writes the first inputs; anything else is for libFuzzer. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    if (*argc == 3 && strcmp((*argv)[1], "--seeds") == 0) {
        seed_folder = (*argv)[2];
        fuzz_seeds();
        exit(0);
    }
    return 0;
}
