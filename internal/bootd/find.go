// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"cmp"

	"nobodd/internal/config"
	"nobodd/internal/tftp"
)

// find opens the file that a client asks for, if it may have it, and notes in e which board and file that is.
func (s *Server) find(cfg *config.Config, r *tftp.Request, e *event) (file, error) {
	client, name := r.Client.Addr(), r.Name
	ask, ok := resolve(cfg, client, name)
	e.board, e.file = ask.who, ask.path
	if !ok {
		if key := cmp.Or(ask.who, client.String()); s.strange.isNew(key) {
			s.log.Warn(strange(cfg, client, ask.who, name))
		}
		return nil, errNotFound
	}
	if ask.board.IP.IsValid() && !sameClient(ask.board.IP, client) {
		return nil, errForbidden
	}
	e.story = ask.board.Serial.String()
	if ask.board.Serial == config.Default {
		e.story = client.String() // each client is a board of its own
	}
	s.tell.asked(e)
	return s.open(ask.board, ask.path)
}
