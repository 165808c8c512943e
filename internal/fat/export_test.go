// SPDX-License-Identifier: GPL-3.0-or-later

package fat

// What the tests of package fat_test look at besides.
var (
	ErrName     = errName
	ErrNotEmpty = errNotEmpty
)

// ClusterSize is the size of a cluster in bytes.
func (v *FS) ClusterSize() int64 { return v.clusterSize }
