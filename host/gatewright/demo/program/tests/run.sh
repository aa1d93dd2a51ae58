#!/bin/sh
# The suite of slugify. Exit 1: at least one case fails.
cd "$(dirname "$0")/.." || exit 2
failed=0

# check EXPECTED TITLE
check() {
  got=$(sh bin/slugify "$2")
  if [ "$got" = "$1" ]; then
    echo "ok   $2"
  else
    echo "FAIL $2: expected '$1', got '$got'"
    failed=1
  fi
}

check hello-world 'Hello, World!'
check a-b '  a  --  b  '
check '' '!!!'
for cases in tests/cases-*.sh; do
  [ -f "$cases" ] && . "./$cases"
done
exit $failed
