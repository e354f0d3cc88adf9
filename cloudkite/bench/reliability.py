"""Drills of the local cloud: killed at random moments, and used by many clients for long."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil

from cloudkite.accounts.target import Target
from cloudkite.bench.measure import Row
from cloudkite.bench.place import Place
from cloudkite.journey.reach import connect

_KILLS = 50
_CLIENTS, _REQUESTS = 32, 10_000
_NAMES = 40  # objects of one client, which it writes again and again
_CHUNK = 256 * 1024  # bytes; the least that a resumable upload takes at a time
_MIB = 1024 * 1024
_STORAGE, _UPLOAD = "https://storage.googleapis.com/storage/v1", "https://storage.googleapis.com/upload/storage/v1"
_PUBSUB = "https://pubsub.googleapis.com/v1"
_LOGGING = "https://logging.googleapis.com/v2"
_BUCKET = "drill"


@dataclass
class _Acknowledged:
    """What the local cloud said yes to: it must be there after any kill."""

    objects: dict[str, str] = field(default_factory=dict)  # name -> sha256
    sent: dict[str, set[str]] = field(default_factory=dict)  # name -> sha256 of all that was ever sent for it
    deleted: set[str] = field(default_factory=set)
    uploads: dict[str, tuple[str, bytes, int]] = field(default_factory=dict)  # name -> (session, all bytes, kept)
    entries: set[str] = field(default_factory=set)  # insert ids
    jobs: set[str] = field(default_factory=set)  # names
    messages: set[str] = field(default_factory=set)  # ids; whoever looks after them takes them
    refused: list[str] = field(default_factory=list)  # requests that failed while nobody had killed anything

    def __len__(self) -> int:
        return sum(map(len, (self.objects, self.deleted, self.uploads, self.entries, self.jobs, self.messages)))


def kills(place: Place, count: int = _KILLS) -> Iterator[Row]:
    """Kill the server at random moments under load; after each start all that was acknowledged must be there."""
    target = place.set_up
    place.bucket(_BUCKET)
    _make_topic(target)
    everything, wrong, counted, times = _Acknowledged(), 0, 0, []
    chance = random.Random(count)  # noqa: S311  when to kill is no secret
    for number in range(count):
        made = _one_kill(place, number, chance.uniform(0.05, 1.5))
        began = time.perf_counter()
        target = connect(place.space, place.account)
        times.append(time.perf_counter() - began)
        wrong += len(_lost(target, made))
        for name in ("objects", "sent"):
            getattr(everything, name).update(getattr(made, name))
        for name in ("deleted", "entries", "jobs"):
            getattr(everything, name).update(getattr(made, name))
        counted += len(made)
    wrong += len(_lost(target, everything))
    note = f"{count} kills, {counted} acknowledged, {wrong} lost or torn"
    yield Row("kill -9, until it serves again", "s", median(times), (min(times), max(times)), "", target="0 lost",
              runs=count, note=note)  # fmt: skip


def _one_kill(place: Place, number: int, after: float) -> _Acknowledged:
    """Clients of all kinds write until the server is killed after so many seconds; gives what was acknowledged."""
    made, over = _Acknowledged(), threading.Event()
    writers = (_objects, _objects, _resumable, _entries, _messages, _jobs)

    def work(index: int, writer: Callable[[Target, str, _Acknowledged, threading.Event], None]) -> None:
        try:
            writer(connect(place.space, place.account), f"{number}-{index}", made, over)
        except Exception as error:
            if not over.is_set():
                made.refused.append(repr(error))

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(writers)]
    for thread in threads:
        thread.start()
    time.sleep(after)
    server = json.loads((place.space.localcloud / "server.json").read_text(encoding="utf-8"))
    process = psutil.Process(server["pid"])
    over.set()
    process.kill()
    process.wait(10)
    for thread in threads:
        thread.join()
    return made


def _objects(target: Target, who: str, made: _Acknowledged, over: threading.Event) -> None:
    session, chance = target.session(), random.Random(who)  # noqa: S311
    count = 0
    while not over.is_set():
        name = f"{who}/{count % 30}"
        data = chance.randbytes(chance.choice((0, 100, 5_000, 300_000)))
        digest = hashlib.sha256(data).hexdigest()
        made.sent.setdefault(name, set()).add(digest)
        made.objects.pop(name, None)  # while it is under way either is right
        made.deleted.discard(name)
        url = f"{_UPLOAD}/b/{_BUCKET}/o"
        session.post(url, params={"uploadType": "media", "name": name}, data=data, timeout=20).raise_for_status()
        made.objects[name] = digest
        if count % 7 == 6:
            del made.objects[name]
            session.delete(f"{_STORAGE}/b/{_BUCKET}/o/{name.replace('/', '%2F')}", timeout=20).raise_for_status()
            made.deleted.add(name)
        count += 1


def _resumable(target: Target, who: str, made: _Acknowledged, over: threading.Event) -> None:
    session, chance = target.session(), random.Random(who)  # noqa: S311
    count = 0
    while not over.is_set():
        name, data = f"{who}/{count}", chance.randbytes(3 * _CHUNK + 11)
        url = f"{_UPLOAD}/b/{_BUCKET}/o"
        begun = session.post(url, params={"uploadType": "resumable", "name": name}, json={}, timeout=20)
        begun.raise_for_status()
        address = begun.headers["location"]
        kept = 0
        made.uploads[name] = (address, data, 0)
        while kept < 2 * _CHUNK and not over.is_set():
            part = {"Content-Range": f"bytes {kept}-{kept + _CHUNK - 1}/{len(data)}"}
            answer = session.put(address, data=data[kept : kept + _CHUNK], headers=part, timeout=20)
            assert answer.status_code == 308, answer.text
            kept = int(answer.headers["range"].rpartition("-")[2]) + 1
            made.uploads[name] = (address, data, kept)
        count += 1


def _entries(target: Target, who: str, made: _Acknowledged, over: threading.Event) -> None:
    session, log = target.session(), f"projects/{target.account.project}/logs/drill"
    count = 0
    while not over.is_set():
        ids = [f"{who}-{count}-{n}" for n in range(5)]
        entries = [{"insertId": one, "textPayload": one} for one in ids]
        body = {"logName": log, "resource": {"type": "global"}, "entries": entries}
        session.post(f"{_LOGGING}/entries:write", json=body, timeout=20).raise_for_status()
        made.entries.update(ids)
        count += 1


def _make_topic(target: Target) -> None:
    project, session = target.account.project, target.session()
    services = f"https://serviceusage.googleapis.com/v1/projects/{project}/services"
    session.post(f"{services}/pubsub.googleapis.com:enable", timeout=20).raise_for_status()
    topic = f"projects/{project}/topics/drill"
    session.put(f"{_PUBSUB}/{topic}", json={}, timeout=20).raise_for_status()
    session.put(f"{_PUBSUB}/{_subscription(target)}", json={"topic": topic}, timeout=20).raise_for_status()


def _subscription(target: Target) -> str:
    return f"projects/{target.account.project}/subscriptions/drill"


def _messages(target: Target, who: str, made: _Acknowledged, over: threading.Event) -> None:
    url = f"{_PUBSUB}/projects/{target.account.project}/topics/drill:publish"
    data = base64.b64encode(who.encode()).decode()
    while not over.is_set():
        answer = target.session().post(url, json={"messages": [{"data": data}] * 3}, timeout=20)
        answer.raise_for_status()
        made.messages.update(answer.json()["messageIds"])


def _received(target: Target) -> set[str]:
    """The ids of all messages that are there; they are acknowledged."""
    url, found = f"{_PUBSUB}/{_subscription(target)}", set()
    ask = {"maxMessages": 1000, "returnImmediately": True}
    while got := target.session().post(f"{url}:pull", json=ask, timeout=60).json().get("receivedMessages"):
        found.update(one["message"]["messageId"] for one in got)
        acknowledged = {"ackIds": [one["ackId"] for one in got]}
        target.session().post(f"{url}:acknowledge", json=acknowledged, timeout=60).raise_for_status()
    return found


def _jobs(target: Target, who: str, made: _Acknowledged, over: threading.Event) -> None:
    account = target.account
    host = f"https://{account.region}-aiplatform.googleapis.com/v1"
    url = f"{host}/projects/{account.project}/locations/{account.region}/customJobs"
    pool = {
        "machineSpec": {"machineType": "e2-standard-4"},
        "containerSpec": {"imageUri": "python:3.11", "command": ["python", "-c", "pass"]},
    }
    body = {"displayName": who, "jobSpec": {"workerPoolSpecs": [pool], "scheduling": {"timeout": "600s"}}}
    while not over.is_set():
        answer = target.session().post(url, json=body, timeout=20)
        answer.raise_for_status()
        made.jobs.add(answer.json()["name"])
        over.wait(0.7)


def _lost(target: Target, made: _Acknowledged) -> list[str]:
    """What is not as it was acknowledged, or is torn."""
    session = target.session()
    found = [f"refused: {error}" for error in made.refused]

    def read(name: str) -> bytes | None:
        path = f"{_STORAGE}/b/{_BUCKET}/o/{name.replace('/', '%2F')}"
        answer = session.get(path, params={"alt": "media"}, timeout=20)
        return answer.content if answer.ok else None

    for name, sent in made.sent.items():
        data = read(name)
        digest = hashlib.sha256(data).hexdigest() if data is not None else ""
        if name in made.objects and digest != made.objects[name]:
            found.append(f"object {name}")
        elif name in made.deleted and data is not None:
            found.append(f"deleted object {name}")
        elif data is not None and digest not in sent:
            found.append(f"torn object {name}")
    for name, (address, data, kept) in made.uploads.items():
        asked = session.put(address, data=b"", headers={"Content-Range": f"bytes */{len(data)}"}, timeout=20)
        last = asked.headers.get("range", "").rpartition("-")[2]  # no header: nothing is kept yet
        there = int(last) + 1 if last else 0
        if asked.status_code != 308:
            found.append(f"upload {name}: {asked.status_code}")
            continue
        if there < kept:
            found.append(f"upload {name}")
            continue
        part = {"Content-Range": f"bytes {there}-{len(data) - 1}/{len(data)}"}
        if not session.put(address, data=data[there:], headers=part, timeout=20).ok or read(name) != data:
            found.append(f"upload {name}")
    found += [f"entry {one}" for one in made.entries - _all_entries(target)] if made.entries else []
    found += [f"message {one}" for one in made.messages - _received(target)] if made.messages else []
    host = f"https://{target.account.region}-aiplatform.googleapis.com/v1"
    found += [f"job {name}" for name in made.jobs if not session.get(f"{host}/{name}", timeout=20).ok]
    return found


def _all_entries(target: Target) -> set[str]:
    project = f"projects/{target.account.project}"
    body: dict[str, Any] = {"resourceNames": [project], "filter": f'logName="{project}/logs/drill"', "pageSize": 1000}
    found: set[str] = set()
    while True:
        page = target.session().post(f"{_LOGGING}/entries:list", json=body, timeout=60).json()
        found.update(entry["insertId"] for entry in page.get("entries", ()))
        if not page.get("nextPageToken"):
            return found
        body["pageToken"] = page["nextPageToken"]


def endurance(place: Place, clients: int = _CLIENTS, requests: int = _REQUESTS) -> Iterator[Row]:
    """Many clients, each with thousands of requests: errors, and whether the server's memory grows."""
    place.bucket("endurance")
    errors: list[str] = []
    done = [0] * clients

    def work(number: int) -> None:
        session = Target(place.account, place.target.environment, {}).session()
        url = f"{_UPLOAD}/b/endurance/o"
        for i in range(requests // 2):
            name, data = f"{number}/{i % _NAMES}", f"{number} {i} ".encode() * 50
            path = f"{_STORAGE}/b/endurance/o/{name.replace('/', '%2F')}"
            try:
                session.post(
                    url, params={"uploadType": "media", "name": name}, data=data, timeout=60
                ).raise_for_status()
                if session.get(path, params={"alt": "media"}, timeout=60).content != data:
                    errors.append(f"{name} came back different")
            except Exception as error:  # every kind counts here
                errors.append(repr(error))
            done[number] += 2

    threads = [threading.Thread(target=work, args=(n,)) for n in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    total = clients * (requests // 2) * 2
    while sum(done) < total / 10 and any(thread.is_alive() for thread in threads):
        time.sleep(0.2)
    early = place.memory / _MIB
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    late = place.memory / _MIB
    name = f"{clients} clients, {requests:,} requests each"
    rate, note = total / seconds, f"{len(errors)} errors"
    yield Row(f"{name}: requests", "requests/s", rate, (rate, rate), target="0 errors", runs=1, note=note)
    yield Row(f"{name}: memory after a tenth and at the end", "MiB", late, (early, late), target="no growth", runs=1)


ROWS: dict[str, Callable[[Place], Iterator[Row]]] = {"kill -9": kills, "endurance": endurance}
