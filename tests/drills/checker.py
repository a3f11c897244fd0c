"""Decides from histories whether a promise was broken (reliability.md, G1-G4). Knows nothing of how they came about.

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
