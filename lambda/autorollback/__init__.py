"""Rolls an Amazon ECS service back when its newest deployment is to blame."""
