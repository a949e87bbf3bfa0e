/* A fake name server: what getaddrinfo() says about hosts, in a process that links
 * tests/harness/fake_names_module.o or was started with fake_names_module.so as $LD_PRELOAD, and
 * has $NAMES_FOLDER in its environment.
 *
 * A host is what fake_names_set() made it: a list of addresses with a space between them;
 * "unknown"; or "silent", which keeps callers waiting until fake_names_set() says something else.
 * The system answers for other hosts.
 *
 * Threading: any thread.
 */
#ifndef TESTS_HARNESS_FAKE_NAMES_H
#define TESTS_HARNESS_FAKE_NAMES_H

#define NAMES_FOLDER "NAMES_FOLDER" /* environment variable: the folder of a file for each host */

/* Fails the running cmocka test where the file cannot be written. */
void fake_names_set(const char *host, const char *text);

#endif
