/* Losses of clients; see gw_loss.h. */
#include "services/gateway/gw_loss.h"

static bool later(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

uint32_t gw_loss_asked(struct gateway *gw)
{
    gw->loss_asked = true;
    if (gw->loss_clock - gw->loss_all > GW_LOSS_FAR)
        gw->loss_all = gw->loss_clock - GW_LOSS_FAR; /* who synced before that does so once more */
    return gw->loss_clock;
}

void gw_loss_begin(struct gw_conn *c)
{
    c->lost = c->synced = gw_loss_asked(c->gw);
}

/* However much is lost: the clock moves once between two who look at it. */
static void move_clock(struct gateway *gw)
{
    if (!gw->loss_asked)
        return;
    gw->loss_asked = false;
    gw->loss_clock++;
}

void gw_loss_own(struct gw_conn *c)
{
    move_clock(c->gw);
    c->lost = c->gw->loss_clock;
}

void gw_loss_everybody(struct gateway *gw)
{
    move_clock(gw);
    gw->loss_all = gw->loss_clock;
}

void gw_loss_mended(struct gw_conn *c, uint32_t asked)
{
    if (later(asked, c->synced))
        c->synced = asked;
    if (!later(c->lost, c->synced))
        c->lost = c->synced;
}

bool gw_loss_must_sync(const struct gw_conn *c)
{
    return later(c->gw->loss_all, c->synced) || later(c->lost, c->synced);
}
