package registry

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// addressRule says which addresses may be dialled. The zero rule is the
// strictest.
type addressRule uint8

const (
	publicOnly   addressRule = iota // global unicast outside every private and special range: token realms
	notLocal                        // no address of this machine, link, cloud or cluster: registries of a server
	loopbackOnly                    // what is called loopback must be it
	anyAddress                      // the operator vouches for the host
)

// refusal is the error for a place where the client will not go. It carries no
// part of a URL but host and scheme.
type refusal struct{ expected, got string }

func (r *refusal) Error() string { return "expected " + r.expected + ", got " + r.got }

// Special ranges that net/netip does not name (IANA IPv4 and IPv6
// Special-Purpose Address Registries) and fixed addresses of clouds.
var (
	nat64           = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour       = netip.MustParsePrefix("2002::/16")
	ipv4Compatible  = netip.MustParsePrefix("::/96")
	ipv4Translated  = netip.MustParsePrefix("::ffff:0:0:0/96")
	localPrefixes   = prefixes("0.0.0.0/8", "240.0.0.0/4", "64:ff9b:1::/48", "2001::/32", "fec0::/10")
	privatePrefixes = prefixes("100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "100::/64", "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:db8::/32", "3fff::/20", "5f00::/16")
	// metadataAddresses are the ones outside link-local: AWS, Google Cloud,
	// Alibaba, Azure's wire server and Oracle.
	metadataAddresses = prefixes("fd00:ec2::/32", "fd20:ce::254/128", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32")
)

func prefixes(all ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(all))
	for i, s := range all {
		parsed[i] = netip.MustParsePrefix(s)
	}
	return parsed
}

// checkAddress returns a *refusal for an address that the rule excludes. IPv4
// addresses wrapped into IPv6 ones are judged as what they lead to.
func checkAddress(a netip.Addr, rule addressRule, services []netip.Prefix) error {
	a = unwrap(a.WithZone("").Unmap())
	switch rule {
	case anyAddress:
		return nil
	case loopbackOnly:
		if !a.IsLoopback() {
			return &refusal{expected: "a loopback address", got: a.String()}
		}
		return nil
	case publicOnly, notLocal:
	}
	if isLocal(a) || within(a, services) {
		return &refusal{expected: "an address outside loopback, link-local, metadata and cluster services", got: a.String()}
	}
	if rule == publicOnly && (a.IsPrivate() || within(a, privatePrefixes)) {
		return &refusal{expected: "a public address", got: a.String()}
	}
	return nil
}

func isLocal(a netip.Addr) bool {
	return !a.IsValid() || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() || a.IsLinkLocalUnicast() ||
		!a.IsGlobalUnicast() || within(a, localPrefixes) || within(a, metadataAddresses)
}

func within(a netip.Addr, ranges []netip.Prefix) bool {
	for _, p := range ranges {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// unwrap returns the IPv4 address that an IPv6 one stands for in NAT64
// (RFC 6052), 6to4 (RFC 3056), SIIT (RFC 2765) and the deprecated compatible
// form. The unspecified address and ::1 are left alone.
func unwrap(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	b := a.As16()
	switch {
	case nat64.Contains(a), ipv4Translated.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case ipv4Compatible.Contains(a) && !a.IsLoopback() && !a.IsUnspecified():
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
	return a
}

// checkName judges a host name before anything is looked up. It is the only
// check that is left where a proxy does the looking up (TRUST R8).
func checkName(name string, rule addressRule, services []netip.Prefix) error {
	name = strings.TrimRight(strings.ToLower(name), ".")
	if a, err := netip.ParseAddr(name); err == nil {
		return checkAddress(a, rule, services)
	}
	if rule == anyAddress || rule == loopbackOnly {
		return nil
	}
	switch {
	case name == "localhost", strings.HasSuffix(name, ".localhost"):
		return &refusal{expected: "a host outside this machine", got: clip(name)}
	case strings.HasSuffix(name, ".svc"), strings.Contains(name, ".svc."), strings.HasSuffix(name, ".cluster.local"):
		return &refusal{expected: "a host outside the cluster's services", got: clip(name)}
	case name == "metadata.google.internal":
		return &refusal{expected: "a host other than a metadata service", got: clip(name)}
	case endsInNumber(name):
		return &refusal{expected: "a host name or an address in its usual form", got: fmt.Sprintf("%q", clip(name))}
	}
	return nil
}

// endsInNumber reports whether some resolvers would read name as an IPv4
// address in an unusual spelling, such as 127.1 or 0x7f000001 (WHATWG URL,
// "ends in a number").
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if hex, found := strings.CutPrefix(last, "0x"); found {
		_, err := strconv.ParseUint(hex, 16, 64)
		return err == nil || hex == ""
	}
	if last == "" {
		return false
	}
	return strings.Trim(last, "0123456789") == ""
}

// isLoopbackName reports whether a host is loopback by its name alone.
func isLoopbackName(name string) bool {
	name = strings.TrimRight(strings.ToLower(name), ".")
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Unmap().IsLoopback()
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}
