/* Times as text: Unix milliseconds and ISO 8601, as of RFC 3339, in years 1 to 9999.
 *
 * Threading: pure functions, for any thread.
 */
#ifndef CORE_ISO8601_H
#define CORE_ISO8601_H

#include <stdbool.h>
#include <stdint.h>

/* 0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z. */
#define ISO8601_MS_MIN (-INT64_C(62135596800000))
#define ISO8601_MS_MAX INT64_C(253402300799999)
/* "2025-01-31T23:59:59.000Z" with its terminator. */
#define ISO8601_SIZE 25

/* Writes a time between the two bounds, in UTC, always with milliseconds. */
void iso8601_write(int64_t unix_ms, char text[ISO8601_SIZE]);

/* Reads YYYY-MM-DDThh:mm:ss, with one to three digits of a fraction or none, and Z or an offset
 * (+hh:mm, -hh:mm). False for any other text, a date that no calendar has, a leap second, and a
 * time beyond the bounds. */
bool iso8601_read(const char *text, int64_t *unix_ms);

#endif
