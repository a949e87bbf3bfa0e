/* Random bytes of the kernel: see random.h. */
#include "core/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *bytes, size_t size)
{
    unsigned char *next = bytes;
    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);
        if (got < 0 && errno != EINTR) {
            abort();
        }
        if (got > 0) {
            next += got;
            size -= (size_t)got;
        }
    }
}
