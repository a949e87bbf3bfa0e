/* Tests of mysql_test: its statements read no more rows than they need. Each has a founded database
 * as its state. */
#ifndef TESTS_CONFORMANCE_MYSQL_ROWS_H
#define TESTS_CONFORMANCE_MYSQL_ROWS_H

void mysql_rows_are_found_by_their_key(void **state);
/* A page of keys behind one of an entity that has many. */
void mysql_keys_are_listed_by_their_key(void **state);
/* A page of the messages to one target lane. */
void mysql_outgoing_messages_are_found_by_their_target(void **state);
/* The oldest of them, beside 100,000 entries. */
void mysql_oldest_message_is_found_without_the_journal(void **state);
/* A page of a long history. */
void mysql_events_are_found_by_their_key(void **state);

#endif
