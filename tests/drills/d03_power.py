"""Drill 3: the power goes under load. The store is on powerfs (tests/powerfs), which forgets what was not synced, keeps a random part of it, tears pages.

After each cut storage must start, to the last acknowledged commit: messages, users, sessions and marks acknowledged since the cut before are
read back at once, all of them once more at the end; the audit chain is checked at each start. Options: --cuts N, --seed N.
"""
import json
import os
import statistics
import time

from power_stand import BUILD, Stand
from powerfs import MODES, why_not

TITLE = "power cut"
SHORT_CUTS, CUTS, ACKS_A_CUT = 8, 200, 50


def one_cut(drill, stand, number):
    stand.load.wait_acks(drill.rng.randint(ACKS_A_CUT, 2 * ACKS_A_CUT), 60)
    time.sleep(drill.rng.uniform(0, 0.02))  # where in a commit it falls is what is random here
    mode = drill.rng.choice(MODES)
    figures = stand.cut(mode, drill.rng.getrandbits(48))
    boot = stand.start_storage()
    lost = stand.find_lost()
    drill.mark(f"cut {number} {mode} {figures} boot {boot:.2f} s, lost {len(lost)}")
    for text in lost[:5]:
        drill.fail(f"cut {number} ({mode}): {text}")
    return figures


def run(drill):
    reason = why_not(BUILD)
    if reason:
        drill.min_acks = 0
        drill.title += f" SKIPPED: {reason}"
        return
    cuts = drill.options.cuts or (SHORT_CUTS if drill.short else CUTS)
    drill.min_acks = min(drill.min_acks, cuts * ACKS_A_CUT)
    total = dict.fromkeys(("pages_lost", "pages_kept", "pages_torn", "names_lost"), 0)
    with Stand(drill.folder, drill.seed, {"PIGEON_FAULT": drill.plant} if drill.plant else {}) as stand:
        done = 0
        while done < cuts and not (drill.plant and drill.failures):
            done += 1
            for name, value in one_cut(drill, stand, done).items():
                if name in total:
                    total[name] += value
        stand.load.hopeless = bool(drill.failures)
        for text in stand.verdict()[:20] if not drill.failures else []:
            drill.fail(text)
        for text in stand.open_to_others():
            drill.fail(text)
        boots = sorted(stand.boots[1:])
        for name, value in {"cuts": done, "acks_in_fault": stand.acks(), "people_acked": stand.people_acked(), "mark": stand.marker.acked, "lost": len(stand.problems),
                            "boot_p50": f"{statistics.median(boots):.2f}s", "boot_max": f"{boots[-1]:.2f}s", "tails_set_aside": stand.set_aside(), **total}.items():
            drill.figure(name, value)
        with open(os.path.join(drill.folder, "acked.json"), "w", encoding="utf-8") as f:
            json.dump({w.user: list(w.acked) for w in stand.load.writers}, f)
