// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nobodd/internal/tftp"
)

// happening is something that a board does at a time.
type happening struct {
	at     float64 // seconds
	what   string  // ask, or an outcome
	board  string
	file   string
	bytes  int64
	client string // of the default section; "" for 192.168.0.5 and any other board
}

func (h happening) event() *event {
	client := h.client
	if client == "" {
		client = "192.168.0.5"
	}
	outcomes := map[string]error{"ask": nil, "sent": nil, "missing": errNotFound, "changed": errChanged, "timeout": tftp.ErrTimeout, "refused": errNotFile}
	err, known := outcomes[h.what]
	if !known {
		panic(h.what)
	}
	e := &event{client: netip.AddrPortFrom(netip.MustParseAddr(client), 1), board: h.board, story: h.board, file: h.file, bytes: h.bytes, err: err}
	if h.client != "" {
		e.story = h.client
	}
	return e
}

// TestStories: what is told at the end, 10 seconds after the last thing that happened.
func TestStories(t *testing.T) {
	const a, b = "89025d75", "bd989ae1"
	for _, tt := range []struct {
		name string
		do   []happening
		want string // lines without what is for programs
	}{
		{"a boot", []happening{
			{0, "ask", a, "", 0, ""}, {0, "missing", a, "vl805.sig", 0, ""},
			{1, "ask", a, "", 0, ""}, {1.5, "sent", a, "start4.elf", 2 << 20, ""},
			{2, "ask", a, "", 0, ""}, {3, "missing", a, "dt blob.bin", 0, ""},
			{3, "ask", a, "", 0, ""}, {4.2, "sent", a, "config.txt", 100, ""},
		}, `89025d75: fetched 2 files, 2.0MiB in 4.2s; not there: vl805.sig, "dt blob.bin"`},
		{"one file", []happening{{0, "ask", a, "", 0, ""}, {0, "sent", a, "x", 0, ""}}, "89025d75: fetched 1 file, 0B in 0.0s"},
		{"nothing was fetched", []happening{
			{0, "ask", a, "", 0, ""}, {0, "missing", a, "x", 0, ""},
			{0, "ask", a, "", 0, ""}, {1, "changed", a, "x", 1000, ""},
			{0, "ask", a, "", 0, ""}, {1, "timeout", a, "x", 1000, ""},
			{0, "ask", a, "", 0, ""}, {1, "refused", a, "x", 0, ""},
		}, ""},
		{"a name that is missed often", []happening{
			{0, "ask", a, "", 0, ""}, {0, "missing", a, "x", 0, ""}, {1, "ask", a, "", 0, ""}, {1, "missing", a, "x", 0, ""},
			{1, "ask", a, "", 0, ""}, {1, "sent", a, "y", 0, ""},
		}, "89025d75: fetched 1 file, 0B in 1.0s; not there: x"},
		{"quiet for less than 10 seconds", []happening{
			{0, "ask", a, "", 0, ""}, {1, "sent", a, "x", 1, ""},
			{10.9, "ask", a, "", 0, ""}, {11, "sent", a, "x", 1, ""},
		}, "89025d75: fetched 2 files, 2B in 11.0s"},
		{"quiet for 10 seconds", []happening{
			{0, "ask", a, "", 0, ""}, {1, "sent", a, "x", 1, ""},
			{11, "ask", a, "", 0, ""}, {12, "sent", a, "x", 1, ""},
		}, "89025d75: fetched 1 file, 1B in 1.0s\n89025d75: fetched 1 file, 1B in 1.0s"},
		{"a long file is no quiet", []happening{
			{0, "ask", a, "", 0, ""}, {1, "sent", a, "x", 1, ""}, {2, "ask", a, "", 0, ""}, {60, "sent", a, "x", 1, ""},
		}, "89025d75: fetched 2 files, 2B in 60.0s"},
		{"two boards", []happening{
			{0, "ask", b, "", 0, ""}, {1, "ask", a, "", 0, ""}, {2, "sent", a, "x", 1, ""}, {3, "sent", b, "x", 2, ""},
		}, "89025d75: fetched 1 file, 1B in 1.0s\nbd989ae1: fetched 1 file, 2B in 3.0s"},
		{"two boards of the default section, one of which says its number", []happening{
			{0, "ask", "default", "", 0, "192.168.0.6"}, {0, "sent", "default", "x", 1, "192.168.0.6"},
			{1, "ask", "default", "", 0, "192.168.0.7"}, {1, "sent", "default", "x", 1, "192.168.0.7"},
			{2, "ask", a, "", 0, "192.168.0.6"}, {2, "sent", a, "x", 1, "192.168.0.6"},
			{3, "ask", "default", "", 0, "192.168.0.6"}, {3, "sent", "default", "x", 1, "192.168.0.6"},
		}, "default: fetched 1 file, 1B in 0.0s\n89025d75: fetched 3 files, 3B in 3.0s"},
		{"a stranger", []happening{{0, "sent", a, "x", 1, ""}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := newLogs(t)
			s := stories{}
			zero := time.Unix(1e9, 0)
			for _, h := range tt.do {
				now := zero.Add(time.Duration(h.at * float64(time.Second)))
				for _, b := range s.over(now.Add(-quiet)) {
					b.log(slog.New(log))
				}
				if h.what == "ask" {
					s.asked(h.event(), now)
				} else {
					s.ended(h.event(), now)
				}
			}
			for len(s) > 0 {
				next, ok := s.next()
				if !ok {
					t.Fatal("some board never becomes quiet")
				}
				for _, b := range s.over(next) {
					b.log(slog.New(log))
				}
			}
			var got []string
			for line := range strings.Lines(log.text()) {
				text, _, _ := strings.Cut(line, " client=")
				got = append(got, text)
			}
			if text := strings.Join(got, "\n"); text != tt.want {
				t.Errorf("got\n%s\nwant\n%s", text, tt.want)
			}
		})
	}
}

// TestStoryLine: what is in it for programs.
func TestStoryLine(t *testing.T) {
	log := newLogs(t)
	b := story{board: "89025d75", client: netip.MustParseAddr("192.168.0.5"), began: time.Unix(1, 0), last: time.Unix(13, 345e6), files: 9, bytes: 32 << 20, missing: []string{"x"}}
	b.log(slog.New(log))
	want := "89025d75: fetched 9 files, 32MiB in 12.3s; not there: x client=192.168.0.5 board=89025d75 outcome=booted files=9 bytes=33554432 seconds=12.345\n"
	if log.text() != want {
		t.Errorf("got  %swant %s", log.text(), want)
	}
}

// TestStoryNames: at most 20 names, then how many more; and not all are remembered.
func TestStoryNames(t *testing.T) {
	for _, tt := range []struct {
		names, length int
		want          string
	}{
		{20, 3, "119"},
		{21, 3, "119 and 1 more"},
		{100, 3, "119 and 80 more"},
		{1000, 200, "119 and 980 more"},
	} {
		s, now := stories{}, time.Now()
		for i := range tt.names {
			h := happening{board: "1", file: fmt.Sprint(100+i) + strings.Repeat("x", tt.length-3), what: "missing"}
			for range 2 {
				s.asked(h.event(), now)
			}
			s.ended(h.event(), now)
			if b := s["1"]; b.more == 0 {
				s.ended(h.event(), now) // once more
			}
		}
		b := s["1"]
		if b.length > maxMissing {
			t.Errorf("%d bytes of names are remembered", b.length)
		}
		log := newLogs(t)
		b.log(slog.New(log))
		_, names, _ := strings.Cut(log.text(), "not there: ")
		names, _, _ = strings.Cut(strings.ReplaceAll(names, "x", ""), " client=")
		list := strings.Split(names, ", ")
		if got := list[len(list)-1]; len(list) != 20 || got != tt.want {
			t.Errorf("%d names of %d bytes: %d are shown, the last with what follows is %q, want %q", tt.names, tt.length, len(list), got, tt.want)
		}
	}
}

// TestStoriesAreBounded: by what is remembered.
func TestStoriesAreBounded(t *testing.T) {
	s := stories{}
	for i := range 2 * maxStories {
		s.asked(&event{story: fmt.Sprint(i)}, time.Now())
	}
	if len(s) != maxStories {
		t.Errorf("%d stories, want %d", len(s), maxStories)
	}
}

// TestTeller: the clock of the stories.
func TestTeller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLogs(t)
		tell := teller{log: slog.New(log), after: quiet}
		fetch := func(board string, took time.Duration) {
			e := (&happening{what: "sent", board: board, file: "x"}).event()
			tell.asked(e)
			time.Sleep(took)
			tell.ended(e)
		}
		told := func() int { synctest.Wait(); return strings.Count(log.text(), "fetched") }
		fetch("1", time.Second)
		time.Sleep(5 * time.Second)
		fetch("2", time.Second)
		time.Sleep(3900 * time.Millisecond)
		if told() != 0 {
			t.Error("told too early")
		}
		time.Sleep(100 * time.Millisecond)
		if told() != 1 {
			t.Errorf("%d are told after 10 seconds, want 1", told())
		}
		fetch("2", 20*time.Second) // is the board's second
		time.Sleep(quiet)
		if told() != 2 || !strings.Contains(log.text(), "2: fetched 2 files") {
			t.Error("the second is not told, or not whole")
		}
		fetch("4", time.Second)
		time.Sleep(5 * time.Second)
		fetch("5", time.Second)
		time.Sleep(20 * time.Second) // nothing else happens
		if told() != 4 {
			t.Errorf("%d are told, want 4", told())
		}
		tell.ended((&happening{what: "missing"}).event()) // a stranger's
		time.Sleep(time.Hour)
		if told() != 4 || tell.timer != nil || len(tell.stories) > 0 {
			t.Error("something is left")
		}
	})
}

// tellNow has the stories told as if all boards had been quiet for long.
func tellNow(t *testing.T, d *testServer) {
	t.Helper()
	waitIdle(t, d)
	d.tell.mu.Lock()
	d.tell.after = 0
	d.tell.mu.Unlock()
	d.tell.tell()
}

// TestStoryOfABoot: over the network. Who asks in vain, or with another's number, has none.
func TestStoryOfABoot(t *testing.T) {
	path, _ := ubuntu(t)
	cfg := configured(t, "[tftp]\nlisten=127.0.0.1\nport=0\n[board:89025d75]\nimage="+path+"\n[board:1]\nimage="+path+"\nip=192.0.2.1\n")
	d := start(t, cfg)
	for _, name := range []string{"1/cmdline.txt", "2/cmdline.txt", "89025d75/vl805.sig", "89025d75/config.txt"} {
		c := d.client(t)
		c.send(c.server, rrq(name, "octet"))
		c.finish(512)
	}
	tellNow(t, d)
	d.log.wait(t, 1, "89025d75: fetched 1 file, 498B in ")
	d.log.wait(t, 1, "s; not there: vl805.sig client=127.0.0.1 board=89025d75 outcome=booted files=1 bytes=498 seconds=")
	if n := strings.Count(d.log.text(), "fetched"); n != 1 {
		t.Errorf("%d stories, want 1", n)
	}
}

// TestStoriesOfTheDefault: each client is a board of its own.
func TestStoriesOfTheDefault(t *testing.T) {
	path, _ := ubuntu(t)
	d := start(t, configured(t, "[tftp]\nlisten=127.0.0.1\nport=0\n[board:default]\nimage="+path+"\n"))
	for _, from := range []string{"127.0.0.1", "127.0.0.2"} {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := &client{TB: t, conn: conn, server: d.addr}
		c.send(c.server, rrq("config.txt", "octet"))
		c.finish(512)
	}
	tellNow(t, d)
	d.log.wait(t, 1, " client=127.0.0.1 board=default outcome=booted files=1 bytes=498 seconds=")
	d.log.wait(t, 1, " client=127.0.0.2 board=default outcome=booted files=1 bytes=498 seconds=")
}

// TestChangedOutcome: it is never called sent, and told apart from what failed.
func TestChangedOutcome(t *testing.T) {
	e := event{err: fmt.Errorf("x: %w", errChanged), bytes: 2048}
	level, word, text := e.outcome()
	if level != slog.LevelWarn || word != "changed" || !strings.Contains(text, "2.0KiB") || !strings.Contains(text, "it changed while it was sent") {
		t.Errorf("%v %s %s", level, word, text)
	}
	e.err = &failure{"x", errors.New("input/output error")}
	if _, word, _ := e.outcome(); word != "failed" {
		t.Errorf("a failure is %s", word)
	}
}
