package registry

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode"

	"github.com/bonafide-dev/bonafide/imageref"
)

// reach is how the client may go to a host. The zero reach is the strictest.
type reach struct {
	rule       addressRule
	plain      bool // plain HTTP may be spoken
	unverified bool // the TLS certificate need not verify
	// origin is the registry on whose behalf it is gone to; nil shows no client
	// certificate.
	origin *url.URL
}

// hostSet is the operator's list of hosts, in canonical form.
type hostSet map[string]struct{}

func newHostSet(names []string) (hostSet, error) {
	set := make(hostSet, len(names))
	for _, name := range names {
		u, err := url.Parse("https://" + name + "/")
		if err != nil || u.Host != name || u.Hostname() == "" {
			return nil, fmt.Errorf("expected a host or host:port, got %q", clip(name))
		}
		set[hostKey(u)] = struct{}{}
	}
	return set, nil
}

func (s hostSet) has(u *url.URL) bool {
	_, found := s[hostKey(u)]
	return found
}

// hostKey names the host of a URL as [imageref.Repository.Host] does. The
// default port of either scheme is dropped.
func hostKey(u *url.URL) string {
	name := strings.TrimRight(strings.ToLower(u.Hostname()), ".")
	if a, err := netip.ParseAddr(name); err == nil {
		name = a.Unmap().String() // an address has many spellings
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	port := u.Port()
	if port == "443" && u.Scheme != "http" || port == "80" && u.Scheme == "http" {
		port = ""
	}
	if port != "" {
		return name + ":" + port
	}
	return canonicalName(name)
}

// canonicalName replaces an alias of Docker Hub. A name without a dot cannot
// be one.
func canonicalName(host string) string {
	if !strings.ContainsAny(host, ".:") {
		return host
	}
	ref, err := imageref.Parse(host + "/a/b")
	if err != nil {
		return host
	}
	return ref.Repository().Host()
}

// sameOrigin reports whether credentials for a may go to b: the same scheme,
// host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// isAllowed and isInsecure report what the operator says about a host, by an
// option or by the file.
func (c *Client) isAllowed(u *url.URL) bool {
	return c.allowed.has(u) || c.options.Hosts.current().allowed.has(u)
}

func (c *Client) isInsecure(u *url.URL) bool {
	return c.insecure.has(u) || c.options.Hosts.current().insecure.has(u)
}

// reachOf decides how to go to target on behalf of the registry at origin:
// origin itself, a redirect's target, or a token realm.
func (c *Client) reachOf(kind Kind, origin, target *url.URL) reach {
	r := c.reachTo(kind, origin, target)
	r.origin = origin
	return r
}

func (c *Client) reachTo(kind Kind, origin, target *url.URL) reach {
	home := hostKey(origin) == hostKey(target)
	loopback := c.options.Workstation && isLoopbackName(target.Hostname())
	switch {
	case c.isInsecure(target):
		return reach{rule: anyAddress, plain: true, unverified: true}
	case c.isAllowed(target):
		return reach{rule: anyAddress}
	case loopback && (home || kind != KindToken && isLoopbackName(origin.Hostname())):
		return reach{rule: loopbackOnly, plain: true}
	case home && c.options.Workstation:
		return reach{rule: anyAddress}
	case home, kind != KindToken:
		return reach{rule: notLocal}
	}
	return reach{rule: publicOnly}
}

// checkURL refuses a URL that the reach does not cover, before anything is
// dialled.
func (c *Client) checkURL(u *url.URL, r reach) error {
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !r.plain):
		return &refusal{expected: "https", got: fmt.Sprintf("scheme %q at %s", clip(u.Scheme), clip(u.Host))}
	case u.User != nil:
		return &refusal{expected: "a URL without credentials", got: "one with, at " + clip(u.Host)}
	case u.Hostname() == "":
		return &refusal{expected: "a host", got: "none"}
	case !isASCII(u.Hostname()):
		// net/http would go where these characters are mapped to, such as full-width
		// digits to an address that nobody has checked.
		return &refusal{expected: "a host in ASCII", got: clip(u.Hostname())}
	}
	return checkName(u.Hostname(), r.rule, c.options.ServiceNetworks)
}
