/* The tables and views of the present schema, and the way to it from older files. */
#ifndef SQLITE_SQLITE_MIGRATIONS_H
#define SQLITE_SQLITE_MIGRATIONS_H

#include "core/sql/sql.h"

/* Ends with {NULL, NULL}. */
extern const sql_step_t sqlite_migration[];

#endif
