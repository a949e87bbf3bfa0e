/* Transactions of transactional messages: see transaction.h. */
#include "worker/transaction.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/journal/outgoing.h"
#include "core/memory.h"

/* A database drops a session that is silent inside a transaction for longer. */
enum { SILENT_MS = 2000 };

struct transactions {
    transaction_config_t config;
    store_t *store; /* NULL: not connected */
    store_cluster_t cluster;
    uint64_t retry_at_ms;   /* until then connects answer: */
    fabric_error_t refusal; /* of the last one that failed, with its reason */
    reason_t refusal_reason;
    bool open; /* a transaction is */
    uint64_t began_ms;
    wire_writer_t bytes; /* the result that is stored, or was found */
    reason_t reason;
};

transactions_t *transactions_new(const transaction_config_t *config)
{
    transactions_t *self = (transactions_t *)memory_allocate_zeroed(1, sizeof *self);
    self->config = *config;
    return self;
}

static void disconnect(transactions_t *self)
{
    if (self->store) {
        store_close(&self->store);
    }
    self->open = false;
}

void transactions_destroy(transactions_t **transactions)
{
    if (*transactions) {
        transaction_end(*transactions);
        disconnect(*transactions);
        wire_writer_destroy(&(*transactions)->bytes);
        free(*transactions);
        *transactions = NULL;
    }
}

const char *transaction_reason(const transactions_t *self)
{
    return self->reason.text;
}

/* ---- connecting ---- */

static fabric_error_t connect_now(transactions_t *self)
{
    store_cluster_t any = {.lanes = 0};
    store_options_t options = {.url = self->config.url,
                               .password = self->config.password,
                               .connect_timeout_ms = self->config.connect_timeout_ms,
                               .io_timeout_ms = self->config.io_timeout_ms};
    fabric_error_t error = store_open(self->config.drivers, &options, &self->reason, &self->store);
    if (error != FABRIC_OK) {
        return error;
    }
    if (!self->store->driver->direct_begin) {
        store_close(&self->store);
        return reason_set(&self->reason, FABRIC_ERROR_INVALID_CONFIGURATION,
                          "the database has no transactions of handlers");
    }
    error = self->store->driver->check(self->store, &any, &self->reason, &self->cluster);
    if (error != FABRIC_OK) {
        store_close(&self->store);
    }
    return error;
}

/* Tables of another cluster would have other lanes and owners. */
static fabric_error_t check_cluster(transactions_t *self, const uint8_t *cluster_id)
{
    return memcmp(self->cluster.id, cluster_id, sizeof self->cluster.id) == 0
               ? FABRIC_OK
               : reason_set(&self->reason, FABRIC_ERROR_FOREIGN_DATABASE,
                            "the database is that of cluster %s, and not of this one",
                            self->cluster.name);
}

/* Each try may block for the whole timeout, and the executor's other messages wait. */
static fabric_error_t connect_store(transactions_t *self, const uint8_t *cluster_id)
{
    if (self->store) {
        return check_cluster(self, cluster_id);
    }
    if (clock_monotonic_ms() < self->retry_at_ms) {
        self->reason = self->refusal_reason;
        return self->refusal;
    }
    fabric_error_t error = connect_now(self);
    error = error ? error : check_cluster(self, cluster_id);
    if (error != FABRIC_OK) {
        self->retry_at_ms = clock_monotonic_ms() + self->config.retry_ms;
        self->refusal = error;
        self->refusal_reason = self->reason;
    }
    return error;
}

/* Notes why a call failed; a connection that may be dead is closed. */
static fabric_error_t failed(transactions_t *self, fabric_error_t error)
{
    if (error == FABRIC_OK) {
        return error;
    }
    if (!self->reason.text[0]) {
        (void)reason_set(&self->reason, error, "%s",
                         self->store ? store_error_text(self->store, error)
                                     : fabric_error_name(error));
    }
    bool sound = error == FABRIC_ERROR_STORE_BUSY || error == FABRIC_ERROR_FENCED ||
                 error == FABRIC_ERROR_STORE_REJECTED;
    if (!sound) {
        disconnect(self);
    }
    return error;
}

static store_owner_t owner_of(const transactions_t *self, const transaction_name_t *name)
{
    shard_id_t shard = {(uint32_t)name->shard};
    return (store_owner_t){.lane = shard_id_number(shard) % self->cluster.lanes,
                           .shard = shard,
                           .token = name->token,
                           .type = name->type};
}

/* ---- results ---- */

static void take_body(void *context, fabric_bytes_t body)
{
    transactions_t *self = (transactions_t *)context;
    wire_writer_reset(&self->bytes);
    wire_append(&self->bytes, body.data, body.size);
}

static bool get_told(wire_reader_t *body, transaction_result_t *result)
{
    message_result_told_t read;
    if (message_get_result_told(body, &read) != FABRIC_OK || read.count > STORE_OUTGOING_MAX) {
        return false;
    }
    const journal_outgoing_t outgoing = {.id = 1, .count = (uint32_t)read.count, .list = read.told};
    const message_result_events_t with = work_result_of_told(&read);
    *result = (transaction_result_t){work_result_of_events(&with), (uint32_t)read.count, read.told};
    return journal_outgoing_is_sound(&outgoing);
}

static bool get_result(wire_reader_t bytes, transaction_result_t *result)
{
    wire_reader_t body;
    message_kind_t kind;
    if (!frame_next(&bytes, &body) || message_open(&body, &kind) != FABRIC_OK) {
        return false;
    }
    *result = (transaction_result_t){.count = 0};
    return kind == KIND_RESULT_TOLD
               ? get_told(&body, result)
               : kind == KIND_RESULT && message_get_result(&body, &result->result) == FABRIC_OK;
}

/* The result that was found, as this owner would send it. */
static fabric_error_t read_result(transactions_t *self, const transaction_name_t *name,
                                  transaction_result_t *result)
{
    transaction_result_t read;
    if (!get_result(wire_reader(wire_writer_bytes(&self->bytes)), &read) ||
        read.result.request_id != name->request_id) {
        return reason_set(&self->reason, FABRIC_ERROR_MALFORMED_MESSAGE,
                          "its result, which stands in direct_result under request id %llu, "
                          "cannot be read",
                          (unsigned long long)name->request_id);
    }
    read.result.home_epoch = name->token.home_epoch;
    read.result.owner_sequence = name->token.owner_sequence;
    *result = read;
    return FABRIC_OK;
}

static void put_result(transactions_t *self, const transaction_result_t *result)
{
    wire_writer_reset(&self->bytes);
    if (result->count > 0) {
        const message_result_told_t with =
            work_result_with_told(&result->result, result->count, result->told);
        message_put_result_told(&self->bytes, &with);
    } else {
        message_put_result(&self->bytes, &result->result);
    }
}

/* ---- transactions ---- */

static fabric_error_t begin(transactions_t *self, const transaction_name_t *name, bool *found)
{
    fabric_error_t error = connect_store(self, name->cluster_id);
    if (error == FABRIC_OK && !name->claimed) {
        store_owner_t owner = owner_of(self, name);
        error = self->store->driver->owner_claim(self->store, &owner);
    }
    if (error == FABRIC_OK) {
        error = self->store->driver->direct_begin(self->store, (request_id_t){name->request_id},
                                                  take_body, self, found);
    }
    return failed(self, error);
}

fabric_error_t transaction_begin(transactions_t *self, const transaction_name_t *name, bool *found,
                                 transaction_result_t *result)
{
    self->reason.text[0] = '\0';
    fabric_error_t error = begin(self, name, found);
    if (error == FABRIC_OK && *found) {
        return read_result(self, name, result);
    }
    self->open = error == FABRIC_OK;
    self->began_ms = clock_monotonic_ms();
    return error;
}

void *transaction_connection(const transactions_t *self)
{
    return self->open ? self->store->driver->direct_connection(self->store) : NULL;
}

const char *transaction_fault(transactions_t *self, bool *lost)
{
    bool stands = false;
    bool silent = clock_monotonic_ms() - self->began_ms >= SILENT_MS;
    self->reason.text[0] = '\0';
    fabric_error_t error = failed(self, self->store->driver->direct_check(self->store, &stands));
    if (error != FABRIC_OK || !stands) {
        transaction_end(self);
    }
    if (!stands) { /* its locks, tables and settings are not for the next message */
        disconnect(self);
    }
    *lost = error != FABRIC_OK && !silent;
    if (error != FABRIC_OK && silent) {
        return "the database has ended the transaction: its handler took longer than two seconds";
    }
    return error == FABRIC_OK && !stands
               ? "the transaction that its handler was given had ended when it returned: by a "
                 "COMMIT, a ROLLBACK or a statement that commits by itself, or by a deadlock; or a "
                 "result was left unread"
               : NULL;
}

fabric_error_t transaction_commit(transactions_t *self, const transaction_name_t *name,
                                  bool *stored, transaction_result_t *result)
{
    store_owner_t owner = owner_of(self, name);
    self->reason.text[0] = '\0';
    put_result(self, result);
    self->open = false;
    *stored = false;
    fabric_error_t error = failed(self, self->store->driver->direct_commit(
                                            self->store, &owner, (request_id_t){name->request_id},
                                            wire_writer_bytes(&self->bytes)));
    if (error == FABRIC_ERROR_STORE_REJECTED) {
        transaction_name_t again = *name;
        again.claimed = true;
        error = transaction_begin(self, &again, stored, result);
        transaction_end(self);
        error = error == FABRIC_OK && !*stored ? FABRIC_ERROR_STORE_BUSY : error;
    }
    return error;
}

void transaction_end(transactions_t *self)
{
    if (self->open) {
        self->open = false;
        self->store->driver->direct_roll_back(self->store);
    }
}
