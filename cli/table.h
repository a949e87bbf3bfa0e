/* Rows of JSON objects as a table for people, or as they are for programs.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

typedef struct cli_column {
    const char *title;
    const char *key; /* of the rows' members */
    unsigned cut;    /* so many characters of a text are enough; 0: all */
} cli_column_t;

/* Prints an array of objects as a table, with a line of titles. Columns end with one whose title is
 * NULL. Texts are made harmless for terminals; numbers stand at the right. A truth is "yes" or
 * empty, a null "-"; arrays and objects of texts are joined by commas. `none`: the line for no
 * rows. */
void cli_table_print(const json_t *rows, const cli_column_t *columns, const char *none, FILE *file);
/* Prints any value as indented JSON with a newline. */
void cli_json_print(const json_t *value, FILE *file);

#endif
