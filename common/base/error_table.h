/*
 * The errors of Pigeon, one row each: name, number, wire code, HTTP status, WebSocket close code, retryable, text.
 * Include with PGN_ERROR defined. The first block is what clients may see; a row of the second block is
 * shown to clients under the wire code that stands in it.
 */
PGN_ERROR(INVALID, 1, "invalid", 400, 4400, false, "the request is not well formed")
PGN_ERROR(UNAUTHENTICATED, 2, "unauthenticated", 401, 4401, false, "no valid token: log in")
PGN_ERROR(FORBIDDEN, 3, "forbidden", 403, 4403, false, "not allowed")
PGN_ERROR(NOT_FOUND, 4, "not_found", 404, 4404, false, "not found")
PGN_ERROR(CONFLICT, 5, "conflict", 409, 4409, false, "it exists already or was changed by someone else")
PGN_ERROR(TOO_LARGE, 6, "too_large", 413, 4413, false, "too large")
PGN_ERROR(RATE_LIMITED, 7, "rate_limited", 429, 4429, true, "too many requests: wait and retry")
PGN_ERROR(OVERLOADED, 8, "overloaded", 503, 4503, true, "the server is busy: wait and retry")
PGN_ERROR(UNAVAILABLE, 9, "unavailable", 503, 4503, true, "not available now; nothing was stored: retry")
PGN_ERROR(UNCERTAIN, 10, "uncertain", 504, 4504, true, "it may have been stored: retry with the same client_id")
PGN_ERROR(INTERNAL, 11, "internal", 500, 4500, false, "a fault of the server's; the log says more")

PGN_ERROR(STALE, 20, "unavailable", 503, 4503, true, "checked against an older state: check again")
PGN_ERROR(TIMEOUT, 21, "uncertain", 504, 4504, true, "no answer in time")
PGN_ERROR(FULL, 22, "overloaded", 503, 4503, true, "a queue is full")
PGN_ERROR(IO, 23, "unavailable", 503, 4503, true, "a disk or network error")
PGN_ERROR(CORRUPT, 24, "internal", 500, 4500, false, "stored data is damaged")
PGN_ERROR(BUSY, 25, "unavailable", 503, 4503, true, "in use by another process")
PGN_ERROR(SYNTAX, 26, "invalid", 400, 4400, false, "not well-formed data")
PGN_ERROR(NO_RESPONDERS, 27, "unavailable", 503, 4503, true, "no service answers: it may be restarting")
