/* Text from elsewhere, made harmless for people's terminals.
 *
 * Names, ids and failure texts come from clients, entities and databases, and may contain bytes
 * that move a cursor, change colours or end a line. All such text is printed through these
 * functions; JSON has escapes of its own.
 *
 * Threading: pure functions, for any thread.
 */
#ifndef CORE_PRINTABLE_H
#define CORE_PRINTABLE_H

#include <stddef.h>

/* The size of a text in which every byte is escaped, with its terminator. */
#define PRINTABLE_SIZE(text_size) (4 * (text_size) + 1)

/* Copies a text, with each byte of a control character (C0, DEL, C1) and each byte that is not
 * UTF-8 as \xHH. Cuts before the first character that does not fit. */
void printable_copy(const char *text, char *copy, size_t copy_size);

/* The same for a database's URL, in which "***" replaces a password. A password is not allowed
 * there, but somebody may have written one. */
void printable_url(const char *url, char *copy, size_t copy_size);

#endif
