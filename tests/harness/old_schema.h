/* Statements that make the tables of former schema versions in an empty database, for tests of
 * migrations. Version 2 is made of version 1, versions 3 to 7 of the present one. A cluster's
 * identity is in the tables of MySQL's; the test inserts SQLite's.
 *
 * Threading: none of its own.
 */
#ifndef TESTS_HARNESS_OLD_SCHEMA_H
#define TESTS_HARNESS_OLD_SCHEMA_H

extern const char old_schema_mysql_1[];
extern const char old_schema_mysql_2[];
extern const char old_schema_sqlite_1[];
extern const char old_schema_sqlite_2[];
/* Also the way back: docs/operations.md. */
extern const char old_schema_3[];
extern const char old_schema_4[];
extern const char old_schema_mysql_5[];
extern const char old_schema_sqlite_5[];
extern const char old_schema_6[];
extern const char old_schema_7[];

#endif
