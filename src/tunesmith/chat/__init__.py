"""Chat rows to token ids: templates, tool calls, answer spans and the loss mask."""
