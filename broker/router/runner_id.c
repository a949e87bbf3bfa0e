/* Runner ids: see runner_id.h. */
#include "broker/router/runner_id.h"

#include <sodium/crypto_hash_sha256.h>

incarnation_t runner_id_of(incarnation_t secret)
{
    uint8_t digest[crypto_hash_sha256_BYTES];
    incarnation_t id;
    crypto_hash_sha256(digest, secret.bytes, sizeof secret.bytes);
    memcpy(id.bytes, digest, sizeof id.bytes);
    return id;
}
