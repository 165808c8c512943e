// SPDX-License-Identifier: GPL-3.0-or-later

package fat

// A write of maxGathered bytes or more is made as it comes, and no more than maxGap bytes are written where nothing
// needs to be.
const (
	maxGathered = 64 << 10
	maxGap      = 4 << 10
)

// gatherer makes few large writes of the data of many small files, which stand one after another.
type gatherer struct {
	*geometry
	writeAt func(p []byte, off int64) error
	buf     []byte // what is still to be written, at off
	off     int64
}

// write writes p at off, now or later. What is left of the cluster before may be filled with zeros.
func (g *gatherer) write(p []byte, off int64) error {
	if gap := off - g.off - int64(len(g.buf)); len(g.buf) > 0 && g.isTail(gap, off) && int64(len(g.buf)+len(p))+gap <= copySize {
		g.buf = append(append(g.buf, make([]byte, gap)...), p...)
		return nil
	}
	if err := g.flush(); err != nil {
		return err
	}
	if len(p) >= maxGathered {
		return g.writeAt(p, off)
	}
	if g.buf == nil {
		g.buf = make([]byte, 0, copySize)
	}
	g.buf, g.off = append(g.buf, p...), off
	return nil
}

// isTail reports whether the gap before off is nothing, or a small rest of the cluster before it.
func (g *gatherer) isTail(gap, off int64) bool {
	return gap == 0 || gap > 0 && gap <= maxGap && gap < g.clusterSize && (off-g.dataStart)%g.clusterSize == 0
}

// flush writes what is still to be written.
func (g *gatherer) flush() error {
	if len(g.buf) == 0 {
		return nil
	}
	err := g.writeAt(g.buf, g.off)
	g.buf = g.buf[:0]
	return err
}
