// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"

	"nobodd/internal/config"
	"nobodd/internal/tftp"
)

// Listen opens the socket that the configuration asks for. An address that is not there yet is
// listened on all the same, with a warning in log.
func Listen(cfg *config.Config, log *slog.Logger) (*tftp.Listener, error) {
	switch cfg.Listen {
	case config.Stdin:
		return tftp.Inherit(os.Stdin)
	case config.Systemd:
		files := activation.Files(true)
		if len(files) != 1 {
			return nil, fmt.Errorf("systemd passed %d sockets, and not one: is nobodd-tftpd.socket started?", len(files))
		}
		defer files[0].Close()
		return tftp.Inherit(files[0])
	}
	ip, err := netip.ParseAddr(cfg.Listen)
	if err != nil {
		return nil, err
	}
	l, absent, err := tftp.Listen(ip, uint16(cfg.Port))
	if absent {
		log.Warn("this machine does not have the address " + cfg.Listen + " yet; listening on it all the same")
	}
	return l, explain(err, cfg.Port)
}

// explain says what to do about a port that cannot be had. err may be nil.
func explain(err error, port int) error {
	switch {
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("UDP port %d: %w: below 1024 are those of root, and of systemd's socket; --port takes another",
			port, syscall.EACCES)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("UDP port %d: %w: ss -ulnp 'sport = %[1]d' shows by which program", port, syscall.EADDRINUSE)
	}
	return err
}
