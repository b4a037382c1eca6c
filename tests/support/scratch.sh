#!/bin/sh
# Where a run of the tests keeps its files: in memory where there is plenty, since nothing of them need outlive the
# run and a thousand fresh databases are mostly the kernel's work; else where temporary files always go.
# Prints the new directory; who asked removes it.
set -eu

try() {  # a directory that is large, may be written and lets programs run
    [ -d "$1" ] && [ -w "$1" ] || return 1
    [ "$(df -Pk "$1" | awk 'NR == 2 {print $4}')" -ge 4194304 ] || return 1
    [ "$(awk '$1 == "MemAvailable:" {print $2}' /proc/meminfo)" -ge 8388608 ] || return 1
    made=$(mktemp -d "$1/sekisho-test.XXXXXX") || return 1
    printf '#!/bin/sh\n' > "$made/program" && chmod 755 "$made" "$made/program" && "$made/program" || {
        rm -rf "$made"
        return 1
    }
    rm "$made/program"
    echo "$made"
}

try /dev/shm 2>/dev/null && exit 0
made=$(mktemp -d "${TMPDIR:-/tmp}/sekisho-test.XXXXXX")
chmod 755 "$made"  # PostgreSQL runs as `nobody` where the tests run as root
echo "$made"
