/* SHA-256 (FIPS 180-4), for values that others may see while what they are made of stays secret.
 *
 * Threading: pure.
 */
#ifndef CORE_SHA256_H
#define CORE_SHA256_H

#include <fabric/bytes.h>

enum { SHA256_BYTES = 32 };

void sha256(fabric_bytes_t bytes, uint8_t digest[SHA256_BYTES]);

#endif
