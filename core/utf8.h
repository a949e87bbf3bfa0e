/* UTF-8: which byte strings are text. */
#ifndef CORE_UTF8_H
#define CORE_UTF8_H

#include <stdbool.h>

#include <fabric/bytes.h>

/* Whether the bytes are well-formed UTF-8 (no overlong forms, no surrogates, nothing above
 * U+10FFFF) without NUL. */
bool utf8_is_text(fabric_bytes_t bytes);

#endif
