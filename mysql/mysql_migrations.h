/* The numbered, forward-only migrations of the schema. Constant data. */
#ifndef MYSQL_MYSQL_MIGRATIONS_H
#define MYSQL_MYSQL_MIGRATIONS_H

#include <stdint.h>

/* What each of our tables bears as its comment, so that a table of somebody else's with the same
 * name is told apart. */
#define MYSQL_TABLE_COMMENT "fabric"

/* The statements that lead from `version` - 1 to `version`, NULL-terminated. The databases commit
 * each CREATE and ALTER by itself, so every statement can be run again after a migration that broke off. */
const char *const *mysql_migration(uint32_t version);

/* The tables of the present version, NULL-terminated. */
extern const char *const mysql_tables[];

#endif
