#!/bin/sh
# A scripted developer. What it mends, it takes from the brief: without the reviewer's words there it makes the same
# change again.
set -eu
printf '%s %s run=%s\n' "$GATEWRIGHT_ROLE" "$GATEWRIGHT_WORK_ITEM" "$GATEWRIGHT_RUN" >> "$1"
program=bin/slugify
if ! grep -q 'cut -c1-30' "$program"; then
  sed -i -e '$ s/$/ |/' "$program"
  printf '  cut -c1-30\n' >> "$program"
  cat > tests/cases-limit.sh <<'CASES'
check aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 'Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
CASES
fi
mend=$(sed -n 's/.*once more behind the cut: `\(.*\)`.*/\1/p' "$GATEWRIGHT_BRIEF" | head -n 1)
if [ -n "$mend" ]; then
  sed -i -e '$ s/$/ |/' "$program"
  printf '  %s\n' "$mend" >> "$program"
  cat >> tests/cases-limit.sh <<'CASES'
check aaaaaaaaaaaaaaaaaaaaaaaaaaaaa 'Aaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbb'
CASES
fi
git add -A
git commit -q -m "Keep slugs within 30 characters"
echo '{"scripted": true, "total_cost_usd": 0.118, "usage": {"input_tokens": 9400, "output_tokens": 1250}}'
