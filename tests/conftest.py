"""The tests run in the project's own environment, whatever else the machine has, and from any shell."""

import os
import sysconfig

# The commands of this environment come first: Node.js for the CDK, aws, cdk's app.
os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
