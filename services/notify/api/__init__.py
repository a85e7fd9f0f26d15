"""Notify's gRPC methods, by service."""
