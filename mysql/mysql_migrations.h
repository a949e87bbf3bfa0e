/* The schema of the present version, and how older ones lead to it: mysql_migrations.def. Constant
 * data. */
#ifndef MYSQL_MYSQL_MIGRATIONS_H
#define MYSQL_MYSQL_MIGRATIONS_H

#include "core/sql/sql.h"

extern const sql_step_t mysql_migration[];

#endif
