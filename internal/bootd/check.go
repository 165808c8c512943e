// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"

	"nobodd/internal/config"
	"nobodd/internal/image"
	"nobodd/internal/text"
)

// Check opens each board's image and prints a line a board on w: its serial number, the
// address of its boot partition, the size and kind of that. The error joins one for each
// board that cannot be served. As root it calls warn with each image that the user of the
// service cannot read.
func Check(w io.Writer, cfg *config.Config, warn func(text string)) error {
	var errs []error
	service, known := serviceUser()
	for _, b := range cfg.Sorted() {
		line, err := check(b)
		if err == nil {
			_, err = fmt.Fprintln(w, line)
		} else {
			err = fmt.Errorf("board %s: %s: %w", b.Serial, b.Image, err)
		}
		errs = append(errs, err)
		if known && err == nil && !mayRead(service, b.Image) {
			warn(fmt.Sprintf("board %s: %s: user %s cannot read it", b.Serial, b.Image, serviceName))
		}
	}
	return errors.Join(errs...)
}

func check(b config.Board) (string, error) {
	im, err := image.Open(b.Image, image.Unlocked, nil)
	if err != nil {
		return "", err
	}
	defer im.Close()
	vol, num, err := im.Volume(b.Partition)
	if err != nil {
		return "", err
	}
	if _, err := vol.ReadDir("."); err != nil {
		return "", err
	}
	only := ""
	if b.IP.IsValid() {
		only = " for " + b.IP.String() + " only"
	}
	return fmt.Sprintf("%s: %s:%d: %s fat%d%s", b.Serial, b.Image, num, partitionSize(im, num), vol.Width(), only), nil
}

// partitionSize returns the size of partition num.
func partitionSize(im *image.Image, num int) string {
	parts, _ := im.Partitions() // what is wrong with others is not asked
	for _, p := range parts {
		if p.Num == num {
			return text.Size(p.Size)
		}
	}
	return "-"
}

// serviceName is the user that the systemd service runs as.
var serviceName = "nobodd"

// serviceUser returns what the service's user may do. Nobody but root can find out more.
func serviceUser() (*syscall.Credential, bool) {
	if os.Geteuid() != 0 {
		return nil, false
	}
	u, err := user.Lookup(serviceName)
	if err != nil {
		return nil, false
	}
	var ids []uint32
	groups, err := u.GroupIds()
	for _, id := range append([]string{u.Uid, u.Gid}, groups...) {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, false
		}
		ids = append(ids, uint32(n))
	}
	return &syscall.Credential{Uid: ids[0], Gid: ids[1], Groups: ids[2:]}, err == nil
}

// mayRead reports whether a user may read a file: the kernel knows, with folders, groups and access lists.
// Where it cannot be asked, the answer is yes.
func mayRead(who *syscall.Credential, file string) bool {
	cmd := exec.Command("test", "-r", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	var no *exec.ExitError
	return !errors.As(cmd.Run(), &no)
}
