/* A temporary folder on a disk, because figures of a database in memory say nothing about durable
 * messages.
 *
 * Threading: none of its own.
 */
#ifndef TESTS_HARNESS_FOLDER_H
#define TESTS_HARNESS_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/reason.h"

#define FOLDER_PATH_SIZE 512

/* The folder of the shipped programs: $FABRIC_BUILD/bin where that is set (tests), else the one of
 * this program. INTERNAL. */
FABRIC_MUST_USE fabric_error_t folder_of_programs(reason_t *reason, char path[FOLDER_PATH_SIZE]);
/* The name of the file system that a path lies on, such as "ext4"; its number where it has no name
 * here. NOT_FOUND. */
FABRIC_MUST_USE fabric_error_t folder_file_system(const char *path, char *name, size_t name_size);
/* Makes a new folder under $TMPDIR, the build folder or /var/tmp: the first that is no file system
 * in memory. INVALID_CONFIGURATION where there is none. */
FABRIC_MUST_USE fabric_error_t folder_make(reason_t *reason, char path[FOLDER_PATH_SIZE]);
/* Removes a folder with all that is in it. Takes an empty path. */
void folder_remove(const char *path);
/* Prints the last lines of a file of the folder, to show why a test failed. */
void folder_print_end(const char *folder, const char *file, FILE *to);
/* Whether a file of the folder has a line with that text; lines beyond 1,023 bytes are looked at in
 * pieces. */
bool folder_file_contains(const char *folder, const char *file, const char *text);

#endif
