/* Documents: msgpack values of no fixed form, which brokers send as answers to queries, turned into
 * JSON for people and scripts.
 *
 * Threading: pure; any thread.
 */
#ifndef CORE_DOCUMENT_H
#define CORE_DOCUMENT_H

#include <fabric/bytes.h>
#include <fabric/error.h>

/* Turns one msgpack value into indented JSON text, members in their order. The text is the caller's
 * to free().
 *
 * Strings must be UTF-8 without NUL; bytes become lower-case hexadecimal digits; numbers above
 * INT64_MAX become strings of decimal digits, as in <fabric/schema.h>. Keys of maps are strings,
 * bytes or integers, and no two keys are the same.
 *
 * MALFORMED_MESSAGE for any other value, for one that is nested more than LIMIT_DEPTH_MAX deep or
 * followed by more bytes. LIMIT_EXCEEDED for one that is larger than LIMIT_FRAME_BYTES_MAX. */
FABRIC_MUST_USE
fabric_error_t document_to_json(fabric_bytes_t document, char **json);

#endif
