/* Types as text for people and as JSON for programs: their messages, and the fields of these with
 * their lines of documentation.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_TYPE_PRINT_H
#define CLI_TYPE_PRINT_H

#include <stdio.h>

#include <jansson.h>

#include "core/type_description.h"

/* Adds the members that a description has to an object: group, mailbox_capacity, concurrency and
 * messages; of each message its tag, durable, has_primary_key, request and reply. A schema is an
 * object of a name and fields; a field has its name, that in JSON, its kind, and what else it has.
 * `tag`: of that message only; NULL: of all. */
void type_add_json(const type_description_t *type, const char *tag, json_t *object);
/* Prints the messages, or the one of that tag. */
void type_print_messages(const type_description_t *type, const char *tag, FILE *file);

#endif
