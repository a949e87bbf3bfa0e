/** @file
 * The release of Fabric: of the headers that a program was compiled with, and of the library that
 * it runs with.
 */
#ifndef FABRIC_VERSION_H
#define FABRIC_VERSION_H

#include <fabric/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Changes when programs must be changed. */
#define FABRIC_VERSION_MAJOR 0
/** Grows when something is added. */
#define FABRIC_VERSION_MINOR 1
/** Grows when something is repaired. */
#define FABRIC_VERSION_PATCH 0

#define FABRIC_VERSION_TEXT_(number)  #number
#define FABRIC_VERSION_QUOTE_(number) FABRIC_VERSION_TEXT_(number)

/** The three numbers of the headers with dots between them, a string literal such as "0.1.0". */
#define FABRIC_VERSION_STRING                                                                      \
    FABRIC_VERSION_QUOTE_(FABRIC_VERSION_MAJOR)                                                    \
    "." FABRIC_VERSION_QUOTE_(FABRIC_VERSION_MINOR) "." FABRIC_VERSION_QUOTE_(FABRIC_VERSION_PATCH)

/** FABRIC_VERSION_STRING as the library was compiled with it: the release that the program runs
 *  with. Static storage; any thread. */
FABRIC_PUBLIC
const char *fabric_version(void);

#ifdef __cplusplus
}
#endif
#endif
