/* What model clients do when they have the leisure: send, mark, recall, edit, react, make groups and change them. */
#include "tests/sim/sim_client.h"

#include "common/base/alloc.h"

#include <stdio.h>
#include <string.h>

enum { OPEN_SENDS = 12 /* of a client */ };

int sim_open_sends(const struct sim_client *c)
{
    int n = 0;
    for (const struct sim_send *s = history.sends; s; s = s->next)
        n += s->client == c->number && s->outcome == SIM_OPEN;
    return n;
}

static void new_send(struct sim_client *c, int conv, bool to_user, Pigeon__ClientFrame__OpCase what, uint64_t target)
{
    if (conv < 0 || sim_open_sends(c) >= OPEN_SENDS)
        return;
    struct sim_send *s = pgn_calloc(1, sizeof *s);
    s->client = c->number;
    s->conv = conv;
    s->to_user = to_user;
    s->what = what;
    s->target = target;
    s->waits = true;
    snprintf(s->client_id, sizeof s->client_id, "m%d-%u", c->number, ++c->sends);
    size_t len = sim_rand(10) ? 1 + sim_rand(20) : 1 + sim_rand(sizeof s->text - 2);
    memset(s->text, 'a' + (int)sim_rand(26), len);
    *history.sends_end = s;
    history.sends_end = &s->next;
}

/* A conversation that this client knows, or -1. */
static int some_conv(const struct sim_client *c, bool group)
{
    int all[HISTORY_CONVS], count = 0;
    for (int i = 0; i < history.convs_count; i++) {
        const struct sim_view *v = &history.views[c->number][i];
        if (v->known && (v->member || !sim_rand(10)) && (!group || !pgn_conv_is_direct(history.convs[i].id)))
            all[count++] = i;
    }
    return count ? all[sim_rand((uint64_t)count)] : -1;
}

static void do_send(struct sim_client *c)
{
    char direct[PGN_CONV_MAX + 1];
    int conv = sim_rand(3) ? some_conv(c, sim_rand(2)) : -1;
    unsigned burst = sim_rand(4) ? 1 : 1 + (unsigned)sim_rand(6);
    bool to_user = conv < 0;
    if (to_user) {
        pgn_conv_direct(sim_user(sim_user_of(c)), sim_user((int)sim_rand(SIM_USERS)), direct);
        conv = history_conv(direct);
    }
    while (burst--)
        new_send(c, conv, to_user, PIGEON__CLIENT_FRAME__OP_SEND, 0);
    sim_send_waiting(c);
}

static void do_mark(struct sim_client *c)
{
    int conv = some_conv(c, false);
    struct request *r = conv < 0 || !history.views[c->number][conv].have ? NULL : sim_request_new(c, MARK);
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Mark mark = PIGEON__MARK__INIT;
    if (!r)
        return;
    r->conv = conv;
    r->read = 1 + sim_rand(history.views[c->number][conv].have);
    if (r->read > history.marks_max[sim_user_of(c)][conv])
        history.marks_max[sim_user_of(c)][conv] = r->read;
    mark.conv = history.convs[conv].id;
    mark.read = r->read;
    f.op_case = PIGEON__CLIENT_FRAME__OP_MARK;
    f.mark = &mark;
    sim_request_send(c, r, &f);
}

static void do_change(struct sim_client *c)
{
    static const Pigeon__ClientFrame__OpCase all[] = {PIGEON__CLIENT_FRAME__OP_RECALL, PIGEON__CLIENT_FRAME__OP_EDIT,
                                                      PIGEON__CLIENT_FRAME__OP_REACT};
    int conv = some_conv(c, false);
    if (conv < 0 || !history.views[c->number][conv].have)
        return;
    new_send(c, conv, false, all[sim_rand(PGN_COUNT(all))], 1 + sim_rand(history.views[c->number][conv].have));
    sim_send_waiting(c);
}

static void do_create(struct sim_client *c)
{
    struct request *r = sim_request_new(c, GROUP);
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Create create = PIGEON__CREATE__INIT;
    Pigeon__Settings settings = PIGEON__SETTINGS__INIT;
    char *members[SIM_USERS];
    if (!r)
        return;
    create.title = sim_chars("a group");
    create.members = members;
    create.settings = &settings;
    create.kind = PIGEON__CONV_KIND__group;
    settings.open = (int)sim_rand(2);
    settings.history = (int)sim_rand(2);
    settings.members_invite = (int)sim_rand(2);
    for (int i = 0; i < SIM_USERS; i++)
        if (sim_rand(2) && i != sim_user_of(c))
            members[create.n_members++] = sim_chars(sim_user(i));
    f.op_case = PIGEON__CLIENT_FRAME__OP_CREATE;
    f.create = &create;
    sim_request_send(c, r, &f);
}

/* Any group that anybody knows: those who may not are refused. */
static void do_group(struct sim_client *c)
{
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Invite invite = PIGEON__INVITE__INIT;
    Pigeon__Kick kick = PIGEON__KICK__INIT;
    Pigeon__SetRole role = PIGEON__SET_ROLE__INIT;
    Pigeon__ConvRef ref = PIGEON__CONV_REF__INIT;
    char *user = sim_chars(sim_user((int)sim_rand(SIM_USERS)));
    int conv = some_conv(c, true);
    if (conv < 0 && history.convs_count)
        conv = (int)sim_rand((uint64_t)history.convs_count);
    struct request *r = conv < 0 || pgn_conv_is_direct(history.convs[conv].id) ? NULL : sim_request_new(c, GROUP);
    if (!r)
        return;
    invite.conv = kick.conv = ref.conv = role.conv = history.convs[conv].id;
    kick.user = role.user = user;
    role.role = (Pigeon__Role)(1 + sim_rand(3));
    invite.users = &user;
    invite.n_users = 1;
    switch (sim_rand(9)) {
    case 0:
    case 1:
    case 2:
        f.op_case = PIGEON__CLIENT_FRAME__OP_INVITE;
        f.invite = &invite;
        break;
    case 3:
    case 4:
        f.op_case = PIGEON__CLIENT_FRAME__OP_KICK;
        f.kick = &kick;
        break;
    case 5:
        f.op_case = PIGEON__CLIENT_FRAME__OP_LEAVE;
        f.leave = &ref;
        break;
    case 6:
        f.op_case = PIGEON__CLIENT_FRAME__OP_ROLE;
        f.role = &role;
        break;
    default:
        f.op_case = PIGEON__CLIENT_FRAME__OP_JOIN;
        f.join = &ref;
        break;
    }
    sim_request_send(c, r, &f);
}

void sim_client_act(struct sim_client *c)
{
    uint64_t what = sim_rand(100);
    if (what < sim.knobs.churn)
        do_group(c);
    else if (what < 65)
        do_send(c);
    else if (what < 75)
        do_mark(c);
    else if (what < 82)
        do_change(c);
    else if (what < 86)
        do_create(c);
    else if (what < 90)
        c->sync_wanted = true;
}
