/* Text from others for people's terminals.
 *
 * Names, ids and failure texts come from clients, entities and databases, and may hold what moves a
 * cursor, changes colours or ends a line. What is printed as text goes through here; JSON has escapes of
 * its own.
 *
 * Threading: pure functions, for any thread.
 */
#ifndef CORE_PRINTABLE_H
#define CORE_PRINTABLE_H

#include <stddef.h>

/* Room for every byte of `text` as an escape. */
#define PRINTABLE_SIZE(text_size) (4 * (text_size) + 1)

/* Copies a text, with each byte of a control character (C0, DEL, C1) and each one that is not UTF-8 as
 * \xHH. Cuts before the first character that does not fit. */
void printable_copy(const char *text, char *copy, size_t copy_size);

/* The same with a database's URL, in which whatever stands in a password's place is "***": it has no
 * business there, but somebody may have put it there. */
void printable_url(const char *url, char *copy, size_t copy_size);

#endif
