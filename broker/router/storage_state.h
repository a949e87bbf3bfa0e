/* How the files of the store actors' side meet: see storage_zmq.h. */
#ifndef BROKER_ROUTER_STORAGE_STATE_H
#define BROKER_ROUTER_STORAGE_STATE_H

#include "broker/router/storage_zmq.h"

/* ---- storage_holds_zmq.c: adoptions, holds and purges ---- */

/* The hold is over, as a store actor was told. */
void storage_hold_fenced(storage_t *storage, const store_hold_t *hold);
/* Nothing more is appended under the hold from now on. */
void storage_hold_end(storage_t *storage, uint32_t lane);
/* The lane's journal has grown. */
void storage_hold_appended(storage_t *storage, uint32_t lane, uint64_t epoch, uint64_t bytes);
/* The lane's rows are complete as of this entry. */
void storage_hold_checkpointed(storage_t *storage, const store_hold_t *hold, uint64_t number);
void storage_feed_holds(storage_t *storage);
void storage_take_adoption(storage_t *storage, uint32_t lane);
void storage_take_purge(storage_t *storage, uint32_t lane);
/* When an adoption or a purge is due. */
uint64_t storage_holds_deadline(const storage_t *storage);

/* ---- storage_appends_zmq.c: appends ---- */

/* Sets the timer where an append is held. */
void storage_feed_appenders(storage_t *storage);
/* The timer's time is over. */
void storage_clear_timer(const storage_t *storage);
void storage_take_appender(storage_t *storage, uint32_t number);

#endif
