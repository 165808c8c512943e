// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"fmt"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"nobodd/internal/text"
)

// notifier keeps a service manager informed, as sd_notify(3) describes. Without NOTIFY_SOCKET it
// does nothing.
type notifier struct {
	status status           // sent last
	tick   <-chan time.Time // when to look for a new one; nil if nobody listens
}

// statusInterval is how old a status may be that is not sent yet.
const statusInterval = time.Second

// newNotifier returns a notifier with its own clock, unless there is one.
func newNotifier(clock <-chan time.Time) *notifier {
	switch {
	case os.Getenv("NOTIFY_SOCKET") == "":
		return &notifier{}
	case clock == nil:
		clock = time.Tick(statusInterval)
	}
	return &notifier{tick: clock}
}

// say sends a state. A manager that does not listen is no reason to stop.
func (n *notifier) say(state string) {
	_, _ = daemon.SdNotify(false, state)
}

func (n *notifier) ready(s status) {
	n.status = s
	n.say(daemon.SdNotifyReady + "\nSTATUS=" + s.String())
}

func (n *notifier) reloading() {
	n.say(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

func (n *notifier) stopping() { n.say(daemon.SdNotifyStopping) }

// update sends the status if it has changed.
func (n *notifier) update(s status) {
	if s != n.status {
		n.status = s
		n.say("STATUS=" + s.String())
	}
}

// status is how the daemon is.
type status struct {
	boards, running int
	strangers       int    // that came after those that are remembered
	mistake         string // the first one in the configuration read last, "" if there is none
}

// String returns the status as one line of UTF-8, which is what systemd takes.
func (s status) String() string {
	line := fmt.Sprintf("%s, %s running", count(s.boards, "board"), count(s.running, "transfer"))
	if s.strangers > 0 {
		line += fmt.Sprintf(", %s after the first %d", count(s.strangers, "stranger"), maxStrangers)
	}
	if s.mistake != "" {
		line += "; configuration: " + s.mistake
	}
	return text.Printable(line)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
