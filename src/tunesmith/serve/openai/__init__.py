"""The OpenAI wire format, one router per resource. Field names are OpenAI's (openai-python 3.52)."""
