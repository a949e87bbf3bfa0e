/** @file
 * Errors: one enumeration for every fallible call of Fabric, on the wire and in the store.
 *
 * Convention: a fallible function returns fabric_error_t, FABRIC_OK is 0, the result must be looked
 * at, and output arguments come last and are left as they were on an error. Pointers to what is to be
 * closed, destroyed or freed are the exception: they are NULL on an error, so that closing, destroying
 * or freeing them is right whatever happened. Callers switch on the class, not on single errors, to
 * decide what to do next; see schemas/errors.def for each error's meaning and remedy.
 *
 * Threading: all functions here are pure and may be called from any thread.
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

/** The stable name of an error, such as "MailboxFull"; "OK" for FABRIC_OK; "Error-<n>"-like static
 * text "UnknownError" for a number that does not exist. Static storage. */
FABRIC_PUBLIC const char *fabric_error_name(fabric_error_t error);

/** The class of an error; FABRIC_CLASS_FATAL for a number that does not exist. */
FABRIC_PUBLIC fabric_error_class_t fabric_error_class(fabric_error_t error);

/** The name of a class in lower case, such as "retry". Static storage. */
FABRIC_PUBLIC const char *fabric_error_class_name(fabric_error_class_t error_class);

/** One sentence: what the error means. Static storage. */
FABRIC_PUBLIC const char *fabric_error_meaning(fabric_error_t error);

/** One sentence: what to do about it. Static storage. */
FABRIC_PUBLIC const char *fabric_error_remedy(fabric_error_t error);

/** Finds an error by its name, upper and lower case being different. FABRIC_ERROR_NOT_FOUND when
 * there is none. */
FABRIC_PUBLIC FABRIC_MUST_USE fabric_error_t fabric_error_from_name(const char *name,
                                                                    fabric_error_t *error);

/** The error with this number (as read from the wire or the store); FABRIC_ERROR_INTERNAL when
 * there is none. */
FABRIC_PUBLIC fabric_error_t fabric_error_from_number(unsigned long long number);

#ifdef __cplusplus
}
#endif
#endif
