#!/bin/sh
# Ask the page's server with curl: `sh ask.sh FILE [ADDRESS]`.
set -eu
api="${2:-http://127.0.0.1:7860}/gradio_api"

# upload, and take the path that the server gives back
path=$(curl -sf -F "files=@$1" "$api/upload" | sed 's/^\["\(.*\)"\]$/\1/')
file="{\"path\": \"$path\", \"meta\": {\"_type\": \"gradio.FileData\"}}"

# ask, then follow the answer: an event a step, the last one is "complete"
event=$(curl -sf "$api/call/v2/ask" -H "Content-Type: application/json" \
  -d "{\"question\": \"How many red shapes are there?\", \"files\": [$file]}" | sed 's/.*"event_id":"\([^"]*\)".*/\1/')
curl -sfN "$api/call/ask/$event"
