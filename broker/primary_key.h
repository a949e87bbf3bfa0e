/* The hash of a primary key: SHA-256 of entity type, entity id, tag and key, each behind its size
 * as 32 bits, the high byte first. So different keys have different hashes, whatever bytes clients
 * choose, and a key is as long as its limit allows without costing more than a hash.
 */
#ifndef BROKER_PRIMARY_KEY_H
#define BROKER_PRIMARY_KEY_H

#include "core/store_message.h"

/* Of the message's type, entity and tag, and of its key. */
void primary_key_hash(const store_message_t *message, fabric_bytes_t key,
                      uint8_t hash[STORE_KEY_BYTES]);

#endif
