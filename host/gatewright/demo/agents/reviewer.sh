#!/bin/sh
# A scripted reviewer: it reads the code, it does not run it.
set -eu
printf '%s %s run=%s\n' "$GATEWRIGHT_ROLE" "$GATEWRIGHT_WORK_ITEM" "$GATEWRIGHT_RUN" >> "$1"
last=$(tail -n 1 bin/slugify)
{
  case "$last" in
    *cut*)
      printf -- '---\nverdict: REQUEST_CHANGES\n---\n\n# Review\n\n## Findings\n\n'
      printf -- '- P1 `bin/slugify`: the slug is cut after its hyphens were trimmed, so one that is cut at a hyphen ends with it. '
      printf -- 'Trim once more behind the cut: `sed -e %s`\n' "'s/-\$//'"
      ;;
    *)
      printf -- '---\nverdict: APPROVED\n---\n\n# Review\n\nThe slug is trimmed behind the cut, and a case shows it.\n\n## Findings\n\nNone.\n'
      ;;
  esac
} > "$GATEWRIGHT_DOCUMENTS/12-review.md"
echo '{"scripted": true, "total_cost_usd": 0.054, "usage": {"input_tokens": 5200, "output_tokens": 410}}'
