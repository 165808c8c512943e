// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"fmt"
	"strings"
)

const serial = "89025d75"

// story is a board's life with that NBD server: it boots, writes to its boot partition, installs a
// second kernel, and boots that. Debian's raspi-firmware then writes cmdline.txt anew: cured says
// that it was told beforehand where the root is. No server is restarted or reloaded in all of it.
func story(l *lab, nbd string, cured bool, template string) error {
	if err := l.prepare(template, "pi", serial); err != nil {
		return err
	}
	if err := l.serve(nbd); err != nil {
		return err
	}
	say("nobodd-prep has prepared the image, %s and the others serve it, the board is switched on", nbd)
	b, err := l.power(nbd, serial, 0)
	if err != nil {
		return err
	}
	old, err := l.arrive(b, "pi.img")
	if err != nil {
		return err
	}
	if err := l.writes(b); err != nil {
		return err
	}
	if cured {
		if err := b.cure("pi"); err != nil {
			return err
		}
	}
	if err := upgrade(b); err != nil {
		return err
	}
	if !cured {
		if b, err = l.strand(b); err != nil {
			return err
		}
	} else if err := b.send("reboot"); err != nil {
		return err
	}
	kernel, err := l.arrive(b, "pi.img")
	if err == nil && kernel == old {
		err = fmt.Errorf("kernel %s runs still", kernel)
	}
	return err
}

// cure does on the board what nobodd-netboot(7) has a user of Debian do, before a kernel is installed.
func (b *emulated) cure(export string) error {
	line := "ip=dhcp nbdroot=" + server + "/" + export
	_, err := b.run("echo '"+line+"' >/etc/default/raspi-extra-cmdline", aMoment)
	if err == nil {
		say("/etc/default/raspi-extra-cmdline has %s", line)
	}
	return err
}

// arrive boots the board to its login prompt, as nobodd-check must have said, and returns the version
// of the kernel that runs.
func (l *lab) arrive(b *emulated, image string) (string, error) {
	fail, err := l.check(image)
	if err != nil {
		return "", err
	}
	if fail != "" {
		return "", fmt.Errorf("nobodd-check: %s", fail)
	}
	end, err := b.boot()
	if err != nil {
		return "", err
	}
	if end != loginPrompt {
		return "", fmt.Errorf("the boot ends otherwise than at a login prompt: %s", end)
	}
	if err := b.login(); err != nil {
		return "", err
	}
	root, err := b.run("findmnt -no SOURCE /", aMoment)
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(root) != "/dev/nbd0p2" {
		return "", fmt.Errorf("the root is on %s", root)
	}
	kernel, err := b.run("uname -r", aMoment)
	kernel = strings.TrimSpace(kernel)
	say("login prompt: root on /dev/nbd0p2, kernel %s", kernel)
	return kernel, err
}

// writes has the board write to its boot partition, whose bytes the daemon must serve at once.
func (l *lab) writes(b *emulated) error {
	for _, text := range []string{"first, " + b.serial, "second, and longer, " + b.serial} {
		if _, err := b.run("echo '"+text+"' >/boot/firmware/proof.txt && sync", aMoment); err != nil {
			return err
		}
		got, err := l.served(b.serial, "proof.txt")
		if err != nil {
			return err
		}
		if got != text+"\n" {
			return fmt.Errorf("the board wrote %q, and %q is served", text+"\n", got)
		}
	}
	say("what board %s writes to /boot/firmware is served at once", b.serial)
	return nil
}

// upgrade installs the second kernel's package on the board.
func upgrade(b *emulated) error {
	out, err := b.run("dpkg -i /root/linux-image-*.deb && sync", anHour) // what it wrote to the boot partition, too
	if err != nil {
		return err
	}
	if strings.Contains(out, "No space left") {
		return fmt.Errorf("the second kernel has no room:\n%s", out)
	}
	say("the second kernel's package is installed")
	return nil
}

// strand reboots a board whose upgrade has taken nbdroot= out of cmdline.txt, as nobodd-check must
// say: it finds no root. nobodd-prep puts that right, and the board is switched on once more.
func (l *lab) strand(b *emulated) (*emulated, error) {
	fail, err := l.check("pi.img")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(fail, "nbdroot=") {
		return nil, fmt.Errorf("cmdline.txt was written anew, without nbdroot=, and nobodd-check says %q", fail)
	}
	say("nobodd-check of the upgraded image: %s", fail)
	if err := b.send("reboot"); err != nil {
		return nil, err
	}
	end, err := b.boot()
	if err != nil {
		return nil, err
	}
	if end == loginPrompt {
		return nil, errors.New("the board has found a root that nothing names")
	}
	say("so it is: %s", end)
	b.switchOff()
	if _, err := l.do("nobodd-prep", "--size", "4GB", "--nbd-host", server, "pi.img"); err != nil {
		return nil, err
	}
	say("nobodd-prep has prepared the image once more, the board is switched on again")
	return l.power("again", serial, 0)
}
