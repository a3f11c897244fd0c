/*
 * Taking JSON apart without building a tree: a walk over the text that skips what it does not want, whatever the order of
 * members. Strings that matter here (ids, codes, our own texts) hold no escapes.
 */
#include "loadtest/frame.h"

#include <string.h>

enum { DEPTH_MAX = 32 };

struct walk {
    const char *at, *end;
    bool bad;
    int depth;
};

static char peek(struct walk *w)
{
    while (w->at < w->end && (*w->at == ' ' || *w->at == '\n' || *w->at == '\t' || *w->at == '\r'))
        w->at++;
    if (w->at == w->end || w->bad) {
        w->bad = true;
        return 0;
    }
    return *w->at;
}

static bool take(struct walk *w, char c)
{
    if (peek(w) != c)
        return false;
    w->at++;
    return true;
}

static struct ld_str string(struct walk *w)
{
    if (!take(w, '"')) {
        w->bad = true;
        return (struct ld_str){"", 0};
    }
    const char *begin = w->at;
    for (; w->at < w->end; w->at++) {
        if (*w->at == '"') {
            struct ld_str s = {begin, (size_t)(w->at - begin)};
            w->at++;
            return s;
        }
        if (*w->at == '\\')
            w->at++;
    }
    w->at = w->end;
    w->bad = true;
    return (struct ld_str){"", 0};
}

static uint64_t number(struct walk *w)
{
    uint64_t v = 0;
    (void)peek(w);
    const char *begin = w->at;
    for (; w->at < w->end && *w->at >= '0' && *w->at <= '9'; w->at++)
        v = v * 10 + (uint64_t)(*w->at - '0');
    w->bad |= w->at == begin;
    return v;
}

static bool truth(struct walk *w)
{
    if (peek(w) == 't' && w->end - w->at >= 4 && !memcmp(w->at, "true", 4)) {
        w->at += 4;
        return true;
    }
    if (!w->bad && *w->at == 'f' && w->end - w->at >= 5 && !memcmp(w->at, "false", 5))
        w->at += 5;
    else
        w->bad = true;
    return false;
}

/*
 * Members of an object: for (bool more = begin(w, '{'); more; more = next(w, '}')) { key = member(w); ... value ... }
 * Each value must be taken or skipped.
 */
static bool begin(struct walk *w, char open)
{
    if (!take(w, open) || w->depth >= DEPTH_MAX) {
        w->bad = true;
        return false;
    }
    if (take(w, open == '{' ? '}' : ']'))
        return false;
    w->depth++;
    return !w->bad;
}

static bool next(struct walk *w, char close)
{
    if (!w->bad && take(w, ','))
        return true;
    w->depth--;
    if (!take(w, close))
        w->bad = true;
    return false;
}

static struct ld_str member(struct walk *w)
{
    struct ld_str key = string(w);
    if (!take(w, ':'))
        w->bad = true;
    return key;
}

static void skip(struct walk *w)
{
    switch (peek(w)) {
    case '"':
        (void)string(w);
        break;
    case '{':
        for (bool more = begin(w, '{'); more; more = next(w, '}')) {
            (void)member(w);
            skip(w);
        }
        break;
    case '[':
        for (bool more = begin(w, '['); more; more = next(w, ']'))
            skip(w);
        break;
    default: /* number or word */
        while (w->at < w->end && !strchr(",]} \n\r\t", *w->at))
            w->at++;
    }
}

static struct ld_str text_of_body(struct walk *w)
{
    struct ld_str text = {"", 0};
    for (bool more = begin(w, '{'); more; more = next(w, '}')) {
        if (ld_is(member(w), "text"))
            text = string(w);
        else
            skip(w);
    }
    return text;
}

static void message(struct walk *w, struct ld_message *m)
{
    for (bool more = begin(w, '{'); more; more = next(w, '}')) {
        struct ld_str key = member(w);
        if (ld_is(key, "conv"))
            m->conv = string(w);
        else if (ld_is(key, "seq"))
            m->seq = number(w);
        else if (ld_is(key, "body"))
            m->text = text_of_body(w);
        else
            skip(w);
    }
}

static void conv_state(struct walk *w, struct ld_conv_state *c)
{
    for (bool more = begin(w, '{'); more; more = next(w, '}')) {
        struct ld_str key = member(w);
        if (ld_is(key, "conv"))
            c->conv = string(w);
        else if (ld_is(key, "last_seq"))
            c->last_seq = number(w);
        else
            skip(w);
    }
}

/* Members of hello, send, fetch, sync, ping, create, changed: names don't clash, so one table serves all. */
static void result(struct walk *w, struct ld_frame *f)
{
    for (bool more = begin(w, '{'); more; more = next(w, '}')) {
        struct ld_str key = member(w);
        if (ld_is(key, "conv")) {
            f->conv = string(w);
        } else if (ld_is(key, "seq")) {
            f->seq = number(w);
        } else if (ld_is(key, "cursor")) {
            f->cursor = string(w);
        } else if (ld_is(key, "more")) {
            f->more = truth(w);
        } else if (ld_is(key, "heartbeat_s")) {
            f->heartbeat_s = (uint32_t)number(w);
        } else if (ld_is(key, "messages")) {
            for (bool item = begin(w, '['); item; item = next(w, ']'))
                message(w, ld_frame_message(f));
        } else if (ld_is(key, "convs")) {
            for (bool item = begin(w, '['); item; item = next(w, ']'))
                conv_state(w, ld_frame_conv(f));
        } else {
            skip(w);
        }
    }
}

static void ok(struct walk *w, struct ld_frame *f)
{
    static const struct {
        const char *key;
        enum ld_what what;
    } kinds[] = {{"send", LD_OK_SEND}, {"fetch", LD_OK_FETCH},    {"hello", LD_OK_HELLO},    {"sync", LD_OK_SYNC},
                 {"ping", LD_OK_PING}, {"create", LD_OK_CHANGED}, {"changed", LD_OK_CHANGED}};
    f->what = LD_OTHER;
    for (bool more = begin(w, '{'); more; more = next(w, '}')) {
        struct ld_str key = member(w);
        size_t i = 0;
        while (i < sizeof kinds / sizeof kinds[0] && !ld_is(key, kinds[i].key))
            i++;
        if (i == sizeof kinds / sizeof kinds[0]) {
            skip(w);
            continue;
        }
        f->what = kinds[i].what;
        result(w, f);
    }
}

static void error(struct walk *w, struct ld_frame *f)
{
    for (bool more = begin(w, '{'); more; more = next(w, '}')) {
        struct ld_str key = member(w);
        if (ld_is(key, "code"))
            f->code = string(w);
        else if (ld_is(key, "text"))
            f->text = string(w);
        else if (ld_is(key, "retry"))
            f->retry = truth(w);
        else if (ld_is(key, "retry_after_ms"))
            f->retry_after_ms = number(w);
        else
            skip(w);
    }
}

void ld_take_json(const char *data, size_t len, struct ld_frame *f)
{
    struct walk w = {data, data + len, false, 0};
    f->what = LD_OTHER;
    for (bool more = begin(&w, '{'); more; more = next(&w, '}')) {
        struct ld_str key = member(&w);
        if (ld_is(key, "id")) {
            f->id = number(&w);
        } else if (ld_is(key, "message")) {
            f->what = LD_MESSAGE;
            message(&w, &f->message);
        } else if (ld_is(key, "ok")) {
            ok(&w, f);
        } else if (ld_is(key, "error")) {
            f->what = LD_ERROR;
            error(&w, f);
        } else if (ld_is(key, "bye")) {
            f->what = LD_BYE;
            error(&w, f);
        } else if (ld_is(key, "presence")) {
            f->what = LD_PRESENCE;
            skip(&w);
        } else {
            skip(&w);
        }
    }
    if (w.bad || w.at != w.end)
        f->what = LD_MALFORMED;
}
