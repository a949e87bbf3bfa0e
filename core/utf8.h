/* UTF-8: which byte strings are text. */
#ifndef CORE_UTF8_H
#define CORE_UTF8_H

#include <stdbool.h>

#include <fabric/bytes.h>

/* Whether the bytes are well-formed UTF-8 (no overlong forms, no surrogates, nothing above
 * U+10FFFF) without NUL. */
bool utf8_is_text(fabric_bytes_t bytes);

/* The size of the well-formed sequence of more than one byte at the start of the `left` bytes at
 * `data`, or 0. */
size_t utf8_sequence_size(const uint8_t *data, size_t left);

#endif
