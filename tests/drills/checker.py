"""Decides from histories whether a promise was broken (reliability.md, G1-G7). Knows nothing of how they came about.

A history is what independent observers wrote down:
  sent   {key: (conv_or_peer, text, order)}   key = (user, device, client_id); order rises with the sender's sends
  acked  [(key, conv, seq, message_id)]       every positive answer, retries included
  seen   {reader: [(conv, seq, message_id)]}  what came over the wire, in order of arrival
  final  {conv: [message as fetched]}         read back after the fault
"""
import collections

LOST = "acknowledged, but not there"
DOUBLED = "stored twice"
GAP = "numbers are not 1..n"
FORK = "one number, two messages"
DISORDER = "a sender's order is broken"
TWO_ANSWERS = "a retry got another answer"
PHANTOM = "stored, but nobody sent it"
MISSING = "a reader never saw it"
SHOWN_TWICE = "shown twice to one reader"
REGRESSION = "a later read ended earlier"
STALE_READ = "a read that began after the acknowledgement did not see it"
FALSE_NO = "said to be not stored, but stored"
DROPPED = "not delivered while nothing failed"


def check(sent, acked, seen, final, readers_of=None):
    """A list of (what, detail); empty when every promise held. readers_of(conv): who must have seen all of it in the end."""
    broken = []
    stored = collections.defaultdict(list)
    for conv, messages in final.items():
        seqs = [m["seq"] for m in messages]
        if seqs != list(range(1, len(seqs) + 1)):
            broken.append((GAP, f"{conv}: {seqs[:10]}...{seqs[-3:]}"))
        for m in messages:
            if m["kind"] != "operation":
                stored[(m["from"], m["device"], m["client_id"])].append((conv, m["seq"], m["message_id"]))
    broken += _acknowledged(acked, stored)
    broken += [(DOUBLED, f"{key}: {places}") for key, places in stored.items() if len(places) > 1]
    broken += [(PHANTOM, f"{key}") for key in stored if key not in sent]
    broken += _forks(seen, final)
    broken += _order(sent, stored)
    for conv, messages in final.items():
        for reader in readers_of(conv) if readers_of else ():
            missing = {m["seq"] for m in messages} - {s for c, s, _ in seen.get(reader, ()) if c == conv}
            if missing:
                broken.append((MISSING, f"{reader} in {conv}: {sorted(missing)[:10]} ({len(missing)} in all)"))
    return broken


def _acknowledged(acked, stored):
    broken, answers = [], {}
    for key, conv, seq, message_id in acked:
        if (conv, seq, message_id) not in stored.get(key, ()):
            broken.append((LOST, f"{key} as {conv}/{seq}"))
        if answers.setdefault(key, (conv, seq, message_id)) != (conv, seq, message_id):
            broken.append((TWO_ANSWERS, f"{key}: {answers[key]} and {(conv, seq, message_id)}"))
    return broken


def _forks(seen, final):
    truth = {(c, m["seq"]): m["message_id"] for c, messages in final.items() for m in messages}
    return [(FORK, f"{reader} saw {conv}/{seq} as {message_id}")
            for reader, items in seen.items() for conv, seq, message_id in items
            if conv in final and truth.get((conv, seq)) != message_id]


def _order(sent, stored):
    lines = collections.defaultdict(list)
    for key, places in stored.items():
        if key in sent:
            conv, seq, _ = min(places)
            lines[(key[0], key[1], conv)].append((seq, sent[key][2]))
    broken = []
    for who, items in lines.items():
        orders = [order for _, order in sorted(items)]
        if orders != sorted(orders):
            broken.append((DISORDER, f"{who}"))
    return broken


# ---- rules on the long histories of the drills (judge.py): a key is "user client_id" ----


def gaps(final):
    """Numbers dense from 1, in order."""
    found = []
    for conv, messages in final.items():
        bad = next((i for i, m in enumerate(messages, 1) if m["seq"] != i), None)
        if bad:
            found.append(f"{conv}: {messages[bad - 1]['seq']} where {bad} should be, of {len(messages)}")
    return found


def doubled(stored):
    return [f"{key}: {places}" for key, places in stored.items() if len(places) > 1]


def acknowledged(acked, stored):
    """(lost, two answers): each answer names what stands there, and a repeat got the first answer."""
    lost, two, answers = [], [], {}
    for key, conv, seq, message_id in acked:
        answer = (conv, seq, message_id)
        if answer not in stored.get(key, ()):
            lost.append(f"{key} as {conv}/{seq}")
        if answers.setdefault(key, answer) != answer:
            two.append(f"{key}: {answers[key]} and {answer}")
    return lost, two


def forks_shown(shown, final):
    """What a reader was shown under a number is what stands there in the end."""
    truth = {conv: {m["seq"]: m["message_id"] for m in messages} for conv, messages in final.items()}
    return [f"{reader} was shown {conv}/{seq} as {message_id}" for (reader, conv), items in shown.items() if conv in truth
            for seq, message_id, *_ in items if truth[conv].get(seq) != message_id]


def shown_twice(shown):
    """By number, and by what the sender meant as one message."""
    found = []
    for (reader, conv), items in shown.items():
        numbers, keys = set(), set()
        for seq, _, key, *_ in items:
            if seq in numbers or (key in keys and not key.endswith(" -")):
                found.append(f"{reader} in {conv}: {seq} ({key})")
            numbers.add(seq)
            keys.add(key)
    return found


def regressions(shown, fetched):
    """Numbers rise for each reader; a read that began after another had ended does not end earlier."""
    found = [f"{reader} in {conv}: {b[0]} after {a[0]}" for (reader, conv), items in shown.items() for a, b in zip(items, items[1:]) if b[0] <= a[0]]
    for conv, reads in _by_conv(fetched, 3).items():
        found += [f"{conv}: {reader} read up to {last} though {floor} had been read" for reader, last, floor in _below_floor(reads, [(end, last) for _, end, _, _, last in reads])]
    return found


def stale_reads(acked, fetched):
    """Appends and reads are linearizable: a read that began after an acknowledgement sees that number."""
    answers, found = _by_conv(acked, 2), []
    for conv, reads in _by_conv(fetched, 3).items():
        found += [f"{conv}: {reader} read up to {last} though {floor} was acknowledged" for reader, last, floor in _below_floor(reads, [(t, seq) for t, _, _, seq, _ in answers.get(conv, ())])]
    return found


def _by_conv(rows, column):
    grouped = collections.defaultdict(list)
    for row in rows:
        grouped[row[column]].append(row)
    return grouped


def _below_floor(reads, points):
    """Reads (begin, end, reader, conv, last) that saw less than the highest point (time, number) before they began."""
    found, points, at, floor = [], sorted(points), 0, 0
    for begin, _, reader, _, last in sorted(reads):
        while at < len(points) and points[at][0] < begin:
            floor = max(floor, points[at][1])
            at += 1
        if last < floor:
            found.append((reader, last, floor))
    return found


def disorder(order, stored, refused):
    """A sender's messages stand in the order of sending; one that was refused and repeated may rightly stand behind later ones."""
    lines = collections.defaultdict(list)
    for key, places in stored.items():
        if key in order and key not in refused:
            conv, seq, _ = min(places)
            lines[(key.split(" ")[0], conv)].append((seq, order[key]))
    found = []
    for (user, conv), items in lines.items():
        items.sort()
        found += [f"{user} in {conv}: its {b[1]}. at {b[0]} behind its {a[1]}. at {a[0]}" for a, b in zip(items, items[1:]) if b[1] < a[1]][:5]
    return found


def missing(shown, final, members):
    """Everybody who belongs there was shown everything."""
    found = []
    for conv, names in members.items():
        wanted = {m["seq"] for m in final[conv]}
        for name in names:
            left = wanted - {item[0] for item in shown.get((name, conv), ())}
            if left:
                found.append(f"{name} in {conv}: {sorted(left)[:10]} ({len(left)} in all)")
    return found
