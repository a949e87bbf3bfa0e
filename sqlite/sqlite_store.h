/* The SQLite adapter of the store port (core/store.h): the embedded default for one broker on one
 * machine.
 *
 * URL: sqlite:/path/to/file. The file is made when it does not exist; its directory must.
 *
 * Exclusive use. A broker opens its coordinator's connection with exclusive = true first and keeps
 * it open as long as it lives, then the connections of its store actors with exclusive = false. The
 * exclusive one holds a lock on <file>.lock, which contains the holder's text, so that a second
 * broker gets STORE_LOCKED and a reason that names the first. The lock belongs to the open file,
 * not to its contents: it ends with the process, however that ends. Tools such as fabricctl open
 * with exclusive = false at any time. broker_join over an exclusive connection forgets every other
 * broker.
 *
 * Errors. A lock that another connection or process keeps for io_timeout_ms, or for 1 s, is
 * STORE_BUSY; a full disk and failing reads and writes are STORE_UNAVAILABLE, except where the
 * operating system fails during a commit: whether the log's last page will survive is then not
 * known, and the answer is STORE_UNKNOWN. So it is where the file was replaced or removed before a
 * commit ended. Waits for locks are bounded; a disk that hangs in a system
 * call is not.
 *
 * Threading: as the port says, one thread at a time for each store_t; different store_t's are
 * independent.
 */
#ifndef SQLITE_SQLITE_STORE_H
#define SQLITE_SQLITE_STORE_H

#include "core/store.h"

extern const store_driver_t sqlite_store_driver;

#endif
