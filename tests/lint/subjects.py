"""Every subject of subjects.h stands in the NATS permissions for whom its comment names, and none stands there that is not; answers go to those who ask."""
import re
import sys

HEADER, CONF = "common/proto/subjects.h", "deploy/templates/nats.conf.in"


def askers(comment, user):
    """Who waits in his inbox for an answer of this user, if this is the comment of a request."""
    found = re.match(r"\s*([\w, ]+?)\s*->\s*([\w, ]+?)\s*:.*; *(?:Reply|BatchResult)|\s*([\w, ]+?)\s*->\s*([\w, ]+?)\s*:.*BatchResult to", comment)
    if not found:
        return []
    who, whom = (found.group(1), found.group(2)) if found.group(1) else (found.group(3), found.group(4))
    return re.findall(r"\w+", who) if whom.strip() == user else []


def main():
    known = re.findall(r'#define PGN_SUBJ_\w+\s+"([^"]+)"\s*/\*(.*?)\*/', open(HEADER, encoding="utf-8").read())
    conf = open(CONF, encoding="utf-8").read()
    rights = {}
    for user, pub, sub in re.findall(r"user: (\w+),.*?publish: \[(.*?)\],\s*subscribe: \[(.*?)\]", conf, re.S):
        rights[user] = (set(re.findall(r'"([^"]+)"', pub)), set(re.findall(r'"([^"]+)"', sub)))
    wrong, names = [], {s + "*" if s.endswith(".") else s for s, _ in known}
    for subject, comment in known:
        arrow = re.match(r"\s*([\w, ]+?)\s*->\s*([\w, ]+?)(?:\s*\(.*?\))?\s*[:,]", comment)
        if not arrow:
            continue
        for side, who in ((0, arrow.group(1)), (1, arrow.group(2))):
            for user in re.findall(r"\w+", who):
                user = {"gateways": "gateway"}.get(user, user)
                if user in rights and subject not in rights[user][side]:
                    wrong.append(f"{CONF}: {user} may not {'subscribe' if side else 'publish'} {subject}, but {HEADER} says so")
    asked = {user: {a for _, comment in known for a in askers(comment, user)} for user in rights}
    asked["storage"] |= asked["message"] & {"gateway", "api", "cli"}  # a Batch's result comes from storage
    for user, sides in rights.items():
        inboxes = {s for s in sides[0] if s.startswith("_INBOX.")}
        if inboxes != {f"_INBOX.{a}.>" for a in asked[user]}:
            wrong.append(f"{CONF}: {user} is asked by {sorted(asked[user])}, but may publish on {sorted(inboxes)}")
        if {s for s in sides[1] if s.startswith("_INBOX")} != {f"_INBOX.{user}.>"}:
            wrong.append(f"{CONF}: {user} must subscribe its own inboxes, and no others")
        for subject in sides[0] | sides[1]:
            if not subject.startswith("_INBOX.") and subject not in names:
                wrong.append(f"{CONF}: {user} has {subject}, which {HEADER} does not know")
    print("\n".join(wrong))
    return 1 if wrong else 0


sys.exit(main())
