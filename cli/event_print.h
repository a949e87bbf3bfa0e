/* Printing events of an entity, one a line: as text, or as a JSON object.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_EVENT_PRINT_H
#define CLI_EVENT_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include <fabric/client.h>

/* `schema` of the event's tag and version; NULL: it is not known, and the payload is printed in
 * hexadecimal digits, as it is where it does not fit. */
void cli_event_print(const fabric_entity_event_t *event, const fabric_schema_t *schema, bool json,
                     FILE *file);
/* The events from `first` to `last` are lost. */
void cli_event_print_lost(uint64_t first, uint64_t last, bool json, FILE *file);

#endif
