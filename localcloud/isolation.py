"""Before anything of boto3 or moto is imported: both look at the settings of whoever runs them as soon as they are."""

import os


def forget_aws_of_the_user() -> None:
    """Take away what could lead this process to the real AWS: the variables, and the files, of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
