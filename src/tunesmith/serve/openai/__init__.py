"""The OpenAI wire format, one router per resource. Field names follow OpenAI (openai-python 3.52)."""
