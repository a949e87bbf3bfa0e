/* An executor's connection to the users' database, for transactional messages: it opens when the
 * first one comes, and again after a loss. Its functions block for as long as the database does,
 * at most the timeouts of the configuration for each statement.
 *
 * What is stored of a message is the bytes of the result, as they go to the home: RESULT, or
 * RESULT_TOLD where its handler has told others something.
 *
 * Threading: one thread at a time.
 */
#ifndef WORKER_TRANSACTION_H
#define WORKER_TRANSACTION_H

#include "core/message.h"
#include "core/store.h"
#include "worker/work.h"

/* How to connect. All that it points to outlives the workers that use it. */
typedef struct transaction_config {
    const store_driver_t *const *drivers; /* NULL-terminated */
    const char *url;                      /* NULL: there is no database */
    const char *password;                 /* NULL: none */
    uint32_t connect_timeout_ms;
    uint32_t io_timeout_ms;
    uint32_t retry_ms; /* after a failed connect, for so long nothing is tried */
} transaction_config_t;

typedef struct transactions transactions_t;

/* Connects to nothing yet. */
transactions_t *transactions_new(const transaction_config_t *config);
void transactions_destroy(transactions_t **transactions);

/* Whose transaction it is: an owner, and a message of its. */
typedef struct transaction_name {
    const uint8_t *cluster_id; /* WORK_CLUSTER_ID_BYTES */
    uint64_t shard;
    token_t token;
    bool claimed; /* under this token: transaction_begin has returned OK before */
    uint64_t request_id;
    fabric_bytes_t type;
} transaction_name_t;

/* What commits with the rows. */
typedef struct transaction_result {
    message_result_t result;
    uint32_t count;      /* of what the handler has told others; 0: nothing */
    fabric_bytes_t told; /* see core/journal/outgoing.h */
} transaction_result_t;

/* Begins the transaction, unless a result stands: then *found, and `result` has it, with views that
 * are valid until the next call. An error: nothing is open, and transaction_reason() says why. */
FABRIC_MUST_USE fabric_error_t transaction_begin(transactions_t *transactions,
                                                 const transaction_name_t *name, bool *found,
                                                 transaction_result_t *result);
/* The connection of the database's client library; NULL: no transaction is open. */
void *transaction_connection(const transactions_t *transactions);
/* What its handler has done to the transaction that it must not do; NULL: nothing. `*lost`: the
 * connection is; then nothing is open any more. */
const char *transaction_fault(transactions_t *transactions, bool *lost);
/* Stores the result and commits. *stored: another one stood, which `result` is then, as above.
 * Nothing is open afterwards. An error: it is not known whether it was committed. */
FABRIC_MUST_USE fabric_error_t transaction_commit(transactions_t *transactions,
                                                  const transaction_name_t *name, bool *stored,
                                                  transaction_result_t *result);
/* Rolls back what is open. */
void transaction_end(transactions_t *transactions);
const char *transaction_reason(const transactions_t *transactions);

#endif
