"""An engine elsewhere: any server that speaks OpenAI's chat completions, with pictures where its model sees."""
