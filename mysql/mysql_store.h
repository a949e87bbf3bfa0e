/* The MySQL and MariaDB adapter of the store port (core/store.h): MySQL 8.0+, MariaDB 10.6+.
 *
 * URL: mysql://user@host[:port]/database[?socket=/path/to/socket]. Parts may be percent-encoded; a
 * host in brackets is an IPv6 address. With a socket, host and port are not used. The password
 * never stands in the URL.
 *
 * Timeouts are kept by the client library in whole seconds, rounded up, and per read or write: a
 * call of several statements can take a multiple. io_timeout_ms below 2,000 makes lock waits (1 s)
 * look like lost connections.
 *
 * A connection that lay idle for so long that the server may have dropped it is replaced at the
 * next call, without the caller noticing: nothing was under way.
 *
 * Threading: as core/store.h says; several stores of several threads are independent.
 */
#ifndef MYSQL_MYSQL_STORE_H
#define MYSQL_MYSQL_STORE_H

#include "core/store.h"

extern const store_driver_t mysql_store_driver;

#endif
