#!/bin/sh
# release.sh ENVIRONMENT TARGET LOG: brings the checked-out commit to a folder that stands for a server, and looks whether
# it answers there. Exit 0: it does. 1: it does not. 2: it could not be tried.
set -u
environment=$1 target=$2 log=$3
[ -d "$target" ] || exit 2
rm -rf "$target/next" && mkdir "$target/next" && cp -R bin "$target/next/" || exit 2
[ "$(sh "$target/next/bin/slugify" 'Are you there?')" = are-you-there ] || exit 1
rm -rf "$target/live" && mv "$target/next" "$target/live" || exit 2
printf '%s\n' "$GIT_SHA" > "$target/revision"
printf '%s %s run=%s\n' "$environment" "$GIT_SHA" "$GATEWRIGHT_RUN" >> "$log"
echo "$environment serves $GIT_SHA"
