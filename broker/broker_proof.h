/* How a broker proves to another one that it is a member of the cluster.
 *
 * A broker makes a secret when it joins and stores it in its row, so only those who may read the
 * database know it. Each hello to another broker has a proof: a hash, keyed with the secret, of who
 * says hello, to whom, and under which connection number. The other broker has read the secret in
 * the store. A proof that was overheard is of no use: another broker expects another one, and the
 * same broker takes each connection number once. The secret itself never leaves the process.
 *
 * Keyed BLAKE2b of libsodium (RFC 7693); schemas/protocol.md, section 4, says which bytes are
 * hashed. Threading: any thread.
 */
#ifndef BROKER_BROKER_PROOF_H
#define BROKER_BROKER_PROOF_H

#include <fabric/bytes.h>

#include "core/ids.h"

/* A broker, and the secret by which it proves that it is this broker. */
typedef struct broker_credential {
    incarnation_t broker;
    broker_secret_t secret; /* none: it can prove nothing */
} broker_credential_t;

typedef struct broker_proof {
    uint8_t bytes[32];
} broker_proof_t;

/* The proof of the sender's hello of that connection number to the receiver. */
broker_proof_t broker_proof_make(const broker_credential_t *sender, incarnation_t receiver,
                                 uint64_t connection);
/* Whether the bytes are that proof. Takes the same time wherever they differ. */
bool broker_proof_holds(const broker_credential_t *sender, incarnation_t receiver,
                        uint64_t connection, fabric_bytes_t proof);

#endif
