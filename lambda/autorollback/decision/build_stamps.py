"""Which environment variables only name the build: its commit, its number or its time?

A process does nothing otherwise for such a value. Whoever is in doubt about one takes it for a setting, for two builds
that differ in it are then two builds.
"""

import re
from collections.abc import Collection

_COMMIT_WORDS = frozenset(
    [
        "COMMIT",
        "COMMITSHA",
        "COMMITHASH",
        "COMMITID",
        "GIT",
        "GITSHA",
        "GITCOMMIT",
        "SHA",
        "SHA1",
        "HG",
        "SVN",
        "VCS",
        "SCM",
        "CHANGESET",
        "REVISION",
        "REV",
        "VERSION",
        "RELEASE",
        "BUILD",
        "CI",
        "TAG",
    ]
)
_HASH_WORDS = frozenset(
    ["COMMIT", "COMMITSHA", "COMMITHASH", "COMMITID", "GITSHA", "GITCOMMIT", "SHA", "SHA1"]
)
_TIME_WORDS = frozenset(
    [
        "BUILD",
        "BUILT",
        "BUILDTIME",
        "BUILDDATE",
        "COMMIT",
        "GIT",
        "RELEASE",
        "RELEASED",
        "DEPLOY",
        "DEPLOYED",
        "DEPLOYMENT",
        "PIPELINE",
        "CI",
    ]
)
_NUMBER_WORDS = frozenset(
    [
        "BUILD",
        "BUILDNUMBER",
        "BUILDID",
        "RELEASE",
        "DEPLOY",
        "DEPLOYMENT",
        "PIPELINE",
        "RUN",
        "CI",
        "REVISION",
        "REV",
        "COMMIT",
        "SVN",
    ]
)
_NUMBER_ENDS = frozenset(
    [
        "NUMBER",
        "NUM",
        "NO",
        "NR",
        "ID",
        "IID",
        "ATTEMPT",
        "BUILD",
        "BUILDNUMBER",
        "BUILDID",
        "PIPELINE",
        "REVISION",
        "REV",
    ]
)
_VERSION_WORDS = frozenset(["VERSION", "RELEASE", "TAG"])
_SAY_NOTHING_ELSE = frozenset(
    [
        "NUMBER",
        "NUM",
        "NO",
        "NR",
        "ID",
        "IID",
        "ATTEMPT",
        "TIME",
        "DATE",
        "AT",
        "ON",
        "TIMESTAMP",
        "TS",
        "EPOCH",
        "UTC",
        "UNIX",
        "ISO",
        "SHORT",
        "LONG",
        "FULL",
        "HASH",
        "HEAD",
        "REF",
        "SOURCE",
        "RESOLVED",
        "IMAGE",
        "DOCKER",
        "CONTAINER",
        "APP",
        "APPLICATION",
        "SERVICE",
        "CURRENT",
        "JOB",
        "GITHUB",
        "GITLAB",
        "BITBUCKET",
        "CIRCLE",
        "CIRCLECI",
        "TRAVIS",
        "JENKINS",
        "BUILDKITE",
        "CODEBUILD",
        "CODEPIPELINE",
        "TEAMCITY",
        "DRONE",
        "DD",
        "DATADOG",
        "SENTRY",
        "OTEL",
        "NEW",
        "RELIC",
        "NEWRELIC",
        "ROLLBAR",
        "BUGSNAG",
        "HONEYCOMB",
    ]
)
_OF_BUILDS = _COMMIT_WORDS | _TIME_WORDS | _NUMBER_WORDS

_COMMIT = re.compile(r"(?=.*[0-9])(?=.*[a-f])[0-9a-f]{7,64}|[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_HASH = re.compile(r"[0-9a-f]{7,12}")
"""One in thirty abbreviated hashes is of digits alone: then the name has to say that it is one."""

_TIMES = (
    re.compile(
        r"20\d\d-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?( ?(Z|UTC|[+-]\d\d:?\d\d))?)?"
    ),  # ISO 8601
    re.compile(r"20\d{6}([T_.-]?\d{4,6}Z?)?"),  # the same without marks
    re.compile(r"1\d{9}(\d{3})?"),  # seconds or milliseconds since 1970
    re.compile(r"[A-Za-z]{3},? [A-Za-z0-9 ]+ \d\d:\d\d:\d\d [A-Za-z0-9 +:-]+"),  # as `date` says
)
_NUMBER = re.compile(r"[#v]?\d{1,12}(\.\d{1,6})*")
_UNIQUE = re.compile(r"([\w-]+:)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VERSION = re.compile(r"v?\d+(\.\d+){2,3}")
_LONG_ENOUGH = 7
"""Characters from which on a value that equals the image's tag is no coincidence."""


def is_build_stamp(
    name: str,
    value: str,
    tag: str = "",
    owners: Collection[str] = (),
) -> bool:
    """Whether a variable tells the build's own commit, number or time, and nothing else.

    The value has to look like one, and every word of the name has to speak of builds, or of nothing in particular.

    Args:
        tag: of the container's image: what equals it is the build's own whatever it is called.
        owners: the names of the family and the container, whose words say nothing.
    """
    plain = value.strip()
    is_the_tag = plain == tag and len(plain) >= _LONG_ENOUGH
    if is_the_tag and _looks_like_one(plain):
        return True

    words = _words(name)
    if not _speak_of_builds(words, owners):
        return False
    if _is_time(plain):
        return bool(_TIME_WORDS.intersection(words))
    if _is_commit(plain) or plain == tag != "":
        return bool(_COMMIT_WORDS.intersection(words))
    if _SHORT_HASH.fullmatch(plain.lower()) and _HASH_WORDS.intersection(words):
        return True
    return _is_number_of(words, plain)


def _speak_of_builds(words: Collection[str], owners: Collection[str]) -> bool:
    """Whether each of these words speaks of builds, or of nothing in particular."""
    own_words: set[str] = set()
    for owner in owners:
        own_words.update(_words(owner))
    return set(words) <= _OF_BUILDS | _SAY_NOTHING_ELSE | own_words


def _is_number_of(words: list[str], value: str) -> bool:
    if _VERSION.fullmatch(value) and _VERSION_WORDS.intersection(words):
        return True
    is_number = _NUMBER.fullmatch(value) or _UNIQUE.fullmatch(value.lower())
    of_builds = _NUMBER_WORDS.intersection(words) and words[-1] in _NUMBER_ENDS
    return bool(is_number and of_builds)


def _looks_like_one(value: str) -> bool:
    return _is_commit(value) or _is_time(value) or _NUMBER.fullmatch(value) is not None


def _is_commit(value: str) -> bool:
    """A commit's hash, alone or after what `git describe` and pipelines put before it."""
    text = value.lower().removesuffix("-dirty")
    last = re.split(r"[-+._/:@]", text)[-1]
    return any(_COMMIT.fullmatch(part) for part in (last, last.removeprefix("g")))


def _is_time(value: str) -> bool:
    return any(pattern.fullmatch(value) for pattern in _TIMES)


def _words(name: str) -> list[str]:
    """The words of a name, be it written like_this, like-this or likeThis; in capitals."""
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return [word.upper() for word in re.split(r"[^A-Za-z0-9]+", apart) if word]
