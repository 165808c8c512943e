// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNear: a client that answers while it is looked for stays near, one that does not is slept for, and
// no other one is looked for where it would cost the processors that have work.
func TestNear(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])

	lockStep := func() *sender {
		return &sender{
			Transfer: &Transfer{running: new(atomic.Int32)},
			window:   &window{size: 1},
			fd:       uintptr(fds[0]),
			most:     2,
		}
	}
	receive := func(s *sender, first bool, want error) {
		t.Helper()
		if _, err := s.receive(first); err != want {
			t.Fatalf("received with %v, want %v", err, want)
		}
	}

	s := lockStep()
	for range looks - 1 {
		receive(s, false, unix.EAGAIN)
		receive(s, true, unix.EAGAIN) // has slept
	}
	if !s.near() {
		t.Error("a client is not near, though it was not missed as often as that")
	}
	if _, err := unix.Write(fds[1], []byte("ACK")); err != nil {
		t.Fatal(err)
	}
	receive(s, false, nil)
	for range looks {
		if !s.near() {
			t.Fatal("a client is not near, though it was just met")
		}
		receive(s, false, unix.EAGAIN)
	}
	packets := 0
	for ; !s.near() && packets <= rest; packets++ {
		receive(s, packets%2 == 0, unix.EAGAIN)
	}
	if packets != rest {
		t.Errorf("a client that was missed all the time is near again after %d packets, want %d", packets, rest)
	}

	s = lockStep()
	for running, want := range []bool{true, true, true, false, false} {
		s.running.Store(int32(running))
		if got := s.near(); got != want {
			t.Errorf("with %d transfers and 4 processors near is %v, want %v", running, got, want)
		}
	}
	s = lockStep()
	s.window.size = 4
	if s.near() {
		t.Error("a client is looked for in a transfer by windows")
	}
}
