"""Copies of a whole cloud: its state at one moment, for any number of empty clouds.

What exists in an empty cloud (the objects that the extensions made when they were installed, their
locks and threads) is the same in every cloud and stays where it is; only what it holds is replaced.
Everything else is data, and copied.
"""

import io
import pickle
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, MutableMapping, MutableSequence, MutableSet
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from types import BuiltinMethodType, CellType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import WeakValueDictionary

import boto3
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from moto.backends import get_backend
from moto.core.base_backend import BackendDict, BaseBackend

from localcloud.server import Cloud

_OURS = "localcloud."
_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_VALUES = (
    str,
    bytes,
    int,
    float,
    complex,
    type(None),
    type,
    ModuleType,
    datetime,
    timedelta,
    tzinfo,
)
_CONTAINERS = (MutableMapping, MutableSequence, MutableSet, deque)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a cloud at a moment of simulated time, to be given any number of times."""

    at: datetime
    state: bytes
    shared: list[object]


class Copier:
    """Takes snapshots of a cloud and gives them; made before anybody uses the cloud.

    It knows all objects of the empty cloud by a number, which is the same in every cloud.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._objects = list(_reachable(cloud))
        self._numbers = {id(one): number for number, one in enumerate(self._objects)}

    def take(self) -> Snapshot:
        """The state as it is now; nothing may be running.

        Raises:
            AttributeError, PicklingError, TypeError: something in it cannot be copied.
        """
        written = io.BytesIO()
        pickler = _Pickler(written, self._cloud, self._numbers)
        contents = {
            number: _contents(one)
            for number, one in enumerate(self._objects)
            if one is not self._cloud
        }
        pickler.dump((contents, _backends()))
        return Snapshot(self._cloud.clock.now(), written.getvalue(), pickler.shared)

    def give(self, snapshot: Snapshot) -> None:
        """Make this cloud, which is still empty, what the other was."""
        contents, backends = _Unpickler(snapshot, self._objects).load()
        self._cloud.clock.jump(snapshot.at)
        for number, content in contents.items():
            _refill(self._objects[number], content)
        for service, account, region, backend in backends:
            dict.__setitem__(get_backend(service)[account], region, backend)


class _Pickler(pickle.Pickler):
    def __init__(
        self,
        file: io.BytesIO,
        cloud: Cloud,
        numbers: dict[int, int],
    ) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._cloud = cloud
        self._numbers = numbers
        self.shared: list[object] = []

    def persistent_id(self, one: object) -> int | object | None:
        """The number of what every cloud has; below 0, of what all copies share."""
        number = self._numbers.get(id(one))
        if number is not None:
            return number
        if _is_constant(one):
            self.shared.append(one)
            return -len(self.shared)
        return None

    def reducer_override(self, one: object) -> Any:
        """What cannot be copied but is soon made again: a lock that nobody holds, a session."""
        if isinstance(one, _LOCKS[1]):
            return threading.RLock, ()
        if isinstance(one, _LOCKS[0]):
            return threading.Lock, ()
        if isinstance(one, WeakValueDictionary):
            return WeakValueDictionary, (dict(one),)
        if isinstance(one, defaultdict) and type(one) is not defaultdict:
            return _bare, (type(one),), vars(one), None, iter(one.items())
        if isinstance(one, boto3.Session):
            credentials: Any = one.get_credentials()
            return Cloud.session, (self._cloud, credentials.access_key)
        return NotImplemented


def _bare(kind: type[dict[Any, Any]]) -> Any:
    """An empty dictionary of that kind, whose own way of being made is passed over."""
    return kind.__new__(kind)


class _Unpickler(pickle.Unpickler):
    def __init__(self, snapshot: Snapshot, objects: list[object]) -> None:
        super().__init__(io.BytesIO(snapshot.state))
        self._objects = objects
        self._shared = snapshot.shared

    def persistent_load(self, number: int) -> object:
        """What this cloud has under that number."""
        if number < 0:
            return self._shared[-number - 1]
        return self._objects[number]


def _is_constant(one: object) -> bool:
    """Whether copies may share it: keys that are slow to make, and functions without a state."""
    if isinstance(one, FunctionType):
        has_no_name = "<" in one.__qualname__  # `<lambda>`, or made within another function
        return has_no_name and _holds_only_constants(one)
    return isinstance(one, RSAPrivateKey)


def _holds_only_constants(function: FunctionType) -> bool:
    """Whether what a function was made with never changes: words, numbers, and such functions."""
    for cell in function.__closure__ or ():
        held = cell.cell_contents
        parts = held if isinstance(held, tuple) else [held]
        for part in parts:
            is_value = isinstance(part, str | bytes | int | float | None)
            if not is_value and not _is_constant(part):
                return False
    return True


def _backends() -> list[tuple[str, str, str, object]]:
    """Moto's, by service, account and Region."""
    return [
        (of_service.service_name, account, region, backend)
        for of_service in BackendDict._instances
        for account, region, backend in of_service.iter_backends()
    ]


def _reachable(cloud: Cloud) -> Iterator[object]:
    """Each object once."""
    seen: set[int] = set()
    waiting: deque[object] = deque([cloud])
    while waiting:
        one = waiting.popleft()
        if id(one) in seen or isinstance(one, _VALUES):
            continue
        seen.add(id(one))
        yield one
        waiting.extend(_held(one))


def _held(one: object) -> Iterable[object]:
    """What an object holds; nothing is asked of objects of other people's classes."""
    if isinstance(one, FunctionType):
        return _held_by_function(one)
    if isinstance(one, MethodType | BuiltinMethodType):
        return [one.__self__]
    if isinstance(one, CellType):
        return [one.cell_contents]
    if isinstance(one, MutableMapping):
        return [*one.keys(), *one.values()]
    if isinstance(one, list | tuple | set | frozenset | deque):
        return one
    if isinstance(one, Cloud):
        return [value for name, value in vars(one).items() if not name.startswith("_")]
    return _attributes(one).values() if _is_ours(one) else ()


def _held_by_function(one: FunctionType) -> Iterator[object]:
    yield from one.__closure__ or ()
    yield from one.__defaults__ or ()
    yield from (one.__kwdefaults__ or {}).values()


def _is_ours(one: object) -> bool:
    return type(one).__module__.startswith(_OURS) or isinstance(one, BaseBackend)


def _attributes(one: object) -> dict[str, Any]:
    """Those in its dictionary and in its slots."""
    slots = {
        name: getattr(one, name)
        for kind in type(one).__mro__
        for name in vars(kind).get("__slots__", ())
        if hasattr(one, name)
    }
    return slots | dict(getattr(one, "__dict__", {}))


def _contents(one: object) -> Any:
    """What a copy of the cloud needs of it; None where it stays as it is."""
    if isinstance(one, MutableMapping):
        return dict(one)
    if isinstance(one, _CONTAINERS):
        return list(one)
    return _attributes(one) if _is_ours(one) else None


def _refill(one: object, content: Any) -> None:
    if content is None:
        return
    if isinstance(one, MutableMapping):
        one.clear()
        one.update(content)
    elif isinstance(one, MutableSet):
        one.clear()
        for each in content:
            one.add(each)
    elif isinstance(one, MutableSequence | deque):
        one.clear()
        one.extend(content)
    else:
        for name, value in content.items():
            object.__setattr__(one, name, value)
