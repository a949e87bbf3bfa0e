/* What the Order entity uses outside of the fabric: the shop's own records of orders, and a bank.
 *
 * Here both are files of one folder, $ORDER_FOLDER or "orders", which all workers share. Elsewhere
 * they are a database and a payment service; the rules that make them right are the same:
 *  1. The records remember, for each order, the highest token under which it was saved, and refuse
 *     smaller ones: a worker that has lost the order overwrites nothing.
 *  2. The bank remembers the key of each payment. A charge with a key that it knows is that
 *     payment, and takes nothing.
 *  3. What was answered survives a crash of the caller.
 */
#ifndef ORDER_SHOP_H
#define ORDER_SHOP_H

#include <fabric/worker.h>

enum { ORDER_ID_MAX = 100, ORDER_RECORD_MAX = 8192 };

/* Ids are names of files here: letters, digits, '-' and '_'. */
bool order_shop_takes(fabric_bytes_t id);
/* Reads an order's record into `record`, which has ORDER_RECORD_MAX bytes; *size is 0 where there
 * is none. false: it cannot be read. */
bool order_shop_load(fabric_bytes_t id, uint8_t *record, size_t *size);
/* Replaces an order's record. false: it is as it was, because the token is too small or because
 * the record cannot be written. */
bool order_shop_save(fabric_bytes_t id, fabric_token_t token, fabric_bytes_t record);

typedef enum order_bank_answer {
    ORDER_BANK_PAID,     /* *payment is the number of the payment */
    ORDER_BANK_DECLINED, /* nothing was taken; a later charge with the key may be paid */
    ORDER_BANK_SILENT    /* it may have been paid, or not: ask again with the same key */
} order_bank_answer_t;

typedef order_bank_answer_t order_bank_fn(const char *key, fabric_bytes_t payer, int64_t cents,
                                          uint64_t *payment);

/* The bank. It declines what the payer "declined" is to pay. A test puts another one in its
 * place. */
extern order_bank_fn *order_bank;

#endif
