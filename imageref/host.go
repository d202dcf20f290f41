package imageref

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

const (
	dockerHub   = "docker.io"
	localhost   = "localhost"
	defaultPort = "443"
	maxPort     = 65535
)

// dockerHubAliases are the hosts under which Docker Hub is or was reachable as
// a registry. It is never written to.
var dockerHubAliases = map[string]string{
	"docker.io":                dockerHub,
	"index.docker.io":          dockerHub,
	"registry-1.docker.io":     dockerHub,
	"registry.docker.io":       dockerHub,
	"registry.hub.docker.com":  dockerHub,
	"registry.ipv6.docker.com": dockerHub,
	"hub.docker.com":           dockerHub,
	"www.docker.com":           dockerHub,
}

// looksLikeHost tells, as kubelet does, whether the first component of a name
// is a registry's host or begins a path on Docker Hub.
func looksLikeHost(s string) bool {
	return s == localhost || strings.ContainsAny(s, ".:") || strings.ToLower(s) != s
}

// normalHost checks a host and returns the one spelling that stands for all of
// its spellings (TRUST R11).
func normalHost(host string) (string, error) {
	if len(host) > maxHostLength {
		return "", fmt.Errorf("expected a registry host of at most %d characters, got %d", maxHostLength, len(host))
	}
	if !hostName.MatchString(host) {
		return "", fmt.Errorf("expected a registry host, got %q", clip(host))
	}
	name, port := cutPort(strings.ToLower(host))
	name, err := normalName(name)
	if err != nil {
		return "", err
	}
	if port != "" {
		// "0443" dials like "443"; as a second spelling it has no use.
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > maxPort || port[0] == '0' {
			return "", fmt.Errorf("expected a port from 1 to %d without leading zeros, got %q", maxPort, clip(port))
		}
	}
	return joinPort(name, port), nil
}

// normalName gives an address its one spelling. Names that are numbers to the C
// library's resolver but not a dotted quad ("10.1", "0x7f000001") are second
// spellings of an address, and refused.
func normalName(name string) (string, error) {
	if inner, bracketed := strings.CutPrefix(name, "["); bracketed {
		address, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		switch {
		case err != nil:
			return "", fmt.Errorf("expected an IPv6 address in brackets, got %q", clip(name))
		case address.Is4In6():
			return address.Unmap().String(), nil
		}
		return "[" + address.String() + "]", nil
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if !isNumber(last) {
		return name, nil
	}
	if _, err := netip.ParseAddr(name); err != nil {
		return "", fmt.Errorf("expected a host name or a dotted quad, got %q", clip(name))
	}
	return name, nil
}

// isNumber reports whether a label is a number in the notations of inet_aton.
func isNumber(label string) bool {
	digits, allowed := label, "0123456789"
	if hex, found := strings.CutPrefix(label, "0x"); found {
		digits, allowed = hex, "0123456789abcdef"
	}
	return strings.Trim(digits, allowed) == ""
}

// joinPort drops the default port, except where a name would then no longer be
// read as a host: "acme:443/app" is not Docker Hub's "acme/app". The same name
// without port, which only upper case can have marked as a host, gets it.
func joinPort(name, port string) string {
	switch {
	case looksLikeHost(name) && (port == "" || port == defaultPort):
		return name
	case port == "":
		port = defaultPort
	}
	return name + ":" + port
}

// cutPort splits a host into its name and its port, "" if it has none.
func cutPort(host string) (name, port string) {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.HasSuffix(host, "]") {
		return host, ""
	}
	return host[:i], host[i+1:]
}
