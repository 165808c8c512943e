// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// farm has nobodd-farm make images for two boards, which run at once. One is upgraded, and the other
// must not notice.
func farm(l *lab, template string) error {
	table := "89025d75 upgraded\n8f7e5cbd other\n"
	if err := os.WriteFile(l.path("boards"), []byte(table), 0o644); err != nil {
		return err
	}
	if _, err := l.do("nobodd-farm", "-t", template, "-d", l.dir, "-s", "4GB", "--tftpd-dir", l.path("conf.d"),
		"--nbd-dir", l.path("nbd.d"), "--nbd-link", l.path("exports"), l.path("boards"),
		"--", "--nbd-host", server); err != nil {
		return err
	}
	if err := l.serve("nbdkit"); err != nil {
		return err
	}
	say("nobodd-farm has made two images, the servers run, both boards are switched on")
	upgraded, err := l.power("upgraded", "89025d75", 0)
	if err != nil {
		return err
	}
	other, err := l.power("other", "8f7e5cbd", 1)
	if err != nil {
		return err
	}
	old, err := l.arriveTogether(upgraded, other)
	if err != nil {
		return err
	}
	for _, b := range []*emulated{upgraded, other} {
		if err := l.writes(b); err != nil {
			return err
		}
	}
	before, err := l.served(other.serial, "config.txt")
	if err != nil {
		return err
	}
	if err := upgraded.cure("upgraded"); err != nil {
		return err
	}
	if err := upgrade(upgraded); err != nil {
		return err
	}
	if after, err := l.served(other.serial, "config.txt"); err != nil || after != before {
		return fmt.Errorf("the upgrade of one board has changed the other's config.txt to %q (%v)", after, err)
	}
	return l.rebootTogether(upgraded, other, old[0])
}

// arriveTogether boots both boards at once, and returns the kernels that they run.
func (l *lab) arriveTogether(upgraded, other *emulated) (kernels [2]string, err error) {
	var errs [2]error
	var wg sync.WaitGroup
	wg.Go(func() { kernels[0], errs[0] = l.arrive(upgraded, "upgraded.img") })
	wg.Go(func() { kernels[1], errs[1] = l.arrive(other, "other.img") })
	wg.Wait()
	return kernels, errors.Join(errs[:]...)
}

// rebootTogether reboots both: the one must run another kernel, the other the one that it had.
func (l *lab) rebootTogether(upgraded, other *emulated, old string) error {
	for _, b := range []*emulated{upgraded, other} {
		if err := b.send("reboot"); err != nil {
			return err
		}
	}
	now, err := l.arriveTogether(upgraded, other)
	if err == nil && (now[0] == old || now[1] != old) {
		err = fmt.Errorf("both ran kernel %s; the upgraded one runs %s now, the other %s", old, now[0], now[1])
	}
	return err
}
