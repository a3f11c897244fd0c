/* send and history. */
#include "clients/cli/talk.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/base/utf8.h"
#include "common/proto/message_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEND_MS = 15000, TEXT_MAX = 1 << 20, PAGE = 200 };

bool cli_conv_ok(struct cli *c, const char *conv)
{
    if (pgn_conv_valid(conv))
        return true;
    (void)cli_fail(c, CLI_USAGE,
                   "\"%s\" is no conversation: a group's id is c and 16 letters or digits, a direct one's d:alice:bob (in byte order)",
                   conv);
    return false;
}

/* TEXT, or all of standard input for "-"; NULL after saying what is wrong. Caller frees. */
static char *text_of(struct cli *c, const char *text)
{
    if (strcmp(text, "-") != 0)
        return pgn_strdup(text);
    char *all = pgn_malloc(TEXT_MAX + 1);
    size_t len = fread(all, 1, TEXT_MAX, stdin);
    while (len && all[len - 1] == '\n')
        len--;
    all[len] = 0;
    if (!len || strlen(all) != len || !pgn_utf8_valid(all, len)) {
        free(all);
        (void)cli_fail(c, CLI_USAGE, "standard input holds no UTF-8 text");
        return NULL;
    }
    return all;
}

static void put_sent(struct cli *c, const Pigeon__Sent *sent)
{
    if (c->json)
        cli_put_message(&sent->base);
    else
        printf("%s #%" PRIu64 "\n", sent->conv, sent->seq);
}

int cli_send(struct cli *c)
{
    static char device[] = "cli";
    const char *from = c->args[0], *to = c->args[1], *key = cli_value(c, "client-id");
    if (!cli_user_ok(c, from) || (!pgn_conv_valid(to) && !cli_user_ok(c, to)))
        return CLI_USAGE;
    if (key && !pgn_client_id_valid(key))
        return cli_fail(c, CLI_USAGE, "--client-id is 1 to 64 printable characters without spaces");
    int code = cli_connect(c);
    char *text = code ? NULL : text_of(c, c->args[2]);
    if (!text)
        return code ? code : CLI_USAGE;
    char made[PGN_ULID_LEN + 1];
    pgn_ulid(pgn_wall_ms(), made);
    Pigeon__Target target = PIGEON__TARGET__INIT;
    char *own_to = pgn_strdup(to), *own_from = pgn_strdup(from), *own_key = pgn_strdup(key ? key : made);
    target.to_case = pgn_conv_valid(to) ? PIGEON__TARGET__TO_CONV : PIGEON__TARGET__TO_USER;
    target.user = own_to; /* the same place in the union as conv */
    Pigeon__Body body = PIGEON__BODY__INIT;
    body.text = text;
    Pigeon__Send send = PIGEON__SEND__INIT;
    send.to = &target;
    send.client_id = own_key;
    send.kind = PIGEON__KIND__text;
    send.body = &body;
    Pigeon__BatchItem item = PIGEON__BATCH_ITEM__INIT;
    item.user = own_from;
    item.device = device;
    item.what_case = PIGEON__BATCH_ITEM__WHAT_SEND;
    item.send = &send;
    Pigeon__ItemResult *result = NULL;
    struct pgn_rpc_problem problem = {0};
    int e = pgn_message_item_sync(c->bus, &item, SEND_MS, c->arena, &result, &problem);
    if (e)
        code = cli_fail_call(c, e, &problem, "the message was not sent");
    else if (!result->sent)
        code = cli_fail(c, CLI_DOUBT, "the answer does not say where the message is: look with `pigeon history`");
    else
        put_sent(c, result->sent);
    free(text);
    free(own_to);
    free(own_from);
    free(own_key);
    return code;
}

int cli_fetch(struct cli *c, Pigeon__Fetch *fetch, Pigeon__Page **ret_page)
{
    Pigeon__FetchConv what = PIGEON__FETCH_CONV__INIT;
    what.fetch = fetch;
    what.first_seq = 1;
    Pigeon__AdminRequest request = PIGEON__ADMIN_REQUEST__INIT;
    request.what_case = PIGEON__ADMIN_REQUEST__WHAT_FETCH;
    request.fetch = &what;
    Pigeon__Reply *reply = NULL;
    struct pgn_rpc_problem problem = {0};
    int e = pgn_storage_admin_sync(c->bus, &request, PGN_STORAGE_TIMEOUT_MS, c->arena, &reply, &problem);
    if (e == PGN_E_NOT_FOUND)
        return cli_fail(c, CLI_FAILED, "there is no conversation %s, or nobody has written there yet", fetch->conv);
    if (e)
        return cli_fail_read(c, e, &problem, "no history");
    if (!reply->ok || reply->ok->result_case != PIGEON__OK__RESULT_FETCH)
        return cli_fail(c, CLI_FAILED, "storage answered with something else than messages");
    *ret_page = reply->ok->fetch;
    return CLI_OK;
}

static const char *word_of(const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);
    return v ? v->name : "?";
}

static void put_body(const Pigeon__Message *m)
{
    const Pigeon__Body *b = m->body;
    if (m->recalled) {
        fputs("(recalled)", stdout);
        return;
    }
    if (m->kind != PIGEON__KIND__text)
        printf("[%s", word_of(&pigeon__kind__descriptor, (int)m->kind));
    if (b && b->operation) {
        const Pigeon__Operation *op = b->operation;
        printf(" %s", word_of(&pigeon__op__descriptor, (int)op->op));
        if (op->seq)
            printf(" #%" PRIu64, op->seq);
        for (size_t i = 0; i < op->n_users && i < 10; i++)
            printf(" %s", op->users[i]);
        if (op->n_users > 10)
            printf(" and %zu more", op->n_users - 10);
        if (*op->emoji || *op->title)
            putchar(' ');
        cli_put_text(op->emoji);
        cli_put_text(op->title);
    } else if (b && b->file) {
        putchar(' ');
        cli_put_text(b->file->name);
    }
    if (m->kind != PIGEON__KIND__text)
        putchar(']');
    if (b && *b->text) {
        if (m->kind != PIGEON__KIND__text)
            putchar(' ');
        cli_put_text(b->text);
    }
}

void cli_put_chat(struct cli *c, const Pigeon__Message *m)
{
    char when[32];
    if (c->json) {
        cli_put_message(&m->base);
        return;
    }
    printf("#%-6" PRIu64 " %s  %s: ", m->seq, cli_time(m->sent_at, when, sizeof when), m->from);
    put_body(m);
    if (m->edited_at)
        fputs(" (edited)", stdout);
    putchar('\n');
}

/* Pages upward from fetch->after. */
static int put_after(struct cli *c, Pigeon__Fetch *fetch, uint64_t limit)
{
    while (limit) {
        Pigeon__Page *page = NULL;
        fetch->limit = (uint32_t)(limit < PAGE ? limit : PAGE);
        int code = cli_fetch(c, fetch, &page);
        if (code)
            return code;
        for (size_t i = 0; i < page->n_messages; i++)
            cli_put_chat(c, page->messages[i]);
        if (!page->n_messages || !page->more)
            return CLI_OK;
        limit -= page->n_messages < limit ? page->n_messages : limit;
        fetch->after = page->messages[page->n_messages - 1]->seq;
        pgn_arena_reset(c->arena);
    }
    return CLI_OK;
}

/* The newest `limit` below fetch->before: pages downward, printed in ascending order. */
static int put_newest(struct cli *c, Pigeon__Fetch *fetch, uint64_t limit)
{
    size_t pages = (size_t)(limit + PAGE - 1) / PAGE, got = 0;
    Pigeon__Page **held = pgn_calloc(pages, sizeof(void *));
    int code = CLI_OK;
    while (limit && got < pages) {
        fetch->limit = (uint32_t)(limit < PAGE ? limit : PAGE);
        code = cli_fetch(c, fetch, &held[got]);
        if (code || !held[got]->n_messages)
            break;
        const Pigeon__Page *page = held[got++];
        limit -= page->n_messages < limit ? page->n_messages : limit;
        fetch->before = page->messages[0]->seq;
        if (!page->more || fetch->before <= 1)
            break;
    }
    while (!code && got--)
        for (size_t i = 0; i < held[got]->n_messages; i++)
            cli_put_chat(c, held[got]->messages[i]);
    free(held);
    return code;
}

int cli_history(struct cli *c)
{
    uint64_t limit, after, before;
    if (!cli_number(c, "limit", 50, 1, 1000000, &limit) || !cli_number(c, "after", 0, 0, UINT64_MAX, &after) ||
        !cli_number(c, "before", 0, 1, UINT64_MAX, &before) || !cli_conv_ok(c, c->args[0]))
        return CLI_USAGE;
    if (cli_has(c, "after") && before)
        return cli_fail(c, CLI_USAGE, "--after or --before, not both");
    int code = cli_connect(c);
    if (code)
        return code;
    char *conv = pgn_strdup(c->args[0]);
    Pigeon__Fetch fetch = PIGEON__FETCH__INIT;
    fetch.conv = conv;
    fetch.before = before;
    fetch.after = after;
    code = cli_has(c, "after") && after ? put_after(c, &fetch, limit) : put_newest(c, &fetch, limit);
    free(conv);
    return code;
}
