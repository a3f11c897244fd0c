/* Reading and printing messages, for history and tail. */
#ifndef CLI_TALK_H
#define CLI_TALK_H

#include "clients/cli/cli.h"

/* A page of a conversation, as an administrator reads it; fetch->conv is borrowed. CLI_OK, or an exit code after saying why. */
int cli_fetch(struct cli *c, Pigeon__Fetch *fetch, Pigeon__Page **ret_page) PGN_MUST_USE;
void cli_put_chat(struct cli *c, const Pigeon__Message *m);
/* False after saying what is wrong. */
bool cli_conv_ok(struct cli *c, const char *conv);

#endif
