#!/bin/sh
# Ask the page's server with curl: `sh ask.sh FILE [ADDRESS]`.
set -eu
address="${2:-http://127.0.0.1:7860}"
api="${address%/}/gradio_api"

# upload, and take the path that the server gives back; in quotes, as curl would part a name at a comma or a semicolon
name=$(printf %s "$1" | sed 's/[\\"]/\\&/g')
uploaded=$(curl -sSf -F "files=@\"$name\"" "$api/upload")
path=$(printf %s "$uploaded" | sed 's/^\["\(.*\)"\]$/\1/')
file="{\"path\": \"$path\", \"meta\": {\"_type\": \"gradio.FileData\"}}"

# ask, then follow the answer: an event a step, the last one is "complete"
begun=$(curl -sSf "$api/call/v2/ask" -H "Content-Type: application/json" \
  -d "{\"question\": \"How many red shapes are there?\", \"files\": [$file]}")
event=$(printf %s "$begun" | sed 's/.*"event_id":"\([^"]*\)".*/\1/')
curl -sSfN "$api/call/ask/$event"
