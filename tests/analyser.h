/* Included before every source that clang-tidy looks at: see tests/analyse.
 *
 * Its analyser loses track of what uthash and utlist link, and takes a removal for a use of freed
 * memory or of a null pointer. Here a removal says what it means to the one who asked for it, and
 * no more. */
#include <uthash.h>
#include <utlist.h>

#undef HASH_DELETE
#undef HASH_DEL
#define HASH_DELETE(hh, head, item) ((head) = (head) == (item) ? (item)->hh.next : (head))
#define HASH_DEL(head, item)        HASH_DELETE(hh, head, item)

#undef DL_DELETE
#undef DL_DELETE2
#define DL_DELETE2(head, item, previous, next) ((head) = (head) == (item) ? (item)->next : (head))
#define DL_DELETE(head, item)                  DL_DELETE2(head, item, prev, next)
