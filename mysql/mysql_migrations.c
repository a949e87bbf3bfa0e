/* The steps of the migration as a table. */
#include "mysql/mysql_migrations.h"

#include "core/sql/sql_migration.h"

#define TEXT(text)     {text, NULL},
#define CALL(function) {NULL, function},
/* By a prepared statement, since neither server knows IF EXISTS for everything. */
#define WHEN(condition, text)                                                                      \
    TEXT("SET @fabric_statement = IF(" condition ", '" text "', 'DO 0')")                          \
    TEXT("PREPARE fabric_statement FROM @fabric_statement")                                        \
    TEXT("EXECUTE fabric_statement")                                                               \
    TEXT("DEALLOCATE PREPARE fabric_statement")

const sql_step_t mysql_migration[] = {
#include "mysql/mysql_migrations.def"
    {NULL, NULL},
};
