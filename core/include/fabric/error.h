/** @file
 * Errors: one enumeration for every function of Fabric that can fail, on the wire and in the store.
 *
 * Rules:
 *  1. A function that can fail returns fabric_error_t, and the caller must look at the result.
 *     FABRIC_OK is 0.
 *  2. Output arguments come last and keep their values on an error. Pointers to what the caller is
 *     to close, destroy or free are the exception: they are NULL on an error, so that closing,
 *     destroying or freeing them is right in every case.
 *  3. Callers decide by the class of an error (fabric_error_class()), not by the single error.
 *     schemas/errors.def holds the meaning and the remedy of each error.
 *  4. All functions here are pure and may be called from any thread.
 */
#ifndef FABRIC_ERROR_H
#define FABRIC_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/** The result must be looked at. */
#define FABRIC_MUST_USE __attribute__((warn_unused_result))
/** Exported from the libraries. */
#define FABRIC_PUBLIC __attribute__((visibility("default")))
/** Parameter number `format` is a printf format for the parameters from number `first` on. */
#define FABRIC_PRINTF(format, first) __attribute__((__format__(__printf__, format, first)))

/** Every error, with the numbers of schemas/errors.def. 0 is success. */
typedef enum fabric_error {
    FABRIC_OK = 0,
#define FABRIC_ERROR_ROW(number, symbol, name, class, meaning, remedy)                             \
    FABRIC_ERROR_##symbol = (number),
#include "schemas/errors.def"
#undef FABRIC_ERROR_ROW
} fabric_error_t;

/** What a caller may conclude from an error. */
typedef enum fabric_error_class {
    FABRIC_CLASS_OK = 0,   /**< no error */
    FABRIC_CLASS_RETRY,    /**< certainly not accepted; may be sent again later */
    FABRIC_CLASS_REJECTED, /**< certainly not accepted; would be refused again */
    FABRIC_CLASS_FAILURE,  /**< handled: this is its final answer */
    FABRIC_CLASS_UNKNOWN,  /**< may have been accepted; send again under the same call key */
    FABRIC_CLASS_FENCED,   /**< the writer was deposed: nothing was written */
    FABRIC_CLASS_USAGE,    /**< wrong arguments or configuration */
    FABRIC_CLASS_FATAL     /**< the process cannot go on */
} fabric_error_class_t;

/** The stable name of an error, such as "MailboxFull"; "OK" for FABRIC_OK, and "UnknownError" for a
 *  number that is no error. Static storage. */
FABRIC_PUBLIC
const char *fabric_error_name(fabric_error_t error);

/** The class of an error; FABRIC_CLASS_FATAL for a number that is no error. */
FABRIC_PUBLIC
fabric_error_class_t fabric_error_class(fabric_error_t error);

/** The name of a class in lower case, such as "retry". Static storage. */
FABRIC_PUBLIC
const char *fabric_error_class_name(fabric_error_class_t error_class);

/** One sentence: what the error means. Static storage. */
FABRIC_PUBLIC
const char *fabric_error_meaning(fabric_error_t error);

/** One sentence: what to do about it. Static storage. */
FABRIC_PUBLIC
const char *fabric_error_remedy(fabric_error_t error);

/** Finds an error by its name; upper and lower case differ. FABRIC_ERROR_NOT_FOUND for a name that
 *  no error has. */
FABRIC_PUBLIC
FABRIC_MUST_USE
fabric_error_t fabric_error_from_name(const char *name, fabric_error_t *error);

/** The error with this number (as read from the wire or the store); FABRIC_ERROR_INTERNAL for a
 *  number that is no error. */
FABRIC_PUBLIC
fabric_error_t fabric_error_from_number(unsigned long long number);

#ifdef __cplusplus
}
#endif
#endif
