// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// A DHCP message: RFC 2131, section 2. Options follow the cookie.
const (
	dhcpHeader = 240 // bytes, with the cookie
	dhcpTries  = 5
)

var dhcpCookie = []byte{99, 130, 83, 99}

// discover returns a DHCPDISCOVER as the bootloader of a Raspberry Pi sends it: that of a
// PXE client, which takes hints from servers that give no addresses.
func discover() []byte {
	p := make([]byte, dhcpHeader)
	p[0], p[1], p[2] = 1, 1, 6                            // BOOTREQUEST, Ethernet
	copy(p[4:], "path")                                   // the transaction
	binary.BigEndian.PutUint16(p[10:], 0x8000)            // answer by broadcast
	copy(p[28:], []byte{0xdc, 0xa6, 0x32, 0x1, 0x2, 3})   // MAC address
	copy(p[236:], dhcpCookie)                             //
	p = append(p, 53, 1, 1)                               // DHCPDISCOVER
	p = append(p, 55, 6, 1, 3, 43, 60, 66, 67)            // wants these
	p = append(p, 93, 2, 0, 0)                            // architecture 0
	p = append(p, 94, 3, 1, 2, 1)                         // UNDI 2.1
	p = append(append(p, 97, 17, 0), make([]byte, 16)...) // UUID
	p = append(append(p, 60, 32), "PXEClient:Arch:00000:UNDI:002001"...)
	return append(p, 255)
}

// offer asks, again and again as bootloaders do, and prints the first answer.
func offer() error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 68})
	if err != nil {
		return err
	}
	defer conn.Close()
	buf := make([]byte, 1500)
	for range dhcpTries {
		if _, err := conn.WriteToUDP(discover(), &net.UDPAddr{IP: net.IPv4bcast, Port: 67}); err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return err
		}
		n, _, err := conn.ReadFromUDP(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			return err
		}
		return printOffer(buf[:n])
	}
	return errors.New("no DHCP server answers")
}

func printOffer(p []byte) error {
	if len(p) < dhcpHeader || p[0] != 2 || !bytes.Equal(p[236:dhcpHeader], dhcpCookie) {
		return errors.New("no DHCP message")
	}
	fmt.Printf("address given: %v\n", netip.AddrFrom4([4]byte(p[16:20])))
	for options := p[dhcpHeader:]; len(options) > 1 && options[0] != 255; {
		size := int(options[1])
		if options[0] == 0 {
			options = options[1:]
			continue
		}
		if len(options) < 2+size {
			return errors.New("a DHCP option is cut off")
		}
		switch value := options[2 : 2+size]; {
		case options[0] == 54 && size == 4:
			fmt.Printf("boot server: %v\n", netip.AddrFrom4([4]byte(value)))
		case options[0] == 43:
			fmt.Printf("boot menu: %q\n", value)
		}
		options = options[2+size:]
	}
	return nil
}
