#include "common/proto/json_text.h"

#include "common/base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

char json_text_peek(struct json_text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\n' || *t->at == '\t' || *t->at == '\r'))
        t->at++;
    return t->at < t->end ? *t->at : 0;
}

bool json_text_take(struct json_text *t, char c)
{
    if (json_text_peek(t) != c || t->at == t->end)
        return false;
    t->at++;
    return true;
}

bool json_text_open(struct json_text *t, char c)
{
    if (t->depth <= 0) {
        t->depth = -1;
        return false;
    }
    t->depth--;
    return json_text_take(t, c);
}

bool json_text_more(struct json_text *t, bool first, char closing, bool *ret_more)
{
    char c = json_text_peek(t);

    if (c == closing) {
        t->at++;
        t->depth++;
        *ret_more = false;
        return true;
    }
    *ret_more = true;
    return first || json_text_take(t, ',');
}

bool json_text_word(struct json_text *t, const char *word)
{
    size_t len = strlen(word);

    json_text_peek(t);
    if ((size_t)(t->end - t->at) < len || memcmp(t->at, word, len) != 0)
        return false;
    t->at += len;
    return true;
}

/* ---- strings ---- */

/* Set in a byte of the result that is below 0x20, a quote or a backslash; what stands above such a byte may be wrong. */
static uint64_t special(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';

    return ((word - ones * 0x20) | (quote - ones) | (backslash - ones)) & ~word & highs;
}

/* Behind an opening quote: to the next quote, backslash or control character. */
static const char *plain_end(const char *p, const char *end)
{
    uint64_t word;

    for (; end - p >= 8; p += 8) {
        memcpy(&word, p, 8);
        if (special(word))
            break;
    }
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
        p++;
    return p;
}

static bool hex4(struct json_text *t, uint32_t *ret_v)
{
    uint32_t v = 0;

    if (t->end - t->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *t->at++;
        char lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            v = v << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return false;
    }
    *ret_v = v;
    return true;
}

static size_t utf8_of(uint32_t c, char *to)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Behind \u: the character, of both halves where it takes two. */
static bool unicode_escape(struct json_text *t, char *to, size_t *ret_len)
{
    uint32_t c, low;

    if (!hex4(t, &c) || c == 0 || (c >= 0xdc00 && c < 0xe000))
        return false;
    if (c >= 0xd800 && c < 0xdc00) {
        if (t->end - t->at < 2 || t->at[0] != '\\' || t->at[1] != 'u')
            return false;
        t->at += 2;
        if (!hex4(t, &low) || low < 0xdc00 || low >= 0xe000)
            return false;
        c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
    }
    *ret_len = utf8_of(c, to);
    return true;
}

/* Behind a backslash. */
static bool escape(struct json_text *t, char *to, size_t *ret_len)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *found;

    if (t->at == t->end)
        return false;
    if (*t->at == 'u') {
        t->at++;
        return unicode_escape(t, to, ret_len);
    }
    found = *t->at ? strchr(letters, *t->at) : NULL;
    if (!found)
        return false;
    t->at++;
    *to = meanings[found - letters];
    *ret_len = 1;
    return true;
}

/* The piece up to the next quote or escape; copied when to is not NULL. */
static bool plain_piece(struct json_text *t, char *to, size_t *ret_len)
{
    const char *end = plain_end(t->at, t->end);

    *ret_len = (size_t)(end - t->at);
    if (!pgn_utf8_valid(t->at, *ret_len))
        return false;
    if (to)
        memcpy(to, t->at, *ret_len);
    t->at = end;
    return true;
}

/* To behind the closing quote. to: room for what is left of the text, or NULL to skip. */
static bool string_rest(struct json_text *t, char *to, size_t *ret_len)
{
    char nowhere[4] = {0};
    size_t len = 0, n;

    for (;;) {
        if (!plain_piece(t, to ? to + len : NULL, &n))
            return false;
        len += n;
        if (t->at == t->end || (*t->at != '"' && *t->at != '\\'))
            return false;
        if (*t->at++ == '"')
            break;
        if (!escape(t, to ? to + len : nowhere, &n))
            return false;
        len += n;
    }
    *ret_len = len;
    return true;
}

bool json_text_string(struct json_text *t, struct pgn_arena *arena, char **ret_s, size_t *ret_len)
{
    struct json_text ahead;
    char *s;

    if (!json_text_take(t, '"'))
        return false;
    ahead = *t; /* an escape is never shorter than what it stands for: the text's length is enough */
    for (ahead.at = plain_end(ahead.at, ahead.end); ahead.at < ahead.end && *ahead.at == '\\'; ahead.at = plain_end(ahead.at, ahead.end))
        ahead.at += ahead.end - ahead.at >= 2 ? 2 : 1;
    s = pgn_arena_alloc(arena, (size_t)(ahead.at - t->at) + 1);
    if (!string_rest(t, s, ret_len))
        return false;
    s[*ret_len] = 0;
    *ret_s = s;
    return true;
}

/* ---- numbers ---- */

static size_t digits(struct json_text *t)
{
    const char *from = t->at;

    while (t->at < t->end && *t->at >= '0' && *t->at <= '9')
        t->at++;
    return (size_t)(t->at - from);
}

/* The grammar of RFC 8259, section 6. */
static bool number_form(struct json_text *t, bool *ret_integer)
{
    *ret_integer = true;
    if (t->at < t->end && *t->at == '-')
        t->at++;
    if (t->at < t->end && *t->at == '0')
        t->at++;
    else if (digits(t) == 0)
        return false;
    if (t->at < t->end && *t->at == '.') {
        t->at++;
        *ret_integer = false;
        if (digits(t) == 0)
            return false;
    }
    if (t->at < t->end && (*t->at == 'e' || *t->at == 'E')) {
        t->at++;
        *ret_integer = false;
        if (t->at < t->end && (*t->at == '+' || *t->at == '-'))
            t->at++;
        if (digits(t) == 0)
            return false;
    }
    return true;
}

static void integer_value(const char *p, const char *end, struct json_number *n)
{
    bool negative = *p == '-';

    for (p += negative; p < end; p++) {
        int digit = *p - '0';
        if (__builtin_mul_overflow(n->i, 10, &n->i) || __builtin_sub_overflow(n->i, digit, &n->i)) {
            n->too_big = true;
            return;
        }
    }
    if (!negative && __builtin_sub_overflow(0, n->i, &n->i)) /* counted down: the negative side is the longer one */
        n->too_big = true;
    n->d = (double)n->i;
}

bool json_text_number(struct json_text *t, struct pgn_arena *arena, struct json_number *ret_n)
{
    struct json_number n = {0};
    const char *from;
    char *copy;
    size_t len;

    json_text_peek(t);
    from = t->at;
    if (!number_form(t, &n.integer))
        return false;
    if (n.integer) {
        integer_value(from, t->at, &n);
    } else {
        len = (size_t)(t->at - from);
        copy = pgn_arena_alloc(arena, len + 1); /* strtod wants an end */
        memcpy(copy, from, len);
        copy[len] = 0;
        n.d = strtod(copy, NULL);
        n.too_big = !isfinite(n.d);
    }
    *ret_n = n;
    return true;
}

/* ---- whatever comes ---- */

static bool skip_members(struct json_text *t, char closing)
{
    bool more;
    size_t len;

    for (bool first = true;; first = false) {
        if (!json_text_more(t, first, closing, &more))
            return false;
        if (!more)
            return true;
        if (closing == '}' && (!json_text_take(t, '"') || !string_rest(t, NULL, &len) || !json_text_take(t, ':')))
            return false;
        if (!json_text_skip(t))
            return false;
    }
}

bool json_text_skip(struct json_text *t)
{
    bool integer;
    size_t len;

    switch (json_text_peek(t)) {
    case '{':
        return json_text_open(t, '{') && skip_members(t, '}');
    case '[':
        return json_text_open(t, '[') && skip_members(t, ']');
    case '"':
        t->at++;
        return string_rest(t, NULL, &len);
    case 't':
        return json_text_word(t, "true");
    case 'f':
        return json_text_word(t, "false");
    case 'n':
        return json_text_word(t, "null");
    default:
        return number_form(t, &integer);
    }
}
