/* JSON text of a value that jansson holds in memory. Releases of jansson print real numbers
 * differently (0.1, 0.10000000000000001). Here each number is as short as it can be and still reads
 * back as the same double, whatever jansson and the program's locale do.
 *
 * Threading: pure; any thread.
 */
#ifndef CORE_JSON_TEXT_H
#define CORE_JSON_TEXT_H

#include <jansson.h>

#define JSON_NUMBER_SIZE 40

/* Writes a finite number as JSON, always with a decimal point or an exponent, so that it is read
 * back as a real number. */
void json_number(double value, char text[JSON_NUMBER_SIZE]);

/* A value as text, which the caller frees, with members in their order. `indent`: spaces for each
 * level; 0: all on one line. The caller bounds the value's depth. */
char *json_text(json_t *value, unsigned indent);

#endif
