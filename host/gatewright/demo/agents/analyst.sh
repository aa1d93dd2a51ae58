#!/bin/sh
# A scripted analyst: a process on the same road as any agent, with nothing intelligent in it.
set -eu
printf '%s %s run=%s\n' "$GATEWRIGHT_ROLE" "$GATEWRIGHT_WORK_ITEM" "$GATEWRIGHT_RUN" >> "$1"
cat > "$GATEWRIGHT_DOCUMENTS/01-brd.md" <<DOCUMENT
---
work_item: $GATEWRIGHT_WORK_ITEM
---

# What is wanted

- A slug has at most 30 characters.
- A slug never begins or ends with a hyphen.
DOCUMENT
echo '{"scripted": true, "total_cost_usd": 0.031, "usage": {"input_tokens": 2100, "output_tokens": 340}}'
