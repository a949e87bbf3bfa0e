/* Cancelling messages by their request ids: all brokers are asked, since an id does not say where
 * its message lies.
 *
 * Threading: the program has one thread.
 */
#ifndef CLI_CANCEL_REQUESTS_H
#define CLI_CANCEL_REQUESTS_H

#include "cli/options.h"

/* Cancels the messages whose ids are the arguments behind the first two. Prints one line, or JSON
 * object, of each, and returns the exit code of the first that did not end, or CLI_DONE. */
int cli_cancel_requests(const cli_options_t *options);

#endif
