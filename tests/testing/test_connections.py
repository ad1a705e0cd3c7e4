"""How long a loop on virtual time listens to its sockets before time jumps."""

from __future__ import annotations

import os
import selectors
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from chamelaion_async.testing.connections import Connections

PATIENCE = 0.5
UNKNOWN = 0.001
IDLE, ARRIVING = (0.0, 1.0) if sys.platform == "linux" else (UNKNOWN, UNKNOWN)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def selector(stack: ExitStack) -> selectors.DefaultSelector:
    return stack.enter_context(selectors.DefaultSelector())


@pytest.fixture
def listener(stack: ExitStack) -> socket.socket:
    return stack.enter_context(socket.create_server(("127.0.0.1", 0)))


@pytest.fixture
def pair(stack: ExitStack, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = stack.enter_context(socket.create_connection(listener.getsockname()))
    server = stack.enter_context(listener.accept()[0])
    for end in (client, server):
        end.setblocking(False)
    return client, server


def watch(selector: selectors.DefaultSelector, *sockets: socket.socket | int) -> None:
    for each in sockets:
        selector.register(each, selectors.EVENT_READ)


def fill(sender: socket.socket) -> None:
    """Send until the receiver's buffer and the sender's own are full."""
    with suppress(BlockingIOError):
        while True:
            sender.send(bytes(65536))


def test_a_socket_that_listens_is_not_listened_to(
    selector: selectors.DefaultSelector, listener: socket.socket
) -> None:
    watch(selector, listener)
    assert Connections(PATIENCE).patience(selector.get_map()) == 0


def test_a_pair_of_which_all_has_arrived_is_idle(
    selector: selectors.DefaultSelector, pair: tuple[socket.socket, socket.socket]
) -> None:
    client, server = pair
    watch(selector, *pair)
    connections = Connections(PATIENCE)
    assert connections.patience(selector.get_map()) == IDLE
    for sender, receiver, size in ((client, server, 1), (server, client, 300), (server, client, 30_000)):
        sender.send(bytes(size))
        left = size
        while left:
            assert selector.select(1)
            left -= len(receiver.recv(left))
        # Read at once, and acknowledged up to 40 ms later.
        assert connections.patience(selector.get_map()) == IDLE


def test_a_pair_of_which_not_all_has_arrived_is_listened_to(
    selector: selectors.DefaultSelector, pair: tuple[socket.socket, socket.socket]
) -> None:
    watch(selector, *pair)
    fill(pair[0])
    assert Connections(PATIENCE).patience(selector.get_map()) == ARRIVING


def test_a_pair_whose_receiver_does_not_read_is_not_listened_to(
    selector: selectors.DefaultSelector, pair: tuple[socket.socket, socket.socket]
) -> None:
    client, server = pair
    selector.register(server, selectors.EVENT_WRITE)
    selector.register(client, selectors.EVENT_WRITE)
    fill(client)
    assert Connections(PATIENCE).patience(selector.get_map()) == 0


def test_a_pair_is_listened_to_for_a_moment_where_bytes_are_not_counted(
    selector: selectors.DefaultSelector, pair: tuple[socket.socket, socket.socket]
) -> None:
    watch(selector, *pair)
    assert Connections(PATIENCE, counts_bytes=False).patience(selector.get_map()) == UNKNOWN


def test_a_connection_whose_other_end_is_elsewhere_is_listened_to(
    selector: selectors.DefaultSelector, pair: tuple[socket.socket, socket.socket]
) -> None:
    watch(selector, pair[0])
    assert Connections(PATIENCE).patience(selector.get_map()) == PATIENCE


def test_a_connection_that_is_being_made_is_listened_to(
    stack: ExitStack, selector: selectors.DefaultSelector
) -> None:
    watch(selector, stack.enter_context(socket.socket()))
    assert Connections(PATIENCE).patience(selector.get_map()) == PATIENCE


def test_what_is_no_connection_over_ip_is_listened_to(stack: ExitStack, selector: selectors.DefaultSelector) -> None:
    ours, theirs = socket.socketpair()
    stack.enter_context(ours)
    stack.enter_context(theirs)
    reading, writing = os.pipe()
    stack.callback(os.close, reading)
    stack.callback(os.close, writing)
    for fd in (ours, reading):
        watch(selector, fd)
        assert Connections(PATIENCE).patience(selector.get_map()) == PATIENCE
        selector.unregister(fd)


def test_what_wakes_the_loop_is_left_out(
    selector: selectors.DefaultSelector, pair: tuple[socket.socket, socket.socket]
) -> None:
    watch(selector, pair[0])
    connections = Connections(PATIENCE)
    connections.leave_out([pair[0].fileno()])
    assert connections.patience(selector.get_map()) == 0


def test_a_number_that_comes_back_as_another_socket_is_looked_up_again(
    stack: ExitStack, selector: selectors.DefaultSelector, pair: tuple[socket.socket, socket.socket]
) -> None:
    watch(selector, *pair)
    connections = Connections(PATIENCE)
    connections.patience(selector.get_map())
    fd = pair[0].fileno()
    selector.unregister(pair[0])
    connections.forget(fd)
    pair[0].close()
    other = socket.socket()
    os.dup2(other.detach(), fd)
    watch(selector, stack.enter_context(socket.socket(fileno=fd)))
    assert connections.patience(selector.get_map()) == PATIENCE


def test_a_pair_that_was_closed_meanwhile_is_listened_to(
    selector: selectors.DefaultSelector, pair: tuple[socket.socket, socket.socket]
) -> None:
    watch(selector, *pair)
    connections = Connections(PATIENCE)
    connections.patience(selector.get_map())
    for end in pair:
        end.close()
    assert connections.patience(selector.get_map()) == ARRIVING
