"""All I/O: one module for each AWS matter. What leaves a module is one of the project's nouns, never a boto3 dictionary."""
