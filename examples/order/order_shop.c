/* The shop's records and its bank, in files: see order_shop.h. */
#include "examples/order/order_shop.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_MAX_BYTES = 1024, LINE_MAX_BYTES = 512 };

/* ---- files ---- */

/* Opens a file of the folder, and makes the folder. -1: it cannot. */
static int open_file(const char *name, int flags, char path[PATH_MAX_BYTES])
{
    const char *folder = getenv("ORDER_FOLDER");
    folder = folder ? folder : "orders";
    (void)mkdir(folder, 0777);
    int size = snprintf(path, PATH_MAX_BYTES, "%s/%s", folder, name);
    return size < PATH_MAX_BYTES ? open(path, flags | O_CLOEXEC, 0666) : -1;
}

/* The same, for one process at a time, until it is closed. */
static int open_alone(const char *name, char path[PATH_MAX_BYTES])
{
    int file = open_file(name, O_RDWR | O_CREAT | O_APPEND, path);
    if (file >= 0 && flock(file, LOCK_EX)) {
        close(file);
        return -1;
    }
    return file;
}

/* ---- records: the token, and what was saved under it ---- */

bool order_shop_takes(fabric_bytes_t id)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < id.size; i++) {
        if (id.data[i] == '\0' || !strchr(letters, id.data[i])) {
            return false;
        }
    }
    return id.size <= ORDER_ID_MAX;
}

static void name_of(fabric_bytes_t id, const char *end, char name[ORDER_ID_MAX + 16])
{
    snprintf(name, ORDER_ID_MAX + 16, "%.*s%s", (int)id.size, (const char *)id.data, end);
}

static bool read_record(fabric_bytes_t id, fabric_token_t *token, uint8_t *record, size_t *size)
{
    char path[PATH_MAX_BYTES], name[ORDER_ID_MAX + 16];
    *token = (fabric_token_t){0, 0};
    *size = 0;
    name_of(id, ".order", name);
    int file = open_file(name, O_RDONLY, path);
    if (file < 0) {
        return access(path, F_OK) != 0; /* there is none */
    }
    bool holds = read(file, token, sizeof *token) == (ssize_t)sizeof *token;
    ssize_t count = holds ? read(file, record, ORDER_RECORD_MAX) : -1;
    close(file);
    *size = count > 0 ? (size_t)count : 0;
    return count > 0;
}

bool order_shop_load(fabric_bytes_t id, uint8_t *record, size_t *size)
{
    fabric_token_t token;
    return read_record(id, &token, record, size);
}

/* The new record takes the old one's place in one step. */
static bool replace_record(fabric_bytes_t id, fabric_token_t token, fabric_bytes_t record)
{
    char path[PATH_MAX_BYTES], name[ORDER_ID_MAX + 16], old_path[PATH_MAX_BYTES];
    name_of(id, ".new", name);
    int file = open_file(name, O_WRONLY | O_CREAT | O_TRUNC, path);
    bool done = file >= 0 && write(file, &token, sizeof token) == (ssize_t)sizeof token &&
                write(file, record.data, record.size) == (ssize_t)record.size && fsync(file) == 0;
    if (file >= 0) {
        close(file);
    }
    snprintf(old_path, sizeof old_path, "%.*sorder", (int)strlen(path) - 3, path);
    return done && rename(path, old_path) == 0;
}

bool order_shop_save(fabric_bytes_t id, fabric_token_t token, fabric_bytes_t record)
{
    char path[PATH_MAX_BYTES];
    uint8_t saved[ORDER_RECORD_MAX];
    fabric_token_t highest;
    size_t size;
    int lock = open_alone("lock", path);
    bool done = lock >= 0 && read_record(id, &highest, saved, &size) &&
                !fabric_token_less(token, highest) && replace_record(id, token, record);
    if (lock >= 0) {
        close(lock);
    }
    return done;
}

/* ---- the bank: a line for each payment, with its key ---- */

/* The number of the payment with this key, or else of the next one. */
static bool find(const char *key, FILE *payments, uint64_t *payment)
{
    char line[LINE_MAX_BYTES];
    size_t size = strlen(key);
    *payment = 1;
    while (fgets(line, sizeof line, payments)) {
        if (strncmp(line, key, size) == 0 && line[size] == ' ') {
            return true;
        }
        ++*payment;
    }
    return false;
}

static order_bank_answer_t charge(const char *key, fabric_bytes_t payer, int64_t cents,
                                  uint64_t *payment)
{
    char path[PATH_MAX_BYTES];
    int file = open_alone("payments", path);
    FILE *payments = file >= 0 ? fdopen(file, "a+") : NULL;
    if (!payments) {
        return ORDER_BANK_SILENT;
    }
    order_bank_answer_t answer = ORDER_BANK_PAID;
    if (!find(key, payments, payment)) {
        if (fabric_bytes_equal(payer, fabric_bytes_of("declined"))) {
            answer = ORDER_BANK_DECLINED;
        } else if (fprintf(payments, "%s %" PRId64 "\n", key, cents) < 0 || fflush(payments)) {
            answer = ORDER_BANK_SILENT;
        }
    }
    fclose(payments);
    return answer;
}

order_bank_fn *order_bank = charge;
