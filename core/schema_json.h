/* What the tools that show schemas need of the way from payloads to JSON.
 *
 * Threading: pure; any thread.
 */
#ifndef CORE_SCHEMA_JSON_H
#define CORE_SCHEMA_JSON_H

#include <fabric/schema.h>
#include <jansson.h>

/* The default of a field that has one, as JSON shows it. The caller's. */
json_t *schema_default_to_json(const fabric_field_t *field);

#endif
