#!/bin/sh
# Starts Chromium ($LOCKED_CHROMIUM) with a lock on its profile that lasts as long as the browser. Chromium's own names a
# host and a pid, which tell nothing to another container that has the profile, too; who holds this one the kernel knows.
for argument; do
    case $argument in --user-data-dir=*) profile=${argument#*=} ;; esac
done
exec 9>>"$profile/drumline-lock" && flock --nonblock 9 || exit 75
exec "$LOCKED_CHROMIUM" "$@"
