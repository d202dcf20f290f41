package registry_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// resolverOf returns a resolver that knows the names alone.
func resolverOf(t testing.TB, names map[string]netip.Addr) *net.Resolver {
	t.Helper()
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go answerDNS(ours, names)
		return &packetPipe{Conn: theirs}, nil
	}}
}

// packetPipe looks like a datagram connection, so that messages have no length
// before them.
type packetPipe struct{ net.Conn }

func (p *packetPipe) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := p.Read(b)
	return n, nil, err
}

func (p *packetPipe) WriteTo(b []byte, _ net.Addr) (int, error) { return p.Write(b) }

func answerDNS(conn net.Conn, names map[string]netip.Addr) {
	defer func() { _ = conn.Close() }()
	buffer := make([]byte, 1500)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		var query dnsmessage.Message
		if err := query.Unpack(buffer[:n]); err != nil || len(query.Questions) != 1 {
			return
		}
		q := query.Questions[0]
		reply := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: query.ID, Response: true, Authoritative: true},
			Questions: query.Questions,
		}
		address, known := names[q.Name.String()]
		if !known {
			reply.RCode = dnsmessage.RCodeNameError
		}
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
		switch {
		case known && address.Is4() && q.Type == dnsmessage.TypeA:
			reply.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: address.As4()}}}
		case known && address.Is6() && q.Type == dnsmessage.TypeAAAA:
			reply.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}}}
		}
		packed, err := reply.Pack()
		if err != nil {
			return
		}
		if _, err := conn.Write(packed); err != nil {
			return
		}
	}
}
