// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import "nobodd/internal/tftp"

// The ERROR packets that clients get. Their texts are fixed: they say nothing of the server.
var (
	errUnreadable = &tftp.Refusal{Code: tftp.CodeOther, Text: "cannot read file"}
	errChanged    = &tftp.Refusal{Code: tftp.CodeOther, Text: "file changed"}
	errBusy       = &tftp.Refusal{Code: tftp.CodeOther, Text: "too many transfers"}
	errStopping   = &tftp.Refusal{Code: tftp.CodeOther, Text: "server is stopping"}
	errServer     = &tftp.Refusal{Code: tftp.CodeOther, Text: "server error"}
	errNotFound   = &tftp.Refusal{Code: tftp.CodeNotFound, Text: "file not found"}
	errNotFile    = &tftp.Refusal{Code: tftp.CodeAccess, Text: "not a file"}
	errForbidden  = &tftp.Refusal{Code: tftp.CodeAccess, Text: "access denied"}
	errReadOnly   = &tftp.Refusal{Code: tftp.CodeAccess, Text: "read-only server"}
	errMalformed  = &tftp.Refusal{Code: tftp.CodeIllegal, Text: "malformed request"}
	errMode       = &tftp.Refusal{Code: tftp.CodeIllegal, Text: "unknown transfer mode"}
)
