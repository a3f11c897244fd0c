/* Names and types of files on their way into and out of HTTP headers. Stateless. */
#ifndef API_HEADER_H
#define API_HEADER_H

#include "common/base/buf.h"

#include <stdbool.h>

enum { API_MIME_MAX = 127, API_FILE_NAME_CHARS = 255, API_FILE_NAME_BYTES = 255 };

/*
 * The type to keep for a Content-Type header: type/subtype in lower case, without parameters. application/octet-stream
 * for what is absent or not well formed, and for types that a browser might run (HTML, SVG, XML, scripts).
 */
void api_mime_of(const char *content_type, char ret_mime[API_MIME_MAX + 1]);

/*
 * A name that is safe to offer: separators and control characters become '_', leading dots too; "file" for nothing; at most
 * 255 bytes, cut between characters. In place; room for "file" is needed.
 */
void api_file_name_clean(char *name);

/* Content-Disposition's value: attachment, with the name for old clients and in RFC 5987's form. */
void api_disposition(const char *name, struct pgn_buf *out);

#endif
