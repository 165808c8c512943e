// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"nobodd/internal/text"
	"nobodd/internal/tftp"
)

// event is a request that has ended.
type event struct {
	client  netip.AddrPort
	board   string // who asks, see asked.who
	story   string // which board's it is part of, see Server.find; "" for that of none
	file    string
	bytes   int64 // sent
	size    int64 // of the file; 0 if it was not opened
	took    time.Duration
	opening bool // the client had not acknowledged anything
	err     error
}

// log writes the line for the request.
func (e *event) log(log *slog.Logger) {
	board := e.board
	if board == "" {
		board = "-"
	}
	level, outcome, what := e.outcome()
	file := shown(e.file)
	attrs := []slog.Attr{
		slog.String("client", e.client.String()),
		slog.String("board", board),
		slog.String("file", file),
		slog.String("outcome", outcome),
		slog.Int64("bytes", e.bytes),
		slog.String("seconds", strconv.FormatFloat(e.took.Seconds(), 'f', 3, 64)),
		slog.String("rate", text.Size(e.rate())+"/s"),
	}
	if p := (*panicError)(nil); errors.As(e.err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	log.LogAttrs(context.Background(), level, fmt.Sprintf("%s: %s %s", board, quoted(file), what), attrs...)
}

// outcome returns how the request ended: the level of that, a word for programs and what people read.
func (e *event) outcome() (level slog.Level, word, what string) {
	seconds := fmt.Sprintf("in %.1fs", e.took.Seconds())
	after := fmt.Sprintf("after %s %s", text.Size(e.bytes), seconds)
	var said *tftp.ClientError
	var why *tftp.Refusal
	switch err := e.err; {
	case err == nil:
		return slog.LevelInfo, "sent", text.Size(e.bytes) + " " + seconds
	case errors.As(err, &said) && e.opening, errors.Is(err, tftp.ErrGone) && e.opening:
		return slog.LevelDebug, "probed", "probed: " + text.Size(e.size)
	case errors.As(err, &said), errors.Is(err, tftp.ErrGone):
		return slog.LevelInfo, "aborted", fmt.Sprintf("%s: %v", after, err)
	case errors.Is(err, errSuperseded):
		return slog.LevelDebug, "aborted", fmt.Sprintf("%s: %v", after, err)
	case errors.Is(err, errChanged):
		return slog.LevelWarn, "changed", after + ": it changed while it was sent"
	case errors.Is(err, tftp.ErrTimeout):
		return slog.LevelWarn, "timeout", fmt.Sprintf("%s: %v", after, err)
	case errors.Is(err, errNotFound):
		return slog.LevelDebug, "missing", "not found"
	case errors.Is(err, errBusy): // the server warns of that itself, but not each time
		return slog.LevelDebug, "refused", "refused: " + errBusy.Text
	case errors.As(err, &why):
		return slog.LevelWarn, "refused", "refused: " + why.Text
	}
	return slog.LevelError, "failed", after + ": " + text.Printable(e.err.Error())
}

// rate is in bytes a second.
func (e *event) rate() int64 {
	return int64(float64(e.bytes) / max(e.took, time.Microsecond).Seconds())
}

// maxLogged is how many bytes of a name are logged.
const maxLogged = 300

// shown returns s, or its beginning.
func shown(s string) string {
	if len(s) > maxLogged {
		return s[:maxLogged] + "..."
	}
	return s
}

// quoted returns s as one word of printable characters.
func quoted(s string) string {
	odd := func(r rune) bool { return !strconv.IsGraphic(r) || r == ' ' || r == '"' || r == utf8.RuneError }
	if s == "" || strings.ContainsFunc(s, odd) {
		return strconv.Quote(s)
	}
	return s
}

// sometimes keeps a warning from filling the log.
type sometimes struct{ last time.Time }

// now reports whether it is time to warn again.
func (s *sometimes) now() bool {
	const while = 10 * time.Second
	if !s.last.IsZero() && time.Since(s.last) < while {
		return false
	}
	s.last = time.Now()
	return true
}
