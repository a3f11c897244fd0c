/* Taking protobuf apart; see frame.h. */
#include "loadtest/frame.h"

#include "common/proto/pb.h"

#include <string.h>

static struct ld_str str(const char *s)
{
    return (struct ld_str){s, strlen(s)};
}

static void message(const Pigeon__Message *from, struct ld_message *m)
{
    m->conv = str(from->conv);
    m->seq = from->seq;
    m->text = str(from->body ? from->body->text : "");
}

static void ok(const Pigeon__Ok *from, struct ld_frame *f)
{
    f->what = LD_OTHER;
    if (from->result_case == PIGEON__OK__RESULT_SEND) {
        f->what = LD_OK_SEND;
        f->conv = str(from->send->conv);
        f->seq = from->send->seq;
    } else if (from->result_case == PIGEON__OK__RESULT_FETCH) {
        f->what = LD_OK_FETCH;
        f->more = from->fetch->more;
        for (size_t i = 0; i < from->fetch->n_messages; i++)
            message(from->fetch->messages[i], ld_frame_message(f));
    } else if (from->result_case == PIGEON__OK__RESULT_HELLO) {
        f->what = LD_OK_HELLO;
        f->cursor = str(from->hello->cursor);
        f->heartbeat_s = from->hello->heartbeat_s;
    } else if (from->result_case == PIGEON__OK__RESULT_SYNC) {
        f->what = LD_OK_SYNC;
        f->cursor = str(from->sync->cursor);
        f->more = from->sync->more;
        for (size_t i = 0; i < from->sync->n_convs; i++)
            *ld_frame_conv(f) = (struct ld_conv_state){str(from->sync->convs[i]->conv), from->sync->convs[i]->last_seq};
    } else if (from->result_case == PIGEON__OK__RESULT_PING) {
        f->what = LD_OK_PING;
        f->cursor = str(from->ping->cursor);
    } else if (from->result_case == PIGEON__OK__RESULT_CREATE || from->result_case == PIGEON__OK__RESULT_CHANGED) {
        f->what = LD_OK_CHANGED;
        f->conv = str(from->create->conv); /* the same type in the same place as changed */
    }
}

void ld_take_proto(const void *data, size_t len, struct ld_frame *f)
{
    static struct pgn_arena *arena;
    if (!arena)
        arena = pgn_arena_new(65536);
    pgn_arena_reset(arena);
    const Pigeon__ServerFrame *s = PGN_PB_UNPACK(Pigeon__ServerFrame, pigeon__server_frame, arena, data, len);
    f->what = LD_MALFORMED;
    if (!s)
        return;
    f->id = s->id;
    f->what = LD_OTHER;
    if (s->what_case == PIGEON__SERVER_FRAME__WHAT_MESSAGE) {
        f->what = LD_MESSAGE;
        message(s->message, &f->message);
    } else if (s->what_case == PIGEON__SERVER_FRAME__WHAT_OK) {
        ok(s->ok, f);
    } else if (s->what_case == PIGEON__SERVER_FRAME__WHAT_ERROR) {
        f->what = LD_ERROR;
        f->code = str(s->error->code);
        f->text = str(s->error->text);
        f->retry = s->error->retry;
        f->retry_after_ms = s->error->retry_after_ms;
    } else if (s->what_case == PIGEON__SERVER_FRAME__WHAT_BYE) {
        f->what = LD_BYE;
        f->code = str(s->bye->code);
        f->retry_after_ms = s->bye->retry_after_ms;
    } else if (s->what_case == PIGEON__SERVER_FRAME__WHAT_PRESENCE) {
        f->what = LD_PRESENCE;
    }
}
