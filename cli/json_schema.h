/* Schemas as JSON Schema (draft 2020-12): what JSON fits a message, for tools that know nothing of
 * Fabric.
 *
 * Each JSON that the command line takes as a request, or prints as a reply, fits its document. The
 * other way round there are differences: JSON Schema counts characters where Fabric counts bytes,
 * and it cannot say how many bytes a whole payload may have.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_JSON_SCHEMA_H
#define CLI_JSON_SCHEMA_H

#include <jansson.h>

#include "core/type_description.h"

/* Of one schema: an object with the fields as properties. The caller's, as are those below. */
json_t *json_schema_of(const fabric_schema_t *schema);
/* Of some types, NULL ones left out: a document that defines "TYPE.TAG.request", "TYPE.TAG.reply"
 * and, where there are any, "TYPE.TAG.failure" for each of their messages. */
json_t *json_schema_of_types(type_description_t *const *types, size_t count);
/* Of the requests of one message: a document that defines "reply" as well, and "failure". */
json_t *json_schema_of_message(const type_description_t *type,
                               const message_description_t *message);

#endif
