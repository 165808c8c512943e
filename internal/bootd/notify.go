// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"fmt"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notifier tells a service manager how the daemon is, as sd_notify(3) has it. Without
// NOTIFY_SOCKET it does nothing.
type notifier struct {
	status string // told last
	tick   *time.Ticker
}

// statusInterval is how old a status may be that is not told yet.
const statusInterval = time.Second

func newNotifier() *notifier {
	n := &notifier{tick: time.NewTicker(statusInterval)}
	if os.Getenv("NOTIFY_SOCKET") == "" {
		n.tick.Stop()
	}
	return n
}

// say sends a state. A manager that does not listen is no reason to stop.
func (n *notifier) say(state string) {
	_, _ = daemon.SdNotify(false, state)
}

func (n *notifier) ready(boards, running int) {
	n.status = status(boards, running)
	n.say(daemon.SdNotifyReady + "\nSTATUS=" + n.status)
}

func (n *notifier) reloading() {
	n.say(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

func (n *notifier) stopping() { n.say(daemon.SdNotifyStopping) }

// update tells the status if it has changed.
func (n *notifier) update(boards, running int) {
	if s := status(boards, running); s != n.status {
		n.status = s
		n.say("STATUS=" + s)
	}
}

func status(boards, running int) string {
	return fmt.Sprintf("%s, %s running", count(boards, "board"), count(running, "transfer"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
