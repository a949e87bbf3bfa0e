/* Proofs of membership: see broker_proof.h. */
#include "broker/broker_proof.h"

#include <sodium/crypto_generichash.h>
#include <sodium/utils.h>
#include <string.h>

/* Names what is hashed, so that no other use of the secret gives the same bytes. */
static const char purpose[16] = "fabric hello 1";

typedef struct claim {
    uint8_t bytes[sizeof purpose + 2 * sizeof(incarnation_t) + sizeof(uint64_t)];
} claim_t;

static claim_t claim_of(incarnation_t sender, incarnation_t receiver, uint64_t connection)
{
    claim_t claim;
    uint8_t *at = claim.bytes;
    memcpy(at, purpose, sizeof purpose);
    at += sizeof purpose;
    memcpy(at, receiver.bytes, sizeof receiver.bytes);
    at += sizeof receiver.bytes;
    memcpy(at, sender.bytes, sizeof sender.bytes);
    at += sizeof sender.bytes;
    for (unsigned i = 0; i < sizeof connection; i++) {
        at[i] = (uint8_t)(connection >> 8 * (sizeof connection - 1 - i));
    }
    return claim;
}

broker_proof_t broker_proof_make(const broker_credential_t *sender, incarnation_t receiver,
                                 uint64_t connection)
{
    broker_proof_t proof;
    claim_t claim = claim_of(sender->broker, receiver, connection);
    (void)crypto_generichash(proof.bytes, sizeof proof.bytes, claim.bytes, sizeof claim.bytes,
                             sender->secret.bytes, sizeof sender->secret.bytes);
    return proof;
}

bool broker_proof_holds(const broker_credential_t *sender, incarnation_t receiver,
                        uint64_t connection, fabric_bytes_t proof)
{
    if (proof.size != sizeof(broker_proof_t) ||
        sodium_is_zero(sender->secret.bytes, sizeof sender->secret.bytes)) {
        return false;
    }
    broker_proof_t expected = broker_proof_make(sender, receiver, connection);
    return sodium_memcmp(expected.bytes, proof.data, sizeof expected.bytes) == 0;
}
