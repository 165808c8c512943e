// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"context"
	"log/slog"
	"testing"

	"nobodd/internal/config"
)

// BenchmarkTransfer is one client that fetches 8 MB by blocks of 1468 bytes.
func BenchmarkTransfer(b *testing.B) {
	const size = 8 << 20
	conn, err := Listen(board("none"), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	s := New(board("none"), slog.New(slog.DiscardHandler))
	s.open = func(config.Board, string) (file, error) {
		return &memory{ReaderAt: zeros{}, size: size}, nil
	}
	go s.Serve(conn)
	defer s.Shutdown(context.Background())
	d := &testServer{addr: conn.Addr()}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		c := d.client(b)
		c.request("x", "octet", "blksize 1468")
		if p := c.receive(); p.op != opOAck {
			b.Fatalf("received %v, want OACK", p)
		}
		ack := []byte{0, opAck, 0, 0}
		for {
			if _, err := c.conn.WriteToUDPAddrPort(ack, c.peer); err != nil {
				b.Fatal(err)
			}
			n, _, err := c.conn.ReadFromUDPAddrPort(c.buf[:])
			if err != nil {
				b.Fatal(err)
			}
			copy(ack[2:], c.buf[2:4])
			if n < 4+1468 {
				break
			}
		}
		c.ack(0)
		if _, err := c.conn.WriteToUDPAddrPort(ack, c.peer); err != nil {
			b.Fatal(err)
		}
		c.conn.Close()
	}
}
