/* File names and types; see header.h. */
#include "services/api/header.h"

#include "common/base/compiler.h"

#include <stdio.h>
#include <string.h>

static const char unknown_type[] = "application/octet-stream";

/* RFC 6838's restricted names, in lower case. */
static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("!#$&^_.+-", c));
}

static bool well_formed(const char *mime)
{
    const char *slash = strchr(mime, '/');
    if (!slash || slash == mime || !slash[1])
        return false;
    for (const char *p = mime; *p; p++)
        if (p != slash && !name_char(*p))
            return false;
    return true;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* What a browser would give a document or script context to. */
static bool active(const char *mime)
{
    static const char *const types[] = {"text/html", "text/xml", "application/xml", "text/xsl"};
    for (size_t i = 0; i < PGN_COUNT(types); i++)
        if (!strcmp(mime, types[i]))
            return true;
    return ends_with(mime, "+xml") || strstr(mime, "javascript") || strstr(mime, "ecmascript") || !strncmp(mime, "message/", 8);
}

void api_mime_of(const char *content_type, char ret_mime[API_MIME_MAX + 1])
{
    size_t n = 0;
    const char *p = content_type ? content_type : "";
    p += strspn(p, " \t");
    size_t len = strcspn(p, "; \t,");
    for (; n < len && n < API_MIME_MAX; n++)
        ret_mime[n] = p[n] >= 'A' && p[n] <= 'Z' ? (char)(p[n] + 32) : p[n];
    ret_mime[n] = 0;
    if (len > API_MIME_MAX || !well_formed(ret_mime) || active(ret_mime))
        memcpy(ret_mime, unknown_type, sizeof unknown_type);
}

/* Writing direction: U+202A-202E and U+2066-2069 would let "gpj.exe" look like "exe.jpg". */
static bool turns_direction(const unsigned char *p)
{
    return p[0] == 0xe2 && ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

void api_file_name_clean(char *name)
{
    for (unsigned char *p = (unsigned char *)name; *p; p++) {
        if (*p < 0x20 || *p == 0x7f || *p == '/' || *p == '\\') {
            *p = '_';
        } else if (turns_direction(p)) {
            memset(p, '_', 3);
            p += 2;
        }
    }
    for (char *p = name; *p == '.'; p++)
        *p = '_';
    size_t len = strlen(name);
    if (len > API_FILE_NAME_BYTES) {
        len = API_FILE_NAME_BYTES;
        while (len && ((unsigned char)name[len] & 0xc0) == 0x80)
            len--;
        name[len] = 0;
    }
    if (!*name)
        memcpy(name, "file", 5);
}

/* attr-char of RFC 5987. */
static bool attr_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("!#$&+-.^_`|~", c));
}

void api_disposition(const char *name, struct pgn_buf *out)
{
    pgn_buf_append_str(out, "attachment; filename=\"");
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
        if (*p >= 0x80 && (*p & 0xc0) == 0x80)
            continue; /* one '_' a character */
        bool plain = *p >= 0x20 && *p < 0x7f && !strchr("\"\\%/", *p);
        pgn_buf_append_byte(out, plain ? *p : '_');
    }
    pgn_buf_append_str(out, "\"; filename*=UTF-8''");
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
        if (attr_char(*p))
            pgn_buf_append_byte(out, *p);
        else
            pgn_buf_printf(out, "%%%02X", *p);
    }
}
