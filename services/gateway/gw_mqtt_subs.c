/* Subscriptions; see gw_mqtt_subs.h. */
#include "services/gateway/gw_mqtt_subs.h"

#include "common/base/alloc.h"

#include <stdlib.h>
#include <string.h>

static bool is(struct gw_mqtt_str s, const char *word)
{
    return s.len == strlen(word) && memcmp(s.data, word, s.len) == 0;
}

/* Cuts the first level off; false when there is none left. */
static bool level(struct gw_mqtt_str *rest, struct gw_mqtt_str *ret)
{
    if (!rest->data)
        return false;
    const char *slash = rest->len ? memchr(rest->data, '/', rest->len) : NULL;
    *ret = *rest;
    if (!slash) {
        *rest = (struct gw_mqtt_str){0};
        return true;
    }
    ret->len = (size_t)(slash - rest->data);
    rest->len -= ret->len + 1;
    rest->data = slash + 1;
    return true;
}

/* The last level: + for anybody, or a name that is valid where it stands. */
static enum gw_mqtt_reason last_level(struct gw_mqtt_str *rest, struct gw_mqtt_parsed *p)
{
    struct gw_mqtt_str name = {0}, more;
    if (!level(rest, &name) || level(rest, &more))
        return GW_MQTT_NOT_AUTHORIZED;
    if (is(name, "+") || is(name, "#"))
        return p->places == GW_MQTT_PRESENCE ? GW_MQTT_NOT_AUTHORIZED : GW_MQTT_SUCCESS;
    if (name.len > GW_MQTT_NAME_MAX)
        return GW_MQTT_BAD_FILTER;
    memcpy(p->name, name.data, name.len);
    p->name[name.len] = 0;
    bool user = (p->places & (GW_MQTT_FROM_USER | GW_MQTT_PRESENCE)) && pgn_user_valid(p->name);
    bool conv = (p->places & GW_MQTT_IN_CONV) && pgn_conv_valid(p->name);
    return user || conv ? GW_MQTT_SUCCESS : GW_MQTT_BAD_FILTER;
}

enum gw_mqtt_reason gw_mqtt_parse_filter(struct gw_mqtt_str filter, struct gw_mqtt_parsed *ret)
{
    struct gw_mqtt_str rest = filter, first = {0}, second = {0};
    if (gw_mqtt_filter_shared(filter))
        return GW_MQTT_NO_SHARED;
    if (!gw_mqtt_filter_valid(filter))
        return GW_MQTT_BAD_FILTER;
    *ret = (struct gw_mqtt_parsed){0};
    (void)level(&rest, &first);
    if (is(first, "presence")) {
        ret->places = GW_MQTT_PRESENCE;
        return last_level(&rest, ret);
    }
    if (!is(first, "inbox") || !level(&rest, &second))
        return GW_MQTT_NOT_AUTHORIZED;
    if (is(second, "#") || is(second, "+"))
        ret->places = GW_MQTT_FROM_USER | GW_MQTT_IN_CONV;
    else if (is(second, "u"))
        ret->places = GW_MQTT_FROM_USER;
    else if (is(second, "c"))
        ret->places = GW_MQTT_IN_CONV;
    else
        return GW_MQTT_NOT_AUTHORIZED;
    return is(second, "#") ? GW_MQTT_SUCCESS : last_level(&rest, ret);
}

const char *gw_mqtt_sub_name(const struct gw_mqtt_sub *s)
{
    return s->text + strlen(s->text) + 1;
}

static struct gw_mqtt_sub **find(struct gw_mqtt_sub **list, struct gw_mqtt_str text)
{
    while (*list && !is(text, (*list)->text))
        list = &(*list)->next;
    return list;
}

struct gw_mqtt_sub *gw_mqtt_sub_put(struct gw_mqtt_sub **list, struct gw_mqtt_str text, const struct gw_mqtt_parsed *parsed,
                                    uint8_t options, uint32_t identifier, bool *ret_new)
{
    struct gw_mqtt_sub **at = find(list, text), *s = *at;
    *ret_new = s == NULL;
    if (!s) {
        size_t name = strlen(parsed->name) + 1;
        s = pgn_calloc(1, sizeof *s + text.len + 1 + name);
        memcpy(s->text, text.data, text.len);
        memcpy(s->text + text.len + 1, parsed->name, name);
        s->places = parsed->places;
        *at = s;
    }
    s->options = options;
    s->identifier = identifier;
    return s;
}

bool gw_mqtt_sub_remove(struct gw_mqtt_sub **list, struct gw_mqtt_str text)
{
    struct gw_mqtt_sub **at = find(list, text), *s = *at;
    if (!s)
        return false;
    *at = s->next;
    free(s);
    return true;
}

bool gw_mqtt_sub_there(const struct gw_mqtt_sub *list, struct gw_mqtt_str text)
{
    while (list && !is(text, list->text))
        list = list->next;
    return list != NULL;
}

void gw_mqtt_subs_free(struct gw_mqtt_sub **list)
{
    for (struct gw_mqtt_sub *s; (s = *list) != NULL;) {
        *list = s->next;
        free(s);
    }
}

size_t gw_mqtt_subs_count(const struct gw_mqtt_sub *list, uint8_t places)
{
    size_t n = 0;
    for (; list; list = list->next)
        n += (list->places & places) != 0;
    return n;
}

bool gw_mqtt_sub_matches(const struct gw_mqtt_sub *s, enum gw_mqtt_place place, const char *name)
{
    const char *own = gw_mqtt_sub_name(s);
    return (s->places & place) && (!*own || strcmp(own, name) == 0);
}
