"""Watchers: one file per problem that can arise during training. Each is a class registered under its id."""
