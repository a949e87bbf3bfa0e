/* Clocks. Cores take `now` as an argument; only shells read clocks. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stdint.h>

/* Monotonic milliseconds and microseconds, for leases, deadlines and latencies. They are never
 * compared between processes. */
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_us(void);
/* Unix milliseconds; for log stamps only. */
int64_t clock_wall_ms(void);

#endif
