"""What to read next, on a clock that is set by hand."""

from __future__ import annotations

import attrs
import pytest

from chamelaion_async import LipsyncRequest
from chamelaion_async.loading.entries import Bucket, Entry, ListScan, Read
from chamelaion_async.loading.list_health import PATIENCE
from chamelaion_async.loading.read_queue import ReadQueue
from chamelaion_async.loading.slices import SLICE
from chamelaion_async.loading.times import NEVER

from .subscriber import Listener

TIMEOUT = 20.0


@attrs.define(eq=False)
class Clockwork:
    """A queue whose time stands still, with a list that has shown itself trustworthy."""

    now: float = 0.0
    wakes: int = 0
    queue: ReadQueue[LipsyncRequest] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.queue = ReadQueue(lambda: self.now, self._wake, TIMEOUT)
        self.queue.health.page_answered(0.0, 0.1)
        self.queue.health.get_answered(0.1)
        self.queue.index.total = 1000
        self.queue.index.size = 100

    def _wake(self) -> None:
        self.wakes += 1

    def placed(self, *ranks: int) -> list[Entry[LipsyncRequest]]:
        """Return entries that stand in the list."""
        entries = [self.alone(rank) for rank in ranks]
        for entry, rank in zip(entries, ranks, strict=True):
            self.queue.place(entry, rank)
        return entries

    def alone(self, name: object) -> Entry[LipsyncRequest]:
        """Return an entry that no page can show."""
        entry: Entry[LipsyncRequest] = Entry(str(name), subscriber=Listener())
        entry.note(scan_at=NEVER)
        return entry

    def scanned(self, count: int) -> list[Entry[LipsyncRequest]]:
        """Return entries whose place is unknown."""
        entries: list[Entry[LipsyncRequest]] = [Entry(f"s{number}", subscriber=Listener()) for number in range(count)]
        for entry in entries:
            self.queue.start_scan(entry)
        return entries

    def ask(self, *entries: Entry[LipsyncRequest], alone: bool = False, timeout: float = TIMEOUT) -> None:
        for entry in entries:
            self.queue.ask(entry, timeout, alone=alone)

    def choose(self) -> Read[LipsyncRequest]:
        read = self.queue.choose()
        assert read is not None
        return read

    def chosen(self) -> list[str]:
        """Return what is read until nothing is wanted: ids, and offsets of pages."""
        reads: list[str] = []
        while (read := self.queue.choose()) is not None:
            reads.append(f"page {read.offset}" if read.is_page else read.id)
        return reads


@pytest.fixture
def clockwork() -> Clockwork:
    return Clockwork()


class TestFairness:
    def test_the_oldest_poll_is_read_first_alone_in_a_bucket_or_in_a_scan(self, clockwork: Clockwork) -> None:
        near, far = clockwork.placed(950, 951), clockwork.placed(150, 151)
        for now, entries in enumerate(([clockwork.alone("a")], near, [clockwork.alone("b")], far)):
            clockwork.now = float(now)
            clockwork.ask(*entries)
        clockwork.now = 4.0
        clockwork.ask(*clockwork.scanned(2))
        assert clockwork.chosen() == ["a", "page 0", "b", "page 800", "page 0"]

    def test_a_bucket_is_as_old_as_its_first_queued_member(self, clockwork: Clockwork) -> None:
        first, second = clockwork.placed(950, 951)
        clockwork.ask(first)
        clockwork.now = 1.0
        clockwork.ask(clockwork.alone("a"))
        clockwork.now = 2.0
        clockwork.ask(second)
        assert clockwork.chosen() == ["page 0", "a"]

    def test_a_poll_without_an_answer_keeps_its_age(self, clockwork: Clockwork) -> None:
        unanswered, other = clockwork.alone("a"), clockwork.alone("b")
        clockwork.ask(unanswered)
        read = clockwork.choose()
        clockwork.now = 1.0
        clockwork.ask(other)
        clockwork.now = 2.0
        clockwork.queue.put_back(read)
        assert clockwork.chosen() == ["a", "b"]

    @pytest.mark.parametrize("is_placed", [False, True])
    def test_what_is_put_to_the_front_is_read_next(self, clockwork: Clockwork, is_placed: bool) -> None:
        others = clockwork.placed(950, 951)
        (entry,) = clockwork.placed(150) if is_placed else [clockwork.alone("150")]
        clockwork.ask(*others, entry)
        clockwork.queue.to_front(entry)
        assert clockwork.chosen() == ["150", "page 0"]

    def test_an_entry_that_is_moved_stays_queued_in_its_new_group(self, clockwork: Clockwork) -> None:
        entry = clockwork.alone("a")
        clockwork.ask(entry)
        clockwork.queue.place(entry, 950)
        bucket = entry.group
        assert isinstance(bucket, Bucket)
        assert (list(bucket.asking), clockwork.chosen()) == ([entry], ["a"])

    def test_an_entry_that_is_removed_is_not_read(self, clockwork: Clockwork) -> None:
        one, other = clockwork.placed(950, 951)
        alone = clockwork.alone("a")
        clockwork.ask(one, other, alone)
        for entry in (one, alone):
            clockwork.queue.remove(entry)
        assert clockwork.chosen() == ["951"]
        clockwork.queue.remove(other)
        assert clockwork.queue.index.entries() == []

    def test_the_heap_does_not_grow_with_entries_that_left_the_queue(self, clockwork: Clockwork) -> None:
        staying = clockwork.alone("staying")
        clockwork.ask(staying)
        for number in range(2000):
            entry = clockwork.alone(number)
            clockwork.ask(entry)
            clockwork.queue.dequeue(entry)
        assert len(clockwork.queue._heap) < 300
        assert clockwork.chosen() == ["staying"]

    def test_an_empty_queue_has_nothing_to_read(self, clockwork: Clockwork) -> None:
        clockwork.ask(*clockwork.placed(950, 951), clockwork.alone("a"))
        clockwork.queue.audit(clockwork.alone("b"))
        clockwork.queue.clear()
        assert (len(clockwork.queue), clockwork.chosen()) == (0, [])


class TestPages:
    def test_a_page_covers_all_queued_members_of_its_bucket(self, clockwork: Clockwork) -> None:
        first, second, idle = clockwork.placed(950, 951, 952)
        clockwork.ask(first, second)
        page = clockwork.choose()
        assert (page.covered, page.timeout) == ([first, second], TIMEOUT)
        assert [entry.state for entry in (first, second, idle)] == ["reading", "reading", "idle"]

    def test_a_poll_during_a_page_waits_for_the_next_page(self, clockwork: Clockwork) -> None:
        first, second, late = clockwork.placed(950, 951, 952)
        clockwork.queue.dequeue(late)
        clockwork.ask(first, second)
        page = clockwork.choose()
        clockwork.ask(late)
        assert clockwork.chosen() == []
        for entry in (first, second):
            clockwork.queue.dequeue(entry)
        clockwork.queue.page_answered(page, range(999, 899, -1), 2)
        assert clockwork.choose().covered == [late]

    def test_entries_that_a_page_did_not_show_are_read_with_get(self, clockwork: Clockwork) -> None:
        shown, missed = clockwork.placed(950, 951)
        clockwork.ask(shown, missed)
        page = clockwork.choose()
        clockwork.queue.dequeue(shown)
        clockwork.queue.page_answered(page, range(999, 899, -1), 1)
        assert (missed.rare.misses, clockwork.chosen()) == (1, ["951"])
        clockwork.queue.place(missed, 951)
        assert missed.rare.misses == 0

    def test_an_entry_that_lost_its_place_is_scanned_for_later(self, clockwork: Clockwork) -> None:
        (entry,) = clockwork.placed(950)
        clockwork.queue.lose_place(entry)
        assert (entry.group, entry.rare.scan_at) == (None, 15.0)

    def test_without_pages_a_bucket_is_read_with_gets(self, clockwork: Clockwork) -> None:
        clockwork.ask(*clockwork.placed(950, 951, 952))
        clockwork.now = 1.0
        clockwork.ask(*clockwork.placed(150))
        clockwork.queue.health.page_failed(0.0)
        assert clockwork.chosen() == ["950", "951", "952", "150"]

    def test_the_entries_of_a_failed_page_are_read_with_get(self, clockwork: Clockwork) -> None:
        clockwork.ask(*clockwork.placed(950, 951))
        page = clockwork.choose()
        clockwork.queue.health.page_failed(0.0)
        clockwork.queue.put_back(page)
        assert clockwork.chosen() == ["950", "951"]

    @pytest.mark.parametrize(("count", "reads"), [(8, []), (9, ["page 0"])])
    def test_last_polls_in_a_crowded_bucket_want_its_page_besides(
        self, clockwork: Clockwork, count: int, reads: list[str]
    ) -> None:
        entries = clockwork.placed(*range(950, 950 + count))
        for entry in entries:
            clockwork.queue.ask(entry, TIMEOUT, alone=True, with_page=True)
        assert clockwork.chosen() == [*reads, *(entry.id for entry in entries)]

    def test_a_page_that_is_wanted_is_not_read_for_a_bucket_that_is_empty_by_then(self, clockwork: Clockwork) -> None:
        entries = clockwork.placed(*range(950, 960))
        for entry in entries:
            clockwork.queue.ask(entry, TIMEOUT, alone=True, with_page=True)
        for entry in entries:
            clockwork.queue.remove(entry)
        assert clockwork.chosen() == []


class TestOverduePages:
    def bucket(self, clockwork: Clockwork, count: int = 40) -> Read[LipsyncRequest]:
        clockwork.ask(*clockwork.placed(*range(900, 900 + count)))
        page = clockwork.choose()
        assert page.is_page
        return page

    def test_of_an_overdue_page_sixteen_entries_are_read_with_get_and_then_all(self, clockwork: Clockwork) -> None:
        page = self.bucket(clockwork)
        assert page.overdue_at == pytest.approx(0.17)
        counts = []
        for _ in range(2):
            clockwork.now = page.overdue_at
            assert not clockwork.queue.page_is_overdue(page, clockwork.now)
            counts.append(len(clockwork.chosen()))
        assert (counts, page.overdue_at) == ([16, 24], NEVER)
        assert not clockwork.queue.health.is_trusted

    def test_of_several_pages_that_are_late_twice_one_stays_under_way(self, clockwork: Clockwork) -> None:
        first, second = self.bucket(clockwork), None
        clockwork.ask(*clockwork.placed(*range(100, 140)))
        second = clockwork.choose()
        for page in (first, second):
            clockwork.queue.page_is_overdue(page, 1.0)
        assert clockwork.queue.page_is_overdue(first, 2.0) is True
        clockwork.queue.page_ended(first)
        assert clockwork.queue.page_is_overdue(second, 2.0) is False

    def test_a_late_page_is_put_off_while_others_of_its_list_come(self, clockwork: Clockwork) -> None:
        page = self.bucket(clockwork)
        assert clockwork.queue.pages_keep_coming(page, 0.22) == 0.0
        clockwork.queue.health.page_answered(0.2, 0.1)
        assert clockwork.queue.pages_keep_coming(page, 0.22) == pytest.approx(0.37)
        assert clockwork.queue.pages_keep_coming(page, 0.38) == 0.0

    def test_a_late_page_is_put_off_for_two_seconds_after_it_was_sent_at_most(self, clockwork: Clockwork) -> None:
        clockwork.now = 10.0
        page = self.bucket(clockwork)
        put_off = []
        for came_at in (11.0, 11.95, 12.0):
            clockwork.queue.health.page_answered(came_at, 0.1)
            put_off.append(clockwork.queue.pages_keep_coming(page, came_at))
        assert put_off == [pytest.approx(11.17), 10.0 + PATIENCE, 0.0]

    @pytest.mark.parametrize("reason", ["overdue already", "an untrusted list", "a GET"])
    def test_a_read_is_not_put_off_without_need(self, clockwork: Clockwork, reason: str) -> None:
        read = self.bucket(clockwork)
        if reason == "overdue already":
            clockwork.queue.page_is_overdue(read, 0.22)
        elif reason == "a GET":
            clockwork.ask(clockwork.alone("a"))
            read = clockwork.choose()
        clockwork.queue.health.page_answered(0.2, 0.1)
        if reason == "an untrusted list":
            clockwork.queue.health.page_is_overdue()
        assert clockwork.queue.pages_keep_coming(read, 0.22) == 0.0

    def test_all_entries_of_an_overdue_page_are_read_with_get(self, clockwork: Clockwork) -> None:
        page = self.bucket(clockwork, 3)
        clockwork.queue.page_is_overdue(page, 1.0)
        reads = clockwork.chosen()
        assert (reads, list(page.owed())) == (["900", "901", "902"], [])

    def test_one_get_at_a_time_is_sent_beside_the_first_page(self) -> None:
        clockwork = Clockwork()
        clockwork.queue = ReadQueue(lambda: clockwork.now, lambda: None, TIMEOUT)
        clockwork.ask(*clockwork.placed(*range(10)))
        page = clockwork.choose()
        assert page.overdue_at == 0.05
        sent = []
        while (now := page.overdue_at) < PATIENCE:
            assert not clockwork.queue.page_is_overdue(page, now)
            sent.append((round(now, 2), *clockwork.chosen()))
        assert sent == [(0.05, "0"), (0.45, "1"), (0.85, "2"), (1.25, "3"), (1.65, "4")]
        assert (page.overdue_at, page.is_overdue) == (PATIENCE, False)


class TestPriming:
    @pytest.mark.parametrize("has_come", [True, False])
    def test_the_first_page_is_read_after_all_else_unless_one_has_come(self, has_come: bool) -> None:
        clockwork = Clockwork()
        if not has_come:
            clockwork.queue = ReadQueue(lambda: clockwork.now, lambda: None, TIMEOUT)
        clockwork.queue.prime()
        clockwork.ask(clockwork.alone("a"))
        reads = [clockwork.queue.choose() for _ in range(3)]
        assert [read and read.is_page for read in reads] == [False, None if has_come else True, None]

    def test_no_page_is_read_while_the_list_fails(self) -> None:
        clockwork = Clockwork()
        clockwork.queue = ReadQueue(lambda: clockwork.now, lambda: None, TIMEOUT)
        clockwork.queue.health.page_failed(0.0)
        clockwork.queue.prime()
        assert (clockwork.queue.choose(), len(clockwork.queue)) == (None, 0)


class TestScans:
    def test_entries_that_join_before_the_first_page_share_a_scan(self, clockwork: Clockwork) -> None:
        first, second = clockwork.scanned(2)
        assert first.group is second.group
        assert isinstance(first.group, ListScan)
        first.group.top = 500
        (third,) = clockwork.scanned(1)
        assert third.group is not first.group

    def test_a_scan_reads_as_many_pages_as_its_queued_members_may_need(self, clockwork: Clockwork) -> None:
        entries = clockwork.scanned(250)
        scan = entries[0].group
        assert isinstance(scan, ListScan)
        scan.top = 1000
        clockwork.ask(*entries)
        assert clockwork.chosen() == ["page 0", "page 100", "page 200"]
        assert scan.under_way == 3

    def test_a_failed_page_of_a_scan_is_read_again(self, clockwork: Clockwork) -> None:
        entries = clockwork.scanned(150)
        scan = entries[0].group
        assert isinstance(scan, ListScan)
        scan.top = 1000
        clockwork.ask(*entries)
        pages = [clockwork.choose(), clockwork.choose()]
        clockwork.queue.put_back(pages[0])
        assert (scan.top, scan.under_way) == (1000, 1)

    def test_after_a_fruitless_page_sixteen_gets_precede_the_next(self, clockwork: Clockwork) -> None:
        entries = clockwork.scanned(40)
        clockwork.ask(*entries)
        page = clockwork.choose()
        clockwork.queue.page_answered(page, range(999, 899, -1), 0)
        reads = clockwork.chosen()
        assert (reads[:16], reads[16]) == ([entry.id for entry in entries[:16]], "page 100")

    def test_entries_that_a_scan_did_not_find_are_scanned_for_after_growing_pauses(
        self, clockwork: Clockwork
    ) -> None:
        (entry,) = clockwork.scanned(1)
        again_at = []
        for _ in range(3):
            scan = entry.group
            assert isinstance(scan, ListScan)
            scan.top = 0
            clockwork.ask(entry)
            assert clockwork.chosen() == [entry.id]
            again_at.append(entry.rare.scan_at - clockwork.now)
            clockwork.queue.dequeue(entry)
            clockwork.now = entry.rare.scan_at
            clockwork.queue.start_scan(entry)
        assert again_at == [15.0, 30.0, 60.0]

    def test_an_entry_is_read_with_get_until_it_may_be_scanned_for(self, clockwork: Clockwork) -> None:
        entry: Entry[LipsyncRequest] = Entry("a", subscriber=Listener())
        entry.note(scan_at=15.0)
        clockwork.ask(entry)
        assert (entry.group, clockwork.chosen()) == (None, ["a"])

    def test_very_many_entries_leave_an_ended_scan_in_slices(self, clockwork: Clockwork) -> None:
        entries = clockwork.scanned(SLICE + 2)
        scan = entries[0].group
        assert isinstance(scan, ListScan)
        clockwork.ask(*entries)
        scan.top = 0
        assert clockwork.choose().id == entries[0].id
        assert [entry.id for entry in scan.asking] == [f"s{SLICE}", f"s{SLICE + 1}"]

    def test_a_scan_ends_with_its_last_page(self, clockwork: Clockwork) -> None:
        entries = clockwork.scanned(50)
        scan = entries[0].group
        assert isinstance(scan, ListScan)
        clockwork.ask(*entries)
        scan.top = 100
        page = clockwork.choose()
        assert (scan.top, clockwork.chosen()) == (0, [])
        clockwork.queue.page_answered(page, range(99, -1, -1), 0)
        assert len(clockwork.chosen()) == 50


class TestTimeouts:
    def test_a_get_has_the_longest_timeout_and_has_failed_for_some_after_the_shortest(
        self, clockwork: Clockwork
    ) -> None:
        entry = clockwork.alone("a")
        for timeout in (5.0, 20.0, 2.0):
            clockwork.ask(entry, timeout=timeout)
        clockwork.now = 1.0
        read = clockwork.choose()
        assert (read.timeout, read.least_timeout, read.overdue_at) == (20.0, 2.0, 3.0)

    @pytest.mark.parametrize(("now", "late_at"), [(0.05, 0.22), (3.0, 3.0)])
    def test_a_get_of_an_earlier_poll_is_late_once_it_took_twice_the_time_of_a_get(
        self, clockwork: Clockwork, now: float, late_at: float
    ) -> None:
        entry = clockwork.alone("a")
        clockwork.ask(entry)
        read = clockwork.choose()
        clockwork.now = now
        clockwork.ask(entry)
        assert read.overdue_at == pytest.approx(late_at)

    def test_an_entry_whose_get_is_late_is_queued_again_and_the_get_still_counts_its_time(
        self, clockwork: Clockwork
    ) -> None:
        entry = clockwork.alone("a")
        for timeout in (20.0, 2.0):
            clockwork.ask(entry, timeout=timeout)
        read = clockwork.choose()
        clockwork.queue.get_is_overdue(read)
        assert (entry.state, read.is_overdue, read.overdue_at) == ("asking", True, 2.0)

    def test_an_entry_that_is_dequeued_has_no_timeout(self, clockwork: Clockwork) -> None:
        entry = clockwork.alone("a")
        for timeout in (20.0, 2.0):
            clockwork.ask(entry, timeout=timeout)
        clockwork.queue.dequeue(entry)
        assert (entry.state, entry.timeout, entry.due, entry.rare.least_timeout) == ("idle", 0.0, NEVER, NEVER)

    def test_the_earliest_expected_time_counts(self, clockwork: Clockwork) -> None:
        entry = clockwork.alone("a")
        entry.due = NEVER
        for due in (5.0, 3.0, 9.0):
            clockwork.queue.expect(entry, due)
        assert entry.due == 3.0

    def test_a_poll_that_needs_a_get_leaves_the_page_under_way(self, clockwork: Clockwork) -> None:
        first, second = clockwork.placed(950, 951)
        clockwork.ask(first, second)
        page = clockwork.choose()
        clockwork.ask(second, alone=True)
        assert (list(page.owed()), clockwork.chosen()) == ([first], ["951"])

    def test_a_poll_that_needs_a_get_leaves_its_bucket(self, clockwork: Clockwork) -> None:
        first, second = clockwork.placed(950, 951)
        clockwork.ask(first, second)
        clockwork.ask(second, alone=True)
        assert clockwork.chosen() == ["page 0", "951"]


class TestProbes:
    def test_after_a_refused_page_a_single_get_is_sent_until_it_is_answered(self, clockwork: Clockwork) -> None:
        clockwork.ask(*clockwork.placed(950, 951), clockwork.alone("a"))
        clockwork.queue.health.page_refused(0.0)
        assert len(clockwork.queue) == 1
        probe = clockwork.choose()
        assert (probe.id, probe.overdue_at, len(clockwork.queue)) == ("950", 1.0, 0)
        assert clockwork.queue.choose() is None
        clockwork.queue.get_ended(probe)
        assert (len(clockwork.queue), clockwork.chosen()) == (2, ["a", "951"])

    def test_a_probe_that_is_refused_allows_pages_again(self, clockwork: Clockwork) -> None:
        clockwork.ask(*clockwork.placed(950, 951, 952))
        clockwork.queue.health.page_refused(0.0)
        clockwork.queue.get_ended(clockwork.choose(), is_refused=True)
        assert clockwork.chosen() == ["page 0"]

    def test_a_probe_that_is_late_does_not_delay_other_reads_any_longer(self, clockwork: Clockwork) -> None:
        clockwork.ask(clockwork.alone("a"), clockwork.alone("b"))
        clockwork.queue.health.page_refused(0.0)
        probe = clockwork.choose()
        clockwork.now, wakes = 1.0, clockwork.wakes
        clockwork.queue.get_is_overdue(probe)
        assert (clockwork.wakes, clockwork.chosen(), clockwork.queue.health.awaits_get) == (wakes + 1, ["b"], False)


class TestSingleReads:
    def test_an_audit_is_read_first_and_answers_no_poll(self, clockwork: Clockwork) -> None:
        entry, gone = clockwork.placed(950, 951)
        clockwork.queue.audit(gone)
        clockwork.queue.remove(gone)
        clockwork.ask(clockwork.alone("a"))
        clockwork.queue.audit(entry)
        read = clockwork.choose()
        assert (read.is_audit, read.id, entry.state, entry.read) == (True, "950", "idle", None)
        assert clockwork.chosen() == ["a"]

    def test_an_entry_whose_gets_fail_is_read_by_its_other_name_every_other_time(self, clockwork: Clockwork) -> None:
        entry = clockwork.alone("uuid")
        entry.note(aliases={"dub-1": 1})
        asked = []
        for failures in range(4):
            entry.note(failures_alone=failures)
            clockwork.ask(entry)
            read = clockwork.choose()
            asked.append((read.id, read.must_be))
            clockwork.queue.dequeue(entry)
        assert asked == [("uuid", None), ("dub-1", "uuid")] * 2

    def test_an_entry_without_subscribers_is_not_queued_again(self, clockwork: Clockwork) -> None:
        entry = clockwork.alone("a")
        clockwork.ask(entry)
        read = clockwork.choose()
        entry.subscriber = None
        clockwork.queue.ask_again(read)
        assert (entry.state, clockwork.chosen()) == ("idle", [])
