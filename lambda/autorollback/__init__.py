"""Rolls an Amazon ECS service back when the newest deployment is to blame for an alarm."""
