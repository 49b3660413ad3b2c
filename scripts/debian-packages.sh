#!/bin/sh
# Install the Debian packages that some tests need, where that is possible: C compilers, and a Cortex-M4 with its emulator
# (tests/emit); Slurm (tests/submit). Where it is not, those tests are skipped and say so.
set -u

PACKAGES="gcc libc6-dev make clang gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm
slurmctld slurmd slurm-client"

say() { printf 'debian-packages: %s\n' "$*"; }

left_out() {
    say "$1; not installed:$missing"
    exit 0
}

missing=
for name in $PACKAGES; do
    case $(dpkg-query -W -f='${Status}' "$name" 2>/dev/null) in
        *" installed") ;;
        *) missing="$missing $name" ;;
    esac
done
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || left_out "no apt-get here"
if [ "$(id -u)" -eq 0 ]; then
    as_root="env DEBIAN_FRONTEND=noninteractive"
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n env DEBIAN_FRONTEND=noninteractive"
else
    left_out "neither root nor sudo"
fi

# Another apt-get may be at work.
apt="$as_root apt-get -qq -o DPkg::Lock::Timeout=120"
if $apt update >/dev/null && $apt install -y --no-install-recommends $missing >/dev/null; then
    say "installed$missing"
else
    left_out "apt-get failed"
fi
