#!/bin/sh
# A scripted architect.
set -eu
printf '%s %s run=%s\n' "$GATEWRIGHT_ROLE" "$GATEWRIGHT_WORK_ITEM" "$GATEWRIGHT_RUN" >> "$1"
mkdir -p "$GATEWRIGHT_DOCUMENTS/06-adr"
cat > "$GATEWRIGHT_DOCUMENTS/06-adr/ADR-001-cut-in-the-pipeline.md" <<DOCUMENT
# ADR-001: the limit is one more command in the pipeline

slugify is one pipeline of standard tools. The limit becomes a \`cut\` in it; nothing else is added.
DOCUMENT
echo '{"scripted": true, "total_cost_usd": 0.027, "usage": {"input_tokens": 1800, "output_tokens": 260}}'
