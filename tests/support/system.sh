#!/bin/sh
# What the tests want from the system and Python's package index can't give: installed where that is allowed
# (apt, as root); otherwise said plainly, and the tests that need it are skipped (with CI=true they fail).
set -eu

missing=""
want() {  # want COMMAND-LIST PACKAGE WHAT-FOR
    for command in $1; do
        if command -v "$command" >/dev/null 2>&1; then return 0; fi
    done
    missing="$missing $2"
    printf 'missing: %s (%s)\n' "$2" "$3"
}

if [ "${1:-test}" = bench ]; then
    want wrk wrk "the load generator"
    want "node nodejs" nodejs "runs the oidc-provider that is measured beside ours"
    want npm npm "installs that oidc-provider"
    want taskset util-linux "pins server and load to a core each"
else
    want "node nodejs" nodejs "runs the OpenID clients that are driven against ours (20 or later)"
    want npm npm "installs those clients"
    want "chromium chromium-browser google-chrome" chromium "drives the pages as a resident would"
    if ! fc-list :lang=ja 2>/dev/null | grep -q .; then
        missing="$missing fonts-noto-cjk"
        echo "missing: fonts-noto-cjk (Japanese text in the browser tests)"
    fi
fi

[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # a list of names
    if apt-get update -q >/dev/null && apt-get install -qy --no-install-recommends $missing >/dev/null; then
        exit 0
    fi
    echo "apt could not install them; what needs them is left out"
else
    echo "not installed (that takes root and apt); what needs them is left out. By hand: apt-get install$missing"
fi
