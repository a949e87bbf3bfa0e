/** @file
 * Headers of messages, as clients and handlers that send messages give them.
 */
#ifndef FABRIC_HEADER_H
#define FABRIC_HEADER_H

#include <fabric/bytes.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One header of a message. */
typedef struct fabric_header {
    const char *name;     /**< 1-255 bytes */
    fabric_bytes_t value; /**< any bytes */
} fabric_header_t;

#ifdef __cplusplus
}
#endif
#endif
