// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"nobodd/internal/config"
	"nobodd/internal/text"
)

const (
	// quiet is how long a board asks for nothing before the story of its boot is told.
	quiet = 10 * time.Second

	// What is remembered must not grow with what is asked.
	maxStories = 4096
	maxMissing = 4096 // bytes of names in a story

	shownNames = 20
)

// story is what a board asked for since it was quiet.
type story struct {
	board   string
	client  netip.Addr
	began   time.Time // the first request
	last    time.Time // the last request or its end
	running int
	files   int
	bytes   int64
	missing []string // names, each once
	length  int      // of missing, in bytes
	more    int      // requests for names that were not remembered
}

// stories are those of all boards, by event.story. They know no clock.
type stories map[string]*story

// asked notes the beginning of a board's request.
func (s stories) asked(e *event, now time.Time) {
	b := s[e.story]
	if b == nil {
		if len(s) >= maxStories {
			return
		}
		b = &story{began: now}
		s[e.story] = b
	}
	if b.board == "" || e.board != config.Default.String() { // a Pi 3 does not say its number at first
		b.board = e.board
	}
	b.client, b.last = e.client.Addr(), now
	b.running++
}

// ended notes the end of a request that asked has seen.
func (s stories) ended(e *event, now time.Time) {
	b := s[e.story]
	if b == nil || b.running == 0 {
		return
	}
	b.running--
	b.last = now
	switch _, word, _ := e.outcome(); word {
	case "sent":
		b.files++
		b.bytes += e.bytes
	case "missing":
		b.miss(shown(e.file))
	}
}

func (b *story) miss(name string) {
	switch {
	case slices.Contains(b.missing, name):
	case b.length+len(name) > maxMissing:
		b.more++
	default:
		b.missing = append(b.missing, name)
		b.length += len(name)
	}
}

// over removes the boards that have been quiet since until, and returns those that fetched something, in
// the order they began.
func (s stories) over(until time.Time) []*story {
	var list []*story
	for key, b := range s {
		if b.running > 0 || b.last.After(until) {
			continue
		}
		delete(s, key)
		if b.files > 0 {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b *story) int { return a.began.Compare(b.began) })
	return list
}

// next returns when the first of the boards that are quiet became so. A board that is not becomes so by an end.
func (s stories) next() (first time.Time, ok bool) {
	for _, b := range s {
		if b.running == 0 && (!ok || b.last.Before(first)) {
			first, ok = b.last, true
		}
	}
	return first, ok
}

// log writes the line for a boot.
func (b *story) log(log *slog.Logger) {
	seconds := b.last.Sub(b.began).Seconds()
	line := fmt.Sprintf("%s: fetched %s, %s in %.1fs", b.board, count(b.files, "file"), text.Size(b.bytes), seconds)
	if len(b.missing) > 0 {
		names := make([]string, 0, shownNames)
		for _, name := range b.missing[:min(len(b.missing), shownNames)] {
			names = append(names, quoted(name))
		}
		line += "; not there: " + strings.Join(names, ", ")
	}
	if more := max(len(b.missing)-shownNames, 0) + b.more; more > 0 {
		line += fmt.Sprintf(" and %d more", more)
	}
	log.LogAttrs(context.Background(), slog.LevelInfo, line,
		slog.String("client", b.client.String()),
		slog.String("board", b.board),
		slog.String("outcome", "booted"),
		slog.Int("files", b.files),
		slog.Int64("bytes", b.bytes),
		slog.String("seconds", fmt.Sprintf("%.3f", seconds)))
}

// teller writes the line for each request, and the stories when their time has come.
type teller struct {
	log *slog.Logger

	mu      sync.Mutex
	after   time.Duration // see quiet
	stories stories
	timer   *time.Timer // nil while no board is quiet
}

// asked notes that a request of a board begins.
func (t *teller) asked(e *event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stories == nil {
		t.stories = stories{}
	}
	t.stories.asked(e, time.Now())
}

// ended logs a request that has ended.
func (t *teller) ended(e *event) {
	e.log(t.log)
	if e.story == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stories.ended(e, time.Now())
	t.wait()
}

// tell logs the stories that are over.
func (t *teller) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range t.stories.over(time.Now().Add(-t.after)) {
		b.log(t.log)
	}
	t.timer = nil
	t.wait()
}

// wait has tell called when the next story may be over.
func (t *teller) wait() {
	if t.timer != nil {
		return
	}
	if first, ok := t.stories.next(); ok {
		t.timer = time.AfterFunc(time.Until(first.Add(t.after)), t.tell)
	}
}
