"""Keeps this process away from the real AWS.

To be called before boto3 or moto is imported.

Both look at the settings of whoever runs them as soon as they are imported.
"""

import os


def forget_aws_of_the_user() -> None:
    """Take away the variables and files that could lead to the real AWS."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.devnull
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
