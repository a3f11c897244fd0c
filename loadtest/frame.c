/* What both encodings share; see frame.h. */
#include "loadtest/frame.h"

#include "common/base/alloc.h"

#include <string.h>

static const char magic[] = "pl:";

static char *put_number(char *p, uint64_t v)
{
    char digits[20];
    int n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n)
        *p++ = digits[--n];
    *p++ = ':';
    return p;
}

size_t ld_text_put(char *out, size_t bytes, const struct ld_mark *mark)
{
    char *p = out;
    memcpy(p, magic, 3);
    p = put_number(p + 3, mark->run);
    p = put_number(p, mark->sender);
    p = put_number(p, mark->number);
    p = put_number(p, mark->intended_us);
    size_t used = (size_t)(p - out);
    if (bytes < used)
        return used;
    memset(p, 'x', bytes - used);
    return bytes;
}

static bool get_number(const char **p, const char *end, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    const char *at = *p;
    for (; at < end && *at >= '0' && *at <= '9' && v <= max; at++)
        v = v * 10 + (uint64_t)(*at - '0');
    if (at == *p || at == end || *at != ':' || v > max)
        return false;
    *p = at + 1;
    *ret = v;
    return true;
}

bool ld_text_get(const char *text, size_t len, struct ld_mark *ret)
{
    const char *p = text + 3, *end = text + len;
    uint64_t run, sender, number, intended;
    if (len < 3 || memcmp(text, magic, 3) != 0)
        return false;
    if (!get_number(&p, end, UINT32_MAX, &run) || !get_number(&p, end, UINT32_MAX - 1, &sender) ||
        !get_number(&p, end, UINT32_MAX, &number) || !get_number(&p, end, INT64_MAX / 16, &intended))
        return false;
    *ret = (struct ld_mark){(uint32_t)run, (uint32_t)sender, (uint32_t)number, intended};
    return true;
}

bool ld_is(struct ld_str s, const char *word)
{
    return s.len == strlen(word) && (!s.len || !memcmp(s.p, word, s.len)); /* s.p may be NULL when it is empty */
}

struct ld_message *ld_frame_message(struct ld_frame *f)
{
    if (f->message_count == f->message_cap) {
        f->message_cap = f->message_cap ? f->message_cap * 2 : 64;
        f->messages = pgn_realloc(f->messages, f->message_cap * sizeof *f->messages);
    }
    struct ld_message *m = &f->messages[f->message_count++];
    *m = (struct ld_message){0};
    return m;
}

struct ld_conv_state *ld_frame_conv(struct ld_frame *f)
{
    if (f->conv_count == f->conv_cap) {
        f->conv_cap = f->conv_cap ? f->conv_cap * 2 : 64;
        f->convs = pgn_realloc(f->convs, f->conv_cap * sizeof *f->convs);
    }
    struct ld_conv_state *c = &f->convs[f->conv_count++];
    *c = (struct ld_conv_state){0};
    return c;
}

void ld_take(const struct ld_codec *k, const void *data, size_t len, struct ld_frame *f)
{
    struct ld_message *messages = f->messages;
    struct ld_conv_state *convs = f->convs;
    *f = (struct ld_frame){.messages = messages, .message_cap = f->message_cap, .convs = convs, .conv_cap = f->conv_cap};
    if (k->proto)
        ld_take_proto(data, len, f);
    else
        ld_take_json(data, len, f);
}
