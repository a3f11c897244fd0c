"""Nothing in the sources may depend on the machine's pages, on AES instructions or on x86: Pigeon runs on a Raspberry Pi (docs/PI.md).

What it names is allowed only where ALLOWED says so, with the reason.
"""
import re
import subprocess
import sys

FORBIDDEN = {
    r"\bPAGE_SIZE\b|\bPAGESIZE\b|\bgetpagesize\b|_SC_PAGE_?SIZE": "a page has 4, 16 or 64 KiB",
    r"\bmmap(64)?\s*\(|\bmadvise\s*\(|\bmprotect\s*\(": "offsets and lengths of mappings are whole pages, of whatever size",
    r"\bO_DIRECT\b": "its alignment is the file system's",
    r"jemalloc|mallctl": "a jemalloc built for pages of 4 KiB ends at once on a Raspberry Pi 5",
    r"\baes256gcm\b|crypto_aead_aes": "libsodium has it only where the processor has AES instructions",
    r"(imm|wmm|emm|xmm)intrin\.h|__builtin_ia32|\b_mm_\w+\(": "x86 only",
    r"__SSE|__AVX": "x86 only",
}
ALLOWED = {
    ("common/svc/svc_load.c", "_SC_PAGESIZE"): "asks for the size",
    ("common/svc/proc.c", "_SC_PAGESIZE"): "asks for the size",
    ("common/base/clock.c", "mmap("): "from a file's start, of less than a page",
    ("loadtest/main.c", "mmap("): "memory shared with the workers: anonymous, anywhere",
}


def main():
    bad = 0
    files = subprocess.run(["git", "ls-files", "common/*.[ch]", "services/*.[ch]", "clients/cli/*.[ch]", "loadtest/*.[ch]"],
                           capture_output=True, text=True, check=True).stdout.split()
    for path in files:
        for number, line in enumerate(open(path, encoding="utf-8"), 1):
            for pattern, why in FORBIDDEN.items():
                found = re.search(pattern, line)
                if found and (path, found.group().replace(" ", "")) not in ALLOWED:
                    print(f"{path}:{number}: {found.group().strip()}: {why}")
                    bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
