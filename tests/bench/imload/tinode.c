/*
 * imload's client of Tinode's protocol, version 0.22: JSON in WebSocket frames. {hi}, {login} by token and {sub}, each answered by a
 * {ctrl}; then {pub}, answered by {ctrl 202} when it is stored, and {data}. A sender's loop is closed by that {ctrl}.
 *
 * A silent user is attached to its "me" topic, a talking one only to the topic it talks in.
 */
#include "tests/bench/imload/imload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GREETING = WS_UPGRADING + 1, LOGGING, JOINING, TALKING };
enum { OK = 200, ACCEPTED = 202, REFUSALS = 400, LOCKED = 503 };

static void start(struct user *u)
{
    char path[256];
    snprintf(path, sizeof path, "/v0/channels?apikey=%s", set.key);
    ws_start(u, path);
}

static void say(struct user *u, const char *what, const char *fields)
{
    char s[1024];
    int n = snprintf(s, sizeof s, "{\"%s\":{\"id\":\"%u\",%s}}", what, ++u->next_packet, fields);
    ws_frame(u, WS_TEXT, s, (size_t)n);
}

static void greet(struct user *u)
{
    say(u, "hi", "\"ver\":\"0.22\"");
    u->step = GREETING;
    flush(u);
}

/* A line of IMLOAD_PASSWORDS is a user's id, a blank, its token. */
static void log_in(struct user *u)
{
    char s[512];
    const char *blank = strchr(password_of(u), ' ');
    snprintf(s, sizeof s, "\"scheme\":\"token\",\"secret\":\"%s\"", blank ? blank + 1 : "");
    say(u, "login", s);
    u->step = LOGGING;
}

static void topic_of(char *out, size_t size, int peer)
{
    const char *line = password_of(&load.user[peer]);
    if (set.mode == FANOUT)
        snprintf(out, size, "%s", set.post);
    else
        snprintf(out, size, "%.*s", (int)strcspn(line, " "), line);
}

static void join(struct user *u)
{
    char topic[64] = "me", s[96];
    if (set.mode != IDLE)
        topic_of(topic, sizeof topic, u->id ^ 1);
    snprintf(s, sizeof s, "\"topic\":\"%s\"", topic);
    say(u, "sub", s);
    u->step = JOINING;
}

static void send_message(struct user *u, int to, uint64_t when)
{
    char s[768], topic[64], body[512];
    topic_of(topic, sizeof topic, to);
    stamped_body(body, sizeof body, u, when);
    snprintf(s, sizeof s, "\"topic\":\"%s\",\"noecho\":true,\"content\":\"%s\"", topic, body);
    say(u, "pub", s);
}

static void ping(struct user *u)
{
    ws_frame(u, WS_TEXT, "1", 1); /* its own probe, answered by "0" */
}

static int control(struct user *u, const char *text, size_t n)
{
    const char *found = memmem(text, n, "\"code\":", 7);
    int code = found ? atoi(found + 7) : 0;
    if (u->step == JOINING && code == LOCKED) {
        join(u); /* the topic is being loaded: its first user is not in yet */
        return 0;
    }
    if (code < OK || code >= REFUSALS)
        return refused(u, text, n);
    if (u->step == GREETING) {
        log_in(u);
    } else if (u->step == LOGGING) {
        join(u);
    } else if (u->step == JOINING) {
        u->step = TALKING;
        user_ready(u);
    } else if (code == ACCEPTED) {
        message_acked(u);
    } else {
        return refused(u, text, n); /* detached */
    }
    return 0;
}

/* Of presence ({pres}) and the probe's answer nothing is needed. */
static int packet(struct user *u, const char *text, size_t n)
{
    if (n > 7 && !memcmp(text, "{\"ctrl\"", 7))
        return control(u, text, n);
    if (n > 7 && !memcmp(text, "{\"data\"", 7))
        message_read(u, text, n);
    return 0;
}

static int read_frames(struct user *u)
{
    return ws_read(u, greet, packet);
}

const struct protocol im_tinode = {"tinode", start, read_frames, send_message, ping, NULL};
