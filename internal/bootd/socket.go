// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"

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
			return nil, fmt.Errorf("systemd passed %d sockets, and not one", len(files))
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
	return l, err
}
