/* The names, classes and texts of errors, made from schemas/errors.def. */
#include <fabric/error.h>

#include <stddef.h>
#include <string.h>

typedef struct error_row {
    fabric_error_t error;
    fabric_error_class_t error_class;
    const char *name;
    const char *meaning;
    const char *remedy;
} error_row_t;

static const error_row_t rows[] = {
    {FABRIC_OK, FABRIC_CLASS_OK, "OK", "no error", "none needed"},
#define FABRIC_ERROR_ROW(number, symbol, name, class, meaning, remedy)                             \
    {FABRIC_ERROR_##symbol, FABRIC_CLASS_##class, #name, meaning, remedy},
#include "schemas/errors.def"
#undef FABRIC_ERROR_ROW
};

static const error_row_t unknown_row = {FABRIC_ERROR_INTERNAL, FABRIC_CLASS_FATAL, "UnknownError",
                                        "a number that stands for no error of this release",
                                        "install matching releases on both sides"};

/* The numbers are dense today. If they were not, a wrong guess would cost a search. */
static const error_row_t *find_row(unsigned long long number)
{
    const size_t count = sizeof rows / sizeof rows[0];
    if (number < count && (unsigned long long)rows[number].error == number) {
        return &rows[number];
    }
    for (size_t i = 0; i < count; i++) {
        if ((unsigned long long)rows[i].error == number) {
            return &rows[i];
        }
    }
    return NULL;
}

static const error_row_t *row_of(fabric_error_t error)
{
    const error_row_t *row = find_row((unsigned long long)error);
    return row ? row : &unknown_row;
}

const char *fabric_error_name(fabric_error_t error)
{
    return row_of(error)->name;
}

fabric_error_class_t fabric_error_class(fabric_error_t error)
{
    return row_of(error)->error_class;
}

const char *fabric_error_class_name(fabric_error_class_t error_class)
{
    switch (error_class) {
    case FABRIC_CLASS_OK:
        return "ok";
    case FABRIC_CLASS_RETRY:
        return "retry";
    case FABRIC_CLASS_REJECTED:
        return "rejected";
    case FABRIC_CLASS_FAILURE:
        return "failure";
    case FABRIC_CLASS_UNKNOWN:
        return "unknown";
    case FABRIC_CLASS_FENCED:
        return "fenced";
    case FABRIC_CLASS_USAGE:
        return "usage";
    case FABRIC_CLASS_FATAL:
        return "fatal";
    }
    return "fatal"; /* for a number that is no class, as fabric_error_class */
}

const char *fabric_error_meaning(fabric_error_t error)
{
    return row_of(error)->meaning;
}

const char *fabric_error_remedy(fabric_error_t error)
{
    return row_of(error)->remedy;
}

fabric_error_t fabric_error_from_name(const char *name, fabric_error_t *error)
{
    for (size_t i = 0; name && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            *error = rows[i].error;
            return FABRIC_OK;
        }
    }
    return FABRIC_ERROR_NOT_FOUND;
}

fabric_error_t fabric_error_from_number(unsigned long long number)
{
    const error_row_t *row = find_row(number);
    return row ? row->error : FABRIC_ERROR_INTERNAL;
}
