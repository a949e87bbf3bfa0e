/* The hash of a primary key: see primary_key.h. */
#include "broker/primary_key.h"

#include <sodium/crypto_hash_sha256.h>

_Static_assert(crypto_hash_sha256_BYTES == STORE_KEY_BYTES, "a key's hash is a SHA-256");

static void add(crypto_hash_sha256_state *state, fabric_bytes_t bytes)
{
    uint8_t size[4] = {(uint8_t)(bytes.size >> 24), (uint8_t)(bytes.size >> 16),
                       (uint8_t)(bytes.size >> 8), (uint8_t)bytes.size};
    (void)crypto_hash_sha256_update(state, size, sizeof size);
    if (bytes.size > 0) {
        (void)crypto_hash_sha256_update(state, bytes.data, bytes.size);
    }
}

void primary_key_hash(const store_message_t *message, fabric_bytes_t key,
                      uint8_t hash[STORE_KEY_BYTES])
{
    crypto_hash_sha256_state state;
    (void)crypto_hash_sha256_init(&state);
    add(&state, message->type);
    add(&state, message->entity);
    add(&state, message->tag);
    add(&state, key);
    (void)crypto_hash_sha256_final(&state, hash);
}
