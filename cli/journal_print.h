/* Entries of journals for people (text) and scripts (one line of JSON for each record).
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_JOURNAL_PRINT_H
#define CLI_JOURNAL_PRINT_H

#include <stdio.h>

#include "core/journal/entry.h"

/* Which records are printed. Records about an entity name it by its hash only, but for MESSAGE and
 * DEAD; so with one of type and id alone, the others are printed from the first MESSAGE or DEAD on
 * that fits. */
typedef struct journal_filter journal_filter_t;

/* NULL: any. */
journal_filter_t *journal_filter_new(const char *type, const char *id);
void journal_filter_destroy(journal_filter_t **filter);

typedef struct journal_printer {
    FILE *file;
    bool json;
    journal_filter_t *filter; /* NULL: all */
} journal_printer_t;

/* Prints a line for each record that the filter lets through, and one for what cannot be read. */
void journal_print_records(const journal_printer_t *printer, const store_entry_t *entry);
/* Prints the columns of an entry, and all its records with all their fields. */
void journal_print_entry(const journal_printer_t *printer, const store_entry_t *entry);

/* "2026-11-28T10:17:03.123Z" */
enum { JOURNAL_TIME_SIZE = 40 };
const char *journal_time_text(int64_t unix_ms, char text[JOURNAL_TIME_SIZE]);

#endif
