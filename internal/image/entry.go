// SPDX-License-Identifier: GPL-3.0-or-later

package image

import "nobodd/internal/fat"

// Entry is what FileInfo.Sys returns (as *Entry) for what a volume holds. Commands know it
// by this name; they do not import package fat.
type Entry = fat.Entry
