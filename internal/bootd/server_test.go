// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nobodd/internal/config"
)

// TestFilesAreClosed: whatever ended their transfers.
func TestFilesAreClosed(t *testing.T) {
	var opened, closed atomic.Int32
	d := startWith(t, board("none"), func(_ config.Board, name string) (file, error) {
		opened.Add(1)
		m := &memory{ReaderAt: zeros{}, size: 1000, closed: func() { closed.Add(1) }}
		switch name {
		case "changed":
			m.now = errChanged
		case "unreadable":
			m.ReaderAt = badReader{}
		case "panic":
			m.ReaderAt = panicReader{}
		}
		return m, nil
	})
	for _, name := range []string{"sent", "changed", "unreadable", "panic"} {
		c := d.client(t)
		c.request(name, "octet")
		c.finish(512)
	}
	c := d.client(t)
	for _, name := range []string{"given up", "broken off"} {
		c.request(name, "octet")
		c.want("DATA 1 of 512 bytes")
	}
	c.reply(opError, 0, "\x00")
	waitIdle(t, d)
	if opened.Load() != 6 || closed.Load() != 6 {
		t.Errorf("%d files were opened, %d closed", opened.Load(), closed.Load())
	}
}

// TestSuperseded: what a client has given up does not keep it from what it asks for now, unless too
// much of it hangs in a disk.
func TestSuperseded(t *testing.T) {
	disk := make(chan struct{})
	cfg := board("none")
	cfg.MaxTransfers = 1
	d := startWith(t, cfg, func(_ config.Board, name string) (file, error) {
		if name == "hangs" {
			<-disk
		}
		return &memory{ReaderAt: zeros{}, size: 1000}, nil
	})
	c := d.client(t)
	c.request("x", "octet", "tsize 0")
	c.want("OACK tsize=1000")
	c.request("y", "octet", "blksize 1000")
	c.want("OACK blksize=1000")
	waitRunning(t, d, 1) // what was superseded counts until it has ended
	c.request("hangs", "octet")
	d.log.wait(t, 2, ": client asked for something else")
	waitRunning(t, d, 1)
	c.request("hangs", "octet", "tsize 0")
	c.request("x", "octet", "tsize 0")
	c.want("ERROR 0 too many transfers")
	if n := d.Running(); n != 2 {
		t.Errorf("%d transfers, want 2", n)
	}
	close(disk)
	waitIdle(t, d)
	c.wantNothing()
	c.request("x", "octet", "tsize 0")
	c.want("OACK tsize=1000")
}

// TestAskAgainAtOnce: a client that has its answer may ask the same again, though the server is not
// done with the first request.
func TestAskAgainAtOnce(t *testing.T) {
	d := startWith(t, board("none"), func(config.Board, string) (file, error) { return nil, errNotFound })
	c := d.client(t)
	d.log.mu.Lock() // nothing can be logged
	defer d.log.mu.Unlock()
	for range 3 {
		c.request("x", "octet")
		c.want("ERROR 1 file not found")
	}
}

// TestAskAgainAfterError: the same where the client ended the first request.
func TestAskAgainAfterError(t *testing.T) {
	d := serving(t, noise(3000))
	c := d.client(t)
	d.log.mu.Lock()
	defer d.log.mu.Unlock()
	for range 3 {
		c.request("x", "octet", "tsize 0")
		c.want("OACK tsize=3000")
		c.reply(opError, 0, "Early terminate\x00")
		waitForgotten(t, d)
	}
}

// waitForgotten waits until no request can be taken for one that came before.
func waitForgotten(t *testing.T, d *testServer) {
	t.Helper()
	for deadline := time.Now().Add(soon); ; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		n := len(d.live)
		d.mu.Unlock()
		switch {
		case n == 0:
			return
		case time.Now().After(deadline):
			t.Fatalf("%d requests are remembered", n)
		}
	}
}

// TestAborted: a client that breaks off what it had begun to fetch is not one that asked for the size.
func TestAborted(t *testing.T) {
	d := serving(t, noise(3000))
	c := d.client(t)
	c.request("x", "octet")
	c.want("DATA 1 of 512 bytes")
	c.ack(1)
	c.want("DATA 2 of 512 bytes")
	c.reply(opError, 3, "disk full\x00")
	line := d.log.wait(t, 1, "outcome=aborted")
	if want := `89025d75: x after 512B in 0.0s: client said "disk full" (3) client=`; !strings.HasPrefix(atOnce(line), want) {
		t.Errorf("log: %q, want %q", line, want)
	}
	c.wantNothing()
}

// TestListenAbsent: an address that this machine does not have is warned of, and no other.
func TestListenAbsent(t *testing.T) {
	for listen, want := range map[string]string{
		"192.0.2.77": "warning: this machine does not have the address 192.0.2.77 yet; listening on it all the same\n",
		"127.0.0.1":  "",
		"::":         "",
	} {
		log := newLogs(t)
		l, err := Listen(&config.Config{Listen: listen}, slog.New(log))
		if err != nil {
			t.Errorf("%s: %v", listen, err)
			continue
		}
		l.Close()
		if got := log.text(); got != want {
			t.Errorf("%s: log %q, want %q", listen, got, want)
		}
	}
}
