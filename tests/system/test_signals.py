import os
import signal

import pytest

from keras_fcn.system.signals import Interruption, Terminated, handling


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "exception"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_waits_for_the_next_check(number, exception):
    before = signal.getsignal(number)
    with Interruption() as interruption:
        interruption.check()
        send(number)
        steps = [1, 2]  # a step that is not interrupted
        with pytest.raises(exception) as caught:
            interruption.check()
    assert steps == [1, 2]
    assert type(caught.value) is exception
    assert signal.getsignal(number) is before


class Swallows:
    """Raises in a destructor, whose exceptions Python prints and drops."""

    def __del__(self):
        send(signal.SIGTERM)


def test_a_signal_is_not_lost_in_a_destructor():
    with Interruption() as interruption:
        Swallows()
        with pytest.raises(Terminated):
            interruption.check()


def test_a_second_signal_does_not_wait():
    with Interruption():
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_handlers_come_back_whoever_changed_them():
    before, taken = signal.getsignal(signal.SIGTERM), []
    with handling(lambda number, frame: taken.append(number)):
        send(signal.SIGTERM)
    with handling():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert taken == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before
